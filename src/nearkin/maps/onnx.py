"""A map as an ONNX graph: ``embedding`` float32[batch, D] in, ``repaired`` float32[batch, D] out.

Inside it computes in float64, so that it agrees with numpy to the last digit of float32. The file
is a protobuf of four nodes, written field by field (onnx.proto3): the package onnx is not
needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearkin.files import write_whole
from nearkin.maps.linear import LinearMap
from nearkin.maps.protobuf import data, number, text

FLOAT, DOUBLE = 1, 11
IR_VERSION, OPSET = 8, 17


def write_onnx(path: Path, found: LinearMap) -> None:
    """Write a map as an ONNX file.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    model = model_bytes(found)
    write_whole(path, lambda file: file.write(model))


def is_map(content: bytes) -> bool:
    """Tell whether a file begins as `write_onnx` writes it: it is no model of anybody else's."""
    return content.startswith(b"".join([number(1, IR_VERSION), text(2, "nearkin")]))


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
            *(data(1, node) for node in nodes),
            text(2, "nearkin map"),
            data(5, _tensor("centre", found.centre)),
            data(5, _tensor("matrix", found.matrix)),
            data(11, _value("embedding", found.size)),
            data(12, _value("repaired", found.size)),
        ]
    )
    about = {"nearkin.encoder": found.origin.encoder, "nearkin.sha256": found.origin.sha256}
    return b"".join(
        [
            number(1, IR_VERSION),
            text(2, "nearkin"),
            text(3, __version__),
            data(7, graph),
            data(8, number(2, OPSET)),
            *(data(14, text(1, name) + text(2, value)) for name, value in about.items()),
        ]
    )


def _node(kind: str, inputs: list[str], output: str, *, to: int | None = None) -> bytes:
    parts = [*(text(1, name) for name in inputs), text(2, output), text(4, kind)]
    if to is not None:  # an attribute of type INT
        parts.append(data(5, text(1, "to") + number(3, to) + number(20, 2)))
    return b"".join(parts)


def _tensor(name: str, array: NDArray[np.float64]) -> bytes:
    sizes = b"".join(number(1, size) for size in array.shape)
    raw = np.ascontiguousarray(array, dtype="<f8").tobytes()
    return sizes + number(2, DOUBLE) + text(8, name) + data(9, raw)


def _value(name: str, size: int) -> bytes:
    shape = data(1, text(2, "batch")) + data(1, number(1, size))
    kind = data(1, number(1, FLOAT) + data(2, shape))
    return text(1, name) + data(2, kind)
