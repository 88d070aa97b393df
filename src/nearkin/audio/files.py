"""Sound in and out of files, and the few facts about a signal everything else relies on.

Conventions: a signal is ``float32[..., samples]`` with full scale at 1.0 (it may exceed it and is
never clipped here), mono unless a first axis of channels is named, rates in Hz, times in seconds,
loudness in LUFS (EBU R128 / ITU-R BS.1770-4), bit rates in kb/s (1,000 bits a second).
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nearkin.audio.decoding import Container, Sndfile, decoded, opened
from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

SAMPLE_RATE = 22_050
"""The rate (Hz) at which nearkin works unless told otherwise (paper, section 4.1)."""

AUDIO_SUFFIXES = frozenset(
    [
        *(".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mka", ".mkv", ".mp2", ".mp3"),
        *(".mp4", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav", ".wave", ".webm"),
        ".wma",
    ]
)
"""Lower-case suffixes of the files that are tried when a folder is searched for sound."""

MP3_KBPS_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBPS_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP3_SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

GATE_LUFS = -70.0
"""The absolute gate of BS.1770-4: what is quieter has no loudness."""
BLOCK_S = 0.4
"""The gating block of BS.1770-4: what is shorter has no loudness."""


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

    def facts(sound: Sndfile | Container) -> SoundInfo:
        return SoundInfo(sound.length() / sound.rate, sound.rate, sound.channels)

    return decoded(Path(path), facts)


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
    frames, rate = decoded(path, lambda sound: _excerpt(sound, start_s, duration_s))
    return _finished(frames, path, rate=rate, sr=sr, start_s=start_s, duration_s=duration_s)


def read_excerpts(
    path: str | Path,
    choose: Callable[[float], Sequence[tuple[float, float]]],
    *,
    sr: int = SAMPLE_RATE,
) -> list[tuple[float, Signal | InputError]]:
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
    list of (float, float32[samples] or InputError)
        For every excerpt where it starts, and what `read` returns or raises for it.

    Raises
    ------
    InputError
        If the file cannot be read; and whatever `choose` raises.
    """
    path = Path(path)

    def job(sound: Sndfile | Container) -> tuple[list[tuple[float, float]], list[Signal], int]:
        places = list(choose(sound.length() / sound.rate))
        for place in places:
            _check_place(sr, *place)
        whole = [] if sound.spent else [_excerpt(sound, *place)[0] for place in places]
        return places, whole, sound.rate

    places, whole, rate = decoded(path, job)
    found: list[tuple[float, Signal | InputError]] = []
    for index, (start_s, duration_s) in enumerate(places):
        try:
            if whole:
                y = _finished(
                    whole[index], path, rate=rate, sr=sr, start_s=start_s, duration_s=duration_s
                )
            else:
                y = read(path, sr=sr, start_s=start_s, duration_s=duration_s)
        except InputError as error:
            found.append((start_s, error))
        else:
            found.append((start_s, y))
    return found


def _check_place(sr: int, start_s: float, duration_s: float | None) -> None:
    if sr <= 0:
        raise InputError(f"sr={sr}: must be > 0; pass a sample rate in Hz")
    if not (math.isfinite(start_s) and start_s >= 0):
        raise InputError(f"start_s={start_s}: must be finite and >= 0; pass a place in the file")
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s={duration_s}: must be finite and > 0; pass seconds")


def _excerpt(
    sound: Sndfile | Container, start_s: float, duration_s: float | None
) -> tuple[Signal, int]:
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
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float64)
    y = resample(mono.astype(np.float32), from_sr=rate, to_sr=sr)
    if duration_s is not None:
        wanted = round(duration_s * sr)
        y = y[:wanted]
        if 0 < wanted - y.shape[0] <= 2:  # the last sample fell to rounding, not to the file's end
            y = np.pad(y, (0, wanted - y.shape[0]))
    return np.ascontiguousarray(y)


def resample(y: NDArray[Any], *, from_sr: int, to_sr: int) -> Signal:
    """Resample a signal with soxr's "HQ" setting; time stays aligned.

    Parameters
    ----------
    y : numpy.ndarray, shape [..., samples]
        The signal.
    from_sr, to_sr : int
        Its rate and the rate wanted, in Hz; equal rates return the samples as they are.

    Returns
    -------
    numpy.ndarray of float32, shape [..., round(samples * to_sr / from_sr)]
        The resampled signal.
    """
    if from_sr <= 0 or to_sr <= 0:
        raise InputError(f"from_sr={from_sr}, to_sr={to_sr}: must be > 0; pass rates in Hz")
    y = np.asarray(y, dtype=np.float32)
    if from_sr == to_sr:
        return y
    import soxr

    length = round(y.shape[-1] * to_sr / from_sr)
    flat = y.reshape(-1, y.shape[-1])
    out = np.zeros((flat.shape[0], length), dtype=np.float32)
    for source, target in zip(flat, out, strict=True):
        made = soxr.resample(source, from_sr, to_sr, quality="HQ")[:length]
        target[: made.shape[0]] = made
    return out.reshape((*y.shape[:-1], length))


def loudness_lufs(y: ArrayLike, *, sr: int) -> float:
    """Return the integrated loudness of a mono signal.

    EBU R128 / ITU-R BS.1770-4 by pyloudnorm with De Man's filters, which equal libebur128's.

    Parameters
    ----------
    y : array_like, shape [samples]
        The signal, at least 0.4 s of it.
    sr : int
        Its rate in Hz.

    Returns
    -------
    float
        LUFS, finite.

    Raises
    ------
    InputError
        If the signal is too short (0.4 s), too quiet (the -70 LUFS gate) or not finite.
    """
    signal = np.asarray(y, dtype=np.float64)
    if signal.ndim != 1:
        raise InputError(f"y of shape {signal.shape}: must be [samples]; pass one channel")
    if signal.shape[0] < BLOCK_S * sr:
        raise InputError(
            f"{signal.shape[0] / sr:.3g} s: too short to measure loudness; pass at least 0.4 s"
        )
    if not np.isfinite(signal).all():
        raise InputError("NaN or infinite samples: loudness needs finite ones; repair the signal")
    value = float(_meter(sr).integrated_loudness(signal))
    if not value >= GATE_LUFS:
        raise InputError("silence: below the -70 LUFS gate of BS.1770; choose a louder excerpt")
    return value


@functools.cache
def _meter(sr: int) -> Any:
    import pyloudnorm

    return pyloudnorm.Meter(sr, filter_class="DeMan")


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with opened(Path(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mp3_ladder(sr: int) -> tuple[int, ...]:
    """Return the bit rates (kb/s) MP3 knows at a sample rate: MPEG-1's, MPEG-2's or MPEG-2.5's."""
    if sr not in MP3_SAMPLE_RATES:
        rates = ", ".join(map(str, MP3_SAMPLE_RATES))
        raise InputError(f"sr={sr}: MP3 knows no such rate; resample to one of {rates}")
    if sr >= 32_000:
        return MP3_KBPS_MPEG1
    # LAME ends at 64 in MPEG-2.5 (12 kHz and below).
    return MP3_KBPS_MPEG2 if sr >= 16_000 else MP3_KBPS_MPEG2[:8]


def encode_mp3(y: ArrayLike, *, sr: int, kbps: int) -> bytes:
    """Encode a mono signal as an MP3 file of constant bit rate (LAME, through PyAV).

    Samples above full scale are passed on as they are: the encoder is fed float samples.

    Parameters
    ----------
    y : array_like, shape [samples]
        The signal.
    sr : int
        Its rate in Hz, one MP3 knows.
    kbps : int
        The bit rate in kb/s, one MP3 knows at that rate (`mp3_ladder`).

    Returns
    -------
    bytes
        The whole file, with the tag from which decoders learn delay and padding.
    """
    signal = np.ascontiguousarray(y, dtype=np.float32)
    if signal.ndim != 1 or signal.shape[0] == 0:
        raise InputError(f"y of shape {signal.shape}: must be [samples], not empty; pass a signal")
    if kbps not in mp3_ladder(sr):
        known = ", ".join(map(str, mp3_ladder(sr)))
        raise InputError(f"kbps={kbps}: MP3 at {sr} Hz knows {known}; pass one of these")
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        # fltp: the default 16-bit format would clip above 1.0.
        stream: Any = container.add_stream(
            "libmp3lame", rate=sr, format="fltp", layout="mono", bit_rate=kbps * 1000
        )
        frame = av.AudioFrame.from_ndarray(signal[None], format="fltp", layout="mono")
        frame.sample_rate = sr
        frame.time_base = Fraction(1, sr)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def decode_mp3(data: bytes) -> tuple[Signal, int, float]:
    """Decode an MP3 file held in memory; encoder delay and padding are removed.

    Parameters
    ----------
    data : bytes
        What `encode_mp3` returned, or any mono MP3 file.

    Returns
    -------
    y : numpy.ndarray of float32, shape [samples]
        The first channel.
    sr : int
        Its rate in Hz.
    kbps : float
        The bit rate of its frames in kb/s.
    """
    import av

    try:
        with av.open(io.BytesIO(data), format="mp3") as container:
            stream = container.streams.audio[0]
            stream.codec_context.thread_count = 1
            parts = [frame.to_ndarray()[0] for frame in container.decode(stream)]
            bit_rate = stream.codec_context.bit_rate or 0
            sr = stream.codec_context.sample_rate
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{len(data)} bytes: not an MP3 file; pass one ({error})") from error
    if not parts:
        raise InputError(f"{len(data)} bytes: an MP3 file without sound; pass another")
    return np.concatenate(parts).astype(np.float32, copy=False), sr, bit_rate / 1000
