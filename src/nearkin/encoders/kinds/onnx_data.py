"""The files that an ONNX graph keeps its weights in, read from the graph without opening them.

A tensor of a graph may lie in another file (``external_data``). Here the graph's protobuf is walked
by the field numbers of onnx.proto3; nothing is computed, and what is no protobuf is refused.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from nearkin.errors import InputError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# message -> field number -> message that the field holds (onnx.proto3, IR version 3 to 13)
_FIELDS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
    "Entry": {},
}  # fmt: skip
_DEEPEST = 100


def external_files(path: Path, *, spec: str) -> list[Path]:
    """Return the files beside a graph that hold its weights.

    Parameters
    ----------
    path : Path
        The ONNX file.
    spec : str
        For messages.

    Returns
    -------
    list of Path
        Each once, in the order of first mention.

    Raises
    ------
    InputError
        If the file is no protobuf, or names a file outside its own folder.
    """
    home = path.parent.resolve()
    # where a cache keeps files elsewhere under links, graph and weights lie side by side there too
    homes = (home, path.resolve().parent)
    files = []
    for location in dict.fromkeys(_locations(path, spec)):
        place = Path(location)
        try:
            there = (home / place).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"encoder '{spec}': external data {location!r}: {error}") from error
        inside = any(there.is_relative_to(folder) for folder in homes)
        if place.is_absolute() or ".." in place.parts or not inside:
            raise InputError(
                f"encoder '{spec}': its weights are said to be in {location!r}, outside its own "
                "folder, which is not read: put the file beside it, or save the graph in one file"
            )
        if not there.is_file():
            raise InputError(
                f"encoder '{spec}': its weights are in {location!r}, and there is no such file "
                f"beside it; copy it to {home}"
            )
        files.append(there)
    return files


def _locations(path: Path, spec: str) -> list[str]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return [
                value for key, value in _entries(data, 0, len(data), "Model", 0)
                if key == "location"
            ]  # fmt: skip
    except (ValueError, IndexError) as error:
        raise InputError(
            f"encoder '{spec}': is no ONNX graph, onnxruntime cannot open it ({error})"
        ) from error
    except OSError as error:
        raise InputError(f"encoder '{spec}': {path} cannot be read ({error})") from error


def _entries(
    data: mmap.mmap, start: int, stop: int, message: str, depth: int
) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of all external data under a message."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if message == "Entry":
        texts = {
            number: data[first:last].decode() for number, first, last in parts(data, start, stop)
        }
        yield texts.get(1, ""), texts.get(2, "")
        return
    inside = _FIELDS[message]
    for number, first, last in parts(data, start, stop):
        if number in inside:
            yield from _entries(data, first, last, inside[number], depth + 1)


def parts(data: mmap.mmap | bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of a message's length-delimited fields."""
    at = start
    while at < stop:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(data, at)
        elif kind == FIXED64:
            at += 8
        elif kind == FIXED32:
            at += 4
        elif kind == BYTES:
            length, at = _varint(data, at)
            if at + length > stop:
                raise ValueError(f"a field of {length} bytes ends beyond its message")
            yield number, at, at + length
            at += length
        else:
            raise ValueError(f"no protobuf: wire type {kind}")
        if number == 0:
            raise ValueError("no protobuf: field number 0")
    if at != stop:
        raise ValueError("a field ends beyond its message")


def _varint(data: mmap.mmap | bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no protobuf: a number of more than 64 bits")
