"""LP: a low-pass filter. Cut-off frequencies in Hz.

Filters run forwards and backwards, so that nothing is delayed: an embedding is to answer to the
missing treble, not to a shift in time. Both passes together halve the amplitude at the cut-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORDER = 4
"""Of the Butterworth filter that is run twice."""


@dataclass(frozen=True, slots=True)
class LowPass(Transformation):
    """Take away what lies above a frequency: a Butterworth filter, forwards and backwards.

    The gain at frequency f is ``1 / (1 + (f / cutoff_hz)**8)`` (bilinear transform: the tangents
    of both frequencies), so -6.02 dB at the cut-off; the phase is zero.

    Parameters
    ----------
    cutoff_hz : float
        The cut-off, 20 to 96,000 Hz; at half the sample rate and above, nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 8_000 * np.arange(22_050) / 22_050)
    >>> bool(np.abs(LowPass(2_000)(y, sr=22_050)[1_000:-1_000]).max() < 1e-4)
    True
    """

    cutoff_hz: float

    axis: ClassVar[Axis] = Axis(
        title="Low-pass filter",
        unit="Hz",
        quantity="cut-off",
        noun="low-passed clip",
        more_severe="lower",
        scale="log",
        least=20.0,
        greatest=96_000.0,
        remedy="4000 Hz is a telephone's",
    )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say which filter it is."""
        return (
            f"The low-pass filter was a Butterworth filter of order {ORDER}, run forwards and "
            "backwards (-6 dB at the cut-off, no delay)."
        )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64] | NDArray[np.float32]:
        """Filter the signal."""
        if self.cutoff_hz >= sr / 2:
            return y
        from scipy.signal import butter, sosfiltfilt

        sections = butter(ORDER, self.cutoff_hz, fs=sr, output="sos")
        padding = min(y.shape[-1] - 1, round(3 * sr / self.cutoff_hz))
        filtered: NDArray[np.float64] = sosfiltfilt(sections, y, padlen=padding)
        return filtered
