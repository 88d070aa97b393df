"""``embeddings:FILE.parquet``: vectors that were computed elsewhere, by anybody, in any language.

The file has a row a clip and transformation: ``clip_id``, ``transformation`` (``OG`` for the
original), ``magnitude``, and the vector either as one list column ``embedding`` or as one numeric
column a dimension. Of clips that ``nearkin export`` wrote it may instead have ``path``, or be
an array in ``.npy`` or ``.npz`` with a row for each row of the manifest (the option ``manifest``).
Loading any of them runs no code.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Handling, Key, ResolvedEncoder, pool
from nearkin.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

KEY_COLUMNS = ("clip_id", "transformation", "magnitude")


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
    unknown = options.keys() - {"manifest", "name"}
    if unknown:
        raise InputError(
            f"encoder '{spec}': unknown option '{min(unknown)}'; known are manifest and name"
        )
    path = Path(spec.removeprefix("embeddings:"))
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    manifest = Path(options["manifest"]) if "manifest" in options else None
    if path.suffix.lower() in (".npy", ".npz"):
        table, vectors = _from_arrays(path, manifest, spec)
        if vectors.ndim == 3:
            vectors = pool(vectors, how=handling.pool)
    else:
        table = _from_parquet(path, manifest, spec)
        vectors = _vectors(table, spec)
    name = str(options.get("name", path.stem))
    return _looked_up(table, vectors, path, spec=spec, name=name, rate=handling.sample_rate)


def _from_arrays(
    path: Path, manifest: Path | None, spec: str
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Read .npy or .npz whose rows are those of a manifest, in its order."""
    if manifest is None:
        raise InputError(
            f"encoder '{spec}': an array has no names for its rows; use nearkin score --manifest "
            f"manifest.csv --embeddings {path}"
        )
    try:
        found: Any = np.load(path, allow_pickle=False)
        if path.suffix.lower() == ".npz":
            with found:
                names = list(found.files)
                if len(names) > 1 and "embeddings" not in names:
                    raise InputError(
                        f"encoder '{spec}': holds the arrays {', '.join(names)}: call the one "
                        "that counts 'embeddings'"
                    )
                found = found["embeddings" if "embeddings" in names else names[0]]
    except (OSError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"encoder '{spec}': {path} cannot be read ({error})") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"encoder '{spec}': {path} is no plain array of numbers ({error})"
        ) from error
    table = _manifest(manifest, spec)
    usable = table[table["status"] == "ok"]
    if len(found) == len(usable) < len(table):
        table = usable
    if found.ndim not in (2, 3) or len(found) != len(table) or found.dtype.kind not in "fiu":
        raise InputError(
            f"encoder '{spec}': holds {found.dtype} of shape {list(found.shape)}: must be numbers "
            f"[{len(table)}, D] or [{len(table)}, time, D], a row for each row of {manifest}"
        )
    return table, found.astype(np.float32)


def _from_parquet(path: Path, manifest: Path | None, spec: str) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"encoder '{spec}': {path} is no Parquet file ({error})") from error
    if manifest is not None and "path" in table.columns and "clip_id" not in table.columns:
        known = _manifest(manifest, spec)[["path", *KEY_COLUMNS]]
        strange = set(table["path"]) - set(known["path"])
        if strange:
            raise InputError(
                f"encoder '{spec}': path '{min(strange)}' is not in {manifest}; keep the "
                "manifest's paths"
            )
        table = table.merge(known, on="path").drop(columns="path")
    return table


def _manifest(path: Path, spec: str) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, keep_default_na=False, dtype={"path": str, "clip_id": str})
    except (OSError, ValueError) as error:
        raise InputError(f"encoder '{spec}': {path} cannot be read ({error})") from error
    missing = {*KEY_COLUMNS, "path", "status"} - set(table.columns)
    if missing:
        raise InputError(
            f"encoder '{spec}': {path} has no column '{min(missing)}'; give the manifest.csv that "
            "nearkin export wrote"
        )
    return table


def _looked_up(
    table: pd.DataFrame,
    vectors: NDArray[np.float32],
    path: Path,
    *,
    spec: str,
    name: str,
    rate: int,
) -> ResolvedEncoder:
    missing = [column for column in KEY_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(
            f"encoder '{spec}': column {missing[0]} is missing; needed are clip_id, "
            "transformation, magnitude and embedding (or a numeric column a dimension)"
        )
    keys = [
        Key(str(clip), str(code), float(magnitude))
        for clip, code, magnitude in table[list(KEY_COLUMNS)].itertuples(index=False)
    ]
    rows = {key: index for index, key in enumerate(keys)}
    if len(rows) < len(keys):
        twice = next(key for index, key in enumerate(keys) if rows[key] != index)
        raise InputError(
            f"encoder '{spec}': clip '{twice.clip_id}' at {twice.transformation} "
            f"{twice.magnitude:g} has two rows; keep one"
        )
    return ResolvedEncoder(
        name=name,
        spec=spec,
        matched=f"a table of embeddings: {len(keys)} rows, {vectors.shape[1]} values",
        encoder=TableEncoder(rows, vectors, sample_rate=rate),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _vectors(table: pd.DataFrame, spec: str) -> NDArray[np.float32]:
    """Return float32[rows, D] of the list column, or of the numeric columns."""
    import pandas as pd

    if "embedding" in table.columns:
        sizes = {len(vector) for vector in table["embedding"]}
        if len(sizes) != 1:
            listed = ", ".join(map(str, sorted(sizes)))
            raise InputError(
                f"encoder '{spec}': embeddings of different sizes ({listed}): must be one size"
            )
        return np.stack(list(table["embedding"])).astype(np.float32)
    columns = [
        column
        for column in table.columns
        if column not in KEY_COLUMNS and pd.api.types.is_numeric_dtype(table[column])
    ]
    if not columns:
        raise InputError(
            f"encoder '{spec}': no column 'embedding' and no numeric columns beside "
            "clip_id, transformation and magnitude"
        )
    return table[columns].to_numpy(dtype=np.float32)
