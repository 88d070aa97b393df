"""A number on its way to a results table: value, interval, how that was made; means over trials.

Consistency, task performance and C_W@n of a finished run share it, so that an interval, and
"several trials", mean the same in every table. Where a number has no interval, the status says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.statistics.bootstrap import percentile_interval
from nearkin.statistics.intervals import (
    BOOTSTRAP,
    Limits,
    bounded_limits,
    no_interval,
    share_limits,
    trials_limits,
)
from nearkin.tables import MEAN_TRIAL, MEASURES, OK

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """One number, where it stands, and what its interval is made of.

    Attributes
    ----------
    encoder, task, trial, measure, audio_distance, latent_distance, transformation, magnitude, side
        Where it stands: the columns of `nearkin.tables.CONSISTENCY`.
    value : float
    replicates : float64[B], or [T, B] of a mean over trials
        The same number of every resample of clips, NaN where undefined.
    n : int
        Clips it was asked of.
    chance : float
        What a space that knows nothing would reach.
    status : str
        ``"ok"``, or what happened.
    n_failed : int
        Those among n that the encoder failed.
    shares : float64[N] or [T, N], or None
        The values of the clips where the number is their mean and each lies in [0, 1], NaN where
        one is left out: the interval is made of them, not of the replicates.
    terms : float64[N] or None
        The values of the clips where the number is their mean and each lies within its bounds: the
        interval of one trial is made of them.
    clusters : int[N] or None
        Clips of one file or group have one number; None where every clip stands for itself.
    by_trial : tuple of float
        The number in every trial; empty where it is no mean over trials.
    bounds : tuple of float, or None
        Its least and greatest value; None takes those of `nearkin.tables.MEASURES`.
    """

    encoder: str
    task: str
    trial: int
    measure: str
    value: float
    replicates: Floats
    n: int
    chance: float = float("nan")
    status: str = OK
    audio_distance: str = ""
    latent_distance: str = ""
    transformation: str = ""
    magnitude: float = float("nan")
    side: str = ""
    n_failed: int = 0
    shares: Floats | None = None
    terms: Floats | None = None
    clusters: NDArray[np.intp] | None = None
    by_trial: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None

    def limits(self) -> Limits:
        """Return the 95 % interval, how it was made, or why there is none.

        Of shares, see `share_limits`; of other means over trials, `trials_limits`; of means of
        bounded numbers, `bounded_limits`; else the percentile bootstrap.
        """
        if np.isnan(self.value):
            return no_interval("undefined")
        if self.shares is not None:
            return share_limits(self.shares, self.clusters)
        bounds = self.bounds or MEASURES.get(self.measure, (-np.inf, np.inf))[:2]
        if self.by_trial:
            n_clusters = self.n if self.clusters is None else len(np.unique(self.clusters))
            return trials_limits(self.by_trial, self.replicates, n_clusters, bounds=bounds)
        if self.terms is not None:
            return bounded_limits(self.terms, bounds, self.clusters)
        low, high, _ = percentile_interval(self.replicates)
        if np.isnan(low):
            return no_interval("undefined in too many resamples")
        if not np.nanmax(self.replicates) > np.nanmin(self.replicates):
            return no_interval("all resamples are equal")
        return Limits(float(low), float(high), BOOTSTRAP)

    def row(self) -> dict[str, Any]:
        """Return the row of a table, by column."""
        low, high, method, reason = self.limits()
        status = self.status
        if reason and not np.isnan(self.value):
            told = f"no interval: {reason}"
            status = told if status == OK else f"{status}; {told}"
        return {
            "encoder": self.encoder,
            "task": self.task,
            "trial": self.trial,
            "measure": self.measure,
            "audio_distance": self.audio_distance,
            "latent_distance": self.latent_distance,
            "transformation": self.transformation,
            "magnitude": self.magnitude,
            "value": self.value,
            "ci_low": low,
            "ci_high": high,
            "ci_method": method,
            "n": self.n,
            "n_failed": self.n_failed,
            "chance": self.chance,
            "status": status,
            "side": self.side,
        }

    @property
    def across_trials(self) -> tuple[Any, ...]:
        """Where it stands, but for the trial: what trials of one encoder have in common."""
        return (
            *(self.encoder, self.task, self.measure, self.audio_distance, self.latent_distance),
            *(self.transformation, str(self.magnitude), self.side),
        )


def over_trials(scores: Iterable[Score]) -> Iterator[Score]:
    """Yield the mean over trials (trial 0) of every score that has several trials.

    Parameters
    ----------
    scores : iterable of Score
        Of all encoders and trials.

    Yields
    ------
    Score
        In the order in which the first trials came. n is the least of the trials', n_failed and
        the status are those of the trial with the most failed queries.
    """
    groups: dict[tuple[Any, ...], list[Score]] = {}
    for score in scores:
        groups.setdefault(score.across_trials, []).append(score)
    for trials in groups.values():
        if len(trials) < 2:
            continue
        shares = [one.shares for one in trials if one.shares is not None]
        worst = max(trials, key=lambda one: (one.n_failed, one.status != OK))
        yield replace(
            trials[0],
            trial=MEAN_TRIAL,
            value=float(np.mean([one.value for one in trials])),
            replicates=np.stack([one.replicates for one in trials]),
            shares=np.stack(shares) if len(shares) == len(trials) else None,
            terms=None,
            by_trial=tuple(one.value for one in trials),
            n=min(one.n for one in trials),
            n_failed=worst.n_failed,
            chance=float(np.mean([one.chance for one in trials])),
            status=worst.status,
        )
