"""Clips out, embeddings in: for encoders that cannot be called from here.

`export` writes every clip under every transformation as a sound file, with ``manifest.csv`` (a row
a file: ``path``, ``clip_id``, ``transformation``, ``magnitude``, ``effective_magnitude``,
``status``) and ``export.json`` (the settings, and where the music lay). `imported` turns embeddings
of these files into an ordinary run over the same music, by the same engine.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin import audio
from nearkin.corpora.collect import collect
from nearkin.errors import InputError, NearkinError
from nearkin.files import file_name, finite
from nearkin.progress import Progress
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import EncoderChoice, Plan, changed_settings
from nearkin.runs.queries import transformed
from nearkin.runs.record import inputs_of
from nearkin.runs.session import Session
from nearkin.runs.sources import EncoderSource
from nearkin.runs.stages import originals_stage
from nearkin.tables import OK
from nearkin.transforms.grids import Grid, Point
from nearkin.workers import open_workers

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, SETTINGS, SHARDS, SOUNDS = "manifest.csv", "export.json", ".shards", "audio"
COLUMNS = ("path", "clip_id", "transformation", "magnitude", "effective_magnitude", "status")


class _ExportSession(Session):
    """A session without encoders, whose units write sound files."""

    def __init__(self, plan: Plan, root: Path, out: Path, sample_rate: int) -> None:
        super().__init__(plan, root, ())
        self.out = out
        self.sample_rate = sample_rate

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "out": self.out, "sample_rate": self.sample_rate}


def export(
    plan: Plan,
    recordings: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    sample_rate: int,
    workers: int,
    progress: Progress,
    force: bool = False,
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

    found = collect(recordings, split=plan.split, out=out)
    shards = RunFolder(out / SHARDS)
    session = _ExportSession(plan, shards.root, out, sample_rate)
    settings = finite(
        {
            "nearkin": metadata.version("nearkin"),
            "plan": {**plan.settings(), "encoders": []},
            "sample_rate": sample_rate,
            "inputs": inputs_of(session, found),
            "recordings": [os.fspath(Path(path).absolute()) for path in recordings],
        }
    )
    if _is_done(out, settings, force=force):
        return pd.read_csv(out / MANIFEST, keep_default_na=False)
    shards.claim()
    with open_workers(session, workers=workers) as pool:
        originals_stage(session, pool, found, progress)
        done = 0
        progress("clips", done, len(session.clip_ids))
        for _ in pool.map(_clip_unit, session.clip_ids):
            done += 1
            progress("clips", done, len(session.clip_ids))
    rows = [row for clip_id in session.clip_ids for row in _rows(session, clip_id) or ()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    text = table.to_csv(index=False, lineterminator="\n").encode()
    shards.write(out / MANIFEST, lambda file: file.write(text))
    described = json.dumps(settings, indent=2, allow_nan=False).encode()
    # written last: it is what marks the export as done
    shards.write(out / SETTINGS, lambda file: file.write(described + b"\n"))
    shutil.rmtree(shards.root, ignore_errors=True)
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
    settings = _read_settings(manifest)
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
            f"{manifest}: the music it was made from is not where it was: {error}"
        ) from error
    before = settings["inputs"]["audio"]
    after = finite(inputs_of(Session(plan, manifest.parent, ()), now))["audio"]
    if before != after:
        changed = sorted(
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        )
        raise InputError(
            f"{manifest}: the music it was made from has changed ({len(changed)} files, such as "
            f"'{changed[0]}'); export it anew"
        )
    return plan, recordings, sources


def plan_of(settings: Mapping[str, Any], encoders: tuple[EncoderChoice, ...]) -> Plan:
    """Rebuild a plan from `Plan.settings`, with other encoders."""
    values = dict(settings)
    grid = values.pop("grid")
    points = tuple(Point(str(code), float(magnitude)) for code, magnitude in grid["points"])
    return Plan(**{**values, "grid": Grid(grid["name"], points), "encoders": encoders})


def _clip_unit(session: _ExportSession, clip_id: str) -> None:
    """Write all versions of one clip, then the rows that say so."""
    if _rows(session, clip_id) is not None:
        return
    plan, original = session.plan, session.original(clip_id)
    rows = []
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
        y = audio.resample(version.heard, from_sr=plan.working_rate, to_sr=session.sample_rate)
        name = f"{point.code}_{point.magnitude:g}.wav"
        path = session.out / SOUNDS / file_name(clip_id.replace("/", "_")) / name
        session.folder.write(path, functools.partial(_write_wav, y=y, sr=session.sample_rate))
        row["path"] = path.relative_to(session.out).as_posix()
        row["effective_magnitude"] = float(version.effective_magnitude)
        rows.append(row)
    text = json.dumps(rows).encode()
    session.folder.write(_rows_path(session, clip_id), lambda file: file.write(text))


def _write_wav(file: Any, *, y: np.ndarray[Any, Any], sr: int) -> None:
    import soundfile

    soundfile.write(file, y, sr, format="WAV", subtype="FLOAT")


def _rows_path(session: _ExportSession, clip_id: str) -> Path:
    return session.shards.queries_path(clip_id).with_suffix(".json")


def _rows(session: _ExportSession, clip_id: str) -> list[dict[str, Any]] | None:
    try:
        rows: list[dict[str, Any]] = json.loads(_rows_path(session, clip_id).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return rows


def _is_done(out: Path, settings: Mapping[str, Any], *, force: bool) -> bool:
    """Tell whether the export is there; refuse a folder that holds something else."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; name a folder")
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if there - {MANIFEST, SETTINGS, SHARDS, SOUNDS}:
        raise InputError(
            f"--out {out}: holds something that is no nearkin export; name another folder"
        )
    if force:
        for name in there & {SHARDS, SOUNDS}:
            shutil.rmtree(out / name, ignore_errors=True)
        for name in there & {MANIFEST, SETTINGS}:
            (out / name).unlink()
        return False
    if SETTINGS not in there:
        return False
    before = _read_settings(out / MANIFEST)
    changed = changed_settings(before["plan"], settings["plan"])
    changed += [
        name for name in ("sample_rate", "inputs", "recordings") if before[name] != settings[name]
    ]
    if changed:
        raise InputError(
            f"--out {out}: holds an export with other settings: {'; '.join(changed)}; name "
            "another folder, or start anew with --force"
        )
    return True


def _read_settings(manifest: Path) -> dict[str, Any]:
    path = manifest.parent / SETTINGS
    try:
        settings: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{manifest}: no {SETTINGS} lies beside it; give the manifest.csv that nearkin export "
            "wrote, in its folder"
        ) from error
    if not manifest.is_file():
        raise InputError(f"{manifest}: no such file; check the path")
    return settings
