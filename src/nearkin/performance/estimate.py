"""What ``perform`` would take, for ``--dry-run``: counted, and measured on one clip."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearkin.corpora.recordings import Row
from nearkin.errors import InputError
from nearkin.performance.scored import Scored
from nearkin.performance.sets import TestSet, sets_for
from nearkin.performance.units import TaskSession, clip_of, scored
from nearkin.progress import duration
from nearkin.runs.clips import Version
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import Plan
from nearkin.runs.queries import transformed
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
    clips = {
        test.task: len(test.rows) if plan.clips is None else min(plan.clips, len(test.rows))
        for test in tests
    }
    parts = [parts_of(test, plan) for test in tests]
    seconds = sum(one.seconds() * n for one, n in zip(parts, clips.values(), strict=True))
    return PerformanceEstimate(
        clips=clips,
        models=len(models),
        points=len(plan.grid.points),
        workers=workers,
        seconds=seconds / min(workers, max(clips.values())),
    )


@dataclass(frozen=True)
class TaskParts:
    """Core-seconds of one clip's parts at all points; NaN where no clip could be used.

    Attributes
    ----------
    changing : float
        The clip is read, and changed at all points.
    scoring : tuple of float
        Every model scores all its versions.
    """

    changing: float
    scoring: tuple[float, ...]

    def seconds(self, trials: Sequence[int] | None = None) -> float:
        """Return the core-seconds of a clip.

        Parameters
        ----------
        trials : sequence of int, optional
            How many models there are like each; one by default.
        """
        counts = [1] * len(self.scoring) if trials is None else trials
        return self.changing + sum(n * each for n, each in zip(counts, self.scoring, strict=True))


def parts_of(
    test: TestSet, plan: Plan, *, clock: Callable[[], float] = time.perf_counter
) -> TaskParts:
    """Measure the parts of one clip's scores at a few points, for as many as there are.

    Parameters
    ----------
    test : TestSet
    plan : Plan
        Of `nearkin.performance.run.make_performance_plan`.
    clock : callable
        Gives seconds.
    """
    session = TaskSession(plan, RunFolder(Path()), {test.task: test})
    points = plan.points
    some = points[:: max(1, len(points) // POINTS_TIMED)]
    unknown = TaskParts(float("nan"), (float("nan"),) * len(test.models))

    def timed(row: Row) -> TaskParts:
        begun = clock()
        shard, original, vocals = clip_of(session, test, row)
        reading = clock() - begun
        if shard.status != OK:
            return unknown

        def change() -> list[Version]:
            found = []
            for point in some:
                with contextlib.suppress(InputError):
                    found.append(
                        transformed(plan, original, point, noise=session.noise, companions=vocals)
                    )
            return found

        change()  # libraries are imported once, not once a clip
        begun = clock()
        versions = change()
        changing = (clock() - begun) * len(points) / len(some)
        if not versions:
            return unknown
        scoring = []
        for model in test.models:
            scored(plan, [model], versions[0], row)
            begun = clock()
            for version in versions:
                scored(plan, [model], version, row)
            scoring.append((clock() - begun) * len(points) / len(versions))
        return TaskParts(reading + changing, tuple(scoring))

    for row in test.rows[:TRIED]:
        parts: TaskParts
        _, parts = next(iter(Here(session).map(lambda _, one: timed(one), [row])))
        if parts.changing == parts.changing:
            return parts
    return unknown
