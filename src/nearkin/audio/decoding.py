"""Sound files as frames: libsndfile where it seeks to the sample, FFmpeg (PyAV) for the rest.

Files are opened here and handed over open, so no file name is too strange; what comes out is
``float32[frames, channels]`` at the file's own rate. Demuxers that follow references to other files
or addresses are never reached. A file of several audio streams gives its first;
``song.mp4#stream=4`` names another, counted from 0 (the vocals of MUSDB18's stems).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nearkin.audio.folders import irregular
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
# Demuxers that follow references to other files or addresses (playlists) must not be reached.
_DEMUXERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,flac,matroska,webm,mov,mp4,m4a,mp3,mpegts,ogg,tta,wav,w64,wv"
)
# What stands in a working tree for a file that git keeps elsewhere.
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": "git lfs",
    b"version https://hawser.github.com/spec/": "git lfs",
    b"/annex/objects/": "git annex",
}
_STREAM = re.compile(r"(?s)(.+)#stream=(\d{1,4})")
_T = TypeVar("_T")
_BLOCK_FRAMES = 1 << 16
_KEPT_FRAMES = 80_000_000  # half an hour at 44.1 kHz: 320 MB of one channel


def addressed(path: Path) -> tuple[Path, int]:
    """Return the file a path names, and which of its audio streams: ``#stream=N`` at the end.

    A file whose own name ends like this is meant itself.

    Examples
    --------
    >>> addressed(Path("song.stem.mp4#stream=4"))[1], addressed(Path("song #1.wav"))[1]
    (4, 0)
    """
    found = _STREAM.fullmatch(path.name)
    if found is None or path.exists():
        return path, 0
    return path.with_name(found[1]), int(found[2])


def opened(path: Path) -> io.BufferedReader:
    """Open a file for reading: libraries get the open file, so that no file name is too strange."""
    path, _ = addressed(path)
    kind = irregular(path)
    if kind == "a folder":
        raise InputError(f"{printable(path)}: is a folder; name a sound file in it")
    if kind:
        raise InputError(
            f"{printable(path)}: is {kind}: must be a regular file; save the sound in one"
        )
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{printable(path)}: no such file; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{printable(path)}: cannot be read ({reason}); check the file") from error


def with_sound(path: Path, job: Callable[[Sndfile | Container], _T]) -> _T:
    """Do a job on an opened sound file: by libsndfile where it can, else by FFmpeg's libraries."""
    import soundfile

    _, stream = addressed(path)
    with opened(path) as file:
        head = _head(file, path)
        # MPEG audio is FFmpeg's: libsndfile's reader prints warnings and stumbles over tags.
        if not _is_mpeg(head):
            file.seek(0)
            try:
                with soundfile.SoundFile(file) as sound:
                    if not (stream or sound.subtype.startswith("MPEG")):
                        return job(Sndfile(sound))
            except soundfile.LibsndfileError:
                pass  # unknown to it, or damaged: FFmpeg decodes as far as there is sound
            except TypeError:
                pass  # its answer to a name ending in .raw, which it takes for headerless
        file.seek(0)
        with _opened_by_ffmpeg(file, path) as container:
            return job(Container(container, path, stream))


def promised_s(path: Path) -> float:
    """Return the seconds a file's header promises, without decoding the file.

    Good for adding up hours; `nearkin.audio.sound_info` says what can be decoded.

    Raises
    ------
    InputError
        If the file is missing, empty, or its header is not that of a sound.
    """
    import soundfile

    _, number = addressed(path)
    with opened(path) as file:
        head = _head(file, path)
        if not (number or _is_mpeg(head)):
            file.seek(0)
            try:
                with soundfile.SoundFile(file) as sound:
                    return float(sound.frames / sound.samplerate)
            except (soundfile.LibsndfileError, TypeError):
                pass
        file.seek(0)
        with _opened_by_ffmpeg(file, path) as container:
            stream = _stream(container, path, number)
            if stream.duration is not None:
                return float(stream.duration * stream.time_base)
            if container.duration is not None:
                return float(container.duration / 1_000_000)
            sound = Container(container, path, number)
            return sound.length() / sound.rate


def _head(file: io.BufferedReader, path: Path) -> bytes:
    """Return a file's first bytes; refuse what stands in for a file that was never fetched."""
    head = file.read(64)
    if not head:
        raise InputError(f"{printable(path)}: is empty (0 bytes); remove it or fetch it again")
    for beginning, program in _POINTERS.items():
        if head.startswith(beginning):
            raise InputError(
                f"{printable(path)}: is a pointer of {program}, not the sound itself; "
                f"fetch it with {program} first"
            )
    return head


def _is_mpeg(head: bytes) -> bool:
    return head[:3] == b"ID3" or (head[0] == 0xFF and head[1:2] >= b"\xe0")


class Sndfile:
    """A file libsndfile decodes; its errors are left to `with_sound`.

    After `length` it is `spent`: Vorbis decodes its first block a little differently after a seek
    back from the end, so `frames` wants a file that was opened anew. Seeking makes that cheap.
    """

    spent = True

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self.rate = int(sound.samplerate)
        self.channels = int(sound.channels)
        self._seeks = sound.seekable() and sound.subtype in _SEEKS_EXACTLY

    def length(self) -> int:
        """Return how many frames decode."""
        if not self._seeks:
            return sum(block.shape[0] for block in self._blocks(None))
        frames = int(self._sound.frames)
        if frames:
            # A truncated FLAC file promises its old length: its last frame tells.
            self._sound.seek(frames - 1)
            if self._sound.read(1).shape[0] == 0:
                self._sound.seek(0)
                return sum(block.shape[0] for block in self._blocks(None))
        return frames

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

    def _blocks(self, limit: int | None) -> Generator[Signal, None, None]:
        while limit is None or limit > 0:
            size = _BLOCK_FRAMES if limit is None else min(_BLOCK_FRAMES, limit)
            block = self._sound.read(size, dtype="float32", always_2d=True)
            if block.shape[0] == 0:
                return
            yield block
            limit = None if limit is None else limit - block.shape[0]


def _opened_by_ffmpeg(file: io.BufferedReader, path: Path) -> Any:
    import av

    try:
        container = av.open(file, container_options={"format_whitelist": _DEMUXERS})
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{printable(path)}: is not a sound file nearkin can read; "
            "convert it to WAV, FLAC, Ogg or MP3, or leave it out"
        ) from error
    if not container.streams.audio:
        container.close()
        raise InputError(f"{printable(path)}: has no audio stream; leave it out")
    return container


def _stream(container: Any, path: Path, number: int) -> Any:
    streams = container.streams.audio
    if number >= len(streams):
        raise InputError(
            f"{printable(path)}: holds {len(streams)} audio stream{'s' * (len(streams) != 1)}, "
            f"counted from 0: has no stream {number}; name another"
        )
    return streams[number]


class Container:
    """A file FFmpeg's libraries decode (through PyAV), always from its beginning."""

    def __init__(self, container: Any, path: Path, number: int = 0) -> None:
        self._container = container
        stream = _stream(container, path, number)
        stream.codec_context.thread_count = 1
        self._stream = stream
        self._blocks = self._decoded()
        self._kept: list[Signal] | None = None
        self.spent = False
        # Some headers lie about rate and channels (HE-AAC): the first frame knows.
        first = next(self._blocks, None)
        if first is None:
            raise InputError(f"{printable(path)}: no sound in it could be decoded; repair it")
        self._first, self.rate = first
        self.channels = self._first.shape[0]

    def _decoded(self) -> Generator[tuple[Signal, int], None, None]:
        import av

        convert: Any = None
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
                if convert is None:
                    convert = av.AudioResampler(format="fltp")
                try:
                    made = convert.resample(frame)
                except (av.FFmpegError, ValueError):
                    return  # rate or channels change midway: what came before is one sound
                for out in made:
                    yield out.to_ndarray(), out.sample_rate

    def _all(self) -> Generator[Signal, None, None]:
        if self._kept is not None:
            yield from self._kept
            return
        yield self._first
        for block, _ in self._blocks:
            if block.shape[0] != self.channels:
                return
            yield block

    def length(self) -> int:
        """Return how many frames decode; their mean over channels is kept for `frames`."""
        total = 0
        kept: list[Signal] = []
        for block in self._all():
            total += block.shape[1]
            if total <= _KEPT_FRAMES:
                kept.append(block.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32))
        self.spent = total > _KEPT_FRAMES
        self._kept = kept
        return total

    def frames(self, start: int, count: int | None) -> Signal:
        """Return float32[frames, channels] from `start` on, at most `count` of them."""
        parts = []
        place = 0
        end = None if count is None else start + count
        for block in self._all():
            stop = place + block.shape[1]
            if stop > start:
                parts.append(block[:, max(0, start - place) : None if end is None else end - place])
            place = stop
            if end is not None and place >= end:
                break
        if not parts:
            return np.zeros((0, self.channels), np.float32)
        return np.ascontiguousarray(np.concatenate(parts, axis=1).T)
