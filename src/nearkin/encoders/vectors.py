"""``embeddings:FILE.parquet``: vectors that were computed elsewhere, by anybody, in any language.

The file has a row a clip and transformation: ``clip_id``, ``transformation`` (``OG`` for the
original), ``magnitude``, and the vector either as one list column ``embedding`` or as one numeric
column a dimension. Loading it runs no code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Handling, Key, ResolvedEncoder
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
    if options:
        raise InputError(f"encoder '{spec}': takes no options, got {sorted(options)}")
    path = Path(spec.removeprefix("embeddings:"))
    return from_file(path, spec=spec, sample_rate=handling.sample_rate)


def from_file(path: Path, *, spec: str, sample_rate: int) -> ResolvedEncoder:
    """Read a Parquet file of embeddings.

    Raises
    ------
    InputError
        If the file cannot be read, misses a column, or holds a row twice.
    """
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"encoder '{spec}': {path} is no Parquet file ({error})") from error
    missing = [column for column in KEY_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(
            f"encoder '{spec}': column {missing[0]} is missing; needed are clip_id, "
            "transformation, magnitude and embedding (or a numeric column a dimension)"
        )
    vectors = _vectors(table, spec)
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
        name=path.stem,
        spec=spec,
        matched=f"a table of embeddings: {len(keys)} rows, {vectors.shape[1]} values",
        encoder=TableEncoder(rows, vectors, sample_rate=sample_rate),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _vectors(table: pd.DataFrame, spec: str) -> NDArray[np.float32]:
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
