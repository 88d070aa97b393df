"""Bootstrap of a median over clips, from the counts of `nearkin.statistics.bootstrap`.

A resample that drew clip j w_j times has the median of its values, each repeated w_j times: the
mean of the two in the middle where their number is even. No resample is ever written out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nearkin.consistency import Floats
from nearkin.statistics.bootstrap import Counts, require_fit


def median_replicates(values: ArrayLike, counts: Counts) -> Floats:
    """Resample the median of a number per clip.

    Parameters
    ----------
    values : array_like, shape [N] or [K, N]
        One value a clip, or K rows of them; NaN where it failed (it is left out).
    counts : float32[B, N]
        See `nearkin.statistics.bootstrap.resamples`.

    Returns
    -------
    float64[B] or float64[K, B]
        Medians; NaN where a resample holds no clip with a value.

    Raises
    ------
    InputError
        If the clips of the two do not fit.

    Examples
    --------
    >>> counts = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 2]], np.float32)
    >>> median_replicates([1.0, 3.0, np.nan], counts)
    array([ 1.,  3., nan])
    """
    table = np.asarray(values, np.float64)
    rows = np.atleast_2d(table)
    require_fit(rows.shape[-1], counts)
    medians = np.full((len(rows), len(counts)), np.nan)
    for row, target in zip(rows, medians, strict=True):
        there = np.flatnonzero(~np.isnan(row))
        if there.size == 0:
            continue
        order = there[np.argsort(row[there], kind="stable")]
        ordered = row[order]
        upto = np.cumsum(counts[:, order], axis=1, dtype=np.int64)
        drawn = upto[:, -1:]
        lower = np.argmax(2 * upto >= drawn, axis=1)
        upper = np.argmax(2 * upto > drawn, axis=1)
        with np.errstate(invalid="ignore"):  # the middle of -inf and inf is undefined
            found = (ordered[lower] + ordered[upper]) / 2
        target[:] = np.where(drawn[:, 0] > 0, found, np.nan)
    return medians[0] if table.ndim == 1 else medians
