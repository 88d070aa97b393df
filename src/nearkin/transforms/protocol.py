"""What a transformation is: a frozen record with one exact magnitude and one verb, ``apply``.

Signals are ``float32[samples]`` or ``float32[channels, samples]``, rates in Hz; magnitudes are in
the unit of the class's axis. Nothing here matches loudness: that is done on the part that is heard.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from nearkin.errors import InputError, shown
from nearkin.transforms.axis import Axis

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]


class Transformed(NamedTuple):
    """What `Transformation.apply` returns."""

    y: NDArray[np.float32]
    """The transformed signal."""
    effective_magnitude: float
    """The magnitude that was really reached (MP3 knows no 192 kb/s at 22.05 kHz: 160)."""


class Transformation(ABC):
    """A change of sound with one exact magnitude (paper, section 3.2 and Table 2).

    A transformation is a frozen dataclass whose first field is its magnitude and whose further
    fields are its options; it states its facts as class variables and what it does to a signal as
    `change`. Everything else follows. Objects compare, hash and pickle by value, so that equal
    settings are one key.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, slots=True)
    ... class BitDepth(Transformation):
    ...     bits: float
    ...     axis = Axis(title="Bit depth", unit="bits", more_severe="lower", least=1, greatest=24)
    ...
    ...     def change(self, y, *, sr, rng):
    ...         return np.round(y * 2 ** (self.bits - 1)) / 2 ** (self.bits - 1)
    >>> BitDepth(2)(np.array([0.3, -0.9]), sr=22_050)
    array([ 0.5, -1. ], dtype=float32)
    """

    __slots__ = ()

    axis: ClassVar[Axis]
    """What its magnitudes mean: title, unit, range, severity, sides."""
    moves_time: ClassVar[bool] = False
    """Whether it moves time or pitch: what has to stay with a signal (the voice in a mixture) then
    goes through it together with the signal, as further channels of one call."""
    of_every_part: ClassVar[bool] = False
    """Whether what it does to a mixture it does to each part of it alike (a gain): the parts then
    go through it too."""
    loudness: ClassVar[Literal["matched", "kept"]] = "matched"
    """Whether the result is made as loud as the original, or left as loud as it came out, where
    matching would undo what was done (a gain, a gap)."""
    scale: ClassVar[Literal["mos", "jnd", ""]] = "mos"
    """How what is heard of it is measured: as quality (a mean opinion score), in just noticeable
    differences (`jnds`), or not at all. What moves time has no quality score."""
    delay_samples: ClassVar[int] = 0
    """By how many samples a codec comes out late, at the rate it codes at; `change` takes them
    away, so that the result is aligned to the sample."""

    def __post_init__(self) -> None:
        """Normalise and check the magnitude."""
        name = self.parameter()
        if name:
            object.__setattr__(self, name, self.axis.checked(getattr(self, name), name=name))

    @classmethod
    def parameter(cls) -> str:
        """Return the name of the field that holds the magnitude; empty for the original."""
        return next(iter(_fields(cls)), "")

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Return the names of what it can be told besides its magnitude."""
        return _fields(cls)[1:]

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Return what a methods paragraph has to say of it; empty where its title says it all.

        Parameters
        ----------
        run : mapping
            The run's record (run.json).
        """
        return ""

    @property
    def magnitude(self) -> float:
        """The exact magnitude, in the unit of the axis."""
        name = self.parameter()
        return float(getattr(self, name)) if name else 0.0

    @property
    def severity(self) -> float:
        """Larger is more severe; comparable within one side of one transformation."""
        return self.axis.severity(self.magnitude)

    @property
    def side(self) -> str:
        """The side this magnitude lies on; ``""`` at the identity and where there is one."""
        return self.axis.side(self.magnitude)

    def jnds(self) -> float:
        """Return how many just noticeable differences lie between the original and this.

        NaN where no constant is known; the constants, and who measured them, stand beside the
        classes whose `scale` is ``"jnd"``.
        """
        return math.nan

    @abstractmethod
    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> ArrayLike:
        """Return the changed signal; `apply` checks what goes in and what comes out.

        Parameters
        ----------
        y : float32[samples] or float32[channels, samples]
            The signal, finite, not empty; not to be written to. Channels are changed together.
        sr : int
            Its rate in Hz.
        rng : numpy.random.Generator or None
            Where chance comes from. Generators in the same state must give the same realisation
            at every magnitude.

        Returns
        -------
        array_like of float, as many channels as came
        """

    def spare(self, n: int, *, heard: int, sr: int) -> int:
        """Return how many samples at either end of a signal leave what is heard as good as it is.

        Cutting them off must change the result by less than the transformation's own repeatability:
        by less than another place to start at does (benchmarks/context.py).

        Parameters
        ----------
        n : int
            Samples of the signal.
        heard : int
            How many samples in the middle of the result are all that is wanted.
        sr : int
            The rate in Hz.
        """
        return 0

    def effective(self, *, sr: int) -> float:
        """Return the magnitude that is really reached at a sample rate."""
        return self.magnitude

    def apply(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> Transformed:
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
        signal = checked_signal(y, sr=sr)
        if self.magnitude == self.axis.identity:
            return Transformed(np.array(signal), self.magnitude)
        out = np.array(self.change(signal, sr=sr, rng=rng), dtype=np.float32, order="C")
        if out.shape[:-1] != signal.shape[:-1]:
            raise InputError(
                f"{self} makes shape {list(out.shape)} of {list(signal.shape)}: must return as "
                "many channels as came; correct its change()"
            )
        return Transformed(out, self.effective(sr=sr))

    def __call__(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> NDArray[np.float32]:
        """Transform a signal and return the signal alone; see `apply`."""
        return self.apply(y, sr=sr, rng=rng).y


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


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


def drawn(rng: np.random.Generator | None, *, what: str) -> np.random.Generator:
    """Return the generator that a transformation needs, or say that it is missing."""
    if rng is None:
        raise InputError(
            f"rng=None: {what} needs a generator; pass rng=numpy.random.default_rng(0)"
        )
    return rng


def checked_choice(value: Any, *, name: str, among: Iterable[str]) -> str:
    """Return one of a few words, or say which there are."""
    known = list(among)
    if value not in known:
        raise InputError(
            f"{name}={shown(value)}: must be one of {', '.join(known)}; pass one of these"
        )
    return str(value)
