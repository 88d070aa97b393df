"""Things are drawn by a seed and their names until enough of them are usable.

The order hangs on the seed and the names alone: neither on how many are wanted, nor on what else
there is, so that more of them are the same and others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nearkin.errors import RunError
from nearkin.progress import Progress
from nearkin.seeds import stream

Drawn = TypeVar("Drawn")
Made = TypeVar("Made")


def draw(
    candidates: Sequence[Drawn],
    *,
    wanted: int | None,
    seed: int,
    name: Callable[[Drawn], str],
    read: Callable[[Drawn], Made | None],
    make: Callable[[Sequence[Drawn]], Iterator[object]],
    usable: Callable[[Drawn, Made], int],
    each: int = 1,
    stage: str,
    progress: Progress,
) -> list[tuple[Drawn, Made]]:
    """Make things, a batch at a time, until as many are usable as are wanted.

    Parameters
    ----------
    candidates : sequence
        What there is.
    wanted : int or None
        How many usable ones; None makes all.
    seed : int
    name : callable
        Gives a candidate's name; no two share one.
    read : callable
        Reads what was made of a candidate; None where nothing was.
    make : callable
        Makes something of each candidate it is given, and yields after each.
    usable : callable
        Tells how many usable things were made of a candidate; asked in the order of drawing.
    each : int
        How many usable things may come of one candidate.
    stage : str
        What `progress` is told.
    progress : callable

    Returns
    -------
    list of (candidate, what was made of it)
        In the order in which they were drawn; those that are not usable too. The last may bring
        more than are wanted.

    Raises
    ------
    RunError
        If what was made cannot be read.
    """
    drawn = list(candidates)
    if wanted is not None:
        drawn.sort(key=lambda candidate: stream(seed, name(candidate), "draw").random())
    taken: list[tuple[Drawn, Made]] = []
    n_usable = 0
    while len(taken) < len(drawn) and (wanted is None or n_usable < wanted):
        missing = len(drawn) if wanted is None else wanted - n_usable
        batch = drawn[len(taken) : len(taken) + -(-missing // each)]
        total = len(taken) + len(batch)
        there = [read(candidate) for candidate in batch]
        todo = [one for one, made in zip(batch, there, strict=True) if made is None]
        progress(stage, total - len(todo), total)
        for done, _ in enumerate(make(todo), start=total - len(todo) + 1):
            progress(stage, done, total)
        for candidate, before in zip(batch, there, strict=True):
            made = read(candidate) if before is None else before
            if made is None:
                raise RunError(
                    f"'{name(candidate)}': what was just written cannot be read; check the disk "
                    "and give the same command again"
                )
            taken.append((candidate, made))
            n_usable += usable(candidate, made)
    return taken
