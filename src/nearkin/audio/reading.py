"""Sound files as mono signals at the rate asked for, whole or excerpt by excerpt.

Conventions: what comes out is ``float32[samples]`` with full scale at 1.0 (it may exceed it and is
never clipped here), rates in Hz, times in seconds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nearkin.audio.decoders import Sound, as_channels
from nearkin.audio.decoding import opened, with_sound
from nearkin.audio.signals import SAMPLE_RATE, resample
from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


LARGEST = 1e12
"""The largest sample that is read: the power of what is louder overflows float32. Samples of 32-bit
integers kept as floats are below it."""


class SoundInfo(NamedTuple):
    """What a sound file holds, as far as it decodes."""

    duration_s: float
    sample_rate: int
    channels: int


def sound_info(path: str | Path) -> SoundInfo:
    """Return duration, rate and channels of a sound file.

    The duration is what can be decoded, not what a header promises: a truncated file says its
    true length. Formats whose headers cannot be trusted (MP3, AAC, WMA, WebM) are decoded for it.

    Parameters
    ----------
    path : str or pathlib.Path
        A sound file; the name may hold any bytes the system allows.

    Returns
    -------
    SoundInfo
        Seconds, Hz, number of channels.

    Raises
    ------
    InputError
        If the file is missing, empty or holds no sound that can be decoded.
    """

    def facts(sound: Sound) -> SoundInfo:
        return SoundInfo(sound.length() / sound.rate, sound.rate, sound.channels)

    return with_sound(Path(path), facts)


class Excerpt(NamedTuple):
    """An excerpt of a sound file.

    Attributes
    ----------
    start_s : float
        Where it begins.
    signal : float32[samples] or InputError
        What `read` returns or raises for it.
    mix_db : float
        Level of the mono mix beside the mean power of the channels, both without their means:
        0 where all channels are alike, -3 where they have nothing in common, far below where they
        cancel each other; -inf where nothing is left.
    """

    start_s: float
    signal: Signal | InputError
    mix_db: float = 0.0


class Excerpts(NamedTuple):
    """Excerpts of a sound file, in the order in which they were asked for.

    Attributes
    ----------
    excerpts : tuple of Excerpt
    heard : str
        Which part of the file is decoded, where some of it cannot be; else empty.
    """

    excerpts: tuple[Excerpt, ...]
    heard: str


def read(
    path: str | Path,
    *,
    sr: int = SAMPLE_RATE,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Signal:
    """Read one excerpt of a sound file as mono at the rate asked for.

    The excerpt is cut at the file's own rate, its channels are averaged, and only then is it
    resampled, so that what is returned depends on the excerpt's samples alone. libsndfile seeks
    where it does so exactly (WAV, FLAC, AIFF, Ogg Vorbis, Opus), otherwise the file is decoded
    from its beginning up to the excerpt's end.

    Parameters
    ----------
    path : str or pathlib.Path
        A sound file of any rate, number of channels and sample format.
    sr : int
        The rate wanted in Hz.
    start_s : float
        Where the excerpt begins in seconds, at least 0.
    duration_s : float, optional
        Its length in seconds; without it everything up to the end.

    Returns
    -------
    numpy.ndarray of float32, shape [samples]
        ``round(duration_s * sr)`` samples; fewer only where the file ends before (a truncated
        file is used as far as it decodes).

    Raises
    ------
    InputError
        If the file cannot be read, holds no sound there, or has NaN or infinite samples.
    """
    path = Path(path)
    _check_place(sr, start_s, duration_s)
    return _read(path, sr, start_s, duration_s)[0]


def _read(path: Path, sr: int, start_s: float, duration_s: float | None) -> tuple[Signal, float]:
    """Return an excerpt and its `Excerpt.mix_db`."""
    frames, rate = with_sound(path, lambda sound: _excerpt(sound, start_s, duration_s))
    y = _finished(frames, path, rate=rate, sr=sr, start_s=start_s, duration_s=duration_s)
    return y, _mix_db(frames)


def read_excerpts(
    path: str | Path,
    choose: Callable[[float], Sequence[tuple[float, float]]],
    *,
    sr: int = SAMPLE_RATE,
) -> Excerpts:
    """Read excerpts whose places depend on the file's length, opening and decoding it once.

    Parameters
    ----------
    path : str or pathlib.Path
        A sound file.
    choose : callable
        Given the duration in seconds, returns ``(start_s, duration_s)`` of every excerpt.
    sr : int
        The rate wanted in Hz.

    Returns
    -------
    Excerpts
        For every excerpt where it starts, and what `read` returns or raises for it.

    Raises
    ------
    InputError
        If the file cannot be read; and whatever `choose` raises.
    """
    path = Path(path)

    def job(sound: Sound) -> tuple[list[tuple[float, float]], list[Signal], int, str]:
        places = list(choose(sound.length() / sound.rate))
        for place in places:
            _check_place(sr, *place)
        whole = [] if sound.spent else [_excerpt(sound, *place)[0] for place in places]
        return places, whole, sound.rate, sound.heard

    places, whole, rate, heard = with_sound(path, job)
    found = []
    for index, (start_s, duration_s) in enumerate(places):
        try:
            if whole:
                y = _finished(
                    whole[index], path, rate=rate, sr=sr, start_s=start_s, duration_s=duration_s
                )
                mix_db = _mix_db(whole[index])
            else:
                y, mix_db = _read(path, sr, start_s, duration_s)
        except InputError as error:
            found.append(Excerpt(start_s, error))
        else:
            found.append(Excerpt(start_s, y, mix_db))
    return Excerpts(tuple(found), heard)


def sound_sha256(path: str | Path, *, seconds: float | None = None) -> str:
    """Return the SHA-256 of what a file sounds like: of its mono mix at its own rate, decoded.

    Copies with other tags, and lossless copies in another format, have the same.

    Parameters
    ----------
    path : path
        A sound file.
    seconds : float, optional
        Decode so much of its beginning; without it, everything.

    Raises
    ------
    InputError
        If the file cannot be read.
    """

    def job(sound: Sound) -> str:
        found = hashlib.sha256(f"{sound.rate} Hz".encode())
        if seconds is None:
            blocks = sound.blocks()
        else:
            blocks = iter([sound.frames(0, round(seconds * sound.rate))])
        for block in blocks:
            found.update(np.ascontiguousarray(as_channels(block, 1)).tobytes())
        return found.hexdigest()

    return with_sound(Path(path), job)


def _mix_db(frames: Signal) -> float:
    if frames.shape[1] == 1:
        return 0.0
    channels = float(np.mean(np.var(frames, axis=0, dtype=np.float64)))
    mix = float(np.var(frames.mean(axis=1, dtype=np.float64)))
    if channels == 0.0:
        return 0.0
    return 10.0 * math.log10(mix / channels) if mix > 0.0 else -math.inf


def _check_place(sr: int, start_s: float, duration_s: float | None) -> None:
    if sr <= 0:
        raise InputError(f"sr={sr}: must be > 0; pass a sample rate in Hz")
    if not (math.isfinite(start_s) and start_s >= 0):
        raise InputError(f"start_s={start_s}: must be finite and >= 0; pass a place in the file")
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s={duration_s}: must be finite and > 0; pass seconds")


def _excerpt(sound: Sound, start_s: float, duration_s: float | None) -> tuple[Signal, int]:
    """Return float32[frames, channels] of one excerpt and its rate."""
    # One frame more than needed, so that rounding never leaves the result a sample short.
    count = None if duration_s is None else math.ceil(duration_s * sound.rate) + 1
    return sound.frames(round(start_s * sound.rate), count), sound.rate


def _finished(
    frames: Signal, path: Path, *, rate: int, sr: int, start_s: float, duration_s: float | None
) -> Signal:
    """Check an excerpt's frames, mix them to mono and resample them."""
    if frames.shape[0] == 0:
        raise InputError(f"{printable(path)}: holds no sound from {start_s:g} s on; start earlier")
    if not np.isfinite(frames).all():
        raise InputError(
            f"{printable(path)}: has NaN or infinite samples: must be finite; repair it"
        )
    peak = float(np.abs(frames).max())
    if peak > LARGEST:
        raise InputError(
            f"{printable(path)}: has samples up to {peak:.3g}: must be at most {LARGEST:g} (full "
            "scale is 1); scale it"
        )
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float64)
    y = resample(mono.astype(np.float32), from_sr=rate, to_sr=sr)
    if duration_s is not None:
        wanted = round(duration_s * sr)
        y = y[:wanted]
        if 0 < wanted - y.shape[0] <= 2:  # the last sample fell to rounding, not to the file's end
            y = np.pad(y, (0, wanted - y.shape[0]))
    return np.ascontiguousarray(y)


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with opened(Path(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
