"""The stages of a run: originals, queries, scores. Units that leave shards, and what joins them.

Each stage is a list of units, done in any order by any number of workers; a unit whose shard is
there is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nearkin.corpora.recordings import Recording
from nearkin.distances import AUDIO_DISTANCES
from nearkin.encoders import ResolvedEncoder
from nearkin.errors import InputError, RunError
from nearkin.progress import Progress
from nearkin.runs.clips import Original
from nearkin.runs.failures import candidates
from nearkin.runs.folder import RunFolder, clip_row
from nearkin.runs.originals import originals
from nearkin.runs.queries import queries
from nearkin.runs.session import Session
from nearkin.runs.spaces import AudioAtPoint, EncoderAtPoint, Moved, Space
from nearkin.seeds import stream
from nearkin.tables import OK
from nearkin.workers import Workers

if TYPE_CHECKING:
    import pandas as pd


def _originals_unit(session: Session, recording: Recording) -> None:
    clips = originals(session.plan, recording, session.encoders)
    session.folder.write_originals(recording.name, clips)


def _queries_unit(session: Session, clip_id: str) -> None:
    found = queries(
        session.plan,
        session.original(clip_id),
        session.space,
        session.working,
        noise=session.noise,
        own=session.place[clip_id],
        columns=session.columns(clip_id),
    )
    session.folder.write_queries(clip_id, found)


def _points_unit(session: Session, index: int) -> None:
    folder, gathered = session.folder, session.gathered
    pairs = _audio_pairs(session, index)
    spaces = [
        Space(name, gathered.audio(number, index), pairs[number])
        for number, name in enumerate(AUDIO_DISTANCES)
    ]
    audio = AudioAtPoint(spaces, gathered.effective[:, index], gathered.audio_status(index))
    encoders = [_encoder_at(session, encoder, index) for encoder in session.encoders]
    queries, consistency = session.scorer.point(session.plan.points[index], audio, encoders)
    folder.write(_point_path(folder, index, "queries"), lambda file: queries.to_parquet(file))
    # written last: it is what marks the point as done
    folder.write(
        _point_path(folder, index, "consistency"), lambda file: consistency.to_parquet(file)
    )


def _audio_pairs(session: Session, index: int) -> NDArray[np.float32]:
    """Return the audio distances between the drawn clips at one point, [distance, M, M]."""
    rows = []
    for clip in session.drawn:
        kept = np.load(session.folder.distances_path(session.clip_ids[clip]), mmap_mode="r")
        row = kept[:, index]
        rows.append(row if row.shape[1] == len(session.drawn) else row[:, session.drawn])
    return np.stack(rows, axis=1)


def originals_stage(
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


def queries_stage(session: Session, pool: Workers, progress: Progress) -> None:
    """Transform every usable clip and measure it against all originals."""
    folder = session.folder
    todo = [clip_id for clip_id in session.clip_ids if not folder.has_queries(clip_id)]
    _do(pool, _queries_unit, todo, "queries", len(session.clip_ids), progress)


def points_stage(session: Session, pool: Workers, progress: Progress) -> None:
    """Score every point of the grid."""
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


def write_embeddings(session: Session) -> None:
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


def write_tables(session: Session) -> pd.DataFrame:
    """Join the points' rows into queries.parquet and consistency.parquet.

    Queries are passed on point by point, so that their table never has to fit into memory.

    Returns
    -------
    pandas.DataFrame
        The errors from which the failures worth hearing are chosen: of every encoder, distance and
        point those with the highest ranks.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = session.folder
    lost: list[pd.DataFrame] = []
    moved = []

    def pass_on(file: BinaryIO) -> None:
        writer = None
        for index, point in enumerate(session.plan.points):
            rows = pd.read_parquet(_point_path(folder, index, "queries"))
            table = pa.Table.from_pandas(rows, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
            lost.append(candidates(rows))
            if index:
                effective = float(np.nanmedian(session.gathered.effective[:, index]))
                moved.append((point, effective, _moved(rows)))
        if writer is not None:
            writer.close()

    folder.write(folder.root / "queries.parquet", pass_on)
    parts = [
        pd.read_parquet(_point_path(folder, index, "consistency"))
        for index in range(len(session.plan.points))
    ]
    monotonicity = session.scorer.monotonicity(moved)
    consistency = pd.concat([*parts, monotonicity], ignore_index=True)
    folder.write_table("consistency", consistency, csv=True)
    return pd.concat(lost, ignore_index=True)


def _moved(rows: pd.DataFrame) -> list[Moved]:
    keys = ["encoder", "task", "trial", "space", "distance"]
    return [
        Moved(*cast("tuple[str, str, int, str, str]", key), part["d_own"].to_numpy(np.float64))
        for key, part in rows.groupby(keys, sort=False)
    ]


def keep_audio_distances(session: Session) -> None:
    """Write distances/: for every audio distance [clip, point, original], float32."""
    folder = session.folder
    shards = [folder.distances_path(clip_id) for clip_id in session.clip_ids]
    n = len(shards)
    for number, name in enumerate(AUDIO_DISTANCES):
        rows = [np.load(path, mmap_mode="r")[number] for path in shards]
        if any(row.shape[1] != n for row in rows):
            raise RunError(
                f"{folder.root}: was begun without --keep-distances; start anew with --force"
            )
        folder.write_array(folder.root / "distances" / f"{name}.npy", np.stack(rows))


def _point_path(folder: RunFolder, index: int, table: str) -> Path:
    return folder.work / "points" / f"{index:03d}.{table}.parquet"


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
