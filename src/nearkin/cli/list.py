"""``nearkin list``: what is built in; reading the tables of names imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from nearkin.cli.common import say, sentences
from nearkin.errors import InputError
from nearkin.registry import suggest


def list_command(
    what: Annotated[
        str, typer.Argument(help="encoders, transformations, grids, distances or tasks")
    ],
) -> None:
    """List what is built in; nothing is imported, built or downloaded for it."""
    with sentences(computes=False):
        for line in catalogue(what):
            say(line)


def catalogue(what: str) -> list[str]:
    """List one kind of built-in thing.

    Raises
    ------
    InputError
        If there is no such kind.

    Examples
    --------
    >>> catalogue("encoders")[0].split()[0]
    'mfcc'
    """
    if what not in _KINDS:
        raise InputError(f"cannot list '{what}': {suggest(what, _KINDS)}")
    return _KINDS[what]()


def _encoders() -> list[str]:
    from nearkin.encoders import ENCODERS
    from nearkin.registry import lookup

    return [
        f"{name:18} {_first_line(lookup(ENCODERS, name, kind='encoder'))}"
        + _of(ENCODERS.provider(name))
        for name in ENCODERS
    ]


def _transformations() -> list[str]:
    from nearkin.transforms import TRANSFORMATIONS, transformation_class

    rows = [(code, transformation_class(code)) for code in TRANSFORMATIONS]
    return [
        f"{code}  {kind.axis.title}{f' ({kind.axis.unit})' if kind.axis.unit else ''}"
        + _of(TRANSFORMATIONS.provider(code))
        for code, kind in rows
    ]


def _grids() -> list[str]:
    from nearkin.transforms.grids import GRIDS, grid

    lines = []
    for name in GRIDS:
        points = grid(name).points
        codes = " ".join(dict.fromkeys(point.code for point in points))
        lines.append(f"{name:14} {len(points):3} points: {codes}")
    return lines


def _distances() -> list[str]:
    from nearkin.distances import DISTANCES
    from nearkin.registry import lookup

    rows = [lookup(DISTANCES, name, kind="distance") for name in DISTANCES]
    return [
        f"{row.name:10} {row.title} ({row.space} space)" + _of(DISTANCES.provider(row.name))
        for row in rows
    ]


def _tasks() -> list[str]:
    from nearkin.tasks import TASKS, task

    rows = [task(name) for name in TASKS]
    return [
        f"{row.name}  {row.title}: {row.measure}{f' in {row.unit}' if row.unit else ''}, "
        f"{row.better} is better; learns from "
        f"{f'the column {row.column}' if row.column else 'audio alone'}"
        for row in rows
    ]


def _of(provider: str) -> str:
    return f", of {provider}" if provider else ""


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


_KINDS: dict[str, Callable[[], list[str]]] = {
    "encoders": _encoders,
    "transformations": _transformations,
    "grids": _grids,
    "distances": _distances,
    "tasks": _tasks,
}
