"""What a transformation is: a frozen record with one exact magnitude and one verb, ``apply``.

Signals are ``float32[samples]`` or ``float32[channels, samples]``, rates in Hz; magnitudes are in
the unit the class names. Nothing here matches loudness: that is done on the part that is heard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from nearkin.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]


class Transformed(NamedTuple):
    """What `Transformation.apply` returns."""

    y: NDArray[np.float32]
    """The transformed signal."""
    effective_magnitude: float
    """The magnitude that was really reached (MP3 knows no 192 kb/s at 22.05 kHz: 160)."""


class Transformation(Protocol):
    """A change of sound with one exact magnitude (paper, section 3.2 and Table 2).

    A class states its facts as class variables; an object is a frozen record that compares,
    hashes and pickles by value, so that equal settings are one key.
    """

    __slots__ = ()

    code: ClassVar[str]
    """Two capitals, the name in every table."""
    title: ClassVar[str]
    unit: ClassVar[str]
    parameter: ClassVar[str]
    """The field that holds the magnitude."""
    sides: ClassVar[tuple[str, ...]]
    """The directions in which it can grow graver; ``("",)`` where there is but one."""
    scale: ClassVar[str]
    """``"linear"`` or ``"log"``: how its magnitudes are spread, for plots and splines."""
    identity: ClassVar[float | None]
    """The magnitude that changes nothing, where there is one."""

    @property
    def magnitude(self) -> float:
        """The exact magnitude, in `unit`."""

    @property
    def severity(self) -> float:
        """Larger is graver; comparable within one side of one transformation."""

    @property
    def side(self) -> str:
        """The side this magnitude lies on, one of `sides`; ``""`` at the identity."""

    def apply(self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None) -> Transformed:
        """Transform a signal.

        Parameters
        ----------
        y : array_like, shape [samples] or [channels, samples]
            The signal, finite; it is left as it is. Channels are transformed together.
        sr : int
            Its rate in Hz.
        rng : numpy.random.Generator or None
            Where chance comes from; only noise needs it. Generators in the same state give the
            same realisation at every magnitude.

        Returns
        -------
        Transformed
            The new signal and the magnitude really reached.

        Raises
        ------
        InputError
            If the signal is empty, not finite or of another shape, or the rate is not positive.
        """

    def __call__(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> NDArray[np.float32]:
        """Transform a signal and return the signal alone; see `apply`."""
        return self.apply(y, sr=sr, rng=rng).y


def checked_signal(y: ArrayLike, *, sr: int) -> Signal:
    """Return the signal as contiguous float32, or say what is wrong with it."""
    if not sr > 0:
        raise InputError(f"sr={sr}: must be > 0; pass the signal's rate in Hz")
    signal = np.asarray(y)
    if signal.dtype.kind != "f":
        raise InputError(
            f"y of dtype {signal.dtype}: must be float, full scale at 1.0; convert it before"
        )
    if signal.ndim not in (1, 2) or signal.size == 0:
        raise InputError(
            f"y of shape {signal.shape}: must be [samples] or [channels, samples], not empty; "
            "reshape it"
        )
    signal = np.ascontiguousarray(signal, dtype=np.float32)
    if not np.isfinite(signal).all():
        raise InputError("y has NaN or infinite samples: must be finite; repair the signal")
    return signal


def checked_number(value: Any, *, name: str, low: float, high: float, remedy: str) -> float:
    """Return a magnitude as a Python float within its range, or say what is wrong with it.

    Python and numpy numbers of equal value become the same float, so that ``10``, ``10.0`` and
    ``numpy.float32(10)`` make equal records; ``-0.0`` becomes ``0.0``.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise InputError(f"{name}={value!r}: must be a number; {remedy}")
    number = float(value)
    if not math.isfinite(number) or not low <= number <= high:
        raise InputError(f"{name}={number:g}: must be from {low:g} to {high:g}; {remedy}")
    return number + 0.0


def checked_choice(value: Any, *, name: str, among: Iterable[str]) -> str:
    """Return one of a few words, or say which there are."""
    known = list(among)
    if value not in known:
        raise InputError(f"{name}={value!r}: must be one of {', '.join(known)}; pass one of these")
    return str(value)
