"""The axis of a transformation: what its magnitudes mean and in which order they get more severe.

One record a transformation, a fact on its class: whoever plots, tabulates, counts or talks about
magnitudes asks it. A severity is comparable within one side of one transformation only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nearkin.errors import InputError, shown

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How the magnitudes of one transformation are checked, ordered, drawn and put in words.

    Parameters
    ----------
    title : str
        The transformation's name in headings, ``"Pink noise"``.
    unit : str
        The magnitude's unit in tables, ``"dB"``; may be empty.
    quantity : str
        What the magnitude is, ``"SNR"``; by default its unit.
    spoken : str
        What follows the number in a sentence; by default the unit.
    singular : str
        The same after 1 and -1, where it differs.
    noun : str
        What a transformed clip is called, ``"noisy clip"``.
    more_severe : {"lower", "higher", "outwards"}
        Where the more severe magnitudes lie: below, above, or away from `identity` on both sides.
    scale : {"linear", "log"}
        How the magnitudes are spread, for plots and splines.
    identity : float or None
        The magnitude that changes nothing, where there is one.
    sides : tuple of two str
        Names of the two directions away from the identity, the lower first; empty where there
        is but one direction.
    imperceptible : tuple of float
        The magnitudes, one a side, that are hardly perceived (the paper's footnote 4); empty
        where nobody claims any.
    defaults : tuple of float
        The magnitudes that are tried where nobody names any, growing.
    least, greatest : float
        The range of possible magnitudes.
    whole : bool
        Whether magnitudes are whole numbers.
    remedy : str
        What an error says about a magnitude outside, ``"30 dB is hardly heard"``.

    Examples
    --------
    >>> axis = Axis(title="Bit depth", unit="bits", more_severe="lower", least=1, greatest=24)
    >>> axis.severity(4) > axis.severity(16), axis.words(4), axis.axis_title
    (True, '4 bits', '← more severe · bits')
    """

    title: str
    unit: str = ""
    quantity: str = ""
    spoken: str = ""
    singular: str = ""
    noun: str = "changed clip"
    more_severe: Literal["lower", "higher", "outwards"]
    scale: Literal["linear", "log"] = "linear"
    identity: float | None = None
    sides: tuple[str, ...] = ()
    imperceptible: tuple[float, ...] = ()
    defaults: tuple[float, ...] = ()
    least: float = -math.inf
    greatest: float = math.inf
    whole: bool = False
    remedy: str = "pass a magnitude in this range"

    def __post_init__(self) -> None:
        """Fill in what follows from other fields, and refuse what contradicts itself."""
        object.__setattr__(self, "quantity", self.quantity or self.unit or "magnitude")
        object.__setattr__(self, "spoken", self.spoken or self.unit)
        if (self.more_severe == "outwards") != (len(self.sides) == 2 and self.identity is not None):
            raise InputError(
                f"axis '{self.title}': more_severe='{self.more_severe}' with sides={self.sides}, "
                f"identity={self.identity}: 'outwards' needs two sides and an identity, the other "
                "directions have no sides; correct one of them"
            )

    @property
    def axis_title(self) -> str:
        """Quantity, unit and the side on which changes are more severe, for an axis of a plot."""
        what = self.quantity if self.unit in self.quantity else f"{self.quantity}, {self.unit}"
        if self.more_severe == "lower":
            return f"← more severe · {what}"
        if self.more_severe == "higher":
            return f"{what} · more severe →"
        return f"← more severe · {what} · more severe →"

    def severity(self, magnitude: float) -> float:
        """Return how severe a magnitude is: larger is more severe, within one side."""
        if self.more_severe == "outwards":
            return abs(float(magnitude) - (self.identity or 0.0))
        return float(magnitude) if self.more_severe == "higher" else -float(magnitude)

    def side(self, magnitude: float) -> str:
        """Return the side a magnitude lies on; ``""`` at the identity and where there is one."""
        if not self.sides or self.identity is None or magnitude == self.identity:
            return ""
        return self.sides[0] if magnitude < self.identity else self.sides[1]

    def sign(self, side: str) -> str:
        """Return the short mark of a side, for legends: ``"−"`` or ``"+"``, ``""`` for none."""
        if side not in self.sides:
            return f" {side}" if side else ""
        return MINUS if side == self.sides[0] else "+"

    def words(self, magnitude: float) -> str:
        """Return a magnitude as a sentence names it: ``"30 dB"``, ``"+0.25 semitones"``."""
        number = f"{abs(magnitude):g}"
        if magnitude < 0:
            number = MINUS + number
        elif magnitude > 0 and self.identity == 0 and self.sides:
            number = "+" + number
        unit = self.singular if self.singular and abs(magnitude) == 1 else self.spoken
        return f"{number} {unit}" if unit else number

    def checked(self, value: Any, *, name: str) -> float:
        """Return a magnitude as a Python float within its range, or say what is wrong with it.

        Python and numpy numbers of equal value become the same float, so that ``10``, ``10.0``
        and ``numpy.float32(10)`` make equal records; ``-0.0`` becomes ``0.0``.

        Raises
        ------
        InputError
            If it is no number, not finite, out of range, or broken where whole ones are asked for.
        """
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.integer, np.floating)
        ):
            raise InputError(f"{name}={shown(value)}: must be a number; {self.remedy}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        if not math.isfinite(number) or not self.least <= number <= self.greatest:
            raise InputError(
                f"{name}={number:g}: must be from {self.least:g} to {self.greatest:g}; "
                f"{self.remedy}"
            )
        if self.whole and number != round(number):
            raise InputError(f"{name}={number:g}: must be a whole number; {self.remedy}")
        return number + 0.0
