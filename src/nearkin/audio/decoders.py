"""What decodes a sound file: libsndfile where it can, FFmpeg's libraries (PyAV) for the rest.

A decoder has a rate, a number of channels, a length, and gives ``float32[frames, channels]``.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

# libsndfile seeks to the sample in these; everything else is decoded from its beginning.
_SEEKS_EXACTLY = frozenset(
    [
        *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        *("VORBIS", "OPUS"),
    ]
)
_BLOCK_FRAMES = 1 << 16
_KEPT_SAMPLES = 80_000_000  # a quarter of an hour of stereo at 44.1 kHz: 320 MB
UNKNOWN = 1 << 62
"""libsndfile's word for a length that the header does not know is above this."""


class Sound(Protocol):
    """An opened sound file.

    Attributes
    ----------
    rate : int
        Hz; what follows at another rate midway is brought to that of the beginning.
    channels : int
        Likewise.
    spent : bool
        Whether `frames` wants a file that was opened anew.
    heard : str
        Which part of the file is decoded, where some of it cannot be; else empty.
    """

    rate: int
    channels: int
    spent: bool
    heard: str

    def length(self) -> int:
        """Return how many frames decode."""

    def frames(self, start: int, count: int | None) -> Signal:
        """Return float32[frames, channels] from `start` on, at most `count` of them."""

    def blocks(self) -> Iterator[Signal]:
        """Yield all that decodes, float32[frames, channels], of a file that was opened anew."""


def as_channels(block: Signal, channels: int) -> Signal:
    """Bring float32[frames, c] to another number of channels; the mean over them stays.

    Examples
    --------
    >>> as_channels(np.float32([[0.5, 0.25]]), 1).tolist()
    [[0.375]]
    """
    if block.shape[1] == channels:
        return block
    mono = block.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    return np.repeat(mono, channels, axis=1)


class Sndfile:
    """A file libsndfile decodes; its errors are left to who opened it.

    After `length` it is `spent`: Vorbis decodes its first block a little differently after a seek
    back from the end, so `frames` wants a file that was opened anew. Seeking makes that cheap.
    """

    spent = True
    heard = ""

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self.rate = int(sound.samplerate)
        self.channels = int(sound.channels)
        known = 0 < sound.frames < UNKNOWN
        self._seeks = known and sound.seekable() and sound.subtype in _SEEKS_EXACTLY

    def length(self) -> int:
        """Return how many frames decode."""
        if not self._seeks:
            return sum(block.shape[0] for block in self._blocks(None))
        if not self.is_whole():
            self._sound.seek(0)
            return sum(block.shape[0] for block in self._blocks(None))
        return int(self._sound.frames)

    def is_whole(self) -> bool:
        """Tell whether the last frame that the header promises decodes, where that can be asked."""
        if not self._seeks:
            return True
        # A truncated FLAC file promises its old length.
        self._sound.seek(int(self._sound.frames) - 1)
        return int(self._sound.read(1).shape[0]) == 1

    def frames(self, start: int, count: int | None) -> Signal:
        """Return float32[frames, channels] from `start` on, at most `count` of them."""
        if self._seeks:
            if start >= self._sound.frames:
                return np.zeros((0, self.channels), np.float32)
            self._sound.seek(start)
            skipped = 0
        else:
            skipped = start
        left = None if count is None else skipped + count
        parts = [np.zeros((0, self.channels), np.float32), *self._blocks(left)]
        return np.concatenate(parts)[skipped:]

    def blocks(self) -> Iterator[Signal]:
        """Yield all that decodes, float32[frames, channels], of a file that was opened anew."""
        return self._blocks(None)

    def _blocks(self, limit: int | None) -> Generator[Signal, None, None]:
        while limit is None or limit > 0:
            size = _BLOCK_FRAMES if limit is None else min(_BLOCK_FRAMES, limit)
            block = self._sound.read(size, dtype="float32", always_2d=True)
            if block.shape[0] == 0:
                return
            yield block
            limit = None if limit is None else limit - block.shape[0]


def audio_stream(container: Any, path: Path, number: int) -> Any:
    """Return an audio stream of a container by its number, counted from 0."""
    streams = container.streams.audio
    if number >= len(streams):
        raise InputError(
            f"{printable(path)}: holds {len(streams)} audio stream{'s' * (len(streams) != 1)}, "
            f"counted from 0: has no stream {number}; name another"
        )
    stream = streams[number]
    if stream.codec_context is None:
        raise InputError(
            f"{printable(path)}: its sound is coded in a way that nearkin cannot decode; convert "
            "it to FLAC"
        )
    return stream


class Container:
    """A file FFmpeg's libraries decode (through PyAV), always from its beginning.

    Some files change their rate or channels midway (a stream that was recorded, two files joined):
    what follows is resampled to the first rate, and mixed to the first number of channels.
    """

    heard = ""

    def __init__(self, container: Any, path: Path, number: int = 0) -> None:
        self._container = container
        stream = audio_stream(container, path, number)
        stream.codec_context.thread_count = 1
        self._stream = stream
        decoded = self._decoded()
        self._kept: list[Signal] | None = None
        self.spent = False
        # Some headers lie about rate and channels (HE-AAC): the first frame knows.
        first = next(decoded, None)
        if first is None:
            raise InputError(f"{printable(path)}: no sound in it could be decoded; repair it")
        block, self.rate = first
        self.channels = block.shape[1]
        self._blocks = _at_one_rate(itertools.chain([first], decoded), self.rate, self.channels)

    def _decoded(self) -> Generator[tuple[Signal, int], None, None]:
        import av

        converters: dict[tuple[str, str, int], Any] = {}
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue  # a damaged packet; the next may be whole
            for frame in frames:
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if kind not in converters:
                    converters[kind] = av.AudioResampler(format="fltp")
                try:
                    made = converters[kind].resample(frame)
                except (av.FFmpegError, ValueError):
                    continue  # a frame of no format at all
                for out in made:
                    yield out.to_ndarray().T, out.sample_rate

    def blocks(self) -> Iterator[Signal]:
        """Yield all that decodes, float32[frames, channels], of a file that was opened anew."""
        if self._kept is not None:
            yield from self._kept
            return
        yield from self._blocks

    def length(self) -> int:
        """Return how many frames decode; they are kept for `frames`."""
        total = 0
        kept: list[Signal] = []
        for block in self.blocks():
            total += block.shape[0]
            if total * self.channels <= _KEPT_SAMPLES:
                kept.append(block)
        self.spent = total * self.channels > _KEPT_SAMPLES
        self._kept = kept
        return total

    def frames(self, start: int, count: int | None) -> Signal:
        """Return float32[frames, channels] from `start` on, at most `count` of them."""
        parts = []
        place = 0
        end = None if count is None else start + count
        for block in self.blocks():
            stop = place + block.shape[0]
            if stop > start:
                parts.append(block[max(0, start - place) : None if end is None else end - place])
            place = stop
            if end is not None and place >= end:
                break
        if not parts:
            return np.zeros((0, self.channels), np.float32)
        return np.concatenate(parts)


def _at_one_rate(
    blocks: Iterable[tuple[Signal, int]], rate: int, channels: int
) -> Generator[Signal, None, None]:
    """Yield all blocks at one rate and number of channels; each stretch is resampled by itself."""
    import soxr

    change: Any = None
    before, n_in, n_out = rate, 0, 0

    def flushed() -> Signal:
        nothing = np.zeros((0, channels), np.float32)
        last: Signal = change.resample_chunk(nothing, last=True)
        return last[: max(0, round(n_in * rate / before) - n_out)]

    for block, now in blocks:
        if now != before:
            if change is not None:
                yield flushed()
            n_in = n_out = 0
            change = None
            if now != rate:
                change = soxr.ResampleStream(now, rate, channels, dtype="float32", quality="HQ")
            before = now
        block = as_channels(block, channels)
        if change is not None:
            n_in += block.shape[0]
            block = change.resample_chunk(np.ascontiguousarray(block))
            n_out += block.shape[0]
        if block.shape[0]:
            yield block
    if change is not None:
        yield flushed()
