"""PN and EN: pink noise and environmental noise added at an exact signal-to-noise ratio.

SNR in dB is the signal's RMS over the noise's RMS, both without their means and over the whole
signal given. The draw does not depend on the SNR: generators in the same state give the same noise
at every level.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.errors import InputError, shown
from nearkin.transforms.axis import Axis
from nearkin.transforms.babble import pink_noise
from nearkin.transforms.noise_library import NoiseLibrary
from nearkin.transforms.protocol import Transformation, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


SNR_DB = (-15, -10, -6, -3, 3, 6, 9, 12, 15, 18, 21, 24, 27, 27.5, 28, 28.5, 29, 29.5, 30)
"""The paper's levels (Table 2)."""


def _axis(title: str) -> Axis:
    return Axis(
        title=title,
        unit="dB",
        quantity="SNR",
        noun="noisy clip",
        more_severe="lower",
        imperceptible=(30.0,),
        defaults=SNR_DB,
        least=-100.0,
        greatest=200.0,
        remedy="30 dB is hardly heard",
    )


class AddedNoise(Transformation):
    """Noise added at a signal-to-noise ratio; a source is all that a kind of noise has to say."""

    __slots__ = ()

    @abstractmethod
    def noise_of(self, n: int, *, sr: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return so many samples of the noise, at any level but silence; its mean is taken away."""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> NDArray[np.float64]:
        """Add the noise, the same to every channel."""
        rng = drawn(rng, what="noise")
        signal = y - y.mean(axis=-1, keepdims=True, dtype=np.float64)
        level = float(np.sqrt(np.mean(signal**2)))
        if level == 0.0:
            raise InputError(
                "y is silent or constant: no noise has an SNR with it; choose an excerpt with sound"
            )
        noise = self.noise_of(y.shape[-1], sr=sr, rng=rng).astype(np.float64)
        noise -= noise.mean()
        gain = level / float(np.sqrt(np.mean(noise**2))) * 10.0 ** (-self.magnitude / 20.0)
        noisy: NDArray[np.float64] = y + gain * noise
        return noisy


@dataclass(frozen=True, slots=True)
class PinkNoise(AddedNoise):
    """Add pink noise (power falling as 1/f, from 20 Hz on) at a signal-to-noise ratio.

    Parameters
    ----------
    snr_db : float
        RMS of the signal over RMS of the noise, both without their means, -100 to 200 dB.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(22_050) / 10)
    >>> noise = PinkNoise(snr_db=20)(y, sr=22_050, rng=np.random.default_rng(0)) - y
    >>> round(float(10 * np.log10(np.mean(y**2) / np.mean(noise**2))), 3)
    20.0
    """

    snr_db: float

    axis: ClassVar[Axis] = _axis("Pink noise")

    def noise_of(self, n: int, *, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return pink noise."""
        return pink_noise(max(2, n), sr=sr, rng=rng)[:n]


@dataclass(frozen=True, slots=True)
class EnvironmentalNoise(AddedNoise):
    """Add environmental noise from a recording at a signal-to-noise ratio.

    Parameters
    ----------
    snr_db : float
        RMS of the signal over RMS of the noise, both without their means, -100 to 200 dB.
    noise : NoiseLibrary
        Where the noise comes from; by default the built-in synthesised babble.

    Examples
    --------
    >>> EnvironmentalNoise(snr_db=10).noise.name
    'babble (synthesised)'
    """

    snr_db: float
    noise: NoiseLibrary = field(default_factory=NoiseLibrary.babble)

    axis: ClassVar[Axis] = _axis("Environmental noise")

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        AddedNoise.__post_init__(self)
        if not isinstance(self.noise, NoiseLibrary):
            raise InputError(
                f"noise={shown(self.noise)}: must be a NoiseLibrary; pass "
                "NoiseLibrary.from_path(...)"
            )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say which noise it was."""
        noise = run.get("noise") or {}
        if not noise.get("name"):
            return ""
        digest = str(noise.get("sha256", ""))[:12]
        return f"The environmental noise was '{noise['name']}'" + (
            f" (SHA-256 {digest}…)." if digest else "."
        )

    def noise_of(self, n: int, *, sr: int, rng: np.random.Generator) -> Signal:
        """Return an excerpt of the library."""
        return self.noise.excerpt(n, sr=sr, rng=rng)
