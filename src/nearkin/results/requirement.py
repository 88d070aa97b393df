"""One requirement as a record: a score, what it has to be, and where; written as it is read.

The language is that of `nearkin.results.requirements`, which reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IMPERCEPTIBLE = "imperceptible"
CLIPS = "N"
BASELINE = "baseline"
ATTACKED = "AD"
"""The code of attacked clips: its magnitude is an SNR in dB."""
HALF_ASTRAY = "AD_snr"
"""The SNR at which half of the clips can be led astray, in dB: the lower, the better."""

BARE = re.compile(r"[^\s,\[\]\"'()\\]+")
"""A name that needs no quotes."""


@dataclass(frozen=True)
class Condition:
    """A transformation and, where `comparison` is not empty, which of its magnitudes.

    Attributes
    ----------
    code : str
        "MP", or "imperceptible".
    comparison : str
        One of >= <= > < = , "in", or empty: every magnitude.
    low, high : float
        The bound, and for "in" the upper one (else 0).
    """

    code: str
    comparison: str = ""
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        """Write it as it is read."""
        if not self.comparison:
            return self.code
        if self.comparison == "in":
            return f"{self.code} in {_plain(self.low)}..{_plain(self.high)}"
        return f"{self.code}{self.comparison}{_plain(self.low)}"

    def holds(self, magnitude: float) -> bool:
        """Tell whether a magnitude of this transformation is meant."""
        if self.comparison == "in":
            return self.low <= magnitude <= self.high
        if self.comparison == "=":
            return abs(magnitude - self.low) <= 1e-9 * max(1.0, abs(self.low))
        return not self.comparison or compares(magnitude, self.comparison, self.low)


@dataclass(frozen=True)
class Requirement:
    """One requirement, read; see `nearkin.results.requirements` for the language.

    Attributes
    ----------
    measure : str
        One of `nearkin.tables.MEASURES`, "AD_snr", or "N".
    size : int
        The n of C_W@n; 0 without.
    encoder : str
        Empty: every tested encoder.
    distances : tuple of str
        Empty: every distance.
    reduction : str
        "mean", "median", or empty: every point must hold.
    comparison : str
        ">=", "<=", ">" or "<".
    bound : float
        What is demanded of the score, or of its difference from the right side's.
    places : tuple of tuple of Condition
        Groups; empty: the whole grid.
    rival : str
        The encoder on the right side; empty where a number stands there, or the baseline.
    rival_distances : tuple of str
        Empty: those of the left side.
    baseline : bool
        Whether the right side is the older run's.
    """

    measure: str
    comparison: str
    bound: float
    size: int = 0
    encoder: str = ""
    distances: tuple[str, ...] = ()
    reduction: str = ""
    places: tuple[tuple[Condition, ...], ...] = ()
    rival: str = ""
    rival_distances: tuple[str, ...] = ()
    baseline: bool = False

    @property
    def is_relative(self) -> bool:
        """Whether a difference is held to the bound."""
        return bool(self.rival) or self.baseline

    @property
    def is_attack(self) -> bool:
        """Whether it needs what a run with ``--attack`` found."""
        codes = {condition.code for group in self.places for condition in group}
        return self.measure == HALF_ASTRAY or ATTACKED in codes

    @property
    def column(self) -> str:
        """The measure's name in the consistency table."""
        return f"{self.measure}@{self.size}" if self.size else self.measure

    def __str__(self) -> str:
        """Write it as it is read."""
        text = f"{self._side(self.encoder, self.distances)} {self.comparison} "
        if self.is_relative:
            text += BASELINE if self.baseline else self._side(self.rival, self.rival_distances)
            if self.bound:
                text += f" {'-' if self.bound < 0 else '+'} {_plain(abs(self.bound))}"
        else:
            text += _plain(self.bound)
        if self.places:
            groups = (" and ".join(map(str, group)) for group in self.places)
            text += " @ " + ", ".join(groups)
        return text

    def _side(self, encoder: str, distances: tuple[str, ...]) -> str:
        text = self.column
        if encoder:
            text += "[" + ",".join(_quoted(name) for name in (encoder, *distances)) + "]"
        return f"{self.reduction}({text})" if self.reduction else text


def compares(value: float, comparison: str, bound: float) -> bool:
    """Tell whether ``value comparison bound`` holds; never for NaN."""
    if comparison == ">=":
        return value >= bound
    if comparison == "<=":
        return value <= bound
    return value > bound if comparison == ">" else value < bound


def _plain(number: float) -> str:
    """Write a number so that it is read back as the same."""
    return repr(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _quoted(name: str) -> str:
    if BARE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
