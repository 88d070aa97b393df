"""From the clips' scores to performance.parquet: means over clips and trials, intervals.

Arrays are [M, P, N]: M models of one task, P points of the grid (the first is the unchanged clip),
N clips in the order of their names. One set of resamples of the N clips serves all models and
points of a task, so that differences between them may be taken replicate by replicate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin import tables
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import (
    Counts,
    mean_replicates,
    median_replicates,
    resamples,
)
from nearkin.statistics.scores import Score, over_trials
from nearkin.tables import OK
from nearkin.tasks import task
from nearkin.transforms.grids import Point

Floats = NDArray[np.float64]

REASONS_TOLD = 2


@dataclass(frozen=True)
class TaskScores:
    """What the models of one task scored on its test set.

    Attributes
    ----------
    task, measure : str
    models : tuple of (encoder, trial)
        M models.
    clip_ids : tuple of str
        N clips, those that could not be used too.
    value, chance : float64[M, P, N]
        Scores, NaN where a clip has none.
    not_ok : mapping of (m, p, n) to str
        Every status that is not ok.
    """

    task: str
    measure: str
    models: tuple[tuple[str, int], ...]
    clip_ids: tuple[str, ...]
    value: Floats
    chance: Floats
    not_ok: Mapping[tuple[int, int, int], str]

    def status(self, model: int, point: int) -> list[str]:
        """Return what became of every clip."""
        return [self.not_ok.get((model, point, clip), OK) for clip in range(len(self.clip_ids))]


def performance_table(
    scores: TaskScores, points: Sequence[Point], *, seed: int, n_resamples: int
) -> pd.DataFrame:
    """Return one task's rows of performance.parquet.

    Parameters
    ----------
    scores : TaskScores
        Of the clips.
    points : sequence of P Point
        The unchanged clip first.
    seed : int
        Of the resamples.
    n_resamples : int
        How many.

    Returns
    -------
    pandas.DataFrame
        A row a model and point; where several models are trials of one encoder, also ``trial`` 0:
        the mean over trials, its interval from trials and clips resampled crossed.
    """
    n = len(scores.clip_ids)
    counts = resamples(n, n_resamples=n_resamples, rng=stream(seed, "bootstrap", n))
    found = [
        _score(scores, model, place, point, counts)
        for model in range(len(scores.models))
        for place, point in enumerate(points)
    ]
    found += over_trials(found)
    return pd.DataFrame([one.row() for one in found], columns=tables.PERFORMANCE)


def clip_table(scores: TaskScores, points: Sequence[Point]) -> pd.DataFrame:
    """Return one task's rows of performance_clips.parquet: a row a model, point and clip."""
    parts = []
    for model, (encoder, trial) in enumerate(scores.models):
        for place, point in enumerate(points):
            parts.append(
                pd.DataFrame(
                    {
                        "encoder": encoder,
                        "task": scores.task,
                        "trial": trial,
                        "clip_id": scores.clip_ids,
                        "transformation": point.code,
                        "magnitude": point.magnitude,
                        "value": scores.value[model, place],
                        "chance": scores.chance[model, place],
                        "status": scores.status(model, place),
                    },
                    columns=tables.PERFORMANCE_CLIPS,
                )
            )
    return pd.concat(parts, ignore_index=True)


def left_out(status: Sequence[str]) -> str:
    """Return how many clips do not count, and why, in words.

    Examples
    --------
    >>> left_out(["ok", "silent vocals", "ok"])
    '1 of 3 clips left out: silent vocals'
    >>> left_out(["silent vocals", "silent vocals", "skipped: too short"])
    '3 of 3 clips left out: silent vocals (2), skipped: too short (1)'
    >>> left_out(["ok"])
    'ok'
    """
    reasons = Counter(text for text in status if text != OK).most_common()
    if not reasons:
        return OK
    told = f"{sum(n for _, n in reasons)} of {len(status)} clips left out: "
    if len(reasons) == 1:
        return told + reasons[0][0]
    told += ", ".join(f"{text} ({n})" for text, n in reasons[:REASONS_TOLD])
    more = len(reasons) - REASONS_TOLD
    return f"{told} and {more} more reasons" if more > 0 else told


def _score(scores: TaskScores, model: int, place: int, point: Point, counts: Counts) -> Score:
    values = scores.value[model, place]
    counted = ~np.isnan(values)
    what = task(scores.task)
    resample = median_replicates if what.average == "median" else mean_replicates
    encoder, trial = scores.models[model]
    return Score(
        encoder=encoder,
        task=scores.task,
        trial=trial,
        measure=scores.measure,
        value=what.reduce(values),
        replicates=resample(values, counts),
        n=int(counted.sum()),
        chance=what.reduce(scores.chance[model, place][counted]),
        status=left_out(scores.status(model, place)),
        transformation=point.code,
        magnitude=point.magnitude,
        shares=values if scores.measure == "accuracy" else None,
    )
