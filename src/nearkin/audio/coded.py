"""Signals through a lossy codec and back, in memory: FFmpeg's codecs by PyAV, libsndfile's.

Conventions: a signal is ``float32[samples]`` within [-1, 1], rates in Hz, bit rates in kb/s. What
comes back is as long and as late as the codec makes it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


def through_ffmpeg(
    y: Signal,
    *,
    sr: int,
    codec: str,
    container: str,
    kbps: float,
    format: str = "",
    options: Mapping[str, str] | None = None,
) -> Signal:
    """Encode a signal with one of FFmpeg's encoders, and decode it.

    Parameters
    ----------
    y : float32[samples]
        The signal, within [-1, 1].
    sr : int
        Its rate in Hz, one the codec takes.
    codec, container : str
        FFmpeg's names.
    kbps : float
        The bit rate in kb/s.
    format : str
        FFmpeg's name of the samples' format; by default what the encoder likes best.
    options : mapping of str to str, optional
        The encoder's own.

    Raises
    ------
    InputError
        If the installed PyAV has no such encoder.
    """
    return _decoded(ffmpeg_file(y, sr, codec, container, kbps, format, options or {}), container)


def ffmpeg_file(
    y: Signal,
    sr: int,
    codec: str,
    container: str,
    kbps: float,
    format: str,
    options: Mapping[str, str],
) -> bytes:
    """Return the file that an encoder writes; see `through_ffmpeg`."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        try:
            stream: Any = file.add_stream(
                codec, rate=sr, layout="mono", bit_rate=round(kbps * 1000), options=dict(options)
            )
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"codec '{codec}': the installed PyAV {av.__version__} has no such encoder; leave "
                "the transformation out or install a wheel of PyAV from PyPI"
            ) from error
        stream.codec_context.thread_count = 1
        wanted = format or stream.codec_context.codec.audio_formats[-1].name
        stream.format = wanted
        frame = av.AudioFrame.from_ndarray(_samples(y, wanted)[None], format=wanted, layout="mono")
        frame.sample_rate = sr
        frame.time_base = Fraction(1, sr)
        frame.pts = 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _samples(y: Signal, format: str) -> NDArray[Any]:
    if format.startswith("s16"):
        return np.clip(np.round(y * np.float32(32_767)), -32_768, 32_767).astype(np.int16)
    return np.ascontiguousarray(y, np.float32)


def _decoded(data: bytes, container: str) -> Signal:
    import av

    with av.open(io.BytesIO(data), format=container) as file:
        stream = file.streams.audio[0]
        stream.codec_context.thread_count = 1
        parts = [frame.to_ndarray().reshape(-1) for frame in file.decode(stream)]
    whole = np.concatenate(parts)
    if whole.dtype == np.int16:
        return whole.astype(np.float32) / np.float32(32_768)
    return whole.astype(np.float32, copy=False)


def through_sndfile(
    y: Signal, *, sr: int, container: str, subtype: str, level: float | None = None
) -> Signal:
    """Encode a signal with libsndfile, and decode it.

    Parameters
    ----------
    y : float32[samples]
        The signal, within [-1, 1].
    sr : int
        Its rate in Hz, one the codec takes.
    container, subtype : str
        libsndfile's names.
    level : float, optional
        libsndfile's compression level, 0 (most bits) to 1.
    """
    import soundfile

    buffer = io.BytesIO()
    settings = {} if level is None else {"compression_level": level}
    with soundfile.SoundFile(
        buffer, "w", sr, 1, format=container, subtype=subtype, **settings
    ) as file:
        file.write(y)
    buffer.seek(0)
    back: Signal
    back, _ = soundfile.read(buffer, dtype="float32")
    return back
