"""The few facts about a signal everything else relies on: its rate and its loudness.

Conventions: a signal is ``float32[..., samples]`` with full scale at 1.0 (it may exceed it), mono
unless a first axis of channels is named, rates in Hz, loudness in LUFS (EBU R128 / ITU-R
BS.1770-4).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

SAMPLE_RATE = 22_050
"""The rate (Hz) at which nearkin works unless told otherwise (paper, section 4.1)."""
GATE_LUFS = -70.0
"""The absolute gate of BS.1770-4: what is quieter has no loudness."""
BLOCK_S = 0.4
"""The gating block of BS.1770-4: what is shorter has no loudness."""


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
