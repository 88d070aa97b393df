"""Sound files as frames: libsndfile where it seeks to the sample, FFmpeg (PyAV) for the rest.

Files are opened here and handed over open, so no file name is too strange; what comes out is
``float32[frames, channels]`` at the file's own rate. Demuxers that follow references to other files
or addresses are never reached. A file of several audio streams gives its first;
``song.mp4#stream=4`` names another, counted from 0 (the vocals of MUSDB18's stems).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nearkin.audio.chained import Chain, Part, parts
from nearkin.audio.decoders import UNKNOWN, Container, Sndfile, Sound, audio_stream
from nearkin.audio.folders import irregular
from nearkin.audio.unfinished import Calm, with_length
from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

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
# Formats whose headers know no length: FFmpeg guesses one from the first bit rate it meets.
_NO_LENGTH = frozenset({"aac", "ac3", "amr", "mp3", "wv"})
_LAST_S = 1.0
"""So much of a file's end is decoded to see that it is there."""
_STREAM = re.compile(r"(?s)(.+)#stream=(\d{1,4})")
_T = TypeVar("_T")
_P = TypeVar("_P")


def addressed(path: Path) -> tuple[Path, int]:
    """Return the file a path names, and which of its audio streams: ``#stream=N`` at the end.

    A file whose own name ends like this is meant itself.

    Examples
    --------
    >>> addressed(Path("song.stem.mp4#stream=4"))[1], addressed(Path("song #1.wav"))[1]
    (4, 0)
    """
    found = _STREAM.fullmatch(path.name)
    if found is None or os.path.exists(path):  # noqa: PTH110  (it takes any name)
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
        return Calm(path.open("rb", buffering=0))
    except FileNotFoundError as error:
        raise InputError(f"{printable(path)}: no such file; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{printable(path)}: cannot be read ({reason}); check the file") from error


def with_sound(path: Path, job: Callable[[Sound], _T]) -> _T:
    """Do a job on an opened sound file: by libsndfile where it can, else by FFmpeg's libraries."""
    with opened(path) as whole:
        _head(whole, path)
        file = _past_tag(whole)
        if file is not whole:
            return _with_opened(file, path, addressed(path)[1], job)
        places = parts(file)
        if len(places) > 1:

            def do(begin: int, end: int, part_job: Callable[[Sound], _P]) -> _P:
                with Part.opened(file, begin, end) as part:
                    return _with_opened(part, path, 0, part_job)

            return job(Chain(places, do, path))
        return _with_opened(file, path, addressed(path)[1], job)


def _with_opened(
    file: io.BufferedReader, path: Path, stream: int, job: Callable[[Sound], _T]
) -> _T:
    import soundfile

    file = with_length(file)
    # MPEG audio is FFmpeg's: libsndfile's reader prints warnings and stumbles over tags.
    file.seek(0)
    if not (stream or _is_mpeg(file.read(4))):
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                # One without frames may be a recorder's that crashed before it wrote the length.
                if sound.frames and not sound.subtype.startswith("MPEG"):
                    return job(Sndfile(sound))
        except soundfile.LibsndfileError:
            pass  # unknown to it, or damaged: FFmpeg decodes as far as there is sound
        except TypeError:
            pass  # its answer to a name ending in .raw, which it takes for headerless
    file.seek(0)
    with _opened_by_ffmpeg(file, path) as container:
        return job(Container(container, path, stream))


def promised_s(path: Path) -> float:
    """Return the seconds a file's header promises, if its last sound is there; else what decodes.

    Good for adding up hours: a whole file is not decoded, and a truncated one counts what is left
    of it. `nearkin.audio.sound_info` says what can be decoded to the sample.

    Raises
    ------
    InputError
        If the file is missing, empty, or its header is not that of a sound.
    """
    _, number = addressed(path)
    with opened(path) as whole:
        _head(whole, path)
        tagless = _past_tag(whole)
        file = with_length(tagless)
        head = _head(file, path)
        seconds: float | None = 0.0
        if tagless is not whole or len(parts(file)) == 1:
            seconds = None if number or _is_mpeg(head) else _sndfile_s(file)
            if seconds is None:
                file.seek(0)
                with _opened_by_ffmpeg(file, path) as container:
                    seconds = _container_s(container, audio_stream(container, path, number))
    return seconds or with_sound(path, lambda sound: sound.length() / sound.rate)


def _sndfile_s(file: io.BufferedReader) -> float | None:
    """Return the seconds a header promises, 0 where they are not there, None if FFmpeg's to say."""
    import soundfile

    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError):
        return None
    with sound:
        try:
            there = sound.frames < UNKNOWN and Sndfile(sound).is_whole()
        except soundfile.LibsndfileError:
            there = False
        return float(sound.frames / sound.samplerate) if there else 0.0


def _container_s(container: Any, stream: Any) -> float:
    """Return the seconds a header promises; 0 where it does not know, or its sound ends before."""
    import av

    promised = 0.0
    if stream.duration is not None:
        promised = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        promised = float(container.duration / 1_000_000)
    if container.format.name in _NO_LENGTH:
        counted = 0
        packets = container.demux(stream)
        while True:
            try:
                counted += next(packets).duration or 0
            except (av.FFmpegError, StopIteration):
                break
        there = float(counted * stream.time_base)
    else:
        there = _end_s(container, stream, promised)
    # An encoder's delay and padding are packets too, which a header that knows has left out.
    return promised if abs(there - promised) < 0.2 else 0.0


def _end_s(container: Any, stream: Any, promised: float) -> float:
    """Return where the sound ends that decodes from shortly before a place on, 0 if none does."""
    import av

    stream.codec_context.thread_count = 1
    begin = float((stream.start_time or 0) * stream.time_base)
    end = 0.0
    try:
        container.seek(max(0, round((begin + promised - _LAST_S) * 1_000_000)))
        for packet in container.demux(stream):
            for frame in packet.decode():
                if frame.time is not None:
                    end = frame.time - begin + frame.samples / frame.sample_rate
    except (av.FFmpegError, ValueError):
        pass  # damaged: what decoded before it counts
    return end


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


def _past_tag(file: io.BufferedReader) -> io.BufferedReader:
    """Return what follows the ID3 tags that some program put before a WAV or AIFF file."""
    begin = 0
    while True:
        file.seek(begin)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        footer = head[3] == 4 and head[5] & 0x10  # ID3v2.4, section 3.1: not counted in its size
        begin += 10 + size + (10 if footer else 0)
    if begin and head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return Part.opened(file, begin, file.seek(0, io.SEEK_END))
    file.seek(0)
    return file


def _is_mpeg(head: bytes) -> bool:
    return head[:3] == b"ID3" or (head[0] == 0xFF and head[1:2] >= b"\xe0")


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
