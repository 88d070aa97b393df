"""Chains: several transformations one after the other, under one code, at levels of one severity.

A broadcast is MP3, then an equaliser, then noise. Whoever writes a chain says how severe each of
its levels is: that number is its magnitude in every table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nearkin.errors import InputError, printable, shown
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation
from nearkin.transforms.table import TRANSFORMATIONS, transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

MOST_STEPS = 8
RESERVED = ("AD", "JND", "MOS")
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,11}")
_FORM = "write for instance '{steps: [MP, PN], levels: {1: [128, 30], 2: [32, 20]}}'"


@dataclass(frozen=True, slots=True)
class Chained(Transformation):
    """A chain at one level: its steps, done in order.

    Parameters
    ----------
    level : float
        How severe it is, as its author says.
    steps : tuple of Transformation
        What is done, the first one first. Every step draws from a stream of its own.

    Examples
    --------
    >>> from nearkin.transforms import BitDepth, Gain
    >>> Chained(1, (Gain(-6.0206), BitDepth(2)))(np.array([1.0, -0.2]), sr=22_050)
    array([ 0.5, -0. ], dtype=float32)
    """

    level: float
    steps: tuple[Transformation, ...] = field(default=())

    axis: ClassVar[Axis] = Axis(title="Chain", quantity="level", more_severe="higher")

    @property
    def moves_time(self) -> bool:  # type: ignore[override]
        """Whether any of its steps does."""
        return any(step.moves_time for step in self.steps)

    @property
    def of_every_part(self) -> bool:  # type: ignore[override]
        """Whether any of its steps does the same to every part of a mixture."""
        return any(step.of_every_part for step in self.steps)

    @property
    def loudness(self) -> Literal["matched", "kept"]:  # type: ignore[override]
        """Kept, if any of its steps keeps it."""
        return "kept" if any(step.loudness == "kept" for step in self.steps) else "matched"

    @property
    def scale(self) -> Literal["mos", "jnd", ""]:  # type: ignore[override]
        """Quality, if it is that of all its steps; else none: two scales are never one."""
        return "mos" if all(step.scale == "mos" for step in self.steps) else ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Do the steps."""
        for step in self.steps:
            own = None if rng is None else np.random.default_rng(int(rng.integers(2**63)))
            y = step(y, sr=sr, rng=own)
        return y


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as it is written: its code, the codes of its steps, and what each does at a level.

    Parameters
    ----------
    code : str
        Its name in every table: 2 to 12 capitals and digits, none of the transformations' codes.
    steps : tuple of str
        Codes of transformations, the first one first, at most 8.
    levels : tuple of (float, tuple of float)
        The severity of each level, growing, and the magnitude of each step there.

    Raises
    ------
    InputError
        If a code or a magnitude is none, or the levels do not fit the steps.

    Examples
    --------
    >>> chain = Chain("AIR", ("MP", "PN"), ((1, (128, 30)), (2, (32, 20))))
    >>> chain.at(2).steps[0]
    MP3(kbps=32.0, rate='paper')
    """

    code: str
    steps: tuple[str, ...]
    levels: tuple[tuple[float, tuple[float, ...]], ...]

    def __post_init__(self) -> None:
        """Check, normalise and order the levels."""
        name = f"chain {shown(self.code)}"
        if not isinstance(self.code, str) or not _CODE.fullmatch(self.code):
            raise InputError(
                f"{name}: must be 2 to 12 capitals and digits, a letter first; rename it"
            )
        if self.code in RESERVED:
            raise InputError(f"{name}: is a word of requirements; choose another name")
        if self.code in TRANSFORMATIONS:
            raise InputError(f"{name}: is the code of a transformation; choose another name")
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise InputError(
                f"{name}: has {len(self.steps)} steps: must have 1 to {MOST_STEPS}; {_FORM}"
            )
        if not self.levels:
            raise InputError(f"{name}: has no levels; {_FORM}")
        levels: dict[float, tuple[float, ...]] = {}
        for level, values in self.levels:
            severity = Chained.axis.checked(level, name=f"{name}: level")
            if len(values) != len(self.steps):
                raise InputError(
                    f"{name}: level {severity:g} has {len(values)} magnitudes: must have one for "
                    f"each of the {len(self.steps)} steps; {_FORM}"
                )
            if severity in levels:
                raise InputError(f"{name}: level {severity:g} is there twice; name it once")
            levels[severity] = tuple(
                _made(name, code, value).magnitude
                for code, value in zip(self.steps, values, strict=True)
            )
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "levels", tuple(sorted(levels.items())))

    @property
    def magnitudes(self) -> tuple[float, ...]:
        """Its levels, growing."""
        return tuple(level for level, _ in self.levels)

    def at(self, level: float, **options: Any) -> Chained:
        """Return the chain at one of its levels; `options` as `transformation` takes them.

        Raises
        ------
        InputError
            If it has no such level.
        """
        values = dict(self.levels).get(float(level))
        if values is None:
            known = ", ".join(f"{one:g}" for one in self.magnitudes)
            raise InputError(f"chain {self.code}: has no level {level:g}; its levels are {known}")
        steps = (
            transformation(code, value, **options)
            for code, value in zip(self.steps, values, strict=True)
        )
        return Chained(level, tuple(steps))

    def record(self) -> dict[str, Any]:
        """Return it as plain values, as a run's record keeps it."""
        levels = [[level, list(values)] for level, values in self.levels]
        return {"code": self.code, "steps": list(self.steps), "levels": levels}


def _made(name: str, code: Any, value: Any) -> Transformation:
    if not isinstance(code, str) or code == "OG":
        raise InputError(f"{name}: step {shown(code)} must be the code of a transformation")
    try:
        return transformation(code, value)
    except InputError as error:
        told = str(error)
        where = "" if told.startswith("unknown") else f"{code}: "
        raise InputError(f"{name}: {where}{told}") from None


def chain_of(record: Mapping[str, Any]) -> Chain:
    """Rebuild a chain from `Chain.record`.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        levels = tuple((level, tuple(values)) for level, values in record["levels"])
        return Chain(record["code"], tuple(record["steps"]), levels)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"chain {shown(record)}: must have code, steps and levels") from error


def read_chains(content: Any) -> tuple[list[Chain], list[str]]:
    """Read the part ``chains`` of a grid's file: the chains, and what is wrong with the others."""
    if not isinstance(content, Mapping) or not content:
        return [], [f"chains: must map codes to steps and levels; {_FORM}"]
    chains, problems = [], []
    for code, row in content.items():
        if not (
            isinstance(row, Mapping)
            and row.keys() == {"steps", "levels"}
            and _is_list(row["steps"])
            and isinstance(row["levels"], Mapping)
            and all(_is_list(values) for values in row["levels"].values())
        ):
            problems.append(f"chain {shown(code)}: must have steps and levels, no more; {_FORM}")
            continue
        try:
            levels = tuple((level, tuple(values)) for level, values in row["levels"].items())
            chains.append(Chain(code, tuple(row["steps"]), levels))
        except InputError as error:
            problems.append(printable(str(error)))
    return chains, problems


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
