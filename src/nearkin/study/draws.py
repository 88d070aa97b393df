"""A number with what resampling clips and trials would make of it; numbers of one study are joint.

Conventions
-----------
``replicates``: float64[B]. Two numbers of one study are resampled together: replicate b is made of
the same clips everywhere, and of the same trials of each model, so that differences and orders can
be read replicate by replicate. A number without replicates (a table's own) has none: its length is
0, and only its value decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Draws:
    """A number and its joint replicates.

    Attributes
    ----------
    value : float
        From all clips and trials.
    replicates : float64[B]
        Empty where nothing is known about its spread.
    """

    value: float
    replicates: Floats

    def __sub__(self, other: Draws) -> Draws:
        return Draws(self.value - other.value, self.replicates - other.replicates)

    def limits(self) -> tuple[float, float]:
        """Return the 95 % interval; NaN where nothing is known about the spread."""
        known = self.replicates[np.isfinite(self.replicates)]
        if not len(known):
            return float("nan"), float("nan")
        low, high = np.quantile(known, [TAIL, 1 - TAIL])
        return float(low), float(high)


def mean(numbers: Sequence[Draws]) -> Draws:
    """Return the mean of several numbers, replicate by replicate."""
    return Draws(
        float(np.mean([one.value for one in numbers])),
        np.asarray(np.mean([one.replicates for one in numbers], axis=0)),
    )


def combined(function: str, numbers: Sequence[Draws]) -> Draws:
    """Return the ``"min"``, ``"max"``, ``"median"``, ``"std"`` or ``"var"`` of several numbers.

    Spread is that of the numbers (n - 1), not of their replicates.
    """
    more = {"ddof": 1} if function in ("std", "var") else {}
    reduce = getattr(np, function)
    return Draws(
        float(reduce([one.value for one in numbers], **more)),
        np.asarray(reduce([one.replicates for one in numbers], axis=0, **more)),
    )


def clip_weights(units: NDArray[np.intp], n_draws: int, rng: np.random.Generator) -> Floats:
    """Draw clips: float64[B, N], how often each clip is there, over N; the first row is all once.

    Parameters
    ----------
    units : int[N]
        Clips of one number are drawn together.
    n_draws : int
        B.
    rng : numpy.random.Generator
    """
    count = int(units.max()) + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=n_draws)
    weights = drawn[:, units].astype(float)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def trial_weights(n_trials: int, n_draws: int, rng: np.random.Generator) -> Floats:
    """Draw trials: float64[B, T], each row adding up to 1.

    The weighted mean of T numbers has the t distribution about their mean that its interval has:
    with T - 1 degrees of freedom and the standard error s / sqrt(T). A bootstrap of few trials
    would understate their spread, by a fifth with three. One trial has weight 1 throughout.
    """
    even = np.full((n_draws, n_trials), 1 / n_trials)
    if n_trials == 1:
        return even
    noise = rng.standard_normal((n_draws, n_trials))
    noise -= noise.mean(axis=1, keepdims=True)
    scale = np.sqrt((n_trials - 1) / rng.chisquare(n_trials - 1, size=n_draws))
    return np.asarray(even + noise * (scale / np.sqrt(n_trials * (n_trials - 1)))[:, None])


def averages(cube: Floats, weights: Floats, *, by_median: bool) -> tuple[Floats, Floats]:
    """Return means (or medians) over clips: float64[T, P] and, for every draw, [T, P, B]."""
    there = ~np.isnan(cube)
    if not by_median:
        filled = np.where(there, cube, 0.0)
        with np.errstate(invalid="ignore"):
            value = filled.sum(axis=2) / there.sum(axis=2)
            return value, (filled @ weights.T) / (there.astype(float) @ weights.T)
    value = np.nanmedian(cube, axis=2)
    order = np.argsort(cube, axis=2)  # NaN last
    drawn = np.empty((*cube.shape[:2], len(weights)))
    for t, p in np.ndindex(*cube.shape[:2]):
        line = order[t, p][: there[t, p].sum()]
        total = np.cumsum(weights[:, line], axis=1)
        half = total[:, -1:] / 2
        sorted_values = cube[t, p][line]
        upper = np.argmax(total > half - 1e-12, axis=1)
        even = np.isclose(np.take_along_axis(total, upper[:, None], 1)[:, 0], half[:, 0])
        beyond = np.minimum(upper + 1, len(line) - 1)
        # the next clip that was drawn at all
        for b in np.flatnonzero(even):
            later = np.flatnonzero(weights[b, line[upper[b] + 1 :]])
            beyond[b] = upper[b] + 1 + later[0] if len(later) else upper[b]
        middle = sorted_values[upper]
        drawn[t, p] = np.where(even, (middle + sorted_values[beyond]) / 2, middle)
    return value, drawn
