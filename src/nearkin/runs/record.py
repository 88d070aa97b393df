"""run.json: what was run with what, and whether a run may go on.

What has to be equal for a run to go on is its plan and its inputs (recordings, encoder files,
noise, nearkin's version); they are compared by name, and a difference is told with both values.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.audio.decoding import addressed
from nearkin.corpora.recordings import Recording
from nearkin.distances import DISTANCES
from nearkin.encoders.check import changed_answers
from nearkin.errors import InputError, printable
from nearkin.files import finite, key, sha256_of
from nearkin.runs.distractors import content_of_gallery
from nearkin.runs.folder import RunFolder
from nearkin.runs.opening import Opened
from nearkin.runs.plan import Plan, changed_settings
from nearkin.runs.queries import music_library
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


def inputs_of(
    session: Session, recordings: Sequence[Recording], heard: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what, beside the settings, must be equal for a run to go on.

    Parameters
    ----------
    session : Session
    recordings : sequence of Recording
    heard : mapping, optional
        The SHA-256 of the recordings that were read, by name.
    """
    known = heard or {}
    groups = {recording.name: recording.group for recording in recordings}
    given = session.plan.gallery
    labels = [encoder.label for encoder in session.encoders]
    laid = content_of_gallery(given, labels, out=session.folder.root) if given else {}
    return {
        "nearkin": metadata.version("nearkin"),
        "audio": {
            recording.name: {"start_s": recording.start_s, "sha256": known.get(recording.name, "")}
            for recording in recordings
        },
        "groups": key(json.dumps(groups, sort_keys=True)) if any(groups.values()) else "",
        "encoder files": {e.label: e.sha256 for e in session.encoders if e.sha256},
        "noise file": session.noise.sha256,
        **music_input(session.plan),
        **({"gallery": laid} if laid else {}),
    }


def identity(plan: Plan, inputs: Mapping[str, Any], created: str) -> str:
    """Return what shards are of: a digest of plan, inputs, and when the record was begun."""
    audio = {name: row["start_s"] for name, row in inputs["audio"].items()}
    told = finite({"plan": plan.settings(), **inputs, "audio": audio, "created": created})
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def require_same(
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    folder: RunFolder,
    *,
    holds: str = "a run",
    also: Sequence[str] = (),
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
    also : sequence of str
        What else differs.

    Raises
    ------
    InputError
        With every setting and input that changed, its old and its new value.
    """
    changed = changed_settings(before.get("plan", {}), finite(settings))
    old, new = before.get("inputs") or {}, finite(inputs)
    changed += [
        f"{name} ({_difference(old.get(name), value)})"
        for name, value in new.items()
        if old.get(name) != value
    ]
    changed += [f"{name} (is gone)" for name in old.keys() - new.keys() - {"audio"}]
    changed += also
    if changed:
        raise InputError(
            f"--out {printable(folder.root)}: holds {holds} with other settings: "
            f"{'; '.join(changed)}; name another folder, or start anew with --force"
        )


def require_same_settings(
    before: Mapping[str, Any] | None, settings: Mapping[str, Any], folder: RunFolder
) -> None:
    """Refuse other settings before anything is loaded: by the names of those alone.

    Parameters
    ----------
    before : mapping or None
        The record of what is there.
    settings : mapping
        Of what is asked for.
    folder : RunFolder

    Raises
    ------
    InputError
        With every setting that changed, its old and its new value.
    """
    if before is not None:
        require_same(before, settings, before.get("inputs") or {}, folder)


def require_same_run(
    before: Mapping[str, Any],
    opened: Opened,
    recordings: Sequence[Recording],
    *,
    heard: Mapping[str, str],
) -> None:
    """Refuse to go on with a run that differs: in settings, audio, or what its encoders answer.

    Parameters
    ----------
    before : mapping
        run.json as it is.
    opened : Opened
        What is asked for now.
    recordings : sequence of Recording
        The recordings there are now.
    heard : mapping
        The SHA-256 of what was heard before, by recording.

    Raises
    ------
    InputError
        With everything that changed.
    """
    session, checked = opened
    inputs = inputs_of(session, recordings)
    inputs.pop("audio")
    audio = (before.get("inputs") or {}).get("audio", {})
    also = changed_audio(audio, recordings, heard)
    for row, came in zip(before.get("encoders", []), session.resolved, strict=False):
        if came.label in checked and row.get("spec") == came.spec:
            told = changed_answers(row.get("check"), checked[came.label])
            also += [f"encoder '{came.label}' ({told})"] if told else []
    require_same(before, session.plan.settings(), inputs, session.folder, also=also)


def changed_audio(
    old: Mapping[str, Any],
    recordings: Sequence[Recording],
    heard: Mapping[str, str],
) -> list[str]:
    """Tell in words how recordings differ from those that were taken down; empty if they do not."""
    found = audio_differences(old, recordings, heard)
    parts = [f"{len(names)} {how} such as '{min(names)}'" for how, names in found.items()]
    return [f"audio ({', '.join(parts)})"] if parts else []


def audio_differences(
    old: Mapping[str, Any],
    recordings: Sequence[Recording],
    heard: Mapping[str, str],
) -> dict[str, set[str]]:
    """Return which recordings differ from those that were taken down, by how they differ.

    Parameters
    ----------
    old : mapping
        By name ``{"start_s": ..., "sha256": ...}``, as `inputs_of` gives it.
    recordings : sequence of Recording
        Those there are now.
    heard : mapping
        SHA-256 by name, beside those in `old`.
    """
    now = {recording.name: recording for recording in recordings}
    rows = {name: row if isinstance(row, Mapping) else {} for name, row in old.items()}
    both = [name for name in now if name in rows]
    moved = [name for name in both if rows[name].get("start_s") != finite(now[name].start_s)]
    other, gone = [], []
    for name in both:
        before = heard.get(name) or rows[name].get("sha256")
        if before:
            sha256 = content_of(now[name].path)
            if not sha256:
                gone.append(name)
            elif sha256 != before:
                other.append(name)
    found = {
        "added": now.keys() - rows.keys(),
        "gone": rows.keys() - now.keys(),
        "with another start_s": set(moved),
        "that cannot be read now": set(gone),
        "with other content": set(other),
    }
    return {how: names for how, names in found.items() if names}


def content_of(path: Path) -> str:
    """Return the SHA-256 of a recording's file, also where a stream of it is named; or ""."""
    return sha256_of(addressed(path)[0])


def _difference(old: Any, new: Any) -> str:
    """Say how two values differ: of mappings only the entries that do."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return f"was {_short(old)}, now {_short(new)}"
    names = sorted(n for n in old.keys() | new.keys() if old.get(n) != new.get(n))
    told = [f"'{n}' was {_short(old.get(n))}, now {_short(new.get(n))}" for n in names[:4]]
    return ", ".join(told) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _short(value: Any) -> str:
    text = "unset" if value in (None, "") else str(value)
    return f"{text[:12]}..." if re.fullmatch("[0-9a-f]{64}", text) else text


def new_record(opened: Opened, inputs: Mapping[str, Any], created: str) -> dict[str, Any]:
    """Return run.json as it stands while the run works."""
    session, settings = opened.session, opened.session.plan.settings()
    return {
        **begun(session.plan, settings, inputs, session.noise, created),
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
                "check": _checked(opened, came.label),
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
    created: str,
) -> dict[str, Any]:
    """Return what the record of a run and that of task scores have in common, at the start."""
    return {
        "nearkin": inputs["nearkin"],
        "created": created,
        "finished": None,
        "plan": settings,
        "inputs": inputs,
        "noise": {
            "name": noise.name,
            "sha256": noise.sha256,
            "left_out": list(noise.left_out),
        },
        **_music(plan),
        "engine": engine_of(plan),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES},
            **_packages(plan),
        },
    }


def music_input(plan: Plan) -> dict[str, str]:
    """Return what the recordings are that MX mixes in, by their hash; empty where none are given.

    Runs that need none keep the inputs that they had before there were any.
    """
    music = music_library(plan)
    return {"other music": music.sha256} if music else {}


def _music(plan: Plan) -> dict[str, Any]:
    music = music_library(plan)
    if music is None:
        return {}
    return {
        "other_music": {
            "name": music.name,
            "sha256": music.sha256,
            "left_out": list(music.left_out),
        }
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
        "processors": sorted(session.gathered.processors),
        "files": session.folder.digests(),
        "timings_s": dict(timings),
    }


def _checked(opened: Opened, label: str) -> dict[str, Any] | None:
    """Return what the quick check found of an encoder."""
    found = opened.checked.get(label)
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
