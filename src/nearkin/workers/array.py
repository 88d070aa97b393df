"""Units shared by several commands over one folder: the jobs of an array, without a scheduler.

Every job is the same command and could do all the work alone. A job claims a unit by a file before
it does it, and passes over those that others have claimed; when nothing is left to claim it waits
for what others have in work, and does itself what a job that died had claimed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, shown
from nearkin.files import key
from nearkin.lease import Lease, try_hold
from nearkin.workers.here import Here
from nearkin.workers.protocol import Done, Item, Lost, Unit

FOLDER = "claims"
"""The folder, in that of the work, for the claims."""
_POLL_S = 1.0


@dataclass(frozen=True)
class ArrayJob:
    """One of the jobs of an array.

    Attributes
    ----------
    number, of : int
        The job's number, 1 to `of`, and how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def array_job(text: str) -> ArrayJob:
    """Read ``K/N``, the job's number from 1, and how many there are.

    Raises
    ------
    InputError

    Examples
    --------
    >>> array_job("3/16")
    ArrayJob(number=3, of=16)
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of:
        raise InputError(f"--array {shown(text)}: must be K/N with K from 1 to N, such as 3/16")
    return ArrayJob(number, of)


class Shared:
    """Runs units in this process, but for those that other jobs have claimed.

    Parameters
    ----------
    session : object
    job : ArrayJob
    folder : Path
        Where the work is; all jobs see it.
    """

    def __init__(self, session: Any, job: ArrayJob, folder: Path) -> None:
        self._here = Here(session)
        self._job = job
        self._claims = folder / FOLDER

    def map(
        self,
        unit: Unit,
        items: Iterable[Item],
        *,
        done: Done | None = None,
        lost: Lost | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item once it is done, by whichever job; see `Workers.map`.

        Raises
        ------
        RunError
            If `done` is missing: what other jobs did could not be told.
        """
        if done is None:
            raise RunError("this work cannot be shared by the jobs of an array; leave --array out")
        mine = list(items)
        # each job begins elsewhere, so that they meet seldom
        begin = len(mine) * (self._job.number - 1) // self._job.of
        left = mine[begin:] + mine[:begin]
        while left:
            held_by_others = []
            for item in left:
                claim = self._claim(unit, item)
                if claim is None:
                    held_by_others.append(item)
                    continue
                try:
                    result = None
                    if not done(item):
                        ((_, result),) = self._here.map(unit, [item])
                finally:
                    claim.leave()
                yield item, result
            left = []
            for item in held_by_others:
                if done(item):
                    yield item, None
                else:
                    left.append(item)
            if len(left) == len(held_by_others) and left:
                time.sleep(_POLL_S)

    def _claim(self, unit: Unit, item: Any) -> Lease | None:
        name = f"{unit.__name__}-{key(repr(item))}.claim"
        return try_hold(self._claims / name)
