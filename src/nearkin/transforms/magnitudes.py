"""Points of a grid and how they are read: axis, severity, side, the mildest and the most severe.

Tables in, points out; no plots, no audio. What a magnitude means stands on its transformation's
class (`nearkin.transforms.Transformation.axis`); the grid is the paper's Figure 3, the
imperceptible magnitudes are its footnote 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nearkin.transforms.axis import Axis
from nearkin.transforms.table import TRANSFORMATIONS, transformation_class

ORIGINAL = "OG"


class Point(NamedTuple):
    """One transformation at one magnitude."""

    code: str
    magnitude: float

    @property
    def side(self) -> str:
        """The side it lies on; empty where there is only one."""
        return side(self.code, self.magnitude)


def axis(code: str) -> Axis:
    """Return how the magnitudes of a transformation are read.

    Tables may come from elsewhere: a code that no installed transformation has gets a linear axis
    whose more severe side is the right one.
    """
    if code in TRANSFORMATIONS:
        return transformation_class(code).axis
    return Axis(title=code, quantity="magnitude", noun=f"{code} clip", more_severe="higher")


def severity(code: str, magnitude: float) -> float:
    """Return how severe a magnitude is: larger is more severe, within one side.

    Examples
    --------
    >>> severity("PN", -15) > severity("PN", 30), severity("PS", -2) == severity("PS", 2)
    (True, True)
    """
    return axis(code).severity(magnitude)


def side(code: str, magnitude: float) -> str:
    """Return the direction of a magnitude: ``"slower"``, ``"up"``, or ``""`` for one-sided ones."""
    return axis(code).side(magnitude)


def in_words(code: str, magnitude: float) -> str:
    """Name a point as a sentence would.

    Examples
    --------
    >>> in_words("PN", 30.0), in_words("TS", 0.98), in_words("PS", 0.25), in_words("MP", 192)
    ('PN at 30 dB', 'TS at 0.98 × tempo', 'PS at +0.25 semitones', 'MP at 192 kb/s')
    """
    if code == ORIGINAL:
        return "the unchanged clip"
    return f"{code} at {axis(code).words(magnitude)}"


def direction(code: str, side: str) -> str:
    """Return the short name of a transformation and its side, for legends: ``"PS+"``, ``"PN"``."""
    return code + axis(code).sign(side)


def code_order(codes: Iterable[str]) -> list[str]:
    """Return codes once each in the order of the pages: the table's, then unknown ones by name."""
    present = set(codes) - {ORIGINAL}
    known = [code for code in TRANSFORMATIONS if code in present]
    return known + sorted(present - set(known))


def mildest(points: Iterable[tuple[str, float]]) -> list[Point]:
    """Return the mildest magnitude present of every transformation and side, in page order.

    Examples
    --------
    >>> [point.magnitude for point in mildest([("PN", 10), ("PN", 30), ("PS", -2), ("PS", 1)])]
    [30.0, -2.0, 1.0]
    """
    return _extreme(points, severe=False)


def most_severe(points: Iterable[tuple[str, float]]) -> list[Point]:
    """Return the most severe magnitude present of every transformation and side, in page order."""
    return _extreme(points, severe=True)


def is_graded(points: Iterable[tuple[str, float]]) -> bool:
    """Tell whether mildest and most severe changes are two things: some side has two magnitudes.

    Examples
    --------
    >>> is_graded([("PN", 30), ("PS", -1), ("PS", 1)]), is_graded([("PN", 30), ("PN", 0)])
    (False, True)
    """
    known = list(points)
    return mildest(known) != most_severe(known)


def _extreme(points: Iterable[tuple[str, float]], *, severe: bool) -> list[Point]:
    best: dict[tuple[str, str], Point] = {}
    for code, value in points:
        if code == ORIGINAL:
            continue
        point = Point(code, float(value))
        key = (code, point.side)
        if key not in best:
            best[key] = point
            continue
        step = severity(code, value) - severity(code, best[key].magnitude)
        if (step > 0) if severe else (step < 0):
            best[key] = point
    codes = code_order(code for code, _ in best)
    return sorted(
        best.values(), key=lambda point: (codes.index(point.code), point.magnitude, point.side)
    )


def is_imperceptible(point: Point) -> bool:
    """Return whether a point is at least as mild as the paper's imperceptible magnitude."""
    how = axis(point.code)
    limits = [limit for limit in how.imperceptible if how.side(limit) == point.side]
    return bool(limits) and all(
        how.severity(point.magnitude) <= how.severity(limit) + 1e-9 for limit in limits
    )
