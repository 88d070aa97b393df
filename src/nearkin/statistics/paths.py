"""How points move as something grows: one direction or many, straight or bent.

Arrays in, numbers out; after Deng, Wang, Richard and McFee, "Investigating the Sensitivity of
Pre-trained Audio Embeddings to Common Effects" (ICASSP 2025), with R2 held out.

Conventions
-----------
``z``: float64[N, K, D], N clips at K growing severities (the first is the clip as it is), finite.
``units``: int[N], clips of one number are no independent draws. The severity of step k is
k / (K - 1): ranks, spread evenly, as magnitudes of a transformation have no common unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FOLDS = 5
RIDGES = tuple(10.0**power for power in range(-6, 2))
"""Shrinkage tried, as shares of the largest variance."""


class Spectrum(NamedTuple):
    """Of the clips' directions: how many dimensions they fill."""

    dimension: float
    """The participation ratio of the squared singular values: 1 if all clips move one way, r if
    they move r ways equally often."""
    first: float
    """The share of the first singular direction."""
    most: int
    """How many directions hold 90 %."""


def severities(n_steps: int) -> Floats:
    """Return the severity of every step, 0 to 1."""
    spread: Floats = np.linspace(0.0, 1.0, n_steps)
    return spread


def projections(z: Floats, units: NDArray[np.intp]) -> Floats:
    """Return the severity that one direction for all clips tells of clips it was not fitted to.

    The direction is that of canonical correlation analysis between embeddings and severity (of one
    variable: the least-squares direction), shrunk as a ridge regression whose shrinkage is chosen
    on the fitted clips alone.

    Returns
    -------
    float64[N, K]
    """
    n, steps, _ = z.shape
    folds = _folds(units)
    told = np.full((n, steps), np.nan)
    for fold in range(folds.max() + 1):
        inside, out = folds != fold, folds == fold
        ridge = _best_ridge(z[inside], units[inside])
        told[out] = _fit(z[inside], [ridge]).tell(z[out])[0]
    return told


def direction(z: Floats, units: NDArray[np.intp]) -> Floats:
    """Return the unit vector along which severity is told best, from all clips: float64[D]."""
    found: Floats = _fit(z, [_best_ridge(z, units)]).weights[0]
    length = float(np.linalg.norm(found))
    return found / length if length else found


class _Fit(NamedTuple):
    mean: Floats
    weights: Floats
    level: float

    def tell(self, z: Floats) -> Floats:
        """Return the severities told, [ridge, N, K]."""
        return self.level + np.moveaxis((z - self.mean) @ self.weights.T, -1, 0)


def _fit(z: Floats, ridges: list[float] | tuple[float, ...]) -> _Fit:
    """Fit ridge regressions of severity on embeddings."""
    n, steps, size = z.shape
    flat = z.reshape(-1, size)
    mean = flat.mean(axis=0)
    target = np.tile(severities(steps), n)
    left, values, right = np.linalg.svd(flat - mean, full_matrices=False)
    along = left.T @ (target - target.mean())
    top = float(values[0]) ** 2 if len(values) else 0.0
    if top == 0.0:
        return _Fit(mean, np.zeros((len(ridges), size)), float(target.mean()))
    shrunk = [values / (values**2 + ridge * top) * along for ridge in ridges]
    return _Fit(mean, np.stack(shrunk) @ right, float(target.mean()))


def _best_ridge(z: Floats, units: NDArray[np.intp]) -> float:
    folds = _folds(units)
    if folds.max() < 1:
        return RIDGES[-1]
    wanted = severities(z.shape[1])
    errors = np.zeros(len(RIDGES))
    for fold in range(folds.max() + 1):
        inside = folds != fold
        told = _fit(z[inside], RIDGES).tell(z[~inside])
        errors += ((told - wanted) ** 2).sum(axis=(1, 2))
    return RIDGES[int(np.argmin(errors))]


def _folds(units: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a fold for every clip; clips of one unit share it."""
    _, numbers = np.unique(units, return_inverse=True)
    return np.asarray(numbers % min(FOLDS, int(numbers.max()) + 1), np.intp)


def own_directions(z: Floats) -> Floats:
    """Return the unit vector along which each clip moves: float64[N, D]; NaN where it does not.

    It is the slope of the embedding over severity.
    """
    s = severities(z.shape[1])
    slope = np.einsum("k,nkd->nd", s - s.mean(), z - z.mean(axis=1, keepdims=True))
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 0, slope / length, np.nan))


def own_r2(z: Floats) -> Floats:
    """Return how well each clip's own direction tells its severity at a step left out: float64[N].

    With fewer steps than dimensions a clip's own canonical correlation is 1 whatever it does; here
    every step is told by the others' direction. The squared correlation over the steps, 0 where it
    is negative.
    """
    n, steps, _ = z.shape
    s = severities(steps)
    told = np.zeros((n, steps))
    for step in range(steps):
        rest = np.arange(steps) != step
        mean = z[:, rest].mean(axis=1)
        away = z[:, rest] - mean[:, None]
        slope = np.einsum("k,nkd->nd", s[rest] - s[rest].mean(), away)
        along = np.einsum("nkd,nd->nk", away, slope)
        power = (along**2).sum(axis=1)
        rate = (along @ (s[rest] - s[rest].mean())) / np.where(power > 0, power, 1.0)
        told[:, step] = s[rest].mean() + rate * np.einsum("nd,nd->n", z[:, step] - mean, slope)
    told -= told.mean(axis=1, keepdims=True)
    power = np.sqrt((told**2).sum(axis=1) * ((s - s.mean()) ** 2).sum())
    r = np.where(power > 0, told @ (s - s.mean()) / np.where(power > 0, power, 1.0), 0.0)
    return np.asarray(np.maximum(r, 0.0) ** 2)


def spectrum(directions: Floats) -> Spectrum:
    """Return how many dimensions unit vectors fill; see `Spectrum`.

    Parameters
    ----------
    directions : float64[N, D]
        Rows of NaN are left out.
    """
    there = directions[np.isfinite(directions).all(axis=1)]
    power = np.linalg.svd(there, compute_uv=False) ** 2
    share = power / power.sum()
    most = int(np.searchsorted(np.cumsum(share), 0.9 - 1e-9)) + 1
    return Spectrum(float(1 / np.sum(share**2)), float(share[0]), most)


def curvature(z: Floats) -> Floats:
    """Return the length of each clip's path over the distance of its ends: 1 where it is straight.

    Returns
    -------
    float64[N]
        NaN where a path ends where it began.
    """
    path = np.linalg.norm(np.diff(z, axis=1), axis=2).sum(axis=1)
    ends = np.linalg.norm(z[:, -1] - z[:, 0], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(ends > 0, path / ends, np.nan))


def squared_correlation(told: Floats, counts: Floats) -> Floats:
    """Return R2 of told and true severity over weighted clips: float64[B].

    Parameters
    ----------
    told : float64[N, K]
    counts : float[B, N]
        How often each resample drew each clip.
    """
    s = np.broadcast_to(severities(told.shape[1]), told.shape)
    sums = np.stack(
        [np.full(len(told), float(told.shape[1])), told.sum(1), s.sum(1), (told * s).sum(1),
         (told**2).sum(1), (s**2).sum(1)]
    )  # fmt: skip
    n, x, y, xy, xx, yy = (np.asarray(counts, np.float64) @ sums.T).T
    shared = xy - x * y / n
    power = (xx - x**2 / n) * (yy - y**2 / n)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(power > 1e-18, shared / np.sqrt(power), 0.0)
    return np.asarray(np.maximum(r, 0.0) ** 2)
