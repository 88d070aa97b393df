"""C_W over the size of the collection: measured from ranks, and carried beyond them.

A query has `k` of `m` others at least as near as its own original. In a collection of n clips the
others are n - 1 of them, drawn at random, so that none of them is nearer with probability
C(m - k, n - 1) / C(m, n - 1). Beyond m a beta-binomial of k says what others like these would do:
C_W@n = B(a, b + n - 1) / B(a, b).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
FARTHEST = 19.0
"""How many times the others that were measured an extrapolation was held to the truth."""


class Beyond(NamedTuple):
    """An extrapolated C_W@n, and the bracket it stands in."""

    value: float
    low: float
    high: float


def curve_sizes(n_clips: int, n_gallery: int) -> tuple[int, ...]:
    """Return the sizes of collections that a curve is drawn over.

    Examples
    --------
    >>> curve_sizes(116, 5000)
    (10, 100, 116, 1000, 5116)
    """
    most = n_clips + n_gallery
    powers = {10**power for power in range(1, 12) if 10**power <= most}
    return tuple(sorted(powers | {n_clips, most}))


def at_size(k: ArrayLike, m: int, n: int) -> Floats:
    """Return each query's share of the collections of n clips in which its original is nearest.

    Parameters
    ----------
    k : array_like of int
        Others at least as near as the own original.
    m : int
        All others.
    n : int
        Size of the collection, 2 to m + 1.

    Examples
    --------
    >>> at_size([0, 1, 4], m=4, n=3).round(12).tolist()
    [1.0, 0.5, 0.0]
    """
    from scipy.special import gammaln

    nearer = np.asarray(k, np.float64)
    free = m - nearer
    drawn = n - 1
    left = free - drawn
    share = np.exp(
        gammaln(free + 1)
        - gammaln(np.maximum(left, 0) + 1)
        - gammaln(m + 1)
        + gammaln(m - drawn + 1)
    )
    return np.where(left >= 0, np.where(nearer == 0, 1.0, np.minimum(share, 1.0)), 0.0)


def beyond(k: ArrayLike, m: int, n: int) -> Beyond:
    """Extrapolate C_W@n to a collection larger than what was measured.

    The value is that of a beta-binomial. A beta-binomial with a share of queries that nothing ever
    comes near lies above it in most cases: it closes the bracket on that side. On the other side
    the share that is lost grows at most in proportion to the others. Where no query was lost, the
    rule of three says what may have been missed.

    Parameters
    ----------
    k : array_like of int
        Others at least as near as the own original, by query.
    m : int
        All others.
    n : int
        Size of the collection, above m + 1.

    Returns
    -------
    Beyond
    """
    nearer = np.asarray(k, np.float64)
    growth = (n - 1) / m
    if not nearer.any():
        return Beyond(1.0, max(0.0, 1.0 - 3.0 / len(nearer) * growth), 1.0)
    plain = _fitted(nearer, m, mass=False)
    measured = float((nearer == 0).mean())  # C_W among all; it can only fall
    value = min(measured, _at(plain, n))
    high = min(measured, max(value, _at(_fitted(nearer, m, mass=True), n)))
    lost = float((nearer > 0).mean())
    low = min(value, max(0.0, 1.0 - lost * growth))
    return Beyond(value, low, high)


def _at(fit: tuple[float, float, float], n: int) -> float:
    from scipy.special import betaln

    a, b, w = fit
    return float(w + (1 - w) * np.exp(betaln(a, b + n - 1) - betaln(a, b)))


def _fitted(k: Floats, m: int, *, mass: bool) -> tuple[float, float, float]:
    """Fit a beta-binomial by maximum likelihood: a, b, and the mass at 0 (0 without one)."""
    from scipy.optimize import minimize
    from scipy.special import betaln, expit

    values, counts = np.unique(k, return_counts=True)

    def unlikely(t: Floats) -> float:
        a, b = np.exp(np.clip(t[:2], -30, 30))
        likely = betaln(values + a, m - values + b) - betaln(a, b)
        if mass:
            w = expit(t[2])
            with np.errstate(divide="ignore"):
                at_zero = np.where(values == 0, np.log(w + 1e-12), -np.inf)
                likely = np.logaddexp(at_zero, np.log1p(-w + 1e-12) + likely)
        return -float((counts * likely).sum())

    starts = [(-1.0, 1.0, -2.0), (-0.5, 2.0, -4.0), (-2.0, 3.0, -1.0)]
    found = min(
        (
            minimize(unlikely, np.array(s if mass else s[:2]), method="Nelder-Mead",
                     options={"maxiter": 2000, "xatol": 1e-5, "fatol": 1e-8})
            for s in starts
        ),
        key=lambda one: float(one.fun),
    )  # fmt: skip
    a, b = np.exp(np.clip(found.x[:2], -30, 30))
    return float(a), float(b), float(expit(found.x[2])) if mass else 0.0
