"""Grids: which magnitudes of which transformations a run tries (paper, Table 2).

A point is a transformation's code and one exact magnitude in its unit; OG, the original, is always
run and is no part of a grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearkin.audio.folders import irregular
from nearkin.errors import InputError, printable, shown
from nearkin.registry import suggest
from nearkin.transforms.chains import Chain, read_chains
from nearkin.transforms.magnitudes import ORIGINAL, Point
from nearkin.transforms.protocol import Transformation
from nearkin.transforms.table import TRANSFORMATIONS, transformation, transformation_class
from nearkin.written import read_yaml

__all__ = ["GRIDS", "Grid", "Point", "grid"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A named list of points, each valid and none twice.

    Parameters
    ----------
    name : str
        What the run's tables call it.
    points : tuple of Point
        In the order of the transformations' table and of growing magnitude, whatever the order
        they came in; at least one. The levels of its chains are among them, at the end.
    chains : tuple of Chain
        The chains it knows, by name.

    Raises
    ------
    InputError
        If a code is unknown, a magnitude impossible, a point repeated or the list empty: all of
        it in one message.
    """

    name: str
    points: tuple[Point, ...]
    chains: tuple[Chain, ...] = ()

    def __post_init__(self) -> None:
        """Check, normalise and order the points."""
        problems: list[str] = []
        chains = {chain.code: chain for chain in sorted(self.chains, key=lambda one: one.code)}
        if len(chains) < len(self.chains):
            problems.append("a chain is there twice; name it once")
        order = [*TRANSFORMATIONS, *chains]
        points: set[Point] = set()
        for code, magnitude in self.points:
            if code == ORIGINAL:
                problems.append("OG: is always run; leave it out of the grid")
                continue
            try:
                chain = chains.get(code)
                made = chain.at(magnitude) if chain else transformation(code, magnitude)
                point = Point(code, made.magnitude)
            except InputError as error:
                text = str(error)
                problems.append(text if text.startswith("unknown") else f"{code}: {text}")
                continue
            if point in points:
                problems.append(f"{code}: {point.magnitude:g} is there twice; name it once")
            points.add(point)
        if not points and not problems:
            problems.append("no points: a grid needs at least one; add for instance 'PN: [10]'")
        if problems:
            raise InputError(f"grid '{printable(self.name)}': " + _told(problems))
        ordered = sorted(points, key=lambda p: (order.index(p.code), p.magnitude))
        object.__setattr__(self, "points", tuple(ordered))
        object.__setattr__(self, "chains", tuple(chains.values()))

    @property
    def codes(self) -> tuple[str, ...]:
        """The transformations in it, in the order of the points."""
        return tuple(dict.fromkeys(point.code for point in self.points))

    def made(self, point: Point, **options: Any) -> Transformation:
        """Build the transformation, or the chain, of a point; `options` as `transformation` has."""
        for chain in self.chains:
            if chain.code == point.code:
                return chain.at(point.magnitude, **options)
        return transformation(point.code, point.magnitude, **options)

    def magnitudes(self, code: str) -> tuple[float, ...]:
        """Return the magnitudes of one transformation, growing."""
        return tuple(point.magnitude for point in self.points if point.code == code)


def _defaults(*codes: str) -> dict[str, tuple[float, ...]]:
    return {code: transformation_class(code).axis.defaults for code in codes}


_PAPER = _defaults("PN", "EN", "TS", "PS", "MP")

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "paper": _PAPER,
    "authors": {**_PAPER, "MP": (*_PAPER["MP"], 224, 256, 320)},
    "imperceptible": {
        "PN": (30,),
        "EN": (30,),
        "TS": (0.98, 1.02),
        "PS": (-0.25, 0.25),
        "MP": (192,),
    },
    "quick": {
        "PN": (-15, 6, 18, 30),
        "EN": (-15, 6, 18, 30),
        "TS": (0.5, 0.9, 0.98, 1.02, 1.1, 1.5),
        "PS": (-12, -2, -0.25, 0.25, 2, 12),
        "MP": (8, 32, 96, 192),
    },
    # Deng, Wang, Richard, McFee (ICASSP 2025): low-pass, bits, gain and Freeverb's room size.
    "effects": {
        "LP": tuple(round(1_600 * (22_000 / 1.2 / 1_600) ** (k / 30), 3) for k in range(31)),
        "BD": tuple(range(4, 16)),
        "GN": tuple(-40 + 1.5 * k for k in range(31)),
        "FV": tuple(round(0.01 + 0.03 * k, 2) for k in range(34)),
    },
    "codecs": _defaults("MP", "OP", "AA", "VO", "GS", "AM"),
    "room": _defaults("RV", "FV", "EC"),
    "everyday": {
        "PN": (20, 30),
        "MP": (64, 128),
        "LP": (4_000, 8_000),
        "HP": (100, 300),
        "TI": (-3, 3),
        "GN": (-20, -6, 6),
        "CL": (0.5, 2),
        "DR": (2, 4),
        "RV": (0.2, 0.5),
        "SP": (0.98, 1.02),
        "TO": (-100, 100),
        "PL": (1, 5),
        "OP": (24, 64),
        "AA": (48, 96),
    },
}
"""The built-in grids: ``paper`` (91 points, MP3 up to 192 as in footnote 4), ``authors`` (94, as in
their code), ``imperceptible`` (7, footnote 4), ``quick`` (24, for a first look); ``effects`` (108,
those of Deng et al. 2025), ``codecs`` and ``room`` (default magnitudes), ``everyday`` (29, what
happens to recordings on their way)."""


def grid(source: str | Path | Grid) -> Grid:
    """Return a built-in grid by name, or one from a YAML file.

    Parameters
    ----------
    source : str, pathlib.Path or Grid
        One of ``GRIDS``, or a file such as ``{PN: [10, 20], TS: [0.9, 1.1]}`` or
        ``{name: mine, points: {PN: [10, 20]}}``; ``defaults`` in place of a list means the
        transformation's default magnitudes; ``chains`` beside ``points`` names chains of
        transformations (`nearkin.transforms.chains`). A Grid is returned as it is.

    Raises
    ------
    InputError
        If there is no such grid or file, or the file has problems (all are named at once).

    Examples
    --------
    >>> len(grid("paper").points)
    91
    """
    if isinstance(source, Grid):
        return source
    if not isinstance(source, (str, Path)):
        raise InputError(f"grid={shown(source)}: must be a name or a file; {suggest('', GRIDS)}")
    text = str(source)
    if text in GRIDS:
        return _from_mapping(text, GRIDS[text])
    path = Path(source)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(
            f"unknown grid {shown(text)}: {suggest(text[:_LONGEST_NAME], GRIDS)} (or name a .yaml "
            "file)"
        )
    return _from_yaml(path)


def _from_mapping(name: str, points: Mapping[str, tuple[float, ...]]) -> Grid:
    return Grid(name, tuple(Point(code, m) for code, ms in points.items() for m in ms))


def _from_yaml(path: Path) -> Grid:
    form = "write for instance 'PN: [10, 20]'"
    name: Any = path.stem
    kind = "no file's name" if "\0" in str(path) else irregular(path)
    if kind:  # a pipe without a writer would wait for ever
        raise InputError(f"{printable(path)}: is {kind}; name a YAML file")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{printable(path)}: must map codes to lists of magnitudes; {form}")
    problems: list[str] = []
    chains: list[Chain] = []
    if not content.keys().isdisjoint(_KEYS):
        name = content.get("name", name)
        if not isinstance(name, str) or not name.strip() or printable(name) != name:
            problems.append(f"name: {shown(name)} must be a text; write for instance 'name: mine'")
        elif len(name) > _LONGEST_NAME:
            problems.append(
                f"name: {shown(name)} has {len(name)} characters: must have at most "
                f"{_LONGEST_NAME}; shorten it"
            )
        elif name in GRIDS:
            problems.append(f"name: '{name}' is a built-in grid; choose another name")
        for key in content.keys() - {*_KEYS}:
            problems.append(f"unknown key {shown(key)}: {suggest(shown(key), _KEYS)}")
        if "chains" in content:
            chains, wrong = read_chains(content["chains"])
            problems += wrong
        content = content.get("points", {} if "chains" in content else None)
        if not isinstance(content, dict):
            content = {}
            problems.append(f"points: must map codes to lists of magnitudes; {form}")
    elif name in GRIDS:
        name = f"{name} ({path.name})"  # two grids of one name would be told apart by nobody
    points: list[Point] = []
    for code, magnitudes in content.items():
        if not isinstance(code, str) or len(code) > _LONGEST_NAME or printable(code) != code:
            problems.append(f"{shown(code)}: must be the code of a transformation; {form}")
            continue
        if magnitudes == "defaults" and code in TRANSFORMATIONS:
            magnitudes = list(transformation_class(code).axis.defaults)
        if not isinstance(magnitudes, list):
            magnitudes = [magnitudes]
        if not magnitudes:
            problems.append(f"{code}: has no magnitudes; {form}")
        points += [Point(code, magnitude) for magnitude in magnitudes]
    if problems and not points and not chains:  # that it is empty follows from these
        raise InputError(f"{printable(path)}: " + _told(problems))
    try:
        points += [Point(chain.code, level) for chain in chains for level in chain.magnitudes]
        made = Grid(name if isinstance(name, str) else path.stem, tuple(points), tuple(chains))
    except InputError as error:
        raise InputError(f"{printable(path)}: " + _told([*problems, str(error)])) from error
    if problems:
        raise InputError(f"{printable(path)}: " + _told(problems))
    return made


_KEYS = ("name", "points", "chains")
_LONGEST_NAME = 60
_MOST_TOLD = 8


def _told(problems: Iterable[str]) -> str:
    """Return problems as one sentence, each once, and how many more there are."""
    each = list(dict.fromkeys(problems))
    more = [f"and {len(each) - _MOST_TOLD} more"] if len(each) > _MOST_TOLD else []
    return " | ".join([*each[:_MOST_TOLD], *more])
