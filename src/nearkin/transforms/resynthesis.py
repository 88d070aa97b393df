"""GL: a signal made again from its magnitude spectrogram, its phase thrown away.

Vocoders, and every model that writes spectrograms, end like this: it is their control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

N_FFT, HOP_LENGTH = 1_024, 256


@dataclass(frozen=True, slots=True)
class GriffinLim(Transformation):
    """Throw the phase away and find one again by Griffin and Lim's algorithm (the fast one).

    Parameters
    ----------
    iterations : float
        Rounds of the algorithm, 1 to 1,000: more come nearer to the signal's spectrogram.

    Examples
    --------
    >>> y = np.sin(np.arange(8_192) / 10)
    >>> GriffinLim(iterations=4)(y, sr=22_050, rng=np.random.default_rng(0)).shape
    (8192,)
    """

    iterations: float

    axis: ClassVar[Axis] = Axis(
        title="Griffin-Lim",
        unit="iterations",
        singular="iteration",
        noun="resynthesised clip",
        more_severe="lower",
        scale="log",
        defaults=(1, 4, 16, 32),
        least=1.0,
        greatest=1_000.0,
        whole=True,
        remedy="32 is usual",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Make the signal again; its channels begin with the same random phases."""
        import librosa

        seed = int(drawn(rng, what="a random phase").integers(2**31))
        out = np.zeros_like(y)
        for source, target in zip(np.atleast_2d(y), np.atleast_2d(out), strict=True):
            padded = np.pad(source, (0, max(0, N_FFT - len(source))))
            magnitude = np.abs(librosa.stft(padded, n_fft=N_FFT, hop_length=HOP_LENGTH))
            made = librosa.griffinlim(
                magnitude,
                n_iter=int(self.iterations),
                hop_length=HOP_LENGTH,
                length=len(padded),
                random_state=seed,
            )
            target[:] = made[: len(target)]
        return out
