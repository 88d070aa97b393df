"""run.json: what was run with what, and whether a run may go on.

What has to be equal for a run to go on is its plan and its inputs (recordings, encoder files,
noise, nearkin's version); they are compared by name, and a difference is told with both values.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.corpora.recordings import Recording
from nearkin.distances import DISTANCES
from nearkin.errors import InputError
from nearkin.files import finite, key
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import Plan, changed_settings
from nearkin.runs.session import Session
from nearkin.tables import OK
from nearkin.transforms import TRANSFORMATIONS, NoiseLibrary

if TYPE_CHECKING:
    import pandas as pd

LIBRARIES = ("numpy", "scipy", "librosa", "numba", "soxr", "av", "pyloudnorm", "python-stretch")


class Clock:
    """Adds the wall time of each stage to a table, also over interruptions."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings

    def __call__(self, stage: str) -> Clock:
        """Name the stage that is entered next."""
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._begun
        self._timings[self._stage] = round(self._timings.get(self._stage, 0.0) + spent, 3)


def inputs_of(session: Session, recordings: Iterable[Recording]) -> dict[str, Any]:
    """Return what, beside the settings, must be equal for a run to go on."""
    sizes, groups = {}, {}
    for recording in recordings:
        groups[recording.name] = recording.group
        try:
            sizes[recording.name] = recording.path.stat().st_size
        except OSError:
            sizes[recording.name] = -1
    return {
        "nearkin": metadata.version("nearkin"),
        "audio": sizes,
        "groups": key(json.dumps(groups, sort_keys=True)) if any(groups.values()) else "",
        "encoder files": {e.label: e.sha256 for e in session.encoders if e.sha256},
        "noise file": session.noise.sha256,
    }


def require_same(
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    folder: RunFolder,
    *,
    holds: str = "a run",
) -> None:
    """Refuse to go on with work that differs, by the names of what differs.

    Parameters
    ----------
    before : mapping
        The record of what is there.
    settings, inputs : mapping
        Of what is asked for.
    folder : RunFolder
    holds : str
        What is there, in words.

    Raises
    ------
    InputError
        With every setting and input that changed, its old and its new value.
    """
    changed = changed_settings(before.get("plan", {}), finite(settings))
    old, new = dict(before.get("inputs", {})), dict(finite(inputs))
    audio, audio_before = new.pop("audio", {}), old.pop("audio", {})
    if audio != audio_before:
        changed.append(_changed_audio(audio_before, audio))
    changed += [
        f"{name} (was {_told(old.get(name))}, now {_told(new.get(name))})"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise InputError(
            f"--out {folder.root}: holds {holds} with other settings: {'; '.join(changed)}; name "
            "another folder, or start anew with --force"
        )


def _told(value: Any) -> str:
    """Return an input as a sentence names it: a hash by its first letters."""
    if value is None:
        return "unset"
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def _changed_audio(old: Mapping[str, int], new: Mapping[str, int]) -> str:
    added, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    other = sorted(name for name in new.keys() & old.keys() if new[name] != old[name])
    parts = [
        f"{len(names)} {word} such as '{names[0]}'"
        for names, word in ((added, "added"), (gone, "gone"), (other, "of another size"))
        if names
    ]
    return f"audio ({', '.join(parts)})"


def new_record(
    session: Session, inputs: Mapping[str, Any], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return run.json as it stands while the run works."""
    settings = session.plan.settings()
    return {
        **begun(session.plan, settings, inputs, session.noise, before),
        "encoders": [
            {
                "name": encoder.name,
                "task": encoder.task,
                "trial": encoder.trial,
                "label": encoder.label,
                "spec": encoder.spec,
                "matched": encoder.matched,
                "sample_rate": encoder.sample_rate,
                "embedding_size": None,
                "sha256": encoder.sha256,
                "role": encoder.role,
                "check": _checked(session, came.label),
                "status": OK,
            }
            for came, encoder in zip(session.resolved, session.encoders, strict=True)
        ],
        "grid": settings["grid"],
    }


def begun(
    plan: Plan,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    noise: NoiseLibrary,
    before: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what the record of a run and that of task scores have in common, at the start."""
    return {
        "nearkin": inputs["nearkin"],
        "created": before["created"] if before else now(),
        "finished": None,
        "plan": settings,
        "inputs": inputs,
        "noise": {
            "name": noise.name,
            "sha256": noise.sha256,
            "left_out": list(noise.left_out),
        },
        "engine": engine_of(plan),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES},
            **_packages(plan),
        },
    }


def now() -> str:
    """Return the time as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def counted(status: Sequence[str]) -> dict[str, int]:
    """Count what became of clips.

    Examples
    --------
    >>> counted(["ok", "skipped: too short", "ok"])
    {'found': 3, 'used': 2, 'skipped': 1, 'failed': 0}
    """
    return {
        "found": len(status),
        "used": status.count(OK),
        "skipped": sum(text.startswith("skipped") for text in status),
        "failed": sum(text.startswith("failed") for text in status),
    }


def finished_record(
    record: Mapping[str, Any], session: Session, clips: pd.DataFrame, timings: Mapping[str, float]
) -> dict[str, Any]:
    """Return run.json of a finished run: sizes, failures and counts added."""
    encoders = []
    n_questions = len(session.clip_ids) * len(session.plan.points)
    for row, encoder in zip(record["encoders"], session.encoders, strict=True):
        status = session.failures.get(encoder.label, "")
        size = None
        if not status:
            path = session.folder.embeddings_path(encoder.label, of="originals")
            size = int(np.load(path, mmap_mode="r").shape[1])
            lost = session.lost_originals[encoder.label]
            marks = session.gathered.not_ok.get(encoder.label, {})
            audio_marks = session.gathered.not_ok.get("", {})
            own = [text for place, text in marks.items() if place not in audio_marks]
            told = []
            if lost:
                first = next(iter(lost.values()))
                told.append(f"failed on {len(lost)} of {len(session.clip_ids)} originals: {first}")
            if own:
                told.append(f"failed on {len(own)} of {n_questions} queries: {own[0]}")
            status = "; ".join(told)
        encoders.append({**row, "embedding_size": size, "status": status or OK})
    return {
        **record,
        "finished": now(),
        "encoders": encoders,
        "clips": {
            **counted(clips["status"].tolist()),
            "identical": identical_clips(clips),
        },
        "n": len(session.clip_ids),
        "timings_s": dict(timings),
    }


def _checked(session: Session, label: str) -> dict[str, Any] | None:
    """Return what the quick check found of an encoder."""
    found = session.steadiness.get(label)
    return None if found is None else found._asdict()


def identical_clips(clips: pd.DataFrame) -> list[list[str]]:
    """Return the groups of usable clips that are the same excerpt of the same content."""
    usable = clips[clips["status"] == OK]
    groups = usable.groupby(["content_sha256", "start_s"])["clip_id"]
    return [sorted(ids) for _, ids in groups if len(ids) > 1]


def _packages(plan: Plan) -> dict[str, str]:
    """Return the versions of the packages whose transformations and distances are used."""
    names = [TRANSFORMATIONS.provider(code) for code in plan.grid.codes]
    names += [DISTANCES.provider(name) for name in plan.latent_distances]
    pairs = (name.rpartition(" ") for name in names if name)
    return {package: version for package, _, version in pairs}


def engine_of(plan: Plan) -> str:
    """Name the engine of TS and PS with its package's version."""
    package = "python-stretch" if plan.engine == "signalsmith" else "pedalboard"
    try:
        return f"{plan.engine} ({package} {metadata.version(package)})"
    except metadata.PackageNotFoundError:
        return plan.engine
