"""MP: MP3 compression at a constant bit rate, there and back in memory.

Bit rates in kb/s. The result is aligned with its input to the sample and has its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.audio import (
    MP3_KBPS_MPEG1,
    MP3_KBPS_MPEG2,
    MP3_SAMPLE_RATES,
    decode_mp3,
    encode_mp3,
    mp3_ladder,
    resample,
)
from nearkin.errors import InputError
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, checked_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

KBPS = tuple(sorted({*MP3_KBPS_MPEG1, *MP3_KBPS_MPEG2}))
"""Every bit rate MP3 knows at one sample rate or another."""

_FRAME = 1152
"""Samples of a frame; 576, its half, at 24 kHz and below."""
_RUN_IN_S = 0.3
"""Seconds that are coded on either side of what is heard. The bit reservoir of MPEG-2 reaches back
255 bytes: 0.26 s at 8 kb/s."""


@dataclass(frozen=True, slots=True)
class MP3(Transformation):
    """Encode and decode a signal with LAME at a constant bit rate.

    A channel whose peak is above full scale is scaled to 1.0 before and back after.

    Parameters
    ----------
    kbps : float
        The bit rate asked for, one MP3 knows (8 to 320 kb/s).
    rate : str
        ``"paper"`` encodes at the signal's own sample rate and takes the nearest bit rate MP3
        knows there: MPEG-2 ends at 160, so at 22.05 kHz 192 to 320 all come out as 160, as in
        the paper. ``"true"`` gives what was asked, by encoding at 44.1 kHz above 160 kb/s (and
        at 22.05 kHz below what the signal's own rate knows).

    Examples
    --------
    >>> import numpy as np
    >>> MP3(kbps=192).apply(np.zeros(22_050), sr=22_050).effective_magnitude
    160.0
    """

    kbps: float
    rate: str = "paper"

    axis: ClassVar[Axis] = Axis(
        title="MP3 compression",
        unit="kb/s",
        quantity="bit rate",
        noun="MP3-compressed clip",
        more_severe="lower",
        scale="log",
        imperceptible=(192.0,),
        defaults=(8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192),
        least=KBPS[0],
        greatest=KBPS[-1],
        remedy="MP3 knows " + ", ".join(map(str, KBPS)),
    )

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        Transformation.__post_init__(self)
        if self.kbps not in KBPS:
            raise InputError(f"kbps={self.kbps:g}: must be a bit rate of MP3; {self.axis.remedy}")
        checked_choice(self.rate, name="rate", among=("paper", "true"))

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say which bit rates are real."""
        plan = run.get("plan", {})
        if plan.get("mp3_rate") == "paper" and plan.get("working_rate") == 22_050:
            return (
                "MP3 was coded at 22,050 Hz, where no more than 160 kb/s exist: rates above that, "
                "as in the paper's own route, are 160 in effect."
            )
        if plan.get("mp3_rate") == "true":
            return "MP3 above 160 kb/s was coded at 44.1 kHz, where these rates are real."
        return ""

    def spare(self, n: int, *, heard: int, sr: int) -> int:
        """Leave what is heard and a run-in, and a start between two frames."""
        if self._coded_rate(sr) % sr:
            return 0
        return max(0, int((n - heard) / 2 - _RUN_IN_S * sr) // _FRAME * _FRAME)

    def effective(self, *, sr: int) -> float:
        """Return the bit rate that MP3 knows at the rate it is coded at, nearest to the asked."""
        ladder = mp3_ladder(self._coded_rate(sr))
        return float(min(ladder, key=lambda known: abs(known - self.kbps)))

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Encode and decode the signal, each channel by itself."""
        coded_sr, kbps = self._coded_rate(sr), int(self.effective(sr=sr))
        out = np.zeros_like(y)
        for source, target in zip(np.atleast_2d(y), np.atleast_2d(out), strict=True):
            heard = resample(source, from_sr=sr, to_sr=coded_sr)
            # LAME distorts what is far above full scale, and aborts the process further on.
            peak = max(float(np.abs(heard).max()), 1.0)
            coded = encode_mp3(heard / np.float32(peak), sr=coded_sr, kbps=kbps)
            back = resample(decode_mp3(coded)[0], from_sr=coded_sr, to_sr=sr)[: target.shape[0]]
            target[: back.shape[0]] = back * np.float32(peak)
        return out

    def _coded_rate(self, sr: int) -> int:
        """Return the rate to encode at: the signal's own where MP3 has it, else the next above."""
        own = next((known for known in MP3_SAMPLE_RATES if known >= sr), MP3_SAMPLE_RATES[-1])
        if self.rate == "paper" or self.kbps in mp3_ladder(own):
            return own
        return 44_100 if self.kbps > MP3_KBPS_MPEG2[-1] else 22_050
