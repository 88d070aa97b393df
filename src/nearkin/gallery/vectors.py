"""A gallery's vectors: files that a user has, one an encoder, read without copying them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nearkin.errors import InputError, printable
from nearkin.parquet import read_parquet
from nearkin.runs.distractors import NO_ARRAY, open_array, vector_files

Gallery = dict[str, NDArray[Any]]
"""Vectors [G, D] by the encoder's label."""


def read_vectors(given: Sequence[str], sizes: Mapping[str, int | None]) -> Gallery:
    """Open the vectors of a gallery.

    Parameters
    ----------
    given : sequence of str
        ``LABEL=FILE`` each, a .npy or a .parquet file; or FILE alone where there is one encoder.
    sizes : mapping of str to int or None
        What may be named, and how many dimensions it has; None where that is not known yet.

    Returns
    -------
    dict of str to array[G, D]
        Those of .npy files stay in their file (memory-mapped).

    Raises
    ------
    InputError
        If an encoder is unknown or named twice, or a file is none, or does not fit.
    """
    files = vector_files(given, sizes)
    found = {label: _read(path, text, sizes[label]) for label, (path, text) in files.items()}
    lengths = {label: len(array) for label, array in found.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{label} {length}" for label, length in lengths.items())
        raise InputError(
            f"galleries of different lengths ({told}): a collection is one for all encoders; give "
            "the same recordings for each"
        )
    return found


def _read(path: Path, text: str, size: int | None) -> NDArray[Any]:
    told = printable(text)
    if path.suffix == ".npy":
        try:
            array = open_array(path)
        except NO_ARRAY as error:
            raise InputError(f"gallery '{told}': is no array of numbers ({error})") from error
    elif path.suffix == ".parquet":
        from nearkin.encoders.kinds.columns import vectors_of

        try:
            table = read_parquet(path)
        except (OSError, ValueError) as error:  # those of Arrow are ValueErrors, or OSErrors
            why = " ".join(str(error).split())[:200]
            raise InputError(f"gallery '{told}': is no Parquet file ({why})") from error
        table.columns = [str(column) for column in table.columns]
        keys = [name for name in ("clip_id", "path", "id") if name in table.columns]
        array, _ = vectors_of(table, keys=keys, chosen=None, how="mean", spec=text)
    else:
        raise InputError(f"gallery '{told}': must be a .npy or .parquet file, or a folder of music")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"gallery '{told}': holds {array.dtype} of shape {array.shape}: must be numbers [G, D]"
        )
    if size is not None and array.shape[1] != size:
        raise InputError(
            f"gallery '{told}': vectors of {array.shape[1]} dimensions: the run's have {size}; "
            "embed the gallery with the same model"
        )
    if len(array) == 0:
        raise InputError(f"gallery '{told}': holds no vector")
    return array
