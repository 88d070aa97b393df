"""SP, WF, TO, RE, TM, PL: what is done to time. Speeds as ratios, times in ms, losses in %.

Nothing is read beyond the signal that is given: what moves a clip within its context uses up the
margin around it (1 s on either side of a clip of 2 s), and fails where that does not suffice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from nearkin.errors import InputError
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, drawn
from nearkin.transforms.sampling import fitted, resampled
from nearkin.transforms.stretch import PITCH_JND_CENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

PACKET_S = 0.02
OVERSAMPLED = 4
TIME_JND_MS = 6.0
"""Displacement of one tone in a quick regular sequence that is just noticed. Friberg and Sundberg
1995, "Time discrimination in a monotonic, isochronous sequence", JASA 98, 2524-2531. A clip that
starts late by itself, with nothing beside it, is noticed far later."""


@dataclass(frozen=True, slots=True)
class Speed(Transformation):
    """Play a signal faster and higher, or slower and lower, as a turntable does.

    Parameters
    ----------
    ratio : float
        New speed over old, 0.1 to 10; 1 returns the signal untouched. The result has
        ``round(samples / ratio)`` samples; a clip is filled up to twice the speed.

    Examples
    --------
    >>> Speed(ratio=1.25)(np.zeros(22_050), sr=22_050).shape
    (17640,)
    """

    ratio: float

    axis: ClassVar[Axis] = Axis(
        title="Speed",
        unit="ratio",
        quantity="speed ratio",
        spoken="× speed",
        noun="clip at another speed",
        more_severe="outwards",
        identity=1.0,
        sides=("slower", "faster"),
        defaults=(0.7, 0.8, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.2, 1.4),
        least=0.1,
        greatest=10.0,
        remedy="1.06 is a semitone",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = "jnd"

    def jnds(self) -> float:
        """Return the change of pitch, which is noticed before that of tempo."""
        return abs(1_200 * math.log2(self.ratio)) / PITCH_JND_CENTS

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Resample the signal."""
        length = max(1, round(y.shape[-1] / self.ratio))
        rows = [resampled(row, from_sr=sr * self.ratio, to_sr=sr) for row in np.atleast_2d(y)]
        return fitted(rows, length).reshape((*y.shape[:-1], length))


@dataclass(frozen=True, slots=True)
class Wow(Transformation):
    """Let the speed swing once a second, as a warped record does.

    Parameters
    ----------
    percent : float
        How far the speed swings to either side, 0 to 50 %; 0 returns the signal untouched.

    Examples
    --------
    >>> Wow(percent=1)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    percent: float

    axis: ClassVar[Axis] = Axis(
        title="Wow",
        unit="%",
        quantity="swing of the speed",
        noun="clip with wow",
        more_severe="higher",
        identity=0.0,
        defaults=(0.1, 0.3, 1, 2, 5),
        least=0.0,
        greatest=50.0,
        remedy="0.2 is a good turntable's",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Read the signal, oversampled, at moving places."""
        from scipy.ndimage import map_coordinates

        t = np.arange(y.shape[-1]) / sr
        moved = t + self.percent / 100 / (2 * np.pi) * np.sin(2 * np.pi * t)
        rows = []
        for row in np.atleast_2d(y):
            finer = resampled(row, from_sr=1, to_sr=OVERSAMPLED)
            places = moved * sr * OVERSAMPLED
            rows.append(map_coordinates(finer, [places], np.float32, order=3, mode="nearest"))
        return fitted(rows, y.shape[-1]).reshape(y.shape)


@dataclass(frozen=True, slots=True)
class TimeOffset(Transformation):
    """Begin a clip a little earlier or later in its recording.

    The result is the part of the signal whose middle lies `offset_ms` after the signal's own, so it
    is twice the offset shorter; what lies beyond the signal is never made up.

    Parameters
    ----------
    offset_ms : float
        Positive: later; -10,000 to 10,000 ms; 0 returns the signal untouched.

    Examples
    --------
    >>> TimeOffset(offset_ms=250)(np.arange(10.0), sr=8)
    array([4., 5., 6., 7., 8., 9.], dtype=float32)
    """

    offset_ms: float

    axis: ClassVar[Axis] = Axis(
        title="Time offset",
        unit="ms",
        quantity="offset",
        noun="clip from another moment",
        more_severe="outwards",
        identity=0.0,
        sides=("earlier", "later"),
        defaults=(-500, -100, -20, -5, 5, 20, 100, 500),
        least=-10_000.0,
        greatest=10_000.0,
        remedy="10 is hardly noticed",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = "jnd"

    def jnds(self) -> float:
        """Return the offset in just noticeable displacements of a tone."""
        return abs(self.offset_ms) / TIME_JND_MS

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Cut the part out."""
        shift = round(self.offset_ms / 1000 * sr)
        length = y.shape[-1] - 2 * abs(shift)
        if length < 1:
            raise InputError(
                f"offset_ms={self.offset_ms:g}: must be less than half the signal's "
                f"{1000 * y.shape[-1] / sr:.0f} ms; pass a smaller offset"
            )
        start = max(0, 2 * shift)
        return y[..., start : start + length]


@dataclass(frozen=True, slots=True)
class Reversal(Transformation):
    """Play a signal backwards.

    Parameters
    ----------
    reversed : float
        1, its only magnitude.

    Examples
    --------
    >>> Reversal(reversed=1)(np.array([0.1, 0.2, 0.3]), sr=22_050)
    array([0.3, 0.2, 0.1], dtype=float32)
    """

    reversed: float

    axis: ClassVar[Axis] = Axis(
        title="Reversal",
        quantity="reversed",
        noun="reversed clip",
        more_severe="higher",
        defaults=(1,),
        least=1.0,
        greatest=1.0,
        remedy="its only magnitude is 1",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Turn time round."""
        return y[..., ::-1]


@dataclass(frozen=True, slots=True)
class TimeMask(Transformation):
    """Silence the middle of a signal; the loudness of the rest is kept.

    Parameters
    ----------
    mask_ms : float
        How long the silence is, 0 to 60,000 ms; 0 returns the signal untouched.

    Examples
    --------
    >>> int(np.sum(TimeMask(mask_ms=100)(np.ones(22_050), sr=22_050) == 0))
    2205
    """

    mask_ms: float

    axis: ClassVar[Axis] = Axis(
        title="Gap",
        unit="ms",
        quantity="gap",
        noun="clip with a gap",
        more_severe="higher",
        identity=0.0,
        defaults=(20, 50, 100, 200, 500, 1_000),
        least=0.0,
        greatest=60_000.0,
        remedy="100 is a clearly heard gap",
    )
    loudness: ClassVar[Literal["matched", "kept"]] = "kept"

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Silence the middle."""
        length = min(round(self.mask_ms / 1000 * sr), y.shape[-1])
        start = (y.shape[-1] - length) // 2
        out = y.copy()
        out[..., start : start + length] = 0
        return out


@dataclass(frozen=True, slots=True)
class PacketLoss(Transformation):
    """Lose packets of 20 ms: they are silent, nothing conceals them; the loudness is kept.

    The packets that are lost at some rate are lost at every higher rate too.

    Parameters
    ----------
    percent : float
        The share of the packets, 0 to 100 %; 0 returns the signal untouched.

    Examples
    --------
    >>> y = PacketLoss(percent=10)(np.ones(22_050), sr=22_050, rng=np.random.default_rng(0))
    >>> int(np.sum(y == 0)) // 441
    5
    """

    percent: float

    axis: ClassVar[Axis] = Axis(
        title="Packet loss",
        unit="%",
        quantity="lost packets",
        spoken="% of the packets",
        noun="clip with lost packets",
        more_severe="higher",
        identity=0.0,
        defaults=(1, 2, 5, 10, 20, 40),
        least=0.0,
        greatest=100.0,
        remedy="5 is a poor connection",
    )
    loudness: ClassVar[Literal["matched", "kept"]] = "kept"

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Silence the packets."""
        size = max(1, round(PACKET_S * sr))
        n = y.shape[-1] // size
        lost = drawn(rng, what="packet loss").permutation(n)[: round(self.percent / 100 * n)]
        out = y.copy()
        for packet in lost.tolist():
            out[..., packet * size : (packet + 1) * size] = 0
        return out
