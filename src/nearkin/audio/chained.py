"""Files joined end to end: chained Ogg (recorded radio streams), and FLAC after FLAC.

Ogg allows one stream to follow another in a file (RFC 3533, section 4); libraries read the first.
Here each part is found, decoded as a file of its own, and brought to the first one's rate and
number of channels.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np

from nearkin.audio.decoders import Sound, as_channels
from nearkin.audio.signals import resample
from nearkin.audio.unfinished import Calm
from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

_T = TypeVar("_T")
_OGG, _FLAC = b"OggS", b"fLaC"
_STREAMINFO = tuple(_FLAC + kind + b"\0\0\x22" for kind in (b"\0", b"\x80"))
_FIRST_PAGE = 0x02


def parts(file: io.BufferedReader) -> list[tuple[int, int]]:
    """Return where the parts of a file begin and end, in bytes; one part where it is not joined."""
    file.seek(0)
    head = file.read(4)
    if head not in (_OGG, _FLAC):
        return [(0, file.seek(0, io.SEEK_END))]
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begins = _ogg_begins(data) if head == _OGG else _flac_begins(data)
        return list(zip(begins, [*begins[1:], len(data)], strict=True))


def _ogg_begins(data: mmap.mmap) -> list[int]:
    """Walk from page to page: a first page that follows other pages begins a new part."""
    begins, within = [0], False
    at = 0
    while at >= 0 and at + 27 <= len(data):
        if data[at : at + 4] != _OGG:
            at = data.find(_OGG, at)  # damaged: the next page that there is
            continue
        first = bool(data[at + 5] & _FIRST_PAGE)
        if first and within:
            begins.append(at)
        within = not first
        table = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(table) + sum(table)
    return begins


def _flac_begins(data: mmap.mmap) -> list[int]:
    found = {0}
    for beginning in _STREAMINFO:
        at = data.find(beginning, 1)
        while at > 0:
            found.add(at)
            at = data.find(beginning, at + 1)
    return sorted(found)


class Part(io.RawIOBase):
    """Some bytes of a file as a file."""

    def __init__(self, file: io.BufferedReader, begin: int, end: int) -> None:
        super().__init__()
        self._file, self._begin, self._end = file, begin, end
        self._at = 0

    @classmethod
    def opened(cls, file: io.BufferedReader, begin: int, end: int) -> io.BufferedReader:
        """Return the bytes from `begin` to `end` as an open file."""
        return Calm(cls(file, begin, end))  # type: ignore[arg-type]

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place in the part."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part."""
        base = (0, self._at, self._end - self._begin)[whence]
        if base + offset < 0:
            raise OSError(f"place {base + offset}: before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read bytes of the part."""
        self._file.seek(self._begin + self._at)
        left = max(0, self._end - self._begin - self._at)
        data = self._file.read(min(len(buffer), left))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Do(Protocol):
    """Does a job on one part of a file, opened."""

    def __call__(self, begin: int, end: int, job: Callable[[Sound], _T], /) -> _T:
        """Return what the job returns."""


class _Link(NamedTuple):
    begin: int
    end: int
    rate: int
    channels: int
    length: int


class Chain:
    """A file of several parts, one after the other.

    Parameters
    ----------
    places : sequence of (int, int)
        Where the parts lie.
    do : callable
        Opens a part and does a job on it; raises InputError where it cannot be decoded.
    path : Path
        What errors name.
    """

    spent = True

    def __init__(self, places: Sequence[tuple[int, int]], do: Do, path: Path) -> None:
        self._do = do
        self._links: list[_Link] = []
        lost = []
        for number, (begin, end) in enumerate(places, start=1):
            try:
                facts = do(begin, end, lambda sound: (sound.rate, sound.channels, sound.length()))
            except InputError:
                lost.append(number)
            else:
                self._links.append(_Link(begin, end, *facts))
        if not self._links:
            raise InputError(
                f"{printable(path)}: none of its {len(places)} parts could be decoded; repair it"
            )
        self.rate, self.channels = self._links[0].rate, self._links[0].channels
        self.heard = ""
        if lost:
            self.heard = (
                f"heard are {self.length() / self.rate:.2f} s: "
                f"part{'s' * (len(lost) > 1)} {', '.join(map(str, lost))} of {len(places)} "
                "cannot be decoded"
            )

    def length(self) -> int:
        """Return how many frames decode."""
        return sum(map(self._length, self._links))

    def frames(self, start: int, count: int | None) -> Signal:
        """Return float32[frames, channels] from `start` on, at most `count` of them."""
        end = self.length() if count is None else start + count
        found = [np.zeros((0, self.channels), np.float32)]
        place = 0
        for link in self._links:
            length = self._length(link)
            first, last = max(0, start - place), min(length, end - place)
            if first < last:
                found.append(self._cut(link, first, last))
            place += length
        return np.concatenate(found)

    def blocks(self) -> Iterator[Signal]:
        """Yield all that decodes, float32[frames, channels], a part at a time."""
        for link in self._links:
            yield self._cut(link, 0, self._length(link))

    def _length(self, link: _Link) -> int:
        return round(link.length * self.rate / link.rate)

    def _cut(self, link: _Link, first: int, last: int) -> Signal:
        if link.rate == self.rate:
            y = self._do(link.begin, link.end, lambda sound: sound.frames(first, last - first))
            return as_channels(y, self.channels)
        whole = self._do(link.begin, link.end, lambda sound: sound.frames(0, None))
        there = np.ascontiguousarray(as_channels(whole, self.channels).T)
        return resample(there, from_sr=link.rate, to_sr=self.rate).T[first:last]
