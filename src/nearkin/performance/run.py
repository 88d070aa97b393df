"""From model files and manifests to the tables of task scores in a run's folder.

``performance.json`` says what was scored with what; a command that differs from it in a setting
or an input is refused by the name of what differs, and one that is the same goes on where it
stopped. The folder may hold a run, whose tables stay as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.audio.decoding import addressed
from nearkin.errors import InputError
from nearkin.files import finite
from nearkin.performance.scored import Scored, label
from nearkin.performance.sets import sets_for
from nearkin.performance.table import clip_table, performance_table
from nearkin.performance.units import Session, TestSet, gather, read_status, score_clip, shards
from nearkin.progress import Progress, silent
from nearkin.runs.folder import PERFORMANCE_FILES, RunFolder
from nearkin.runs.plan import Plan, changed_settings, make_plan
from nearkin.runs.record import LIBRARIES, Clock, engine_of, noise_of
from nearkin.seeds import stream
from nearkin.tables import OK
from nearkin.workers import Workers, open_workers

SETTINGS = (
    *("grid", "seed", "clips", "clip_seconds", "working_rate", "noise", "engine", "mp3_rate"),
    "resamples",
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
    session = Session(plan, out, tests)
    folder = session.folder
    settings = {name: plan.settings()[name] for name in SETTINGS} | {"split": split}
    inputs = inputs_of(session)
    begun = (out / "performance.json").is_file() and not force
    before = folder.read_performance() if begun else None
    if before is not None:
        require_same(before, settings, inputs, folder)
        if before.get("finished"):
            if folder.has_table("performance") and folder.has_table("performance_clips"):
                return folder
            before = None  # its tables are gone: they are made anew
    folder.claim()
    if before is None:
        clear(folder)
    timings = dict(before.get("timings_s", {})) if before else {}
    record = _new_record(session, settings, inputs, before)
    folder.write_performance({**record, "timings_s": timings})
    clock = Clock(timings)
    counted: dict[str, Any] = {}
    scores, clips = [], []
    with open_workers(session, workers=workers) as pool:
        for test in tests:
            with clock(test.task):
                names = score_clips(session, pool, test, progress)
            counted[test.task] = _counts(session, test, names)
            folder.write_performance({**record, "timings_s": timings})
    with clock("tables"):
        for test in tests:
            names = counted[test.task].pop("names")
            found = gather(session, test.task, names)
            table = performance_table(
                found, plan.points, seed=plan.seed, n_resamples=plan.resamples
            )
            scores.append(table)
            clips.append(clip_table(found, plan.points))
        folder.write_table("performance_clips", pd.concat(clips, ignore_index=True))
        folder.write_table("performance", pd.concat(scores, ignore_index=True), csv=True)
    sets = {task: record["test_sets"][task] | counts for task, counts in counted.items()}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    folder.write_performance({**record, "test_sets": sets, "finished": now, "timings_s": timings})
    tidy(folder)
    return folder


def score_clips(
    session: Session, pool: Workers, test: TestSet, progress: Progress
) -> tuple[str, ...]:
    """Score one task's clips, as many as are asked for; return their names, sorted.

    As in a run, clips are drawn by the seed and their names, and those that turn out unusable
    make room for others; they are returned too.
    """
    wanted = session.plan.clips
    drawn = list(test.by_name)
    if wanted is not None:
        drawn.sort(key=lambda name: stream(session.plan.seed, name, "draw").random())
    stage = f"{test.task}: clips changed and scored"
    taken: dict[str, str] = {}
    n_usable = 0
    while len(taken) < len(drawn) and (wanted is None or n_usable < wanted):
        missing = len(drawn) if wanted is None else wanted - n_usable
        batch = drawn[len(taken) : len(taken) + missing]
        total = len(taken) + len(batch)
        todo = [(test.task, name) for name in batch if not _done(session, test.task, name)]
        progress(stage, total - len(todo), total)
        for done, _ in enumerate(pool.map(score_clip, todo), start=total - len(todo) + 1):
            progress(stage, done, total)
        for name in batch:
            taken[name] = read_status(session, test.task, name) or "failed: its shard is missing"
            n_usable += taken[name] == OK
    if n_usable < LEAST:
        reasons: dict[str, str] = {}
        for name, status in taken.items():
            if status != OK:
                reasons.setdefault(status, name)
        told = "; ".join(f"'{name}' {status}" for status, name in list(reasons.items())[:4])
        raise InputError(
            f"task {test.task}: {n_usable} of {len(taken)} clips of {test.manifest.name} can be "
            f"used{f' ({told})' if told else ''}: at least {LEAST} are needed; add clips"
        )
    return tuple(sorted(taken))


def _done(session: Session, task: str, name: str) -> bool:
    return read_status(session, task, name) is not None


# -- the record ----------------------------------------------------------------------------------


def inputs_of(session: Session) -> dict[str, str]:
    """Return what, beside the settings, must be equal for the work to go on, by name."""
    inputs = {"nearkin": metadata.version("nearkin"), "noise": session.noise.sha256}
    models = [model for test in session.tests.values() for model in test.models]
    inputs["device"] = ", ".join(sorted({model.device for model in models}))
    for test in session.tests.values():
        inputs[f"manifest of {test.task}"] = test.sha256
        inputs[f"recordings of {test.task}"] = _sizes(test)
        inputs |= {f"model {label(model)}": model.sha256 for model in test.models}
    return inputs


def require_same(
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    folder: RunFolder,
) -> None:
    """Refuse to go on with task scores that were made otherwise.

    Raises
    ------
    InputError
        Naming every setting and input that differs, with both values.
    """
    changed = changed_settings(before.get("plan", {}), finite(settings))
    changed += changed_settings(_short(before.get("inputs", {})), _short(inputs))
    if changed:
        raise InputError(
            f"--out {folder.root}: holds task scores made with other settings: "
            f"{'; '.join(changed)}; name another folder, or score anew with --force"
        )


def clear(folder: RunFolder) -> None:
    """Delete the task scores of a folder, and nothing else."""
    shutil.rmtree(shards(folder), ignore_errors=True)
    for name in PERFORMANCE_FILES:
        (folder.root / name).unlink(missing_ok=True)


def tidy(folder: RunFolder) -> None:
    """Delete the shards; and ``work/`` where no run is at work there."""
    shutil.rmtree(shards(folder), ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.work.rmdir()


def _new_record(
    session: Session,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    before: Mapping[str, Any] | None,
) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "nearkin": inputs["nearkin"],
        "created": before["created"] if before else now,
        "finished": None,
        "plan": settings,
        "inputs": inputs,
        "models": [
            {
                "encoder": model.encoder,
                "task": model.task,
                "trial": model.trial,
                "measure": model.measure,
                "file": model.file,
                "sha256": model.sha256,
                **model.record(),
            }
            for test in session.tests.values()
            for model in test.models
        ],
        "test_sets": {
            task: {"manifest": test.manifest.name, "rows": len(test.rows)}
            for task, test in session.tests.items()
        },
        "noise": noise_of(session.noise),
        "engine": engine_of(session.plan),
        "versions": _versions(),
    }


def _counts(session: Session, test: TestSet, names: Sequence[str]) -> dict[str, Any]:
    status = [read_status(session, test.task, name) or "" for name in names]
    return {
        "names": names,
        "found": len(names),
        "used": status.count(OK),
        "skipped": sum(text.startswith("skipped") for text in status),
        "failed": sum(text.startswith("failed") for text in status),
    }


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in LIBRARIES}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["torch"] = metadata.version("torch")
    return found


def _sizes(test: TestSet) -> str:
    """Return a digest of the recordings' names and sizes."""
    digest = hashlib.sha256()
    for row in test.rows:
        for path in (row.path, row.vocals_path if test.with_vocals else None):
            try:
                size = addressed(path)[0].stat().st_size if path is not None else 0
            except OSError:
                size = -1
            digest.update(f"{row.name}\0{row.start_s}\0{size}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _short(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return inputs with their hashes shortened, as a sentence names them."""
    return {name: value[:12] for name, value in inputs.items()}
