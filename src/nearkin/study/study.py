"""A study from its first step to its last, or from where it was stopped.

Killed at any moment and called again, a study ends with the same tables, models and claims: every
step is one that goes on by itself, and a finished one is known by its files' hashes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nearkin.corpora.manifest import read_labelled
from nearkin.lease import leased
from nearkin.progress import Progress, Tell, once, silent, unsaid
from nearkin.study import checks, side_by_side
from nearkin.study.places import StudyFolder
from nearkin.study.plan import StudyPlan
from nearkin.study.steps import KINDS, STAGES, Step, Took, Work, done, named, steps_of
from nearkin.tasks import TASKS, task

WHOLE = "the study, in hundredths"


def reproduce(
    plan: StudyPlan,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> StudyFolder:
    """Do the paper's study, or go on with one.

    Parameters
    ----------
    plan : StudyPlan
        With what.
    out : path
        The study's folder.
    workers : int
        Processes of a step; their number changes no result.
    progress : callable
        Told ``(stage, done, total)``: the whole in hundredths, and the kind of step at work.
    tell : callable
        Told in a sentence what was left out, and which steps were done before.

    Returns
    -------
    StudyFolder
        With ``claims.csv``, ``report.html``, the run and the models.

    Raises
    ------
    InputError
        If a setting, data or the folder cannot be used: before the first step where that can be
        known.
    RunError
        If a step cannot be done; the same call goes on.
    ExtraError
        If a library is not installed.
    """
    folder = StudyFolder(Path(out))
    require_possible(plan, folder)
    folder.claim()
    settings = plan.identity()
    steps = steps_of(plan)
    work = Work(plan, folder, workers, progress, once(tell))
    with leased(folder.root) as lease:
        record = _Record(folder, settings, steps)
        told = _Told(progress, steps)
        reused = 0
        for block in _blocks(steps):
            lease.require()
            left = [step for step in block if not record.is_done(step)]
            for step in block:
                if step not in left:
                    reused += 1
                    told.finished(step)
            for step, took in _worked(left, work, told):
                lease.require()
                told.finished(step)
                if step.kind != "check":
                    folder.log((step.name, *took))
                    record.note(step)
        if reused:
            n_steps = sum(step.kind != "check" for step in steps)
            tell(f"{reused} of {n_steps} steps were done before and are not done again")
    return folder


def finished(plan: StudyPlan, folder: StudyFolder) -> set[str]:
    """Return the names of the steps that are done and would not be done again; change nothing.

    Raises
    ------
    InputError
        If the folder holds a study with other settings.
    RunError
        If its record cannot be read.
    """
    done = folder.done_with(plan.identity())
    return {step.name for step in steps_of(plan) if _is_done(folder, step, done)}


def require_possible(plan: StudyPlan, folder: StudyFolder) -> None:
    """Refuse what cannot be done, before anything is written.

    Raises
    ------
    InputError, ExtraError
    """
    checks.require_programs(plan)
    folder.owned.decide([*plan.manifests.values(), *plan.audio])
    checks.require_corpora(plan.manifests)
    if plan.audio or "at" in plan.manifests:
        audio = list(plan.audio) or [plan.manifests["at"]]
        split = None if plan.audio else "test"
        checks.require_unseen(plan.manifests, audio, split=split)
    checks.require_disk(folder.root, checks.disk_mb(plan, hours_of(plan.manifests)))


def hours_of(manifests: Mapping[str, Path]) -> dict[str, float]:
    """Return how many hours of music manifests name, by task, from the files' headers."""
    from nearkin.audio.decoding import promised_s

    found = {}
    for name, path in manifests.items():
        paths = {row.path for row in read_labelled(path, column=task(name).column).rows}
        some = sorted(paths)[:: max(1, len(paths) // 50)]
        seconds = sum(promised_s(one) for one in some) / len(some)
        found[name] = seconds * len(paths) / 3600
    return found


class _Record:
    """Which steps are done, as study.json has it."""

    def __init__(self, folder: StudyFolder, settings: dict[str, Any], steps: list[Step]) -> None:
        self._folder, self._settings, self._steps = folder, settings, steps
        self._done = folder.begin(settings)

    def is_done(self, step: Step) -> bool:
        return _is_done(self._folder, step, self._done)

    def note(self, step: Step) -> None:
        """Note what a step has left; what was made of something else is not done any more."""
        files = self._folder.digests(step.files(self._folder))
        if not files:
            return
        before = self._done.get(step.name)
        if files != before:
            number = self._steps.index(step)
            kept = [one for k, one in enumerate(self._steps) if k < number or _is_apart(one, step)]
            self._done = {one.name: self._done[one.name] for one in kept if one.name in self._done}
            if before is not None and step.kind in ("corpus", "train"):
                self._folder.clear_run()
        self._done[step.name] = files
        self._folder.write(self._settings, self._done)


def _is_apart(one: Step, other: Step) -> bool:
    """Tell whether two steps have nothing of one another: trainings."""
    return one.kind == other.kind == "train"


def _is_done(folder: StudyFolder, step: Step, done: Mapping[str, dict[str, str]]) -> bool:
    if step.kind == "check":  # it takes a second, and data may have changed
        return False
    return folder.is_done(done.get(step.name))


def _blocks(steps: list[Step]) -> Iterator[list[Step]]:
    """Yield the steps in their order, all trainings as one: none needs another."""
    for _, block in itertools.groupby(
        steps, key=lambda step: step.kind if step.kind == "train" else step.name
    ):
        yield list(block)


def _worked(left: list[Step], work: Work, told: _Told) -> Iterator[tuple[Step, Took]]:
    """Do steps, one after another or, where the device takes several, side by side."""
    n_at_once = 1
    if len(left) > 1:
        with named(left[0]):
            n_at_once = side_by_side.at_once(work.plan, work.workers)
    if n_at_once > 1:
        told.began(left[0])
        yield from side_by_side.trained(work, left, n_at_once)
        return
    for step in left:
        yield step, done(step, work._replace(progress=told.within(step)))


class _Told:
    """Progress over the whole study, and within the kind of step at work."""

    def __init__(self, progress: Progress, steps: list[Step]) -> None:
        self._progress = progress
        self._steps = steps
        self._total = sum(step.weight for step in steps)
        self._finished: list[Step] = []

    def began(self, step: Step) -> None:
        self._tell(step, 0.0)

    def finished(self, step: Step) -> None:
        self._finished.append(step)
        self._tell(step, 0.0)

    def within(self, step: Step) -> Progress:
        """Return the progress of one step."""
        stages = STAGES.get(step.kind, ())
        n_unnamed = len(TASKS) if step.kind == "performance" else 1  # tasks are scored one by one
        self.began(step)
        seen: list[str] = []
        furthest = 0.0

        def told(stage: str, done: int, total: int) -> None:
            nonlocal furthest
            share = done / total if total else 1.0
            if stages and stage not in stages:
                return
            if stage not in seen:
                seen.append(stage)
            if stages:
                whole = (stages.index(stage) + share) / len(stages)
            else:
                whole = (len(seen) - 1 + share) / n_unnamed
            # a stage may come again: batches of one split are scored, then those of another
            furthest = max(furthest, min(whole, 1.0))
            self._tell(step, furthest)

        return told

    def _tell(self, step: Step, share: float) -> None:
        before = sum(one.weight for one in self._finished)
        whole = 100 * (before + share * step.weight) / self._total
        n_alike = sum(one.kind == step.kind for one in self._steps)
        place = sum(one.kind == step.kind for one in self._finished) + share
        if n_alike == 1:
            self._progress(f"{KINDS[step.kind]}, in hundredths", int(100 * place), 100)
        else:
            self._progress(f"{KINDS[step.kind]}, of {n_alike}", int(place), n_alike)
        self._progress(WHOLE, int(whole), 100)
