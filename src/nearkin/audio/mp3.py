"""MP3 files in memory: LAME through PyAV, there and back without encoder delay.

Conventions: a signal is ``float32[samples]``, rates in Hz, bit rates in kb/s (1,000 bits a second).
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

MP3_KBPS_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBPS_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP3_SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

MP3_PEAK = 8.0
"""The largest sample `encode_mp3` takes: LAME is linear up to there."""


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

    Samples above full scale (1.0) are not clipped: the encoder is fed float samples. From about 16
    times full scale on LAME distorts, and far above it aborts the process.

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

    Raises
    ------
    InputError
        If the signal is empty, not mono, not finite or above `MP3_PEAK`, or MP3 knows no such rate.
    """
    signal = np.ascontiguousarray(y, dtype=np.float32)
    if signal.ndim != 1 or signal.shape[0] == 0:
        raise InputError(f"y of shape {signal.shape}: must be [samples], not empty; pass a signal")
    peak = float(np.abs(signal).max())
    if not peak <= MP3_PEAK:
        raise InputError(
            f"samples up to {peak:.4g}: must be finite and at most {MP3_PEAK:g} for MP3; scale the "
            "signal to a peak of 1"
        )
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
