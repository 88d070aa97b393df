"""From model files and manifests to the tables of task scores in a run's folder.

``performance.json`` says what was scored with what; a command that differs from it in a setting
or an input is refused by the name of what differs, and one that is the same goes on where it
stopped. The folder may hold a run, whose tables stay as they are.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.errors import InputError
from nearkin.performance.scored import Scored, label
from nearkin.performance.sets import TestSet, sets_for
from nearkin.performance.table import clip_table, performance_table
from nearkin.performance.units import TaskSession, gather, read_status, score_clip
from nearkin.progress import Progress, silent
from nearkin.registry import suggest
from nearkin.runs.drawing import draw
from nearkin.runs.folder import PERFORMANCE_FILES, RunFolder
from nearkin.runs.plan import Plan, make_plan
from nearkin.runs.record import Clock, begun, counted, now, require_same
from nearkin.tables import OK
from nearkin.workers import Workers, open_workers

SETTINGS = (
    *("grid", "seed", "clips", "clip_seconds", "working_rate", "noise", "engine", "mp3_rate"),
    *("storage", "loudness_window", "resamples"),
)
"""The settings of a plan that change a task's score."""
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
    workers: int = 1,
    force: bool = False,
    progress: Progress = silent,
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
    workers : int
        Processes; their number changes no result.
    force : bool
        Start anew where `out` holds other task scores.
    progress : callable
        Told ``(stage, done, total)``.

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
    tests = sets_for(models, manifests, split=split, plan=plan)
    session = TaskSession(plan, RunFolder(out), {test.task: test for test in tests})
    folder = session.folder
    settings = {name: plan.settings()[name] for name in SETTINGS} | {"split": split}
    inputs = inputs_of(session)
    begun_before = (out / "performance.json").is_file() and not force
    before = folder.read_performance() if begun_before else None
    if before is not None:
        require_same(before, settings, inputs, folder, holds="task scores")
        if before.get("finished"):
            if folder.has_table("performance") and folder.has_table("performance_clips"):
                return folder
            before = None  # its tables are gone: they are made anew
    folder.claim()
    if before is None:
        _clear(session)
    timings = dict(before.get("timings_s", {})) if before else {}
    created = before["created"] if before else now()
    record = begun(plan, settings, inputs, session.noise, created) | _models_and_sets(tests)
    with contextlib.suppress(metadata.PackageNotFoundError):
        record["versions"]["torch"] = metadata.version("torch")
    folder.write_performance({**record, "timings_s": timings})
    clock = Clock(timings)
    status: dict[str, dict[str, str]] = {}
    with open_workers(session, workers=workers) as pool:
        for test in tests:
            with clock(test.task):
                status[test.task] = score_clips(session, pool, test, progress)
            folder.write_performance({**record, "timings_s": timings})
    with clock("tables"):
        _write_tables(session, {task: tuple(names) for task, names in status.items()})
    sets = {
        task: record["test_sets"][task] | counted(list(found.values()))
        for task, found in status.items()
    }
    finished = {**record, "test_sets": sets, "finished": now(), "timings_s": timings}
    folder.write_performance(finished)
    _tidy(session)
    return folder


def score_clips(
    session: TaskSession, pool: Workers, test: TestSet, progress: Progress
) -> dict[str, str]:
    """Score one task's clips, as many as are asked for; return what became of each, by name.

    Raises
    ------
    InputError
        If fewer than two can be used.
    """
    taken = draw(
        list(test.by_name),
        wanted=session.plan.clips,
        seed=session.plan.seed,
        name=str,
        read=lambda name: read_status(session, test.task, name),
        make=lambda todo: pool.map(score_clip, [(test.task, name) for name in todo]),
        usable=lambda _, status: status == OK,
        stage=f"{test.task}: clips changed and scored",
        progress=progress,
    )
    n_usable = sum(status == OK for _, status in taken)
    if n_usable < LEAST:
        reasons: dict[str, str] = {}
        for name, status in taken:
            if status != OK:
                reasons.setdefault(status, name)
        told = "; ".join(f"'{name}' {status}" for status, name in list(reasons.items())[:4])
        raise InputError(
            f"task {test.task}: {n_usable} of {len(taken)} clips of {test.manifest.name} can be "
            f"used{f' ({told})' if told else ''}: at least {LEAST} are needed; add clips"
        )
    return dict(sorted(taken))


def inputs_of(session: TaskSession) -> dict[str, str]:
    """Return what, beside the settings, must be equal for the work to go on, by name."""
    inputs = {"nearkin": metadata.version("nearkin"), "noise": session.noise.sha256}
    models = [model for test in session.tests.values() for model in test.models]
    inputs["device"] = ", ".join(sorted({model.device for model in models}))
    for test in session.tests.values():
        inputs[f"manifest of {test.task}"] = test.sha256
        inputs[f"recordings of {test.task}"] = test.sizes()
        inputs |= {f"model {label(model)}": model.sha256 for model in test.models}
    return inputs


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


def _write_tables(session: TaskSession, names: Mapping[str, Sequence[str]]) -> None:
    plan, folder = session.plan, session.folder
    scores, clips = [], []
    for task, mine in names.items():
        found = gather(session, task, mine)
        scores.append(
            performance_table(found, plan.points, seed=plan.seed, n_resamples=plan.resamples)
        )
        clips.append(clip_table(found, plan.points))
    folder.write_table("performance_clips", pd.concat(clips, ignore_index=True))
    folder.write_table("performance", pd.concat(scores, ignore_index=True), csv=True)


def _clear(session: TaskSession) -> None:
    """Delete the task scores of a folder, and nothing else."""
    shutil.rmtree(session.shards, ignore_errors=True)
    for name in PERFORMANCE_FILES:
        (session.folder.root / name).unlink(missing_ok=True)


def _tidy(session: TaskSession) -> None:
    """Delete the shards; and ``work/`` where no run is at work there."""
    shutil.rmtree(session.shards, ignore_errors=True)
    with contextlib.suppress(OSError):
        session.folder.work.rmdir()
