"""The unit of the work: one clip of a test set, at every point of the grid, for all its models.

A unit reads the clip, changes it, has it scored and leaves one shard; shards of a task are
gathered into arrays. Excerpts, contexts and loudness matching are those of a run. Where a task
needs the singing voice, mixture and voice pass time and pitch shifts as channels of one call, so
that they stay aligned, and the mixture that is scored is the one of that call.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.corpora.recordings import Recording, Row
from nearkin.errors import InputError, RunError
from nearkin.files import key
from nearkin.performance.scored import ClipScore, Scored
from nearkin.performance.sets import TestSet
from nearkin.performance.table import TaskScores
from nearkin.runs.clips import Original, Version
from nearkin.runs.folder import RunFolder
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan
from nearkin.runs.queries import forget_sounds, noise_library, transformed
from nearkin.runs.shards import AGAIN, Shards
from nearkin.tables import OK
from nearkin.transforms import NoiseLibrary
from nearkin.transforms.grids import Point

NO_SCORE = float("nan")


class ClipShard(NamedTuple):
    """What is kept of a clip beside its scores.

    Attributes
    ----------
    status : str
        What became of the clip as a whole.
    content_sha256, vocals_sha256 : str
        Of the files that were read; empty where there is none.
    sound_sha256 : str
        See `Original`.
    """

    status: str
    content_sha256: str
    vocals_sha256: str
    sound_sha256: str


class ClipScores(NamedTuple):
    """A clip, and its scores by model and point; none if it cannot be used."""

    shard: ClipShard
    scores: list[list[ClipScore]]


class Clip(NamedTuple):
    """A clip as it was read, and its singing voice, [1, samples of the context]."""

    shard: ClipShard
    original: Original
    vocals: NDArray[np.float32] | None


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
    of : str
        What the shards are of: a digest of plan and inputs.
    """

    plan: Plan
    folder: RunFolder
    tests: dict[str, TestSet]
    of: str = ""

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("plan", "folder", "tests", "of")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        forget_sounds()  # a worker of a cluster lives longer than a run

    @functools.cached_property
    def noise(self) -> NoiseLibrary:
        """What EN adds."""
        return noise_library(self.plan)

    @functools.cached_property
    def shards(self) -> Shards:
        """What is kept while the work goes on."""
        return Shards(self.folder.work / "performance", self.of)

    def shard(self, task: str, name: str) -> Path:
        """Return where one clip's scores are kept."""
        return self.shards.work / f"{key(f'{task} {name}')}.npz"


def score_clip(session: TaskSession, item: tuple[str, str]) -> None:
    """Score one clip, (task, name), at every point, and leave its shard."""
    task, name = item
    test = session.tests[task]
    shard, found = scores_of(session, test, test.by_name[name], session.plan.points)
    session.shards.write(
        session.shard(task, name),
        {**shard._asdict(), "scores": [[one.status for one in mine] for mine in found]},
        {
            "value": np.array([[one.value for one in mine] for mine in found]),
            "chance": np.array([[one.chance for one in mine] for mine in found]),
            "failed": np.array([[one.failed for one in mine] for mine in found], bool),
        },
    )


def scores_of(session: TaskSession, test: TestSet, row: Row, points: Sequence[Point]) -> ClipScores:
    """Return what became of one clip, and its scores."""
    shard, original, vocals = clip_of(session, test, row)
    found: list[list[ClipScore]] = [[] for _ in test.models]
    if shard.status != OK:
        return ClipScores(shard, found)
    for point in points:
        try:
            version = transformed(
                session.plan, original, point, noise=session.noise, companions=vocals
            )
        except InputError as error:
            reason = " ".join(str(error).split())
            scores = [ClipScore(NO_SCORE, NO_SCORE, reason) for _ in test.models]
        else:
            scores = scored(session.plan, test.models, version, row)
        for mine, one in zip(found, scores, strict=True):
            mine.append(one)
    return ClipScores(shard, found)


def clip_of(session: TaskSession, test: TestSet, row: Row) -> Clip:
    """Read one clip, and the singing voice in it where the task needs that."""
    recording = Recording(row.name, row.path, row.start_s)
    (original,) = originals(session.plan, recording, [])
    status, vocals, vocals_sha256 = original.status, None, ""
    if status == OK and test.with_vocals:
        try:
            vocals = vocals_of(session.plan, original, row)
            vocals_sha256 = audio.sha256_file(row.vocals_path or "")
        except InputError as error:
            status = f"failed: {' '.join(str(error).split())}"
    shard = ClipShard(status, original.content_sha256, vocals_sha256, original.sound_sha256)
    return Clip(shard, original, vocals)


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


def scored(plan: Plan, models: Sequence[Scored], version: Version, row: Row) -> list[ClipScore]:
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


def read_shard(session: TaskSession, task: str, name: str) -> ClipShard | None:
    """Return what is kept of one clip; None where nothing is, whole."""
    found = session.shards.read(session.shard(task, name), name)
    return None if found is None else ClipShard(*(found[0][field] for field in ClipShard._fields))


def gather(session: TaskSession, task: str, status: Mapping[str, str]) -> TaskScores:
    """Join the shards of one task's clips.

    Parameters
    ----------
    session : TaskSession
    task : str
    status : mapping of str to str
        What became of every clip, by name.

    Raises
    ------
    RunError
        If a shard is missing.
    """
    test = session.tests[task]
    shape = (len(test.models), len(session.plan.points), len(status))
    value, chance = np.full(shape, np.nan), np.full(shape, np.nan)
    failed = np.zeros(shape, bool)
    not_ok: dict[tuple[int, int, int], str] = {}
    for clip, (name, became) in enumerate(status.items()):
        if became != OK:
            not_ok |= {
                (model, point, clip): became
                for model in range(shape[0])
                for point in range(shape[1])
            }
            continue
        shard = session.shards.read(session.shard(task, name), name)
        if shard is None:
            raise RunError(f"clip '{name}': its shard was damaged; {AGAIN}")
        notes, arrays = shard
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
        clip_ids=tuple(status),
        groups=tuple(test.group(name) for name in status),
        value=value,
        chance=chance,
        failed=failed,
        not_ok=not_ok,
    )
