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
    clusters_of,
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
    groups : tuple of str
        What each clip belongs with (song, artist, file): clips of one group are no independent
        draws.
    value, chance : float64[M, P, N]
        Scores, NaN where a clip has none.
    failed : bool[M, P, N]
        Where the model failed.
    not_ok : mapping of (m, p, n) to str
        Every status that is not ok.
    """

    task: str
    measure: str
    models: tuple[tuple[str, int], ...]
    clip_ids: tuple[str, ...]
    groups: tuple[str, ...]
    value: Floats
    chance: Floats
    failed: NDArray[np.bool_]
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
        the mean over trials. Intervals are made as in consistency.parquet: exact for shares of
        right clips, else from resamples of groups of clips; see
        `nearkin.statistics.scores.Score.limits`.
    """
    n = len(scores.clip_ids)
    clusters = clusters_of(scores.groups)
    rng = stream(seed, "bootstrap", n)
    counts = resamples(n, n_resamples=n_resamples, rng=rng, clusters=clusters)
    found = [
        _score(scores, model, place, point, counts, clusters)
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


def in_words(status: Sequence[str], failed: Sequence[bool] | NDArray[np.bool_]) -> str:
    """Return how many clips a model failed, how many are left out, and why.

    Examples
    --------
    >>> in_words(["ok", "silent vocals", "ok"], [False] * 3)
    '1 of 3 clips left out: silent vocals'
    >>> in_words(["silent vocals", "silent vocals", "skipped: too short"], [False] * 3)
    '3 of 3 clips left out: silent vocals (2), skipped: too short (1)'
    >>> in_words(["failed: no memory", "silent vocals", "ok"], [True, False, False])
    '1 of 3 clips failed: no memory; 1 of 3 clips left out: silent vocals'
    >>> in_words(["ok"], [False])
    'ok'
    """
    own = Counter(
        text.removeprefix("failed: ") for text, lost in zip(status, failed, strict=True) if lost
    )
    others = Counter(
        text for text, lost in zip(status, failed, strict=True) if text != OK and not lost
    )
    told = [
        f"{sum(reasons.values())} of {len(status)} clips {word}: {_reasons(reasons)}"
        for reasons, word in ((own, "failed"), (others, "left out"))
        if reasons
    ]
    return "; ".join(told) or OK


def _reasons(counted: Counter[str]) -> str:
    reasons = counted.most_common()
    if len(reasons) == 1:
        return reasons[0][0]
    told = ", ".join(f"{text} ({n})" for text, n in reasons[:REASONS_TOLD])
    more = len(reasons) - REASONS_TOLD
    return f"{told} and {more} more reasons" if more > 0 else told


def _score(
    scores: TaskScores,
    model: int,
    place: int,
    point: Point,
    counts: Counts,
    clusters: NDArray[np.intp] | None,
) -> Score:
    what = task(scores.task)
    failed = scores.failed[model, place]
    values = np.where(failed, what.lost, scores.value[model, place])
    asked = failed | ~np.isnan(values)
    resample = median_replicates if what.average == "median" else mean_replicates
    encoder, trial = scores.models[model]
    return Score(
        encoder=encoder,
        task=scores.task,
        trial=trial,
        measure=scores.measure,
        value=what.reduce(values),
        replicates=resample(values, counts),
        n=int(asked.sum()),
        n_failed=int(failed.sum()),
        shares=values if what.binary else None,
        clusters=clusters,
        bounds=what.bounds,
        chance=what.reduce(scores.chance[model, place][asked]),
        status=in_words(scores.status(model, place), failed),
        transformation=point.code,
        magnitude=point.magnitude,
    )
