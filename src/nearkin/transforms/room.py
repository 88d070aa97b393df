"""RV, FV, EC: sound in a room. Reverberation times in s, echoes in dB.

A room adds to a signal what sounded before; of that only the context is known. What sounded before
the context (1 s before a clip of 2 s) is missing from the tail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]
    Samples = NDArray[np.float64]

GAP_S = 0.002
"""Between the direct sound and the beginning of the reverberation."""
ECHO_S = 0.1

_COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
_ALL_PASSES = (556, 441, 341, 225)


@dataclass(frozen=True, slots=True)
class Reverberation(Transformation):
    """Add exponentially decaying noise as reverberation, with as much energy as the direct sound.

    The impulse response is 1, a gap of 2 ms, then Gaussian noise whose energy falls by 60 dB in
    `rt60_s` and is 1 in sum (a direct-to-reverberant ratio of 0 dB). Nothing is delayed. The same
    noise serves every reverberation time.

    Parameters
    ----------
    rt60_s : float
        The reverberation time, 0.02 to 20 s.

    Examples
    --------
    >>> impulse = np.r_[1.0, np.zeros(22_049)]
    >>> h = Reverberation(rt60_s=0.3)(impulse, sr=22_050, rng=np.random.default_rng(0))
    >>> float(h[0]), round(float(np.sum(h[1:] ** 2)), 3)
    (1.0, 1.0)
    """

    rt60_s: float

    axis: ClassVar[Axis] = Axis(
        title="Reverberation",
        unit="s",
        quantity="reverberation time",
        noun="reverberant clip",
        more_severe="higher",
        scale="log",
        defaults=(0.1, 0.2, 0.5, 1, 2),
        least=0.02,
        greatest=20.0,
        remedy="0.5 is a living room, 2 a concert hall",
    )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say what the reverberation time leaves open."""
        return (
            "Reverberation was exponentially decaying noise, as strong as the direct sound and "
            f"{GAP_S * 1000:g} ms behind it."
        )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Convolve the signal with the room."""
        from scipy.signal import fftconvolve

        n = y.shape[-1]
        gap = 1 + round(GAP_S * sr)
        tail = drawn(rng, what="reverberation").standard_normal(
            max(1, round(1.5 * self.rt60_s * sr))
        )
        tail *= 10 ** (-3 * np.arange(len(tail)) / (self.rt60_s * sr))
        tail /= np.sqrt(np.sum(tail**2))
        room = np.concatenate([[1.0], np.zeros(gap - 1), tail])
        shape = (1,) * (y.ndim - 1) + (-1,)
        wet: Samples = fftconvolve(y.astype(np.float64), room.reshape(shape), axes=-1)
        return wet[..., :n]


@dataclass(frozen=True, slots=True)
class Freeverb(Transformation):
    """Add the reverberation of Freeverb, the algorithm behind many plug-ins.

    Eight comb filters with damping side by side, then four all-pass filters (Jezar, 2000), mixed
    with the dry signal as JUCE and pedalboard do by default (damping 0.5, wet 0.33, dry 0.4). Deng
    et al. (2025) measured sensitivity with it.

    Parameters
    ----------
    room_size : float
        0 to 1; also at 0 there is some reverberation.

    Examples
    --------
    >>> h = Freeverb(room_size=0.5)(np.r_[1.0, np.zeros(22_049)], sr=22_050)
    >>> round(float(h[0]), 3), bool(np.abs(h[300:]).max() > 0)
    (0.8, True)
    """

    room_size: float

    axis: ClassVar[Axis] = Axis(
        title="Freeverb",
        quantity="room size",
        noun="clip with Freeverb",
        more_severe="higher",
        defaults=(0.01, 0.25, 0.5, 0.75, 1),
        least=0.0,
        greatest=1.0,
        remedy="0.5 is the default of many plug-ins",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Add the reverberation."""
        feedback, damping = 0.28 * self.room_size + 0.7, 0.4 * 0.5
        dry = y.astype(np.float64)
        wet = sum(
            (_comb(0.015 * dry, _at(delay, sr), feedback, damping) for delay in _COMBS),
            np.zeros(dry.shape),
        )
        for delay in _ALL_PASSES:
            wet = _all_pass(wet, _at(delay, sr))
        mixed: Samples = 0.99 * wet + 0.8 * dry
        return mixed


def _at(delay: int, sr: int) -> int:
    """Return a delay, given for 44.1 kHz, at another rate."""
    return max(1, delay * sr // 44_100)


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _comb(x: Samples, delay: int, feedback: float, damping: float) -> Samples:
    """Run a comb filter whose feedback passes a one-pole low-pass; a block is one delay long."""
    from scipy.signal import lfilter

    out = np.zeros(x.shape)
    held = np.zeros((*x.shape[:-1], delay))
    state = np.zeros((*x.shape[:-1], 1))
    for part in _blocks(x.shape[-1], delay):
        n = part.stop - part.start
        out[..., part] = held[..., :n]
        low, state = lfilter([1 - damping], [1, -damping], held[..., :n], zi=state)
        held[..., :n] = x[..., part] + feedback * low
    return out


def _all_pass(x: Samples, delay: int) -> Samples:
    out = np.zeros(x.shape)
    held = np.zeros((*x.shape[:-1], delay))
    for part in _blocks(x.shape[-1], delay):
        before = held[..., : part.stop - part.start].copy()
        held[..., : part.stop - part.start] = x[..., part] + 0.5 * before
        out[..., part] = before - x[..., part]
    return out


@dataclass(frozen=True, slots=True)
class Echo(Transformation):
    """Add one echo, a tenth of a second later.

    Parameters
    ----------
    level_db : float
        The echo's level against the direct sound, -100 to 20 dB.

    Examples
    --------
    >>> h = Echo(level_db=-6)(np.r_[1.0, np.zeros(22_049)], sr=22_050)
    >>> np.flatnonzero(h).tolist(), round(float(h[2205]), 3)
    ([0, 2205], 0.501)
    """

    level_db: float

    axis: ClassVar[Axis] = Axis(
        title="Echo",
        unit="dB",
        quantity="echo",
        noun="clip with an echo",
        more_severe="higher",
        defaults=(-24, -18, -12, -6, 0),
        least=-100.0,
        greatest=20.0,
        remedy="-6 is half the amplitude",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Add the echo."""
        later = round(ECHO_S * sr)
        out = y.astype(np.float64)
        out[..., later:] += 10 ** (self.level_db / 20) * y[..., : max(0, y.shape[-1] - later)]
        return out
