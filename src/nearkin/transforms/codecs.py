"""OP, AA, VO, GS, AM: lossy codecs beside MP3, there and back in memory. Bit rates in kb/s.

The result is aligned with its input to the sample and has its length. A channel whose peak is above
full scale is scaled to 1.0 before and back after.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.audio import resample
from nearkin.audio.coded import through_ffmpeg, through_sndfile
from nearkin.errors import InputError
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

SHORTEST_S = 0.2
"""Signals shorter than a few frames of a codec are ended with silence for it."""
AAC_RATES = (7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AMR_KBPS = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)


class Coded(Transformation):
    """A codec: its rate and its way there and back is all that it has to say."""

    __slots__ = ()

    def coded_rate(self, sr: int) -> int:
        """Return the rate in Hz that it codes at."""
        return sr

    @abstractmethod
    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode float32[samples] within [-1, 1], at the rate it codes at."""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Encode and decode the signal, each channel by itself."""
        coded_sr = self.coded_rate(sr)
        out = np.zeros_like(y)
        for source, target in zip(np.atleast_2d(y), np.atleast_2d(out), strict=True):
            longer = np.pad(source, (0, max(0, round(SHORTEST_S * sr) - len(source))))
            heard = resample(longer, from_sr=sr, to_sr=coded_sr)
            peak = np.float32(max(float(np.abs(heard).max()), 1.0))
            coded = self.there_and_back(heard / peak, sr=coded_sr)[self.delay_samples :]
            held = np.zeros_like(heard)
            held[: len(coded)] = coded[: len(held)]
            back = resample(held, from_sr=coded_sr, to_sr=sr)[: len(target)]
            target[: len(back)] = back * peak
        return out


def _axis(title: str, noun: str, *, defaults: tuple[float, ...], remedy: str, **more: Any) -> Axis:
    return Axis(
        title=title,
        unit="kb/s",
        quantity="bit rate",
        noun=noun,
        more_severe="lower",
        scale="log",
        defaults=defaults,
        remedy=remedy,
        **more,
    )


@dataclass(frozen=True, slots=True)
class Opus(Coded):
    """Encode and decode a signal with Opus (libopus, 48 kHz) at a constant bit rate.

    Parameters
    ----------
    kbps : float
        6 to 256 kb/s.

    Examples
    --------
    >>> Opus(kbps=16)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    kbps: float

    axis: ClassVar[Axis] = _axis(
        "Opus compression",
        "Opus-compressed clip",
        defaults=(6, 8, 12, 16, 24, 32, 64, 96),
        least=6.0,
        greatest=256.0,
        remedy="64 is a stream's, 16 a telephone call's",
    )

    def coded_rate(self, sr: int) -> int:
        """Return 48 kHz, the only one."""
        return 48_000

    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode a signal."""
        return through_ffmpeg(
            y, sr=sr, codec="libopus", container="ogg", kbps=self.kbps, options={"vbr": "off"}
        )


@dataclass(frozen=True, slots=True)
class AAC(Coded):
    """Encode and decode a signal with AAC (FFmpeg's own encoder, low complexity).

    Parameters
    ----------
    kbps : float
        8 to 256 kb/s; the format ends at six bits a sample (132 kb/s at 22.05 kHz).

    Examples
    --------
    >>> AAC(kbps=256).apply(np.zeros(22_050), sr=22_050).effective_magnitude
    132.3
    """

    kbps: float

    axis: ClassVar[Axis] = _axis(
        "AAC compression",
        "AAC-compressed clip",
        defaults=(16, 24, 32, 48, 64, 96, 128),
        least=8.0,
        greatest=256.0,
        remedy="128 is a stream's",
    )
    delay_samples: ClassVar[int] = 1_024

    def coded_rate(self, sr: int) -> int:
        """Return the signal's own rate where AAC has it, else the next above."""
        return next((rate for rate in AAC_RATES if rate >= sr), AAC_RATES[-1])

    def effective(self, *, sr: int) -> float:
        """Return the bit rate, at most what the format allows a channel."""
        return min(self.kbps, 6 * self.coded_rate(sr) / 1_000)

    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode a signal."""
        return through_ffmpeg(
            y, sr=sr, codec="aac", container="adts", kbps=min(self.kbps, 6 * sr / 1_000)
        )


@dataclass(frozen=True, slots=True)
class Vorbis(Coded):
    """Encode and decode a signal with Ogg Vorbis at a quality; its bit rate follows the sound.

    Parameters
    ----------
    quality : float
        Vorbis' own scale, 0 to 10.

    Examples
    --------
    >>> Vorbis(quality=2)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    quality: float

    axis: ClassVar[Axis] = Axis(
        title="Vorbis compression",
        quantity="quality",
        noun="Vorbis-compressed clip",
        more_severe="lower",
        defaults=(0, 2, 4, 6, 8, 10),
        least=0.0,
        greatest=10.0,
        remedy="5 is usual",
    )

    def coded_rate(self, sr: int) -> int:
        """Return the signal's own rate, within what Vorbis takes."""
        return min(max(sr, 8_000), 192_000)

    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode a signal."""
        return through_sndfile(
            y, sr=sr, container="OGG", subtype="VORBIS", level=1 - self.quality / 10
        )


@dataclass(frozen=True, slots=True)
class GSM(Coded):
    """Encode and decode a signal with GSM 06.10 (a mobile telephone's, 8 kHz, 13 kb/s).

    Parameters
    ----------
    passes : float
        How often, one after the other, 1 to 100, as calls between networks are.

    Examples
    --------
    >>> GSM(passes=1)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    passes: float

    axis: ClassVar[Axis] = Axis(
        title="GSM compression",
        unit="passes",
        singular="pass",
        noun="GSM-compressed clip",
        more_severe="higher",
        scale="log",
        defaults=(1, 2, 4, 8),
        least=1.0,
        greatest=100.0,
        whole=True,
        remedy="1 is a telephone call",
    )

    def coded_rate(self, sr: int) -> int:
        """Return 8 kHz, the only one."""
        return 8_000

    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode a signal, as often as asked."""
        for _ in range(int(self.passes)):
            y = through_sndfile(y, sr=sr, container="WAV", subtype="GSM610")
        return y


@dataclass(frozen=True, slots=True)
class AMR(Coded):
    """Encode and decode a signal with AMR narrow-band (a mobile telephone's, 8 kHz).

    Parameters
    ----------
    kbps : float
        One of the codec's eight: 4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2 kb/s.

    Examples
    --------
    >>> AMR(kbps=12.2)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    kbps: float

    axis: ClassVar[Axis] = _axis(
        "AMR compression",
        "AMR-compressed clip",
        defaults=AMR_KBPS,
        least=AMR_KBPS[0],
        greatest=AMR_KBPS[-1],
        remedy="AMR knows " + ", ".join(f"{kbps:g}" for kbps in AMR_KBPS),
    )
    delay_samples: ClassVar[int] = 40

    def __post_init__(self) -> None:
        """Normalise and check the bit rate."""
        Coded.__post_init__(self)
        if self.kbps not in AMR_KBPS:
            raise InputError(f"kbps={self.kbps:g}: must be a bit rate of AMR; {self.axis.remedy}")

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Name the encoder."""
        return "AMR was encoded by OpenCORE."

    def coded_rate(self, sr: int) -> int:
        """Return 8 kHz, the only one."""
        return 8_000

    def there_and_back(self, y: Signal, *, sr: int) -> Signal:
        """Encode and decode a signal."""
        return through_ffmpeg(
            y, sr=sr, codec="libopencore_amrnb", container="amr", kbps=self.kbps, format="s16"
        )
