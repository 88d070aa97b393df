"""``embeddings:FILE.parquet``: vectors that were computed elsewhere, by anybody, in any language.

The file has a row a clip and transformation: ``clip_id``, ``transformation`` (``OG`` for the
original), ``magnitude``, and the vector either as one column of lists (``embedding``) or as
numbered columns, ``v0`` to ``vN``; the option ``columns`` names others. Of clips that ``nearkin
export`` wrote it may instead have ``path``, or be an array in ``.npy`` or ``.npz`` with a row for
each row of the manifest (the option ``manifest``).
Loading any of them runs no code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import sha256_file
from nearkin.corpora.manifest_table import place_of, read_texts
from nearkin.encoders.identity import joined
from nearkin.encoders.kinds.arrays import read_array
from nearkin.encoders.kinds.columns import vectors_of
from nearkin.encoders.protocol import Handling, Key, ResolvedEncoder, pool
from nearkin.errors import InputError, printable
from nearkin.parquet import read_parquet

if TYPE_CHECKING:
    import pandas as pd

KEY_COLUMNS = ("clip_id", "transformation", "magnitude")
_AGAIN = "give the manifest.csv that nearkin export wrote"


class TableEncoder:
    """Looks vectors up by clip, transformation and magnitude instead of computing them."""

    def __init__(
        self, rows: dict[Key, int], vectors: NDArray[np.float32], *, sample_rate: int
    ) -> None:
        self.rows = rows
        self.vectors = vectors
        self.sample_rate = sample_rate
        self.embedding_size = vectors.shape[1]

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[np.float32]:
        """Return the vectors of `keys`, float32[batch, embedding_size]; the audio is not used."""
        missing = [key for key in keys if key not in self.rows]
        if missing:
            key = missing[0]
            raise InputError(
                f"the embeddings file has no row for clip '{key.clip_id}' at "
                f"{key.transformation} {key.magnitude:g}"
            )
        return self.vectors[[self.rows[key] for key in keys]]


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Resolve ``embeddings:FILE.parquet``.

    Raises
    ------
    InputError
        If the file cannot be read, misses a column, or holds a row twice.
    """
    unknown = options.keys() - {"manifest", "name", "columns"}
    if unknown:
        raise InputError(
            f"encoder '{spec}': unknown option '{min(unknown)}'; known are manifest, name and "
            "columns"
        )
    path = Path(spec.removeprefix("embeddings:"))
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    manifest = Path(options["manifest"]) if "manifest" in options else None
    if path.suffix.lower() in (".npy", ".npz"):
        table, vectors = _from_arrays(path, manifest, spec)
        if vectors.ndim == 3:
            vectors = pool(vectors, how=handling.pool)
        taken = ""
    else:
        table = _from_parquet(path, manifest, spec)
        vectors, taken = vectors_of(
            table,
            keys=(*KEY_COLUMNS, "path"),
            chosen=options.get("columns"),
            how=handling.pool,
            spec=spec,
        )
    keys = _keys(table, spec)
    return ResolvedEncoder(
        name=str(options.get("name", path.stem)),
        spec=spec,
        matched=f"a table of embeddings: {len(keys)} rows, {vectors.shape[1]} values"
        + (f" ({taken})" if taken else ""),
        encoder=TableEncoder(keys, vectors, sample_rate=handling.rate),
        # what a row stands for is the manifest's to say
        sha256=joined(sha256_file(path), sha256_file(manifest) if manifest else ""),
    )


def _from_arrays(
    path: Path, manifest: Path | None, spec: str
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Read .npy or .npz whose rows are those of a manifest, in its order."""
    if manifest is None:
        raise InputError(
            f"encoder '{spec}': an array has no names for its rows; use nearkin score --manifest "
            f"manifest.csv --embeddings {path}"
        )
    table = _manifest(manifest, spec)
    usable = table[table["status"] == "ok"]

    def fits(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        rows = {len(table), len(usable)}
        wrong = len(shape) not in (2, 3) or shape[0] not in rows or min(shape) < 1
        if wrong or dtype.kind not in "fiu":
            raise InputError(
                f"encoder '{spec}': holds {dtype} of shape {list(shape)}: must be numbers "
                f"[{len(table)}, D] or [{len(table)}, time, D], a row for each row of {manifest}"
            )

    found = read_array(path, spec=spec, fits=fits)
    return (usable if len(found) < len(table) else table), found.astype(np.float32)


def _from_parquet(path: Path, manifest: Path | None, spec: str) -> pd.DataFrame:
    import pyarrow as pa

    try:
        table = read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(
            f"encoder '{spec}': {path} is no Parquet file ({text}); write it with pandas' "
            "to_parquet"
        ) from error
    if {*KEY_COLUMNS, "path"} & set(table.index.names):
        table = table.reset_index()
    table.columns = [str(column) for column in table.columns]
    if not table.columns.is_unique:
        twice = next(iter(table.columns[table.columns.duplicated()]))
        raise InputError(f"encoder '{spec}': column '{twice}' is there twice; keep one")
    if manifest is not None and "path" in table.columns and "clip_id" not in table.columns:
        known = _manifest(manifest, spec)[["path", *KEY_COLUMNS]]
        if table["path"].isna().any():
            row = int(table["path"].isna().to_numpy().argmax())
            raise InputError(f"encoder '{spec}': row {row} has no path; keep the manifest's paths")
        strange = set(table["path"].astype(str)) - set(known["path"])
        if strange:
            raise InputError(
                f"encoder '{spec}': path '{min(strange)}' is not in {manifest}; keep the "
                "manifest's paths"
            )
        table = table.merge(known, on="path").drop(columns="path")
    return table


def _manifest(path: Path, spec: str) -> pd.DataFrame:
    """Read the manifest of an export: its key columns, ``path`` and ``status``, each cell held."""
    table = read_texts(path)
    missing = sorted({*KEY_COLUMNS, "path", "status"} - set(table.columns))
    if missing:
        raise InputError(
            f"encoder '{spec}': {printable(path)} has no column '{missing[0]}'; {_AGAIN}"
        )
    magnitudes = []
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        where = place_of(path, table, number)
        ok = row["status"] == "ok"
        for name in ("clip_id", "transformation", "status", *(["path"] if ok else [])):
            if not row[name]:
                raise InputError(f"{where}: has no {name}: must be there; {_AGAIN}")
        try:
            found = float(row["magnitude"] or ("nan" if row["transformation"] != "OG" else "0"))
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            told = printable(repr(row["magnitude"])[:60])
            raise InputError(f"{where}: magnitude {told}: must be a number; {_AGAIN}")
        magnitudes.append(found)
    return table.assign(magnitude=magnitudes).reset_index(drop=True)


def _keys(table: pd.DataFrame, spec: str) -> dict[Key, int]:
    """Return the row of every clip, transformation and magnitude; each is known, and there once."""
    missing = [column for column in KEY_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(
            f"encoder '{spec}': column {missing[0]} is missing; needed are clip_id, "
            "transformation, magnitude and embedding (or a numbered column a dimension)"
        )
    rows: dict[Key, int] = {}
    for index, cells in enumerate(table[list(KEY_COLUMNS)].itertuples(index=False, name=None)):
        key = _key(cells, f"encoder '{spec}': row {index}")
        if key in rows:
            raise InputError(
                f"encoder '{spec}': clip '{key.clip_id}' at {key.transformation} "
                f"{key.magnitude:g} has two rows; keep one"
            )
        rows[key] = index
    return rows


def _key(cells: tuple[Any, Any, Any], where: str) -> Key:
    clip, code, magnitude = cells
    for name, cell in (("clip_id", clip), ("transformation", code)):
        if _is_null(cell):
            raise InputError(f"{where} has no {name}; fill it in")
    if _is_null(magnitude):
        if str(code) == "OG":  # the original has none
            return Key(str(clip), "OG", 0.0)
        raise InputError(f"{where} (clip '{clip}', {code}) has no magnitude; fill it in")
    try:
        return Key(str(clip), str(code), float(magnitude))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} (clip '{clip}', {code}): magnitude {magnitude!r}: must be a number"
        ) from error


def _is_null(cell: Any) -> bool:
    return cell is None or type(cell).__name__ == "NAType" or bool(cell != cell)
