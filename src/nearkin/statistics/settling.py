"""How many clips would settle it: when an interval comes to lie on one side of a threshold.

Numbers in, numbers out. A share's interval is the exact binomial one of 95 % (Clopper and Pearson
1934); of other means the width falls with the square root of the number of clips. Both suppose that
what was seen stays as it is.
"""

from __future__ import annotations

import math

from nearkin.statistics.intervals import TAIL, exact_limits

MOST = 1_000_000
"""Clips beyond which nobody is asked to go."""


def clips_for_share(share: float, threshold: float) -> int | None:
    """Return the smallest n at which the exact interval of a share settles it; None beyond `MOST`.

    Settled is a share whose interval lies at or above the threshold, or below it.

    Examples
    --------
    >>> clips_for_share(1.0, 0.95)
    72
    """

    def settled(n: int) -> bool:
        low, high = exact_limits(share, n)
        return low >= threshold if share >= threshold else high < threshold

    if share == threshold or not settled(MOST):
        return None
    few, enough = 0, MOST
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if settled(middle) else (middle, enough)
    return enough


def clips_for_mean(value: float, reach: float, n: int, threshold: float) -> int | None:
    """Return about how many clips bring a mean's interval to one side of a threshold.

    Parameters
    ----------
    value, reach : float
        The mean, and how far its interval reaches towards the threshold with n clips.
    n : int
        Clips.
    threshold : float
        What the interval has to clear.

    Returns
    -------
    int or None
        More than n; None where no number up to `MOST` would do.

    Examples
    --------
    >>> clips_for_mean(0.92, 0.04, 100, 0.9)
    400
    """
    gap = abs(value - threshold)
    if not (gap > 0 and math.isfinite(reach)):
        return None
    needed = math.ceil(round(n * (reach / gap) ** 2, 6))
    return max(needed, n + 1) if needed <= MOST else None


def bounded_interval(value: float, low: float, high: float, n: int) -> tuple[float, float]:
    """Return an interval of a mean whose n values are all equal, bounded by low and high.

    A bootstrap of equal values has no width. The share of values that are as seen is at least
    ``TAIL ** (1 / n)`` (exact, one-sided 97.5 %); the others could lie anywhere within the bounds.

    Examples
    --------
    >>> [round(end, 3) for end in bounded_interval(1.0, -1.0, 1.0, 72)]
    [0.9, 1.0]
    """
    as_seen = TAIL ** (1 / n)
    return as_seen * value + (1 - as_seen) * low, as_seen * value + (1 - as_seen) * high
