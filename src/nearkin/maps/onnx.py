"""A map as an ONNX graph: ``embedding`` float32[batch, D] in, ``repaired`` float32[batch, D] out.

Inside it computes in float64, so that it agrees with numpy to the last digit of float32. The file
is a protobuf of four nodes, written here field by field (onnx.proto3): the package onnx is not
needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearkin.files import write_whole
from nearkin.maps.linear import LinearMap

FLOAT, DOUBLE = 1, 11
IR_VERSION, OPSET = 8, 17


def write_onnx(path: Path, found: LinearMap) -> None:
    """Write a map as an ONNX file.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    data = model_bytes(found)
    write_whole(path, lambda file: file.write(data))


def is_map(path: Path) -> bool:
    """Tell whether a file begins as `write_onnx` writes it: it is no model of anybody else's."""
    head = b"".join([_number(1, IR_VERSION), _text(2, "nearkin")])
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head
    except OSError:
        return False


def model_bytes(found: LinearMap) -> bytes:
    """Return the bytes of a ModelProto."""
    from nearkin import __version__

    nodes = (
        _node("Cast", ["embedding"], "wide", to=DOUBLE),
        _node("Sub", ["wide", "centre"], "centred"),
        _node("MatMul", ["centred", "matrix"], "mapped"),
        _node("Cast", ["mapped"], "repaired", to=FLOAT),
    )
    graph = b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _text(2, "nearkin map"),
            _bytes(5, _tensor("centre", found.centre)),
            _bytes(5, _tensor("matrix", found.matrix)),
            _bytes(11, _value("embedding", found.size)),
            _bytes(12, _value("repaired", found.size)),
        ]
    )
    about = {"nearkin.encoder": found.origin.encoder, "nearkin.sha256": found.origin.sha256}
    return b"".join(
        [
            _number(1, IR_VERSION),
            _text(2, "nearkin"),
            _text(3, __version__),
            _bytes(7, graph),
            _bytes(8, _number(2, OPSET)),
            *(_bytes(14, _text(1, name) + _text(2, value)) for name, value in about.items()),
        ]
    )


def _node(kind: str, inputs: list[str], output: str, *, to: int | None = None) -> bytes:
    parts = [*(_text(1, name) for name in inputs), _text(2, output), _text(4, kind)]
    if to is not None:  # an attribute of type INT
        parts.append(_bytes(5, _text(1, "to") + _number(3, to) + _number(20, 2)))
    return b"".join(parts)


def _tensor(name: str, array: NDArray[np.float64]) -> bytes:
    sizes = b"".join(_number(1, size) for size in array.shape)
    raw = np.ascontiguousarray(array, dtype="<f8").tobytes()
    return sizes + _number(2, DOUBLE) + _text(8, name) + _bytes(9, raw)


def _value(name: str, size: int) -> bytes:
    shape = _bytes(1, _text(2, "batch")) + _bytes(1, _number(1, size))
    kind = _bytes(1, _number(1, FLOAT) + _bytes(2, shape))
    return _text(1, name) + _bytes(2, kind)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode("utf-8", "backslashreplace"))


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
