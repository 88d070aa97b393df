"""HU, MX, VC: sounds that do not belong: mains hum, other music, the clicks of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.audio import synthetic
from nearkin.errors import InputError, shown
from nearkin.transforms.axis import Axis
from nearkin.transforms.noise import AddedNoise
from nearkin.transforms.noise_library import NoiseLibrary
from nearkin.transforms.protocol import Transformation, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]
    Samples = NDArray[np.float64]

HUM_HZ = 50.0
HARMONICS = 11
MOST_CLICKS = 1_000.0


@dataclass(frozen=True, slots=True)
class Hum(AddedNoise):
    """Add the hum of the mains at a signal-to-noise ratio: 50 Hz and ten harmonics, falling as 1/k.

    Parameters
    ----------
    snr_db : float
        RMS of the signal over RMS of the hum, both without their means, -100 to 200 dB.

    Examples
    --------
    >>> y = np.sin(np.arange(22_050) / 10)
    >>> hum = Hum(snr_db=20)(y, sr=22_050, rng=np.random.default_rng(0)) - y
    >>> round(float(10 * np.log10(np.mean(y**2) / np.mean(hum**2))), 3)
    20.0
    """

    snr_db: float

    axis: ClassVar[Axis] = Axis(
        title="Mains hum",
        unit="dB",
        quantity="SNR",
        noun="humming clip",
        more_severe="lower",
        defaults=(-10, 0, 10, 20, 30, 40),
        least=-100.0,
        greatest=200.0,
        remedy="40 dB is hardly heard",
    )

    def noise_of(self, n: int, *, sr: int, rng: np.random.Generator) -> Samples:
        """Return the hum, as far as the rate reaches."""
        t = np.arange(max(n, 2)) / sr
        below = [k for k in range(1, HARMONICS + 1) if k * HUM_HZ < sr / 2]
        hum = sum((np.sin(2 * np.pi * HUM_HZ * k * t) / k for k in below), np.zeros(len(t)))
        return hum[:n]


@dataclass(frozen=True, slots=True)
class OtherMusic(AddedNoise):
    """Mix in another piece of music at a level: of your own recordings, or a synthetic one.

    Parameters
    ----------
    snr_db : float
        RMS of the signal over RMS of the other music, both without their means, -100 to 200 dB.
    music : NoiseLibrary or None
        The recordings that it is drawn from, which should be none of those that are tested; None
        for the built-in synthetic pieces.

    Examples
    --------
    >>> y = np.sin(np.arange(22_050) / 10)
    >>> other = OtherMusic(snr_db=10)(y, sr=22_050, rng=np.random.default_rng(0)) - y
    >>> round(float(10 * np.log10(np.mean(y**2) / np.var(other))), 3)
    10.0
    """

    snr_db: float
    music: NoiseLibrary | None = None

    axis: ClassVar[Axis] = Axis(
        title="Other music",
        unit="dB",
        quantity="SNR",
        noun="clip with other music",
        more_severe="lower",
        defaults=(-10, -5, 0, 5, 10, 20),
        least=-100.0,
        greatest=200.0,
        remedy="0 dB is as loud",
    )

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        AddedNoise.__post_init__(self)
        if self.music is not None and not isinstance(self.music, NoiseLibrary):
            raise InputError(
                f"music={shown(self.music)}: must be a NoiseLibrary; pass "
                "NoiseLibrary.from_path(...)"
            )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say where the other music comes from."""
        music = run.get("other_music") or {}
        if not music.get("name"):
            return "The other music was synthesised, another piece for every clip."
        digest = str(music.get("sha256", ""))[:12]
        return f"The other music was drawn from '{music['name']}' (SHA-256 {digest}…)."

    def noise_of(self, n: int, *, sr: int, rng: np.random.Generator) -> Signal:
        """Return an excerpt of the recordings, or a built-in piece."""
        if self.music is not None:
            return self.music.excerpt(n, sr=sr, rng=rng)
        seed = int(rng.integers(2**31))
        rate = max(sr, 8_000)
        [(_, piece)] = synthetic.clips(1, seed=seed, seconds=max(0.5, (n + 1) / rate), sr=rate)
        return piece[:n]


@dataclass(frozen=True, slots=True)
class Crackle(Transformation):
    """Add the clicks of a worn record: short, of random strength, at random moments.

    What clicks at some rate clicks at every higher rate too. A click is an exponential of .27 ms,
    its peak the signal's RMS times a log-normal factor (median e).

    Parameters
    ----------
    clicks_per_s : float
        Expected clicks a second, 0 to 1,000; 0 returns the signal untouched.

    Examples
    --------
    >>> y = np.sin(np.arange(22_050) / 10)
    >>> clicks = Crackle(clicks_per_s=5)(y, sr=22_050, rng=np.random.default_rng(0)) - y
    >>> 0 < int(np.sum(np.abs(clicks) > 1e-6)) < 1_000
    True
    """

    clicks_per_s: float

    axis: ClassVar[Axis] = Axis(
        title="Crackle",
        unit="clicks/s",
        quantity="clicks",
        noun="crackling clip",
        more_severe="higher",
        identity=0.0,
        defaults=(1, 5, 20, 50, 100),
        least=0.0,
        greatest=MOST_CLICKS,
        remedy="5 is a worn record",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Add the clicks."""
        rng = drawn(rng, what="crackle")
        n = y.shape[-1]
        level = float(np.std(y, dtype=np.float64))
        count = int(rng.poisson(MOST_CLICKS * n / sr))
        places, ranks = rng.integers(0, n, count), rng.random(count)
        peaks = rng.lognormal(1.0, 0.5, count) * rng.choice([-1.0, 1.0], count)
        chosen = ranks < self.clicks_per_s / MOST_CLICKS
        length, decay = max(1, round(0.0015 * sr)), 0.00027 * sr
        shape = np.exp(-np.arange(length) / decay)
        clicks = np.zeros(n + length)
        for place, peak in zip(places[chosen].tolist(), peaks[chosen].tolist(), strict=True):
            clicks[place : place + length] += level * peak * shape
        return y.astype(np.float64) + clicks[:n]
