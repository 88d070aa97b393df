"""What ``perform`` would take, for ``--dry-run``: counted, and measured on one clip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearkin.corpora.recordings import Row
from nearkin.performance.scored import Scored
from nearkin.performance.sets import TestSet, sets_for
from nearkin.performance.units import TaskSession, scores_of
from nearkin.progress import duration
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import Plan
from nearkin.tables import OK
from nearkin.workers import Here

TRIED = 5
"""Clips tried until one is usable."""
POINTS_TIMED = 8


@dataclass(frozen=True)
class PerformanceEstimate:
    """Counts and times of the work.

    Attributes
    ----------
    clips : dict
        By task, the most there can be.
    models, points, workers : int
    seconds : float
        Wall time; NaN where no clip could be measured.
    """

    clips: dict[str, int]
    models: int
    points: int
    workers: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        from nearkin.files import finite

        plain: dict[str, Any] = finite(asdict(self))
        return plain

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        told = ", ".join(f"{task}: at most {n} clips" for task, n in self.clips.items())
        first = f"{self.models} models ({told}), {self.points} points and the originals"
        if self.seconds != self.seconds:
            when = f"time: unknown, none of the first {TRIED} clips can be used"
        else:
            when = f"time: about {duration(self.seconds)} on {self.workers} workers"
        return [first, when, "nothing was written"]


def estimate(
    models: Sequence[Scored],
    manifests: Sequence[Path],
    *,
    plan: Plan,
    split: str,
    workers: int,
) -> PerformanceEstimate:
    """Count the work, and measure a few points of one clip of each task.

    Raises
    ------
    InputError
        As scoring itself would: models, manifests or settings that cannot be used.
    """
    tests = sets_for(models, manifests, split=split, plan=plan)
    session = TaskSession(plan, RunFolder(Path()), {test.task: test for test in tests})
    clips = {
        test.task: len(test.rows) if plan.clips is None else min(plan.clips, len(test.rows))
        for test in tests
    }
    seconds = sum(_seconds(session, test) * clips[test.task] for test in tests)
    return PerformanceEstimate(
        clips=clips,
        models=len(models),
        points=len(plan.grid.points),
        workers=workers,
        seconds=seconds / min(workers, max(clips.values())),
    )


def _seconds(session: TaskSession, test: TestSet) -> float:
    """Return the core-seconds of one clip at all points; NaN if none of a few can be used."""
    points = session.plan.points
    some = points[:: max(1, len(points) // POINTS_TIMED)]

    def timed(row: Row) -> float:
        scores_of(session, test, row, points[:1])  # libraries are imported once, not once a clip
        begun = time.perf_counter()
        shard, _ = scores_of(session, test, row, some)
        spent = time.perf_counter() - begun
        return spent * len(points) / len(some) if shard.status == OK else float("nan")

    for row in test.rows[:TRIED]:
        _, seconds = next(iter(Here(session).map(lambda _, one: timed(one), [row])))
        if seconds == seconds:
            return float(seconds)
    return float("nan")
