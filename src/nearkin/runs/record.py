"""run.json: what was run with what, and whether a run may go on.

What has to be equal for a run to go on is its plan and its inputs (recordings, encoder files,
noise, nearkin's version); they are compared by name, and a difference is told with both values.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.corpora.recordings import Recording
from nearkin.distances import DISTANCES
from nearkin.errors import InputError
from nearkin.files import finite
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
    sizes = {}
    for recording in recordings:
        try:
            sizes[recording.name] = recording.path.stat().st_size
        except OSError:
            sizes[recording.name] = -1
    return {
        "nearkin": metadata.version("nearkin"),
        "audio": sizes,
        "encoder files": {e.label: e.sha256 for e in session.encoders if e.sha256},
        "noise file": session.noise.sha256,
    }


def require_same(
    before: Mapping[str, Any], plan: Plan, inputs: Mapping[str, Any], folder: RunFolder
) -> None:
    """Refuse to go on with a run that differs, by the names of what differs.

    Raises
    ------
    InputError
        With every setting and input that changed, its old and its new value.
    """
    changed = changed_settings(before.get("plan", {}), plan.settings())
    old = before.get("inputs", {})
    for name, value in finite(inputs).items():
        if old.get(name) == value:
            continue
        if name == "audio":
            changed.append(_changed_audio(old.get(name, {}), value))
        else:
            changed.append(f"{name} (was {old.get(name)}, now {value})")
    if changed:
        raise InputError(
            f"--out {folder.root}: holds a run with other settings: {'; '.join(changed)}; name "
            "another folder, or start anew with --force"
        )


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
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "nearkin": inputs["nearkin"],
        "created": before["created"] if before else now,
        "finished": None,
        "plan": session.plan.settings(),
        "inputs": inputs,
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
        "grid": session.plan.settings()["grid"],
        "noise": noise_of(session.noise),
        "engine": engine_of(session.plan),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES},
            **_packages(session.plan),
        },
    }


def noise_of(library: NoiseLibrary) -> dict[str, Any]:
    """Return what a record says of the noise."""
    return {
        "name": library.name,
        "sha256": library.sha256,
        "left_out": list(library.left_out),
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
            marks = session.gathered.not_ok.get(encoder.label, {})
            audio_marks = session.gathered.not_ok.get("", {})
            own = [text for place, text in marks.items() if place not in audio_marks]
            if own:
                status = f"failed on {len(own)} of {n_questions} queries: {own[0]}"
        encoders.append({**row, "embedding_size": size, "status": status or OK})
    found = clips["status"]
    return {
        **record,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoders": encoders,
        "clips": {
            "found": len(clips),
            "used": int((found == OK).sum()),
            "skipped": int(found.str.startswith("skipped").sum()),
            "failed": int(found.str.startswith("failed").sum()),
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
