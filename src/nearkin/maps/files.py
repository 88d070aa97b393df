"""Map files: ``centre`` [D] and ``matrix`` [D, D], float64, in one safetensors file.

Three lines of numpy apply one (`NUMPY`); opening it runs no code. What the map is for and was
learned from is JSON in the file's metadata, under ``nearkin-map``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError, printable
from nearkin.files import is_whole, read_regular, sealed, write_whole
from nearkin.maps.linear import LinearMap, Origin

FORMAT = 1
KEY = "nearkin-map"
NUMPY = """from safetensors.numpy import load_file
m = load_file("{name}")
z = (z - m["centre"]) @ m["matrix"]"""
"""How a pipeline without nearkin applies a map to embeddings z [n, D]."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "encoder": str,
    "spec": str,
    "sha256": str,
    "sample_rate": int,
    "transformations": list,
    "shrinkage": (int, float),
    "n_clips": int,
    "n_groups": int,
    "seed": int,
    "created": str,
    "digest": (dict, type(None)),
    "seconds": (int, float),
}


def write_map(path: Path, found: LinearMap) -> None:
    """Write a map, whole or not at all.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    from safetensors.numpy import save

    tensors = {
        "centre": np.ascontiguousarray(found.centre),
        "matrix": np.ascontiguousarray(found.matrix),
    }
    held = {"format": FORMAT, **asdict(found.origin), "arrays": _digest(tensors)}
    about = json.dumps(sealed(held), sort_keys=True)
    data = save(tensors, metadata={KEY: about})
    write_whole(path, lambda file: file.write(data))


def read_map(path: Path) -> LinearMap:
    """Read a map.

    Raises
    ------
    InputError
        If the file is not there, is no map, is of another format, or its arrays do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    shown = printable(path)
    try:
        data = read_regular(path)
    except OSError as error:
        raise InputError(
            f"{shown}: cannot be read ({error.strerror or error}); check the path"
        ) from error
    try:
        length = int.from_bytes(data[:8], "little")
        about: Any = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])
        tensors = load(data)
        version = about["format"]
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise InputError(
            f"{shown}: is no map of nearkin's; pass a file that nearkin repair wrote"
        ) from error
    if version != FORMAT:
        raise InputError(
            f"{shown}: has format {version!r}: this version reads {FORMAT}; use the version of "
            "nearkin that wrote it, or learn the map anew"
        )
    given = {one.name: about[one.name] for one in fields(Origin) if one.name in about}
    wrong = [name for name, kind in _TYPES.items() if not isinstance(given.get(name), kind)]
    if wrong:
        raise InputError(f"{shown}: its header lacks {', '.join(wrong)}; learn the map anew")
    given["transformations"] = tuple(map(str, given["transformations"]))
    centre, matrix = tensors.get("centre"), tensors.get("matrix")
    fits = (
        centre is not None
        and matrix is not None
        and centre.ndim == 1
        and matrix.shape == (len(centre), len(centre))
        and all(a.dtype == np.float64 and np.isfinite(a).all() for a in (centre, matrix))
    )
    if not fits or centre is None or matrix is None:
        raise InputError(
            f"{shown}: must hold centre [D] and matrix [D, D], float64 and finite; learn the map "
            "anew"
        )
    if not is_whole(about) or about.get("arrays", _digest(tensors)) != _digest(tensors):
        raise InputError(
            f"{shown}: was changed or damaged after it was written (it holds its checksum); learn "
            "the map anew"
        )
    return LinearMap(centre, matrix, Origin(**given))


def _digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a map's arrays."""
    content = b"".join(tensors[name].tobytes() for name in ("centre", "matrix"))
    return hashlib.sha256(content).hexdigest()
