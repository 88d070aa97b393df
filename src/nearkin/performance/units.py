"""The unit of the work: one clip of a test set, at every point of the grid, for all its models.

A unit reads the clip, changes it, has it scored and leaves one shard; shards of a task are
gathered into arrays. Excerpts, contexts and loudness matching are those of a run. Where a task
needs the singing voice, mixture and voice pass time and pitch shifts as channels of one call, so
that they stay aligned, and the mixture that is scored is the one of that call.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.corpora.recordings import Recording, Row
from nearkin.errors import InputError, RunError
from nearkin.files import key, read_arrays, write_arrays
from nearkin.performance.scored import ClipScore, Scored
from nearkin.performance.sets import TestSet
from nearkin.performance.table import TaskScores
from nearkin.runs.clips import Original, Version
from nearkin.runs.folder import RunFolder
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan
from nearkin.runs.queries import noise_library, transformed
from nearkin.tables import OK
from nearkin.transforms import NoiseLibrary
from nearkin.transforms.grids import Point

NO_SCORE = float("nan")


@dataclass(frozen=True)
class TaskSession:
    """What every worker needs to score clips; it travels to each worker once.

    Attributes
    ----------
    plan : Plan
        Grid, seed, engines, noise; its encoders are none.
    folder : RunFolder
        Where the work is kept.
    tests : dict of str to TestSet
        By task.
    """

    plan: Plan
    folder: RunFolder
    tests: dict[str, TestSet]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "noise"}

    @functools.cached_property
    def noise(self) -> NoiseLibrary:
        """What EN adds."""
        return noise_library(self.plan)

    @property
    def shards(self) -> Path:
        """The folder of what is kept while the work goes on."""
        return self.folder.work / "performance"

    def shard(self, task: str, name: str) -> Path:
        """Return where one clip's scores are kept."""
        return self.shards / f"{key(f'{task} {name}')}.npz"


def score_clip(session: TaskSession, item: tuple[str, str]) -> None:
    """Score one clip, (task, name), at every point, and leave its shard."""
    task, name = item
    test = session.tests[task]
    status, found = scores_of(session, test, test.by_name[name], session.plan.points)
    write_arrays(
        session.shard(task, name),
        {"status": status, "scores": [[one.status for one in mine] for mine in found]},
        {
            "value": np.array([[one.value for one in mine] for mine in found]),
            "chance": np.array([[one.chance for one in mine] for mine in found]),
            "failed": np.array([[one.failed for one in mine] for mine in found], bool),
        },
    )


def scores_of(
    session: TaskSession, test: TestSet, row: Row, points: Sequence[Point]
) -> tuple[str, list[list[ClipScore]]]:
    """Return what became of one clip, and its scores by model and point (none if it failed)."""
    recording = Recording(row.name, row.path, row.start_s)
    (original,) = originals(session.plan, recording, [])
    status, vocals = original.status, None
    if status == OK and test.with_vocals:
        try:
            vocals = vocals_of(session.plan, original, row)
        except InputError as error:
            status = f"failed: {' '.join(str(error).split())}"
    found: list[list[ClipScore]] = [[] for _ in test.models]
    if status != OK:
        return status, found
    for point in points:
        try:
            version = transformed(
                session.plan, original, point, noise=session.noise, companions=vocals
            )
        except InputError as error:
            reason = " ".join(str(error).split())
            scores = [ClipScore(NO_SCORE, NO_SCORE, reason) for _ in test.models]
        else:
            scores = _scored(session.plan, test.models, version, row)
        for mine, one in zip(found, scores, strict=True):
            mine.append(one)
    return status, found


def vocals_of(plan: Plan, original: Original, row: Row) -> NDArray[np.float32]:
    """Read the singing voice from where the mixture was read, [1, samples of the context].

    Raises
    ------
    InputError
        If it cannot be read or is not as long as the mixture.
    """
    if row.vocals_path is None:
        raise InputError(f"{row.name}: has no vocals_path; fill it in the manifest")
    vocals = audio.read(
        row.vocals_path,
        sr=plan.working_rate,
        start_s=original.start_s,
        duration_s=original.duration_s,
    )
    if len(vocals) != len(original.context):
        rate = plan.working_rate
        raise InputError(
            f"vocals of {len(vocals) / rate:.2f} s for {len(original.context) / rate:.2f} s of "
            "mixture: must be as long; render both anew"
        )
    return vocals[None]


def _scored(plan: Plan, models: Sequence[Scored], version: Version, row: Row) -> list[ClipScore]:
    """Have one changed clip scored by every model, resampled once a rate."""
    at_rate: dict[int, tuple[NDArray[np.float32], NDArray[np.float32] | None]] = {}
    scores = []
    for model in models:
        rate = model.sample_rate
        if rate not in at_rate:
            vocals = None if version.companions is None else version.companions[0]
            at_rate[rate] = (
                audio.resample(version.heard, from_sr=plan.working_rate, to_sr=rate),
                None
                if vocals is None
                else audio.resample(vocals, from_sr=plan.working_rate, to_sr=rate),
            )
        scores.append(model.score(*at_rate[rate], row))
    return scores


def read_status(session: TaskSession, task: str, name: str) -> str | None:
    """Return what became of one clip as a whole, or None where it has no shard."""
    found = read_arrays(session.shard(task, name))
    return None if found is None else str(found[0]["status"])


def gather(session: TaskSession, task: str, names: Sequence[str]) -> TaskScores:
    """Join the shards of one task's clips.

    Raises
    ------
    RunError
        If one is missing.
    """
    test = session.tests[task]
    shape = (len(test.models), len(session.plan.points), len(names))
    value, chance = np.full(shape, np.nan), np.full(shape, np.nan)
    failed = np.zeros(shape, bool)
    not_ok: dict[tuple[int, int, int], str] = {}
    for clip, name in enumerate(names):
        shard = read_arrays(session.shard(task, name))
        if shard is None:
            raise RunError(f"clip '{name}': its shard is missing; give the same command again")
        notes, arrays = shard
        if notes["status"] != OK:
            not_ok |= {
                (model, point, clip): notes["status"]
                for model in range(shape[0])
                for point in range(shape[1])
            }
            continue
        value[..., clip], chance[..., clip] = arrays["value"], arrays["chance"]
        failed[..., clip] = arrays["failed"]
        for model, mine in enumerate(notes["scores"]):
            for point, text in enumerate(mine):
                if text != OK:
                    not_ok[model, point, clip] = text
    return TaskScores(
        task=task,
        measure=test.measure,
        models=tuple((model.encoder, model.trial) for model in test.models),
        clip_ids=tuple(names),
        groups=tuple(test.group(name) for name in names),
        value=value,
        chance=chance,
        failed=failed,
        not_ok=not_ok,
    )
