"""A trained reference cut in two: the front end, which all of them share, and its own network.

The ONNX file is cut at the spectrogram in decibels, which every network standardises with a mean of
its own. Nodes are moved, none is changed, so that one half after the other gives the bytes of the
whole. The graph's protobuf is walked by the field numbers of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nearkin.encoders.kinds.onnx_data import parts
from nearkin.errors import InputError
from nearkin.maps import protobuf

_GRAPH, _METADATA = 7, 14  # of Model
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12  # of Graph
_TAKES, _GIVES = 1, 2  # of Node: the names of its inputs and outputs
_TITLE = 8  # of Tensor: its name
_MEAN = b"encoder.front.mean"
_FLOAT = 1

Fields = list[tuple[int, bytes]]


class Halves(NamedTuple):
    """Two graphs, as onnxruntime takes them."""

    front: bytes
    """From the waveform, ``audio``, to the spectrogram in decibels."""
    rest: bytes
    """From there to the embedding."""
    decibels: str
    """The name of what lies between them."""


def halves(data: bytes) -> Halves:
    """Cut the ONNX file of a VGG-like network where its spectrogram is standardised.

    Parameters
    ----------
    data : bytes
        What `nearkin.networks.onnx.export_onnx` wrote.

    Returns
    -------
    Halves
        Fronts of networks that were exported alike are the same bytes.

    Raises
    ------
    InputError
        If the graph has no such place, or something else crosses it.
    """
    ((begin, end),) = [
        (first, last) for number, first, last in parts(data, 0, len(data)) if number == _GRAPH
    ]
    fields = _fields(data[begin:end])
    nodes = [_node(value) for number, value in fields if number == _NODE]
    cut = [name for node in nodes if _MEAN in node.takes for name in node.takes if name != _MEAN]
    if len(cut) != 1:
        raise InputError(f"{len(cut)} nodes take {_MEAN.decode()}: must be one; export it anew")
    front = _needed_for(cut[0], nodes)
    rest = [node for node in nodes if node not in front]
    crossing = {n for node in front for n in node.gives} & {n for node in rest for n in node.takes}
    if crossing != set(cut):
        raise InputError("more than its spectrogram leaves the front end; export it anew")
    between = _spectrogram(cut[0])
    inputs, outputs = ([f for f in fields if f[0] == kind] for kind in (_INPUT, _OUTPUT))
    before, behind = data[: begin - len(protobuf.varint(end - begin)) - 1], data[end:]
    nameless = _joined([field for field in _fields(behind) if field[0] != _METADATA])
    return Halves(
        before + _graph(fields, front, [*inputs, (_OUTPUT, between)]) + nameless,
        before + _graph(fields, rest, [(_INPUT, between), *outputs]) + behind,
        cut[0].decode(),
    )


class _Node(NamedTuple):
    message: bytes
    takes: frozenset[bytes]
    gives: frozenset[bytes]


def _node(message: bytes) -> _Node:
    fields = _fields(message)
    takes, gives = (frozenset(v for n, v in fields if n == kind) for kind in (_TAKES, _GIVES))
    return _Node(message, takes, gives)


def _needed_for(tensor: bytes, nodes: Sequence[_Node]) -> list[_Node]:
    """Return the nodes, in their order, that a tensor is computed by."""
    needed, found = {tensor}, []
    for node in reversed(nodes):  # a graph's nodes stand in the order of computation
        if needed & node.gives:
            found.append(node)
            needed |= node.takes
    return found[::-1]


def _graph(fields: Fields, nodes: Sequence[_Node], ends: Fields) -> bytes:
    """Return the field of a graph: some nodes, the weights that they take, input and output."""
    taken = frozenset().union(*(node.takes for node in nodes))
    kept = [
        (number, value)
        for number, value in fields
        if number == _NAME or (number == _INITIALIZER and dict(_fields(value))[_TITLE] in taken)
    ]
    return _joined([(_GRAPH, _joined([*((_NODE, n.message) for n in nodes), *kept, *ends]))])


def _spectrogram(name: bytes) -> bytes:
    """Return a ValueInfo: float32[batch, frames, bins]."""
    dims = [(1, _joined([(2, dim)])) for dim in (b"batch", b"frames", b"bins")]
    kind = protobuf.number(1, _FLOAT) + _joined([(2, _joined(dims))])
    return _joined([(1, name), (2, _joined([(1, kind)]))])


def _fields(message: bytes) -> Fields:
    """Return number and content of a message's fields of bytes."""
    found = parts(message, 0, len(message))
    return [(number, message[first:last]) for number, first, last in found]


def _joined(fields: Fields) -> bytes:
    """Return a message of fields of bytes."""
    return b"".join(protobuf.data(field, value) for field, value in fields)
