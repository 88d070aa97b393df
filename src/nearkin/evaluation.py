"""A run from beginning to end: collect, embed the originals, ask the queries, score the points.

Each stage is a list of units, done in any order by any number of workers, each leaving a shard
behind; a unit whose shard is there is not done again. What has to be equal for a run to go on
(the plan, the recordings, the encoders, the noise) stands in run.json and is compared by name.
"""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin import experiment
from nearkin.corpora.manifest import Recording, collect
from nearkin.distances import AUDIO_DISTANCES, PackedOriginals
from nearkin.encoders import ResolvedEncoder, resolve
from nearkin.errors import InputError, RunError
from nearkin.execution import Here, Workers, open_workers
from nearkin.experiment import OK, Original
from nearkin.listening import worst_failures, write_sounds
from nearkin.plan import Plan, changed_settings, references_for
from nearkin.scoring import AudioAtPoint, EncoderAtPoint, Scorer
from nearkin.seeds import stream
from nearkin.store import RunFolder, clip_row

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str, int, int], None]
"""Told ``(stage, done, total)``: once when a stage begins, then after every unit."""

LIBRARIES = ("numpy", "scipy", "librosa", "numba", "soxr", "av", "pyloudnorm", "python-stretch")


def silent(stage: str, done: int, total: int) -> None:
    """Take progress and say nothing."""


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from, so that every worker can make its own.

    Attributes
    ----------
    spec : object
        A SPEC string, or the encoder object or callable itself.
    options : mapping
        Keyword arguments for a class.
    role : str
        ``"tested"`` or ``"reference"``.
    """

    spec: Any
    options: Mapping[str, Any]
    role: str = "tested"


class Session:
    """What every unit of a run is given: the plan, the folder, and (made on first use) the rest.

    Parameters
    ----------
    plan : Plan
    root : Path
        The run's folder.
    sources : sequence of EncoderSource
    """

    def __init__(self, plan: Plan, root: Path, sources: Sequence[EncoderSource]) -> None:
        self.plan = plan
        self.folder = RunFolder(root)
        self.sources = tuple(sources)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("plan", "folder", "sources")}

    @functools.cached_property
    def encoders(self) -> tuple[ResolvedEncoder, ...]:
        """All encoders, resolved, with labels that no two share."""
        resolved = []
        for source in self.sources:
            encoder = resolve(
                source.spec,
                options=source.options,
                sample_rate=self.plan.sample_rate,
                pool=self.plan.pool,
            )
            resolved.append(encoder.as_reference() if source.role == "reference" else encoder)
        return tuple(_distinct(resolved))

    @functools.cached_property
    def noise(self) -> experiment.NoiseLibrary:
        """What EN adds."""
        return experiment.noise_library(self.plan)

    @functools.cached_property
    def used(self) -> tuple[tuple[str, str], ...]:
        """The usable clips, in order: clip id, and the recording whose shard holds it."""
        table = self.folder.read_table("work/used")
        return tuple(table[["clip_id", "recording"]].itertuples(index=False, name=None))

    @functools.cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """The usable clips' ids, in order."""
        return tuple(clip_id for clip_id, _ in self.used)

    @functools.cached_property
    def space(self) -> PackedOriginals:
        """The audio space."""
        return PackedOriginals([self.original(i, audio=False).frames for i in self.clip_ids])

    @functools.cached_property
    def failures(self) -> dict[str, str]:
        """Why an encoder failed on the originals, by label."""
        return _failures_on_originals(self)

    @functools.cached_property
    def working(self) -> tuple[ResolvedEncoder, ...]:
        """The encoders that embedded every original."""
        return tuple(e for e in self.encoders if e.label not in self.failures)

    @functools.cached_property
    def scorer(self) -> Scorer:
        """The scorer with the run's resamples."""
        return Scorer(self.plan, self.clip_ids)

    @functools.cached_property
    def gathered(self) -> _Gathered:
        """What the queries of all clips left behind, but for the distances."""
        return _gather(self)

    @functools.cached_property
    def _recording_of(self) -> dict[str, str]:
        return dict(self.used)

    def original(self, clip_id: str, *, audio: bool = True) -> Original:
        """Read a usable clip from its shard."""
        clips = self.folder.read_originals(self._recording_of[clip_id], audio=audio)
        for clip in clips or ():
            if clip.clip_id == clip_id:
                return clip
        raise RunError(f"clip '{clip_id}': its shard is missing; give the same command again")


def run(
    plan: Plan,
    audio: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    encoders: Sequence[EncoderSource],
    workers: int = 1,
    keep_distances: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> RunFolder:
    """Do a run, or go on with one, up to its tables.

    Parameters
    ----------
    plan : Plan
        What to compute.
    audio : sequence of paths
        Files, folders and manifests.
    out : Path
        The run's folder.
    encoders : sequence of EncoderSource
        What the plan's encoders are; the references are added here.
    workers : int
        Processes.
    keep_distances : bool
        Keep the audio space's distances under ``distances/``.
    force : bool
        Start anew where the folder holds another run.
    progress : callable
        See `Progress`.

    Returns
    -------
    RunFolder
        Finished: its tables can be read.

    Raises
    ------
    InputError
        If the plan, the audio or the folder cannot be used, or the settings changed.
    RunError
        If the disk is full or a worker died; the same call goes on.
    """
    references = [EncoderSource(name, {}, "reference") for name in references_for(plan)]
    session = Session(plan, out, [*encoders, *references])
    recordings = collect(audio, split=plan.split)
    session.encoders  # noqa: B018 - a SPEC that cannot be used is told before anything is written
    inputs = _inputs(session, recordings)
    folder = session.folder
    if force and folder.is_run():
        folder.clear()
    folder.claim()
    before = folder.read_run()
    if before is not None:
        _require_same(before, plan, inputs, folder)
        if before.get("finished"):
            folder.finish()
            return folder
    timings = dict(before.get("timings_s", {})) if before else {}
    record = _record(session, inputs, before)
    folder.write_run({**record, "timings_s": timings})
    clock = _Clock(timings)
    with open_workers(session, workers=workers) as pool:
        with clock("originals"):
            clips = _originals_stage(session, pool, recordings, progress)
        folder.write_run({**record, "timings_s": timings})
        with clock("queries"):
            _queries_stage(session, pool, progress)
        folder.write_run({**record, "timings_s": timings})
        with clock("scores"):
            _gathered_arrays(session)
            _points_stage(session, pool, progress)
    with clock("tables"):
        queries, consistency = _tables(session, progress)
        failures = write_sounds(
            worst_failures(queries),
            plan=plan,
            folder=folder,
            original=session.original,
            noise=session.noise,
        )
        if keep_distances:
            _keep_distances(session)
        folder.write_table("clips", clips)
        folder.write_table("queries", queries)
        folder.write_table("consistency", consistency, csv=True)
        folder.write_table("failures", failures)
    folder.write_run(_finished(record, session, clips, timings))
    folder.finish()
    return folder


# -- stages --------------------------------------------------------------------------------------


def _originals_unit(session: Session, recording: Recording) -> None:
    clips = experiment.originals(session.plan, recording, session.encoders)
    session.folder.write_originals(recording.name, clips)


def _queries_unit(session: Session, clip_id: str) -> None:
    queries = experiment.queries(
        session.plan,
        session.original(clip_id),
        session.space,
        session.working,
        noise=session.noise,
    )
    session.folder.write_queries(clip_id, queries)


def _points_unit(session: Session, index: int) -> None:
    folder, gathered = session.folder, session.gathered
    rows = [
        np.load(folder.distances_path(clip_id), mmap_mode="r")[:, index]
        for clip_id in session.clip_ids
    ]
    distances = np.stack(rows, axis=1)
    audio = AudioAtPoint(
        dict(zip(AUDIO_DISTANCES, distances, strict=True)),
        gathered.effective[:, index],
        gathered.audio_status(index),
    )
    encoders = [_encoder_at(session, encoder, index) for encoder in session.encoders]
    queries, consistency = session.scorer.point(session.plan.points[index], audio, encoders)
    folder.write(_point_path(folder, index, "queries"), lambda file: queries.to_parquet(file))
    # written last: it is what marks the point as done
    folder.write(
        _point_path(folder, index, "consistency"), lambda file: consistency.to_parquet(file)
    )


def _originals_stage(
    session: Session, pool: Workers, recordings: Sequence[Recording], progress: Progress
) -> pd.DataFrame:
    """Describe originals until there are enough; return clips.parquet's rows."""
    import pandas as pd

    plan, folder = session.plan, session.folder
    drawn = list(recordings)
    if plan.clips is not None:
        drawn.sort(key=lambda recording: stream(plan.seed, recording.name, "draw").random())
    found: list[tuple[str, Original]] = []
    n_usable, at = 0, 0
    while at < len(drawn) and (plan.clips is None or n_usable < plan.clips):
        missing = len(drawn) if plan.clips is None else plan.clips - n_usable
        batch = drawn[at : at + -(-missing // plan.excerpts_per_file)]
        total = at + len(batch)
        shards = {r.name: folder.read_originals(r.name, audio=False) for r in batch}
        todo = [recording for recording in batch if shards[recording.name] is None]
        progress("originals", total - len(todo), total)
        for done, _ in enumerate(pool.map(_originals_unit, todo), start=total - len(todo) + 1):
            progress("originals", done, total)
        for recording in batch:
            clips = shards[recording.name]
            if clips is None:
                clips = folder.read_originals(recording.name, audio=False) or []
            for clip in clips:
                if plan.clips is not None and n_usable == plan.clips:
                    break
                n_usable += clip.status == OK
                found.append((recording.name, clip))
        at = total
    found.sort(key=lambda pair: pair[1].clip_id)
    table = pd.DataFrame([clip_row(clip) for _, clip in found])
    used = [(clip.clip_id, recording) for recording, clip in found if clip.status == OK]
    if len(used) < 2:
        raise InputError(_too_few(len(used), found))
    (folder.work).mkdir(exist_ok=True)
    folder.write_table("work/used", pd.DataFrame(used, columns=["clip_id", "recording"]))
    return table


def _queries_stage(session: Session, pool: Workers, progress: Progress) -> None:
    folder = session.folder
    todo = [clip_id for clip_id in session.clip_ids if not folder.has_queries(clip_id)]
    _do(pool, _queries_unit, todo, "queries", len(session.clip_ids), progress)


def _points_stage(session: Session, pool: Workers, progress: Progress) -> None:
    folder = session.folder
    n_points = len(session.plan.points)
    todo = [
        index
        for index in range(n_points)
        if not _point_path(folder, index, "consistency").is_file()
    ]
    _do(pool, _points_unit, todo, "scores", n_points, progress)


def _do(
    pool: Workers,
    unit: Callable[[Session, Any], None],
    todo: Sequence[Any],
    stage: str,
    total: int,
    progress: Progress,
) -> None:
    progress(stage, total - len(todo), total)
    for done, _ in enumerate(pool.map(unit, todo), start=total - len(todo) + 1):
        progress(stage, done, total)


# -- between the stages --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Gathered:
    """Effective magnitudes and every status that is not ok, by clip and point."""

    effective: NDArray[np.float64]
    not_ok: Mapping[str, Mapping[tuple[int, int], str]]

    def audio_status(self, point: int) -> list[str]:
        return self.status("", point)

    def status(self, label: str, point: int) -> list[str]:
        marks = self.not_ok.get(label, {})
        return [marks.get((clip, point), OK) for clip in range(len(self.effective))]


def _gather(session: Session) -> _Gathered:
    effective = []
    not_ok: dict[str, dict[tuple[int, int], str]] = {}
    for clip, clip_id in enumerate(session.clip_ids):
        queries = session.folder.read_queries(clip_id)
        if queries is None:
            raise RunError(f"clip '{clip_id}': its shard is missing; give the same command again")
        effective.append(queries.effective)
        rows = {"": queries.status, **{n: v.status for n, v in queries.vectors.items()}}
        for label, status in rows.items():
            for point, text in enumerate(status):
                if text != OK:
                    not_ok.setdefault(label, {})[clip, point] = text
    return _Gathered(np.stack(effective), not_ok)


def _gathered_arrays(session: Session) -> None:
    """Write embeddings/: for every encoder all originals [N, D] and all queries [N, P, D]."""
    folder = session.folder
    for encoder in session.working:
        label = encoder.label
        path = folder.embeddings_path(label)
        if path.is_file():
            continue
        originals = [
            session.original(i, audio=False).vectors[label].array for i in session.clip_ids
        ]
        stacked = np.stack([array[0] for array in originals if array is not None])
        queries = np.full((len(stacked), len(session.plan.points), stacked.shape[1]), np.nan, "f4")
        for clip, clip_id in enumerate(session.clip_ids):
            shard = folder.read_queries(clip_id)
            array = None if shard is None else shard.vectors[label].array
            if array is not None and array.shape == queries.shape[1:]:
                queries[clip] = array
        folder.write_array(folder.embeddings_path(label, of="originals"), stacked)
        folder.write_array(path, queries)
    rows = {
        "clip_id": session.clip_ids,
        "points": [list(point) for point in session.plan.points],
        "axes": ["clip_id", "points", "dimension"],
    }
    import json

    text = json.dumps(rows, indent=1).encode()
    folder.write(folder.root / "embeddings" / "ids.json", lambda file: file.write(text))


def _encoder_at(session: Session, encoder: ResolvedEncoder, index: int) -> EncoderAtPoint:
    label, folder = encoder.label, session.folder
    failure = session.failures.get(label, "")
    if failure:
        status = [failure] * len(session.clip_ids)
        return EncoderAtPoint(
            encoder.name, encoder.task, encoder.trial, None, None, status, failure
        )
    originals = np.load(folder.embeddings_path(label, of="originals"), mmap_mode="r")
    queries = np.load(folder.embeddings_path(label), mmap_mode="r")[:, index]
    status = session.gathered.status(label, index)
    size = originals.shape[1]
    whole = np.isfinite(queries).all(axis=1)
    for clip in np.flatnonzero(~whole):
        if status[clip] == OK:
            status[clip] = f"returned another number of values than the {size} of the originals"
    return EncoderAtPoint(
        encoder.name, encoder.task, encoder.trial, originals, queries, status, failure
    )


def _failures_on_originals(session: Session) -> dict[str, str]:
    """An encoder must embed every original: all are scored on the same clips."""
    failures: dict[str, str] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for clip_id in session.clip_ids:
        for label, found in session.original(clip_id, audio=False).vectors.items():
            if label in failures:
                continue
            text = found.failure or next((s for s in found.status if s != OK), "")
            if text or found.array is None:
                failures[label] = f"{text} (original clip '{clip_id}')"
                continue
            size = found.array.shape[1]
            first, where = sizes.setdefault(label, (size, clip_id))
            if size != first:
                failures[label] = (
                    f"returned {first} values for clip '{where}' and {size} for '{clip_id}': must "
                    "be one embedding_size for all"
                )
    return failures


def _tables(session: Session, progress: Progress) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    folder = session.folder
    indices = range(len(session.plan.points))
    queries = pd.concat(
        [pd.read_parquet(_point_path(folder, index, "queries")) for index in indices],
        ignore_index=True,
    )
    parts = [pd.read_parquet(_point_path(folder, index, "consistency")) for index in indices]
    consistency = pd.concat([*parts, session.scorer.monotonicity(queries)], ignore_index=True)
    return queries, consistency


def _keep_distances(session: Session) -> None:
    folder = session.folder
    shards = [folder.distances_path(clip_id) for clip_id in session.clip_ids]
    for number, name in enumerate(AUDIO_DISTANCES):
        rows = [np.load(path, mmap_mode="r")[number] for path in shards]
        folder.write_array(folder.root / "distances" / f"{name}.npy", np.stack(rows))


def _point_path(folder: RunFolder, index: int, table: str) -> Path:
    return folder.work / "points" / f"{index:03d}.{table}.parquet"


# -- run.json ------------------------------------------------------------------------------------


class _Clock:
    """Adds the wall time of each stage to a table, also over interruptions."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings

    def __call__(self, stage: str) -> _Clock:
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._begun
        self._timings[self._stage] = round(self._timings.get(self._stage, 0.0) + spent, 3)


def _inputs(session: Session, recordings: Iterable[Recording]) -> dict[str, Any]:
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


def _require_same(
    before: Mapping[str, Any], plan: Plan, inputs: Mapping[str, Any], folder: RunFolder
) -> None:
    from nearkin.store import finite

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


def _record(
    session: Session, inputs: Mapping[str, Any], before: Mapping[str, Any] | None
) -> dict[str, Any]:
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
                "status": OK,
            }
            for encoder in session.encoders
        ],
        "grid": session.plan.settings()["grid"],
        "noise": {"name": session.noise.name, "sha256": session.noise.sha256},
        "engine": _engine(session.plan),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES},
        },
    }


def _finished(
    record: Mapping[str, Any], session: Session, clips: pd.DataFrame, timings: Mapping[str, float]
) -> dict[str, Any]:
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


def identical_clips(clips: pd.DataFrame) -> list[list[str]]:
    """Return the groups of usable clips that are the same excerpt of the same content."""
    usable = clips[clips["status"] == OK]
    groups = usable.groupby(["content_sha256", "start_s"])["clip_id"]
    return [sorted(ids) for _, ids in groups if len(ids) > 1]


def _engine(plan: Plan) -> str:
    package = "python-stretch" if plan.engine == "signalsmith" else "pedalboard"
    try:
        return f"{plan.engine} ({package} {metadata.version(package)})"
    except metadata.PackageNotFoundError:
        return plan.engine


def _distinct(encoders: Sequence[ResolvedEncoder]) -> list[ResolvedEncoder]:
    """Number the names of encoders that would otherwise share a label."""
    from dataclasses import replace

    taken: dict[str, int] = {"audio": 1}
    distinct = []
    for encoder in encoders:
        count = taken.get(encoder.label, 0)
        taken[encoder.label] = count + 1
        distinct.append(replace(encoder, name=f"{encoder.name}~{count + 1}") if count else encoder)
    return distinct


def _too_few(n_usable: int, found: Sequence[tuple[str, Original]]) -> str:
    """Say in one sentence why there is nothing to compare."""
    reasons: dict[str, str] = {}
    for _, clip in found:
        if clip.status != OK:
            reasons.setdefault(clip.status, clip.clip_id)
    told = "; ".join(f"'{clip_id}' {status}" for status, clip_id in list(reasons.items())[:4])
    count = "no usable clip" if n_usable == 0 else "one usable clip"
    why = f" ({told})" if told else ""
    return (
        f"{count} among {len(found)}{why}: nothing to compare with; at least 2 are needed, or "
        "--excerpts-per-file 2 for a single long recording"
    )


__all__ = ["EncoderSource", "Here", "Progress", "Session", "identical_clips", "run", "silent"]
