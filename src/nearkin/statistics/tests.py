"""Tests of differences: p-values, and their correction where there are many.

Arrays in, numbers out. p-values are two-sided.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p: ArrayLike) -> Floats:
    """Return p-values that hold the familywise error (Holm 1979); NaN where p is.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2)
    array([0.03, 0.06, 0.06])
    """
    raw = np.asarray(p, np.float64)
    adjusted = np.full(len(raw), np.nan)
    known = np.flatnonzero(~np.isnan(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    steps = raw[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def bootstrap_p(difference: float, replicates: Floats, *, n_differing: int) -> float:
    """Return the two-sided p of a difference, from the bootstrap centred at none.

    Parameters
    ----------
    difference : float
        The difference seen.
    replicates : float64[B]
        Its replicates; NaN where a resample leaves it undefined.
    n_differing : int
        Clips on which the two differ at all.

    Returns
    -------
    float
        In (0, 1]; NaN where nothing is defined.
    """
    known = replicates[~np.isnan(replicates)]
    if math.isnan(difference) or not len(known):
        return math.nan
    if n_differing < 2:
        return 1.0
    stretch = math.sqrt(n_differing / (n_differing - 1))
    far = np.abs(known - difference) * stretch >= abs(difference) * (1 - 1e-9)
    p = (1 + int(far.sum())) / (1 + len(known))
    return min(1.0, max(p, 2.0 ** (1 - n_differing)))
