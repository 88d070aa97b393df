"""Fields of a protobuf message, as bytes: enough to write ONNX without the package onnx."""

from __future__ import annotations


def number(field: int, value: int) -> bytes:
    """Return a field of a whole number, 0 or more."""
    return varint(field << 3) + varint(value)


def text(field: int, value: str) -> bytes:
    """Return a field of text; what is no Unicode is written with backslashes."""
    return data(field, value.encode("utf-8", "backslashreplace"))


def data(field: int, value: bytes) -> bytes:
    """Return a field of bytes, or of a message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Return a whole number in base 128, the lowest digits first.

    Examples
    --------
    >>> varint(300).hex()
    'ac02'
    """
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
