"""From model files and manifests to the tables of task scores in a run's folder.

``performance.json`` says what was scored with what; a command that differs from it in a setting
or an input is refused by the name of what differs, and one that is the same goes on where it
stopped. The folder may hold a run, whose tables stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.corpora.recordings import Recording
from nearkin.errors import InputError, printable
from nearkin.lease import leased
from nearkin.performance.scored import Scored, label
from nearkin.performance.sets import TestSet, sets_for
from nearkin.performance.table import clip_table, performance_table
from nearkin.performance.units import (
    ClipShard,
    TaskSession,
    clip_of,
    gather,
    read_shard,
    score_clip,
)
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.registry import suggest
from nearkin.runs.drawing import draw
from nearkin.runs.folder import PERFORMANCE_FILES, RunFolder
from nearkin.runs.plan import Plan, make_plan
from nearkin.runs.queries import forget_sounds, need_packages, sound_paths
from nearkin.runs.record import (
    Clock,
    begun,
    changed_audio,
    counted,
    identity,
    music_input,
    now,
    require_same,
)
from nearkin.runs.shards import clear_shards
from nearkin.runs.twins import Twins
from nearkin.tables import OK
from nearkin.workers import Scheduler, Workers, open_workers

SETTINGS = (
    *("grid", "seed", "clips", "clip_seconds", "working_rate", "noise", "other_music"),
    *("engine", "mp3_rate", "storage", "loudness_window", "resamples"),
)
"""The settings of a plan that change a task's score."""
_TABLES = tuple(name for name in PERFORMANCE_FILES if not name.endswith(".json"))
LEAST = 2
"""Clips without which nothing can be said about a task."""


def make_performance_plan(settings: Mapping[str, Any]) -> Plan:
    """Check settings and freeze them; see `SETTINGS` for their names.

    Raises
    ------
    InputError
        Naming every setting that is unknown or wrong.
    """
    others = [
        f"unknown setting '{name}': {suggest(name, SETTINGS)}"
        for name in settings.keys() - SETTINGS
    ]
    if others:
        raise InputError("; ".join(sorted(others)))
    return make_plan({**settings, "encoders": ()})


def perform(
    models: Sequence[Scored],
    manifests: Sequence[Path],
    out: Path,
    *,
    plan: Plan,
    split: str = "test",
    workers: int | Scheduler = 1,
    force: bool = False,
    made_from: Sequence[Path] = (),
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> RunFolder:
    """Score models in their tasks at every point of a grid, or go on with that.

    Parameters
    ----------
    models : sequence of Scored
        Any tasks, encoders and trials; those that share encoder and task are trials.
    manifests : sequence of Path
        Each task's test set is in the first that has the column it needs.
    out : Path
        A run's folder, or one of its own.
    plan : Plan
        From `make_performance_plan`.
    split : str
        Which rows of the manifests: ``"train"``, ``"valid"``, ``"test"`` or ``"all"``.
    workers : int or Scheduler
        Processes, or a Dask cluster; which and how many changes no result.
    force : bool
        Start anew where `out` holds other task scores.
    made_from : sequence of Path
        What else the work is made from, such as the models' files: `out` may hold none of it.
    progress : callable
        Told ``(stage, done, total)``.
    tell : callable
        Told in sentences what was damaged, and what is left out.

    Returns
    -------
    RunFolder
        With performance.parquet (and .csv), performance_clips.parquet and performance.json.

    Raises
    ------
    InputError
        If models, manifests, settings or the folder cannot be used, or settings changed.
    RunError
        If the disk is full, memory does not suffice or a worker died; the same call goes on.
    """
    need_packages(plan)
    folder = RunFolder(out)
    given = [*manifests, *made_from, *sound_paths(plan)]
    folder.decide(given)
    tests = sets_for(models, manifests, split=split, plan=plan)
    forget_sounds()
    session = TaskSession(plan, folder, {test.task: test for test in tests})
    settings = {name: plan.settings()[name] for name in SETTINGS} | {"split": split}
    folder.claim([*given, *(one.path for test in tests for one in test.recordings())])
    with leased(out) as lease:
        if force:
            _clear(folder)
        before = _begun(session, settings, tell)
        if before is not None and before["finished"]:
            tell(f"{printable(out)}: scored on {before['finished']}, nothing was computed")
            _tidy(folder)
            return folder
        created = before["created"] if before else now()
        found = inputs_of(session)
        session = replace(session, of=identity(plan, {**found, "split": split}, created))
        timings = dict(before.get("timings_s", {})) if before else {}
        record = begun(plan, settings, found, session.noise, created) | _models_and_sets(tests)
        with contextlib.suppress(metadata.PackageNotFoundError):
            record["versions"]["torch"] = metadata.version("torch")
        clock = Clock(timings)

        def note() -> None:
            lease.require()
            folder.write_performance({**record, "timings_s": timings})

        note()
        status: dict[str, dict[str, str]] = {}
        with open_workers(session, workers=workers, folder=folder.work, tell=tell) as pool:
            for test in tests:
                with clock(test.task):
                    status[test.task] = score_clips(session, pool, test, progress, tell)
                note()
        record["inputs"] = inputs_of(session, heard_of(session))
        lease.require()
        with clock("tables"):
            _write_tables(session, status)
        sets = {
            task: record["test_sets"][task]
            | counted(list(became.values()))
            | {"unusable": sorted(n for n, text in became.items() if text.startswith("failed"))}
            for task, became in status.items()
        }
        lease.require()
        folder.write_performance(
            {
                **record,
                "test_sets": sets,
                "finished": now(),
                "files": folder.digests(of=_TABLES),
                "timings_s": timings,
            }
        )
        _tidy(folder)
    return folder


def score_clips(
    session: TaskSession, pool: Workers, test: TestSet, progress: Progress, tell: Tell = unsaid
) -> dict[str, str]:
    """Score one task's clips, as many as are asked for; return what became of each, by name.

    A clip that could not be used when the command was last given is tried again; of clips that
    sound the same one counts.

    Raises
    ------
    InputError
        If fewer than two can be used.
    """
    twins, tried = Twins(), set[str]()

    def read(name: str) -> ClipShard | None:
        found = read_shard(session, test.task, name)
        again = found is not None and found.status.startswith("failed") and name not in tried
        return None if again else found

    def make(names: Sequence[str]) -> Iterator[object]:
        for sentence in session.shards.told():
            tell(sentence)
        tried.update(names)
        yield from pool.map(score_clip, [(test.task, name) for name in names])

    def became(name: str, shard: ClipShard) -> str:
        row = test.by_name[name]
        if shard.status != OK:
            return shard.status
        return twins.status(Recording(name, row.path, row.start_s), shard.sound_sha256)

    taken = draw(
        list(test.by_name),
        wanted=session.plan.clips,
        seed=session.plan.seed,
        name=str,
        read=read,
        make=make,
        usable=lambda name, shard: became(name, shard) == OK,
        stage=f"{test.task}: clips changed and scored",
        progress=progress,
    )
    status = {name: became(name, shard) for name, shard in taken}
    n_usable = sum(text == OK for text in status.values())
    if n_usable < LEAST:
        reasons: dict[str, str] = {}
        for name, text in status.items():
            if text != OK:
                reasons.setdefault(text, name)
        told = "; ".join(f"'{name}' {text}" for text, name in list(reasons.items())[:4])
        raise InputError(
            f"task {test.task}: {n_usable} of {len(taken)} clips of {test.manifest.name} can be "
            f"used{f' ({told})' if told else ''}: at least {LEAST} are needed; add clips"
        )
    return dict(sorted(status.items()))


def inputs_of(session: TaskSession, heard: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what, beside the settings, must be equal for the work to go on, by name.

    Parameters
    ----------
    session : TaskSession
    heard : mapping, optional
        The SHA-256 of what was read, by the names of `TestSet.recordings`.
    """
    known = heard or {}
    inputs: dict[str, Any] = {
        "nearkin": metadata.version("nearkin"),
        "noise": session.noise.sha256,
        **music_input(session.plan),
        "audio": {
            one.name: {"start_s": one.start_s, "sha256": known.get(one.name, "")}
            for test in session.tests.values()
            for one in test.recordings()
        },
    }
    models = [model for test in session.tests.values() for model in test.models]
    inputs["device"] = ", ".join(sorted({model.device for model in models}))
    for test in session.tests.values():
        inputs[f"manifest of {test.task}"] = test.sha256
        inputs |= {f"model {label(model)}": model.sha256 for model in test.models}
    return inputs


def heard_of(session: TaskSession) -> dict[str, str]:
    """Return the SHA-256 of what was read so far, by the names of `TestSet.recordings`."""
    heard = {}
    for task, test in session.tests.items():
        for name in test.by_name:
            shard = read_shard(session, task, name)
            if shard is not None:
                heard[f"{task} {name}"] = shard.content_sha256
                heard[f"{task} {name}: vocals"] = shard.vocals_sha256
    return {name: sha256 for name, sha256 in heard.items() if sha256}


def _begun(session: TaskSession, settings: Mapping[str, Any], tell: Tell) -> dict[str, Any] | None:
    """Return performance.json where the work may go on, or is finished; None where it is to begin.

    Raises
    ------
    InputError
        If the folder holds task scores with other settings or inputs.
    """
    folder = session.folder
    before = folder.read_performance()
    if before is None:
        return None
    inputs = inputs_of(session)
    split = settings["split"]
    of = identity(session.plan, {**inputs, "split": split}, before["created"])
    heard = {} if before["finished"] else heard_of(replace(session, of=of))
    inputs.pop("audio")
    recordings = [one for test in session.tests.values() for one in test.recordings()]
    also = changed_audio(before["inputs"]["audio"], recordings, heard)
    require_same(before, settings, inputs, folder, holds="task scores", also=also)
    if not before["finished"]:
        return before
    damaged = folder.damaged(before)
    back = [] if damaged else _usable_now(session, before)
    if not damaged and not back:
        return before
    if damaged:
        tell(
            f"{printable(folder.root)}: {len(damaged)} files were changed or damaged after they "
            f"were written, such as {damaged[0]}; they are removed and the clips scored again"
        )
    else:
        tell(
            f"{len(back)} clips that could not be used can be now, such as '{back[0]}'; all are "
            "scored again"
        )
    _clear(folder)
    return None


def _usable_now(session: TaskSession, before: Mapping[str, Any]) -> list[str]:
    """Try the clips again that could not be used; return those that can be."""
    return [
        name
        for task, test in session.tests.items()
        for name in before["test_sets"].get(task, {}).get("unusable", ())
        if name in test.by_name
        and not clip_of(session, test, test.by_name[name]).shard.status.startswith("failed")
    ]


def _models_and_sets(tests: Sequence[TestSet]) -> dict[str, Any]:
    """Return what the record says of models and test sets."""
    names = ("encoder", "task", "trial", "measure", "file", "sha256")
    return {
        "models": [
            {name: getattr(model, name) for name in names} | model.record()
            for test in tests
            for model in test.models
        ],
        "test_sets": {
            test.task: {"manifest": test.manifest.name, "rows": len(test.rows)} for test in tests
        },
    }


def _write_tables(session: TaskSession, status: Mapping[str, Mapping[str, str]]) -> None:
    plan, folder = session.plan, session.folder
    scores, clips = [], []
    for task, mine in status.items():
        found = gather(session, task, mine)
        scores.append(
            performance_table(found, plan.points, seed=plan.seed, n_resamples=plan.resamples)
        )
        clips.append(clip_table(found, plan.points))
    folder.write_table("performance_clips", pd.concat(clips, ignore_index=True))
    folder.write_table("performance", pd.concat(scores, ignore_index=True), csv=True)


def _clear(folder: RunFolder) -> None:
    """Delete the task scores of a folder, the record first, and nothing else."""
    folder.owned.delete(folder.root / name for name in PERFORMANCE_FILES)
    clear_shards(folder.work / "performance")


def _tidy(folder: RunFolder) -> None:
    """Delete the shards; and ``work/`` where no run is at work there."""
    clear_shards(folder.work / "performance")
    with contextlib.suppress(OSError):
        folder.work.rmdir()
