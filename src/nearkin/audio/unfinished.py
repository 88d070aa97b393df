"""RF64 and BW64 files whose length nobody filled in: of a pipe, or a recorder that crashed.

Their ``ds64`` chunk says 0, or more than there is. Libraries take that for no sound at all; what is
put before them here is the same file with the length that is there.
"""

from __future__ import annotations

import io
import os
import struct
from typing import IO

_HEAD = 4096
"""Bytes in which the sound has to begin."""


class Calm(io.BufferedReader):
    """A file that stays where it is when it is sent where no file goes.

    A damaged header sends libsndfile there, whose callbacks cannot raise: Python would print it.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, if there is one."""
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):
            return self.tell()


class Overlaid(io.RawIOBase):
    """A file of which some bytes read as others.

    Parameters
    ----------
    file : binary file
        It is neither changed nor closed.
    at : int
        Where the others begin.
    others : bytes
    """

    def __init__(self, file: IO[bytes], at: int, others: bytes) -> None:
        self._file, self._at, self._others = file, at, others

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read bytes, the others among them."""
        begin = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for number, byte in enumerate(self._others, start=self._at - begin):
            if 0 <= number < len(data):
                data[number] = byte
        buffer[: len(data)] = data
        return len(data)


def with_length(file: io.BufferedReader) -> io.BufferedReader:
    """Return a file from its beginning; one without its length with the length that is there."""
    file.seek(0, os.SEEK_END)
    there = file.tell()
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    if head[:4] not in (b"RF64", b"BW64") or head[8:16] != b"WAVEds64" or len(head) < 48:
        return file
    (promised,) = struct.unpack_from("<Q", head, 28)
    start = _data_start(head)
    if not start or 0 < promised <= there - start:
        return file
    lengths = struct.pack("<QQQ", there - 8, there - start, 0)
    return Calm(Overlaid(file, 20, lengths))


def _data_start(head: bytes) -> int:
    """Return where the sound begins; 0 where that is not in the head."""
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        if name == b"data":
            return at + 8
        at += 8 + size + size % 2
    return 0
