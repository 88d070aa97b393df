"""What joins the shards of a run into what stays: embeddings, tables, distances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from nearkin.distances import AUDIO_DISTANCES
from nearkin.errors import RunError
from nearkin.parquet import read_parquet
from nearkin.runs.failures import candidates
from nearkin.runs.session import Session
from nearkin.runs.shards import AGAIN
from nearkin.runs.spaces import OwnDistances
from nearkin.tables import OK

if TYPE_CHECKING:
    import pandas as pd


def write_embeddings(session: Session) -> None:
    """Write embeddings/: for every encoder all originals [N, D] and all queries [N, P, D].

    What an encoder failed is NaN. They are written anew whenever a run goes on: the shards are what
    is checked.
    """
    folder = session.folder
    for encoder in session.working:
        label = encoder.label
        originals = {
            place: session.original(clip_id, audio=False).vectors[label].array
            for place, clip_id in enumerate(session.clip_ids)
            if place not in session.lost_originals[label]
        }
        size = next(array.shape[1] for array in originals.values() if array is not None)
        stacked = np.full((len(session.clip_ids), size), np.nan, "f4")
        for place, array in originals.items():
            stacked[place] = np.nan if array is None else array[0]
        queries = np.full((len(stacked), len(session.plan.points), stacked.shape[1]), np.nan, "f4")
        for clip, clip_id in enumerate(session.clip_ids):
            shard = session.asked.read_queries(clip_id)
            if shard is None:
                raise RunError(f"clip '{clip_id}': its shard is missing or damaged; {AGAIN}")
            array = shard.vectors[label].array
            if array is not None and array.shape == queries.shape[1:]:
                queries[clip] = array
        folder.write_array(folder.embeddings_path(label, of="originals"), stacked)
        folder.write_array(folder.embeddings_path(label), queries)
    rows = {
        "clip_id": session.clip_ids,
        "points": [list(point) for point in session.plan.points],
        "axes": ["clip_id", "points", "dimension"],
    }
    text = json.dumps(rows, indent=1).encode()
    folder.write(folder.root / "embeddings" / "ids.json", lambda file: file.write(text))


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
            rows = read_parquet(session.asked.point_path(index, "queries"))
            # A column that is empty at one point (no query could be made) has no type of its own.
            schema: pa.Schema | None = None if writer is None else writer.schema
            table = pa.Table.from_pandas(rows, schema, preserve_index=False)
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
        read_parquet(session.asked.point_path(index, "consistency"))
        for index in range(len(session.plan.points))
    ]
    monotonicity = session.scorer.monotonicity(moved)
    consistency = pd.concat([*parts, monotonicity], ignore_index=True)
    folder.write_table("consistency", consistency, csv=True)
    return pd.concat(lost, ignore_index=True)


def _moved(rows: pd.DataFrame) -> list[OwnDistances]:
    """Return how far every clip was moved at one point, from its rows of queries.parquet."""
    keys = ["encoder", "task", "trial", "space", "distance"]
    found = []
    for key, part in rows.groupby(keys, sort=False):
        d_own = part["d_own"].to_numpy(np.float64)
        asked = part["error"].notna().to_numpy(bool)
        told = part.loc[part["status"] != OK, "status"]
        found.append(
            OwnDistances(
                *cast("tuple[str, str, int, str, str]", key),
                d_own=d_own,
                failed=asked & np.isnan(d_own),
                asked=asked,
                reason=str(told.iloc[0]) if len(told) else "",
            )
        )
    return found


def keep_audio_distances(session: Session) -> None:
    """Write distances/: for every audio distance [clip, point, original], float32."""
    folder = session.folder
    shards = [session.asked.distances_path(clip_id) for clip_id in session.clip_ids]
    n = len(shards)
    for number, name in enumerate(AUDIO_DISTANCES):
        rows = [np.load(path, mmap_mode="r")[number] for path in shards]
        if any(row.shape[1] != n for row in rows):
            raise RunError(
                f"{folder.root}: was begun without --keep-distances; start anew with --force"
            )
        folder.write_array(folder.root / "distances" / f"{name}.npy", np.stack(rows))
