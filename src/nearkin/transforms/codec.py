"""MP: MP3 compression at a constant bit rate, there and back in memory.

Bit rates in kb/s. The result is aligned with its input to the sample and has its length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
from nearkin.transforms.protocol import (
    Transformation,
    Transformed,
    checked_choice,
    checked_number,
    checked_signal,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

KBPS = tuple(sorted({*MP3_KBPS_MPEG1, *MP3_KBPS_MPEG2}))
"""Every bit rate MP3 knows at one sample rate or another."""


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

    code: ClassVar[str] = "MP"
    title: ClassVar[str] = "MP3 compression"
    unit: ClassVar[str] = "kb/s"
    parameter: ClassVar[str] = "kbps"
    sides: ClassVar[tuple[str, ...]] = ("",)
    scale: ClassVar[str] = "log"
    identity: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        known = "MP3 knows " + ", ".join(map(str, KBPS))
        kbps = checked_number(self.kbps, name="kbps", low=KBPS[0], high=KBPS[-1], remedy=known)
        if kbps not in KBPS:
            raise InputError(f"kbps={kbps:g}: must be a bit rate of MP3; {known}")
        object.__setattr__(self, "kbps", kbps)
        checked_choice(self.rate, name="rate", among=("paper", "true"))

    @property
    def magnitude(self) -> float:
        """The bit rate asked for."""
        return self.kbps

    @property
    def severity(self) -> float:
        """Grows as the bit rate falls."""
        return -math.log2(self.kbps)

    @property
    def side(self) -> str:
        """Always ``""``."""
        return ""

    def apply(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> Transformed:
        """Encode and decode the signal, each channel by itself; see `Transformation.apply`."""
        signal = checked_signal(y, sr=sr)
        coded_sr = self._coded_rate(sr)
        ladder = mp3_ladder(coded_sr)
        asked = int(self.kbps)
        kbps = min(ladder, key=lambda known: abs(known - asked))
        out = np.zeros_like(signal)
        effective = 0.0
        for source, target in zip(np.atleast_2d(signal), np.atleast_2d(out), strict=True):
            heard = resample(source, from_sr=sr, to_sr=coded_sr)
            # LAME distorts what is far above full scale, and aborts the process further on.
            peak = max(float(np.abs(heard).max()), 1.0)
            coded = encode_mp3(heard / np.float32(peak), sr=coded_sr, kbps=kbps)
            decoded, _, effective = decode_mp3(coded)
            back = resample(decoded, from_sr=coded_sr, to_sr=sr)[: target.shape[0]]
            target[: back.shape[0]] = back * np.float32(peak)
        return Transformed(out, float(effective))

    def _coded_rate(self, sr: int) -> int:
        """Return the rate to encode at: the signal's own where MP3 has it, else the next above."""
        own = next((known for known in MP3_SAMPLE_RATES if known >= sr), MP3_SAMPLE_RATES[-1])
        if self.rate == "paper" or self.kbps in mp3_ladder(own):
            return own
        return 44_100 if self.kbps > MP3_KBPS_MPEG2[-1] else 22_050
