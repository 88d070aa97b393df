"""Clips out, embeddings in: for encoders that cannot be called from here.

`export` writes every clip under every transformation as a sound file, with ``manifest.csv`` (a row
a file: ``path``, ``clip_id``, ``transformation``, ``magnitude``, ``effective_magnitude``,
``status``) and ``export.json`` (the settings, and where the music lay). `imported` turns embeddings
of these files into an ordinary run over the same music, by the same engine.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nearkin import audio
from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Recording
from nearkin.errors import InputError, NearkinError, printable
from nearkin.files import file_name, finite, sealed, sha256_of, write_whole
from nearkin.lease import leased
from nearkin.ownership import OwnFolder
from nearkin.progress import Progress, Tell, unsaid
from nearkin.runs.plan import EncoderChoice, Plan, changed_settings, make_plan
from nearkin.runs.queries import forget_sounds, need_packages, sound_paths, transformed
from nearkin.runs.record import audio_differences, changed_audio, content_of, inputs_of
from nearkin.runs.schema import read_export
from nearkin.runs.session import Session
from nearkin.runs.shards import clear_shards, sweep_shards
from nearkin.runs.sources import EncoderSource, refuse_shared_ids
from nearkin.runs.stages import originals_stage
from nearkin.tables import OK
from nearkin.transforms.chains import chain_of
from nearkin.transforms.grids import Grid, Point
from nearkin.workers import open_workers

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, SETTINGS, SHARDS, SOUNDS = "manifest.csv", "export.json", ".shards", "audio"
COLUMNS = ("path", "clip_id", "transformation", "magnitude", "effective_magnitude", "status")


@dataclass(frozen=True)
class Export:
    """State that each worker needs to write clips.

    Attributes
    ----------
    session : Session
        Without encoders; its shards hold the originals.
    out : Path
        The export's folder.
    sample_rate : int
        Rate of the files in Hz.
    """

    session: Session
    out: Path
    sample_rate: int


def export(
    plan: Plan,
    recordings: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    sample_rate: int,
    workers: int,
    progress: Progress,
    force: bool = False,
    made_from: Sequence[Path] = (),
    tell: Tell = unsaid,
) -> pd.DataFrame:
    """Write the transformed clips of a run as float32 WAV files, and their manifest.

    Parameters
    ----------
    plan : Plan
        The run; its encoders do not matter.
    recordings : sequence of paths
        Files, folders and manifests.
    out : Path
        A new folder, or one that an interrupted export left.
    sample_rate : int
        Rate of the files in Hz.
    workers : int
        Processes.
    progress : callable
        Told of the stages ``"originals"`` and ``"clips"``.
    force : bool
        Start anew where `out` holds another export.
    made_from : sequence of Path
        What else it is made from, such as the grid's file: the folder may hold none of it.
    tell : callable
        Told in a sentence that nothing was computed, or what was damaged.

    Returns
    -------
    pandas.DataFrame
        The manifest: a row for every clip and point; `path` is empty where `status` is not ok.

    Raises
    ------
    InputError
        If the audio or the folder cannot be used, or the folder holds another export.
    """
    import pandas as pd

    need_packages(plan)
    owned = OwnFolder(out, "export", (MANIFEST, SETTINGS, SHARDS, SOUNDS))
    given = [*map(Path, recordings), *sound_paths(plan), *made_from]
    owned.decide(given)
    found = collect(recordings, split=plan.split, out=out)
    refuse_shared_ids(plan, found)
    owned.claim([*given, *(recording.path for recording in found)])
    with leased(out):
        forget_sounds()
        session = Session(plan, out / SHARDS, ())
        settings = {
            "nearkin": metadata.version("nearkin"),
            "plan": {**plan.settings(), "encoders": []},
            "sample_rate": sample_rate,
            "recordings": [os.fspath(Path(path).absolute()) for path in recordings],
        }
        inputs = inputs_of(session, found)
        if not force and (out / SETTINGS).is_file():
            before = read_export(out / SETTINGS)
            _require_same(out, before, settings, inputs, found)
            damaged = _damaged(out, before)
            if not damaged:
                tell(f"{printable(out)}: exported before, nothing was computed")
                return pd.read_csv(out / MANIFEST, keep_default_na=False)
            tell(
                f"{printable(out)}: {len(damaged)} files were changed or damaged after they were "
                f"written, such as {damaged[0]}; they are made again"
            )
        if force:
            _clear(owned)
        (out / SHARDS).mkdir(exist_ok=True)
        owned.own(out / SHARDS)
        sweep_shards(out / SHARDS)
        session = session.bound(_of(settings, inputs))
        _forget_changed(session, found)
        work = Export(session, out, sample_rate)
        with open_workers(session, workers=workers) as pool:
            _, heard = originals_stage(session, pool, found, progress)
        owned.own(*(_sound(work, i, p) for i in session.clip_ids for p in plan.points))
        with open_workers(work, workers=workers) as pool:
            done = 0
            progress("clips", done, len(session.clip_ids))
            for _ in pool.map(_clip_unit, session.clip_ids):
                done += 1
                progress("clips", done, len(session.clip_ids))
        rows = [row for clip_id in session.clip_ids for row in _rows(work, clip_id) or ()]
        table = pd.DataFrame(rows, columns=COLUMNS)
        text = table.to_csv(index=False, lineterminator="\n").encode()
        described = finite({**settings, "inputs": inputs_of(session, found, heard)})
        described["manifest_sha256"] = hashlib.sha256(text).hexdigest()
        sounds = [row["path"] for row in rows if row["path"]]
        described["files"] = {name: sha256_of(out / name) for name in sounds}
        for name, content in (
            (MANIFEST, text),
            # written last: it is what marks the export as done
            (SETTINGS, json.dumps(sealed(described), indent=2, allow_nan=False).encode() + b"\n"),
        ):
            owned.own(out / name)
            write_whole(out / name, functools.partial(_put, content))
        written = {out / name for name in sounds}
        old = [out / name for name in owned.names() or () if name.startswith(f"{SOUNDS}/")]
        owned.delete(path for path in old if path.is_file() and path not in written)
        clear_shards(session.shards.work)
        owned.delete([out / SHARDS])
    return table


def imported(
    manifest: Path, embeddings: Sequence[Path], *, names: Sequence[str] = ()
) -> tuple[Plan, list[str], list[EncoderSource]]:
    """Turn embeddings of exported clips into a plan, its audio and its encoders.

    Parameters
    ----------
    manifest : Path
        ``manifest.csv`` of an export.
    embeddings : sequence of Path
        ``.npy``, ``.npz`` or ``.parquet`` files; see `nearkin.encoders.kinds.vectors`.
    names : sequence of str
        What the tables call them; the files' names by default.

    Returns
    -------
    plan, audio, sources
        What `nearkin.runs.run.run` takes.

    Raises
    ------
    InputError
        If the export or the music it was made from is not there, or the music changed.
    """
    if names and len(names) != len(embeddings):
        raise InputError(f"{len(names)} names for {len(embeddings)} files of embeddings")
    if not manifest.is_file():
        raise InputError(f"{printable(manifest)}: no such file; check the path")
    settings = read_export(manifest.parent / SETTINGS)
    recordings = list(settings["recordings"])
    options = []
    for index in range(len(embeddings)):
        option = {"manifest": os.fspath(manifest)}
        options.append({**option, "name": names[index]} if names else option)
    sources = [
        EncoderSource(f"embeddings:{path}", option)
        for path, option in zip(embeddings, options, strict=True)
    ]
    choices = tuple(
        EncoderChoice(spec=str(source.spec), options=json.dumps(source.options, sort_keys=True))
        for source in sources
    )
    if len(set(choices)) < len(choices):
        raise InputError("a file of embeddings was given twice; name it once")
    plan = plan_of(settings["plan"], choices)
    try:
        now = collect(recordings, split=plan.split)
    except InputError as error:
        raise InputError(
            f"{printable(manifest)}: the music it was made from is not where it was: {error}"
        ) from error
    changed = audio_differences(settings["inputs"]["audio"], now, {})
    names = sorted(name for names in changed.values() for name in names)
    if names:
        raise InputError(
            f"{printable(manifest)}: the music it was made from has changed ({len(names)} files "
            f"{' or '.join(changed)}, such as '{names[0]}'); export it anew"
        )
    return plan, recordings, sources


def plan_of(settings: Mapping[str, Any], encoders: tuple[EncoderChoice, ...]) -> Plan:
    """Rebuild a plan from `Plan.settings`, with other encoders.

    Raises
    ------
    InputError
        If they are none, which a changed export.json may bring about.
    """
    values = dict(settings)
    grid = values.pop("grid", None)
    try:
        points = tuple(Point(str(code), float(magnitude)) for code, magnitude in grid["points"])
        chains = tuple(chain_of(record) for record in grid.get("chains", ()))
        known = Grid(str(grid["name"]), points, chains)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("'plan.grid' must hold a name and points; export anew") from error
    return make_plan({**values, "grid": known, "encoders": encoders})


def _clip_unit(work: Export, clip_id: str) -> None:
    """Write all versions of one clip, then the rows that say so."""
    if _rows(work, clip_id) is not None:
        return
    session = work.session
    plan, original = session.plan, session.original(clip_id)
    rows, sha256 = [], {}
    for point in plan.points:
        row = {
            "path": "",
            "clip_id": clip_id,
            "transformation": point.code,
            "magnitude": point.magnitude,
            "effective_magnitude": point.magnitude,
            "status": OK,
        }
        try:
            version = transformed(plan, original, point, noise=session.noise)
        except NearkinError as error:
            rows.append({**row, "status": " ".join(str(error).split())})
            continue
        y = audio.resample(version.heard, from_sr=plan.working_rate, to_sr=work.sample_rate)
        path = _sound(work, clip_id, point)
        write_whole(path, functools.partial(write_wav, y=y, sr=work.sample_rate))
        row["path"] = path.relative_to(work.out).as_posix()
        row["effective_magnitude"] = float(version.effective_magnitude)
        sha256[row["path"]] = sha256_of(path)
        rows.append(row)
    session.asked.write(_rows_path(work, clip_id), {"rows": rows, "sha256": sha256}, {})


def _sound(work: Export, clip_id: str, point: Point) -> Path:
    """Return where one version of a clip is written: names that no two clips share."""
    return work.out / SOUNDS / file_name(clip_id) / f"{point.code}_{_exact(point.magnitude)}.wav"


def _exact(magnitude: float) -> str:
    """Write a magnitude so that no two are written alike."""
    short = f"{magnitude:g}"
    return short if float(short) == magnitude else repr(magnitude)


def write_wav(file: Any, *, y: np.ndarray[Any, Any], sr: int) -> None:
    """Write a signal as a WAV file of its own type, without a clock in its header."""
    from scipy.io import wavfile  # libsndfile would put the time of writing into the header

    wavfile.write(file, sr, y)


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _rows_path(work: Export, clip_id: str) -> Path:
    return work.session.asked.queries_path(clip_id)


def _rows(work: Export, clip_id: str) -> list[dict[str, Any]] | None:
    """Return the rows of a clip whose files are all there, whole."""
    found = work.session.asked.read(_rows_path(work, clip_id), clip_id)
    if found is None:
        return None
    notes = found[0]
    if any(sha256_of(work.out / name) != sha256 for name, sha256 in notes["sha256"].items()):
        return None
    rows: list[dict[str, Any]] = notes["rows"]
    return rows


def _of(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Return what an export's shards are of: its settings, and the content of its recordings."""
    told = json.dumps(finite({**settings, "inputs": inputs}), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _clear(owned: OwnFolder) -> None:
    """Delete an export, as far as nearkin wrote it; its settings, which mark it as done, first."""
    clear_shards(owned.root / SHARDS / "work")
    names = sorted(owned.names() or (), key=lambda name: (name != SETTINGS, name))
    owned.delete(owned.root / name for name in names)


def _forget_changed(session: Session, recordings: Sequence[Recording]) -> None:
    """Delete the shards of recordings whose content has changed since."""
    for recording in recordings:
        clips = session.shards.read_originals(recording.name, audio=False)
        if any(clip.content_sha256 != content_of(recording.path) for clip in clips or ()):
            session.shards.originals_path(recording.name).unlink(missing_ok=True)


def _require_same(
    out: Path,
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    found: Sequence[Recording],
) -> None:
    """Refuse a folder that holds another export."""
    now = finite(settings)
    changed = changed_settings(before["plan"], now["plan"])
    changed += [name for name in ("sample_rate", "recordings") if before[name] != now[name]]
    changed += [
        f"{name} (was {before['inputs'].get(name)}, now {value})"
        for name, value in finite(inputs).items()
        if name != "audio" and before["inputs"].get(name) != value
    ]
    changed += changed_audio(before["inputs"]["audio"], found, {})
    if changed:
        raise InputError(
            f"--out {printable(out)}: holds an export with other settings: {'; '.join(changed)}; "
            "name another folder, or start anew with --force"
        )


def _damaged(out: Path, before: Mapping[str, Any]) -> list[str]:
    """Return the files of an export that are gone, or not as they were written."""
    files = {MANIFEST: before.get("manifest_sha256"), **before.get("files", {})}
    return [name for name, sha256 in files.items() if sha256_of(out / name) != sha256]
