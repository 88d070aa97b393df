"""A number of a results table on its way there: value, replicates, interval; the mean over trials.

Consistency, task performance and C_W@n of a finished run share it, so that "several trials" means
the same in every table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.seeds import stream
from nearkin.statistics.bootstrap import crossed_replicates, percentile_interval, resamples
from nearkin.tables import MEAN_TRIAL, OK

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """One number, where it stands, and what its interval is made of.

    Attributes
    ----------
    encoder, task, trial, measure, audio_distance, latent_distance, transformation, magnitude, side
        Where it stands: the columns of `nearkin.tables.CONSISTENCY`.
    value : float
    replicates : float64[B]
        The same number of every resample of clips, NaN where undefined.
    n : int
        Clips it was asked of.
    chance : float
        What a space that knows nothing would reach.
    status : str
        ``"ok"``, or what happened.
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

    def row(self) -> dict[str, Any]:
        """Return the row of a table, by column."""
        low, high, _ = percentile_interval(self.replicates)
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
            "ci_low": float(low),
            "ci_high": float(high),
            "n": self.n,
            "chance": self.chance,
            "status": self.status,
            "side": self.side,
        }

    @property
    def across_trials(self) -> tuple[Any, ...]:
        """Where it stands, but for the trial: what trials of one encoder have in common."""
        return (
            *(self.encoder, self.task, self.measure, self.audio_distance, self.latent_distance),
            *(self.transformation, str(self.magnitude), self.side),
        )


def over_trials(scores: Iterable[Score], *, seed: int) -> Iterator[Score]:
    """Yield the mean over trials (trial 0) of every score that has several trials.

    Parameters
    ----------
    scores : iterable of Score
        Of all encoders and trials.
    seed : int
        The run's seed.

    Yields
    ------
    Score
        In the order in which the first trials came; its replicates resample trials and clips
        crossed, n is the least of the trials', and the status the first that is not ok.
    """
    groups: dict[tuple[Any, ...], list[Score]] = {}
    for score in scores:
        groups.setdefault(score.across_trials, []).append(score)
    for trials in groups.values():
        if len(trials) < 2:
            continue
        first = trials[0]
        rng = stream(seed, "trials", first.encoder, first.task, len(trials))
        n_resamples = len(first.replicates)
        drawn = resamples(len(trials), n_resamples=n_resamples, rng=rng).T
        yield replace(
            first,
            trial=MEAN_TRIAL,
            value=float(np.mean([one.value for one in trials])),
            replicates=crossed_replicates(np.stack([one.replicates for one in trials]), drawn),
            n=min(one.n for one in trials),
            chance=float(np.mean([one.chance for one in trials])),
            status=next((one.status for one in trials if one.status != OK), OK),
        )
