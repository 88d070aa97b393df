"""How magnitudes are read: axis, severity, side, and the mildest and gravest points of a grid.

Tables in, points out; no plots, no audio. Conventions: a severity is larger when the change is
graver and is comparable within one side of one transformation only; PN and EN in dB of
signal-to-noise ratio, TS as a ratio of the original tempo, PS in semitones, MP in kb/s; the grid
is the paper's Figure 3, the imperceptible magnitudes are its footnote 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nearkin.transforms import TRANSFORMATIONS, transformation, transformation_class

ORIGINAL = "OG"

Graver = Literal["left", "right", "outwards"]


@dataclass(frozen=True, slots=True)
class MagnitudeAxis:
    """How the magnitudes of one transformation are drawn and put in words.

    Attributes
    ----------
    code, title, noun : str
        ``"PN"``, ``"Pink noise"`` and what the changed clip is called.
    quantity, unit : str
        What the magnitude is ("SNR") and its unit ("dB"), either may be empty.
    scale : {"linear", "log"}
        How the axis is drawn.
    graver : {"left", "right", "outwards"}
        Where the graver changes lie on an axis that rises to the right.
    identity : float or None
        The magnitude that changes nothing (TS 1, PS 0), None where only a limit does.
    sides : tuple of str
        Names of the two directions away from the identity, lower first; empty for one side.
    signs : tuple of str
        Short marks of the sides, for legends.
    imperceptible : tuple of float
        Magnitudes the paper takes as hardly perceptible (footnote 4).
    """

    code: str
    title: str
    noun: str
    quantity: str
    unit: str
    scale: Literal["linear", "log"] = "linear"
    graver: Graver = "left"
    identity: float | None = None
    sides: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    imperceptible: tuple[float, ...] = ()

    @property
    def axis_title(self) -> str:
        """Quantity, unit and the side on which changes are graver."""
        what = self.quantity if self.unit in self.quantity else f"{self.quantity}, {self.unit}"
        if self.graver == "left":
            return f"← graver · {what}"
        if self.graver == "right":
            return f"{what} · graver →"
        return f"← graver · {what} · graver →"


_AXES = {
    axis.code: axis
    for axis in (
        MagnitudeAxis("PN", "Pink noise", "noisy clip", "SNR", "dB", imperceptible=(30.0,)),
        MagnitudeAxis(
            "EN",
            "Environmental noise",
            "noisy clip",
            "SNR",
            "dB",
            imperceptible=(30.0,),
        ),
        MagnitudeAxis(
            "TS",
            "Tempo shift",
            "tempo-shifted clip",
            "tempo ratio",
            "ratio",
            graver="outwards",
            identity=1.0,
            sides=("slower", "faster"),
            signs=("−", "+"),
            imperceptible=(0.98, 1.02),
        ),
        MagnitudeAxis(
            "PS",
            "Pitch shift",
            "pitch-shifted clip",
            "semitones",
            "semitones",
            graver="outwards",
            identity=0.0,
            sides=("down", "up"),
            signs=("−", "+"),
            imperceptible=(-0.25, 0.25),
        ),
        MagnitudeAxis(
            "MP",
            "MP3 compression",
            "MP3-compressed clip",
            "bit rate",
            "kb/s",
            scale="log",
            imperceptible=(192.0,),
        ),
    )
}


class Point(NamedTuple):
    """One transformation at one magnitude; ``side`` is empty where there is only one."""

    code: str
    magnitude: float
    side: str = ""


def axis(code: str) -> MagnitudeAxis:
    """Return how the magnitudes of a transformation are read.

    The paper's five are written out here, so that any run's tables can be read; other codes are
    asked of the installed transformations (an optional class variable ``graver`` says where they
    grow graver), and one that nobody knows gets a linear axis whose graver side is the right one.
    No imperceptible magnitude is claimed for either.
    """
    if code in _AXES:
        return _AXES[code]
    if code in TRANSFORMATIONS:
        known = transformation_class(code)
        return MagnitudeAxis(
            code,
            known.title,
            f"{code} clip",
            known.parameter.replace("_", " "),
            known.unit,
            scale="log" if known.scale == "log" else "linear",
            graver=getattr(known, "graver", "right" if known.identity is None else "outwards"),
            identity=known.identity,
            sides=tuple(known.sides) if len(known.sides) == 2 else (),
            signs=("−", "+"),
        )
    return MagnitudeAxis(code, code, f"{code} clip", "magnitude", "", graver="right")


def severity(code: str, magnitude: float) -> float:
    """Return how grave a magnitude is: larger is graver, within one side.

    Examples
    --------
    >>> severity("PN", -15) > severity("PN", 30), severity("PS", -2) == severity("PS", 2)
    (True, True)
    """
    how = axis(code)
    if code not in _AXES and code in TRANSFORMATIONS:
        return float(transformation(code, magnitude).severity)
    if how.graver == "left":
        return -float(magnitude)
    if how.graver == "right":
        return float(magnitude)
    if code == "TS":
        return abs(math.log(magnitude))
    return abs(float(magnitude) - (how.identity or 0.0))


def side(code: str, magnitude: float) -> str:
    """Return the direction of a magnitude: ``"slower"``, ``"up"``, or ``""`` for one-sided ones."""
    how = axis(code)
    if not how.sides or how.identity is None or magnitude == how.identity:
        return ""
    return how.sides[0] if magnitude < how.identity else how.sides[1]


def in_words(code: str, magnitude: float) -> str:
    """Name a point as a sentence would.

    Examples
    --------
    >>> in_words("PN", 30.0), in_words("TS", 0.98), in_words("PS", 0.25), in_words("MP", 192)
    ('PN at 30 dB', 'TS at 0.98 × tempo', 'PS at +0.25 semitones', 'MP at 192 kb/s')
    """
    if code == ORIGINAL:
        return "the unchanged clip"
    if code == "TS":
        return f"TS at {magnitude:g} × tempo"
    if code == "PS":
        plural = "semitone" if abs(magnitude) == 1 else "semitones"
        return f"PS at {_signed(magnitude)} {plural}"
    unit = axis(code).unit
    return f"{code} at {_signed(magnitude, plus=False)}" + (f" {unit}" if unit else "")


def _signed(value: float, *, plus: bool = True) -> str:
    text = f"{abs(value):g}"
    if value < 0:
        return "−" + text
    return ("+" if plus and value > 0 else "") + text


def direction(code: str, side: str) -> str:
    """Return the short name of a transformation and its side, for legends: ``"PS+"``, ``"PN"``."""
    how = axis(code)
    if side in how.sides:
        return code + how.signs[how.sides.index(side)]
    return code if not side else f"{code} {side}"


def code_order(codes: Iterable[str]) -> list[str]:
    """Return codes once each in the order of the pages: the paper's five, then others by name."""
    present = set(codes) - {ORIGINAL}
    known = [code for code in _AXES if code in present]
    return known + sorted(present - set(known))


def mildest(points: Iterable[tuple[str, float]]) -> list[Point]:
    """Return the mildest magnitude present of every transformation and side, in page order.

    Examples
    --------
    >>> [point.magnitude for point in mildest([("PN", 10), ("PN", 30), ("PS", -2), ("PS", 1)])]
    [30.0, -2.0, 1.0]
    """
    return _extreme(points, gravest=False)


def gravest(points: Iterable[tuple[str, float]]) -> list[Point]:
    """Return the gravest magnitude present of every transformation and side, in page order."""
    return _extreme(points, gravest=True)


def _extreme(points: Iterable[tuple[str, float]], *, gravest: bool) -> list[Point]:
    best: dict[tuple[str, str], Point] = {}
    for code, value in points:
        if code == ORIGINAL:
            continue
        point = Point(code, float(value), side(code, value))
        key = (code, point.side)
        if key not in best:
            best[key] = point
            continue
        step = severity(code, value) - severity(code, best[key].magnitude)
        if (step > 0) if gravest else (step < 0):
            best[key] = point
    codes = code_order(code for code, _ in best)
    return sorted(
        best.values(), key=lambda point: (codes.index(point.code), point.magnitude, point.side)
    )


def is_imperceptible(point: Point) -> bool:
    """Return whether a point is at least as mild as the paper's imperceptible magnitude."""
    limits = [
        limit for limit in axis(point.code).imperceptible if side(point.code, limit) == point.side
    ]
    return bool(limits) and all(
        severity(point.code, point.magnitude) <= severity(point.code, limit) + 1e-9
        for limit in limits
    )
