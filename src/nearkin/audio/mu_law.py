"""Mu-law: sound in 8 bits a sample, as the authors of the paper stored theirs (the curve of G.711).

Full scale is 1.0. The steps are fine near zero and coarse near full scale: the noise lies some
38 dB below the signal whatever its level, and fills bands that the signal leaves empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MU = 255


def through_mu_law(y: ArrayLike) -> NDArray[np.float32]:
    """Return a signal as it comes back from 8 bits a sample.

    ``F(x) = sgn(x) ln(1 + 255 |x|) / ln 256`` is rounded to the nearest of 256 levels from -1 to
    1 and turned back. No level is zero, and what lies beyond full scale is cut off.

    Parameters
    ----------
    y : array_like, shape [..., samples]
        The signal.

    Returns
    -------
    numpy.ndarray of float32, shape [..., samples]

    Examples
    --------
    >>> [f"{x:.4f}" for x in through_mu_law([0.0, 0.5, -2.0])]
    ['0.0001', '0.4967', '-1.0000']
    """
    x = np.clip(np.asarray(y, np.float64), -1.0, 1.0)
    compressed = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
    level = np.floor((compressed + 1.0) / 2.0 * MU + 0.5)
    back = level / MU * 2.0 - 1.0
    stored: NDArray[np.float64] = np.sign(back) * np.expm1(np.abs(back) * np.log1p(MU)) / MU
    return stored.astype(np.float32)
