"""Magnitudes at which changes are heard equally much, found by bisection on the user's clips.

A run's grid has few magnitudes; between two of them, and beyond them, what is heard is asked of the
clips themselves. Audibility grows from 0 at the original: 5 less the mean opinion score (MOS), or
just noticeable differences (JND), which need no clip.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from nearkin.errors import InputError
from nearkin.progress import Progress, silent
from nearkin.results.audibility import medians
from nearkin.transforms import (
    TRANSFORMATIONS,
    Axis,
    magnitudes,
    transformation,
    transformation_class,
)

Hear = Callable[[str, float], float]
"""The median MOS of the clips, by code and magnitude; NaN where it cannot be heard."""

MOS_LEVELS = (4.8, 4.5, 4.0, 3.0, 2.0)
JND_LEVELS = (1.0, 2.0, 5.0)

TOLERANCE = {"mos": 0.02, "jnd": 0.005}
"""How near a level is near enough, on either scale."""
MOST_STEPS = 10
"""Magnitudes tried for a level at the most, beside those that are known."""
BEYOND = 4
"""How often the grid's own span is added at either end, to look for a level beyond it."""


class Reached(NamedTuple):
    """A magnitude, and what is heard of it."""

    magnitude: float
    level: float
    """The median MOS, or the JND."""


def equal_points(
    perception: pd.DataFrame,
    hear: Hear,
    *,
    mos: Iterable[float] = MOS_LEVELS,
    jnd: Iterable[float] = JND_LEVELS,
    progress: Progress = silent,
) -> dict[str, list[Reached]]:
    """Return the magnitudes of every transformation at which the clips hear equally much.

    Parameters
    ----------
    perception : pandas.DataFrame
        perception.parquet, of the clips that `hear` asks.
    hear : callable
        See `Hear`.
    mos, jnd : iterable of float
        The levels sought.
    progress : callable
        See `Progress`.

    Returns
    -------
    dict of str to list of Reached
        By code, magnitudes growing. A level that no magnitude of a transformation reaches is left
        out; so is what has no scale. Chains have the levels that they were written with: of these
        the nearest.

    Raises
    ------
    InputError
        If no transformation reaches any level.
    """
    table = medians(perception).reset_index()
    mos, jnd = tuple(mos), tuple(jnd)
    sought = list(_sought(table, mos, jnd))
    found: dict[str, dict[float, Reached]] = {}
    heard: dict[str, dict[float, float]] = {}
    for done, (code, side, scale, level) in enumerate(sought):
        progress("equal grid", done, len(sought))
        known = heard.setdefault(f"{code} {side}", _known(table, code, side, scale))
        audibility = _audibility(code, scale, hear)
        wanted = 5.0 - level if scale == "mos" else level
        near = TOLERANCE[scale]
        magnitude = reach(audibility, wanted, code=code, side=side, known=known, tolerance=near)
        if magnitude is not None:
            there = known[magnitude]
            reached = Reached(magnitude, 5.0 - there if scale == "mos" else there)
            found.setdefault(code, {})[magnitude] = reached
    progress("equal grid", len(sought), len(sought))
    if not found:
        raise InputError(
            "no magnitude of any transformation reaches one of the levels; run a grid with "
            "transformations that have a scale, such as paper"
        )
    return {code: [ones[m] for m in sorted(ones)] for code, ones in found.items()}


def reach(
    hear: Callable[[float], float],
    sought: float,
    *,
    code: str,
    side: str = "",
    known: dict[float, float],
    tolerance: float,
) -> float | None:
    """Return the magnitude whose audibility is nearest to what is sought, by bisection.

    Parameters
    ----------
    hear : callable
        The audibility of a magnitude, growing with severity; NaN where it cannot be heard.
    sought : float
        Above 0.
    code, side : str
        The transformation, and the direction from its identity where it has two.
    known : dict of float to float
        Audibility by magnitude, as far as it is known; what is heard is added.
    tolerance : float
        How near is near enough.

    Returns
    -------
    float or None
        A possible magnitude, one of `known`; None if no magnitude, within the transformation's
        range, is heard as much, or none as little.
    """
    axis = magnitudes.axis(code)
    ends = _bracket(hear, sought, axis, code, side, known)
    if ends is None:
        return None
    mild, severe = ends
    for _ in range(MOST_STEPS):
        best = min((mild, severe), key=lambda m: abs(known[m] - sought))
        if abs(known[best] - sought) <= tolerance:
            return _not_identity(best, axis, mild, severe)
        share = (sought - known[mild]) / (known[severe] - known[mild])
        share = min(max(share, 0.1), 0.9)  # one end alone would move for ever
        middle = possible(code, _between(axis, mild, severe, share), known)
        if middle in known:  # of a codec's few rates another one may still lie between the two
            low, high = sorted((mild, severe))
            between = [m for m in axis.defaults if low < m < high and m not in known]
            if not between:
                break
            middle = min(between, key=lambda m: abs(m - middle))
        known[middle] = hear(middle)
        if math.isnan(known[middle]):
            del known[middle]
            break
        if known[middle] < sought:
            mild = middle
        else:
            severe = middle
    return _not_identity(
        min((mild, severe), key=lambda m: abs(known[m] - sought)), axis, mild, severe
    )


def possible(code: str, value: float, tried: Iterable[float]) -> float:
    """Return the possible magnitude nearest to a value: of three digits, else one of a few."""
    if code not in TRANSFORMATIONS:
        return min(tried, key=lambda one: abs(one - value))
    axis = magnitudes.axis(code)
    short = float(f"{min(max(value, axis.least), axis.greatest):.3g}")
    for candidate in (short, float(round(short))):
        try:
            return transformation(code, candidate).magnitude
        except InputError:
            continue  # whole numbers, or a codec's own rates
    return min((*tried, *axis.defaults), key=lambda one: abs(one - value))


def _sought(
    table: pd.DataFrame, mos: tuple[float, ...], jnd: tuple[float, ...]
) -> Iterator[tuple[str, str, str, float]]:
    """Yield code, side, scale and level of everything that is sought."""
    for code in magnitudes.code_order(table["transformation"]):
        mine = table[table["transformation"] == code]
        scale = str(mine["scale"].iloc[0])
        levels = {"mos": mos, "jnd": jnd}.get(scale, ())
        for side in dict.fromkeys(magnitudes.side(code, float(m)) for m in mine["magnitude"]):
            yield from ((code, side, scale, level) for level in levels)


def _known(table: pd.DataFrame, code: str, side: str, scale: str) -> dict[float, float]:
    """Return the audibility of the run's own magnitudes of one side, and of the identity."""
    identity = magnitudes.axis(code).identity
    found = {} if identity is None else {identity: 0.0}
    for row in table[table["transformation"] == code].to_dict("records"):
        magnitude, heard = float(row["magnitude"]), float(row[scale])
        if magnitudes.side(code, magnitude) == side and not math.isnan(heard):
            found[magnitude] = 5.0 - heard if scale == "mos" else heard
    return found


def _audibility(code: str, scale: str, hear: Hear) -> Callable[[float], float]:
    """Return what tells how much is heard of a transformation's magnitudes, on its own scale."""
    if scale == "jnd":
        return lambda magnitude: float(transformation(code, magnitude).jnds())
    return lambda magnitude: 5.0 - hear(code, magnitude)


def _bracket(
    hear: Callable[[float], float],
    sought: float,
    axis: Axis,
    code: str,
    side: str,
    known: dict[float, float],
) -> tuple[float, float] | None:
    """Return two magnitudes, one heard less and one at least as much; look beyond the known."""
    order = sorted(known, key=axis.severity)
    if not order:
        return None
    if code in TRANSFORMATIONS:
        for mild in (True, False):
            for _ in range(BEYOND):
                end = order[0] if mild else order[-1]
                there = known[end] < sought if mild else known[end] >= sought
                value = _beyond(axis, order, side=side, mild=mild)
                further = end if there else possible(code, value, known)
                if further in known or axis.side(further) not in ("", side):
                    break
                heard = hear(further)
                if math.isnan(heard):
                    break
                known[further] = heard
                order = sorted(known, key=axis.severity)
    after = next((k for k, m in enumerate(order) if known[m] >= sought), len(order))
    return (order[after - 1], order[after]) if 0 < after < len(order) else None


def _between(axis: Axis, one: float, other: float, share: float) -> float:
    """Return the magnitude between two at a share of the way, as the axis is spread."""
    if axis.scale == "log" and one > 0 and other > 0:
        return float(one * (other / one) ** share)
    return one + share * (other - one)


def _beyond(axis: Axis, order: list[float], *, side: str, mild: bool) -> float:
    """Return a magnitude as far beyond the mildest or most severe one as the two lie apart."""
    first, last = order[0], order[-1]
    if first == last:  # nothing says how far: twice the number, or its half
        grows = axis.more_severe == "higher" or bool(side and side == axis.sides[-1])
        return first * (2.0 if grows != mild else 0.5)
    return _between(axis, first, last, -1.0 if mild else 2.0)


def _not_identity(best: float, axis: Axis, mild: float, severe: float) -> float:
    """A grid has no use for what changes nothing."""
    return severe if best == axis.identity and best == mild else best


_GRID_HEAD = b"# nearkin perceive --grid-out, SHA-256 of what follows: "


_OLD_GRID = re.compile(
    rb"name: equal-audibility\npoints:\n"
    rb"(?:  [^\s:#]+: \[(?:-?[0-9.]+(?:e[-+][0-9]+)?(?:, (?!\])|(?=\])))*\]\n)*"
)


def grid_file(found: Mapping[str, Iterable[Reached]], *, n_clips: int) -> bytes:
    """Return an equally audible grid as YAML, with what is heard at each magnitude as a comment.

    Its first line, a comment too, tells whether it was edited since.
    """
    lines = ["name: equal-audibility", "points:"]
    for code, points in found.items():
        points = list(points)
        values = ", ".join(f"{one.magnitude:g}" for one in points)
        told = ", ".join(f"{one.level:.2f}" for one in points)
        quality = _scale(code) == "mos"
        what = f"MOS {told} (median of {n_clips} clips)" if quality else f"JND {told}"
        lines.append(f"  {code}: [{values}]  # {what}")
    text = "".join(f"{line}\n" for line in lines).encode()
    return _GRID_HEAD + hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def is_grid_file(data: bytes) -> bool:
    """Tell whether a file is as `grid_file` made it, or as it did before it wrote checksums.

    Examples
    --------
    >>> made = grid_file({"PN": [Reached(30.0, 4.5)]}, n_clips=12)
    >>> is_grid_file(made), is_grid_file(made.replace(b"30", b"20"))
    (True, False)
    """
    head, _, text = data.partition(b"\n")
    made = head == _GRID_HEAD + hashlib.sha256(text).hexdigest().encode()
    return made or _OLD_GRID.fullmatch(data) is not None


def _scale(code: str) -> str:
    """Return the scale of a code; a chain that is heard at all has that of quality."""
    if code not in TRANSFORMATIONS:
        return "mos"
    return transformation_class(code).scale
