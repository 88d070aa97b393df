"""A study from its first step to its last, or from where it was stopped.

Killed at any moment and called again, a study ends with the same tables, models and claims: every
step is one that goes on by itself, and a finished one is known by its files' hashes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from nearkin.corpora.manifest import read_labelled
from nearkin.errors import NearkinError
from nearkin.lease import leased
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.study import checks
from nearkin.study.places import StudyFolder
from nearkin.study.plan import StudyPlan
from nearkin.study.steps import KINDS, STAGES, Step, Work, steps_of
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
    with leased(folder.root) as lease:
        done = folder.begin(settings)
        told = _Told(progress, steps)
        reused = 0
        for number, step in enumerate(steps):
            lease.require()
            if _is_done(folder, step, done):
                reused += step.kind != "check"
                told.finished(number)
                continue
            _do(step, Work(plan, folder, workers, told.within(number), tell))
            told.finished(number)
            files = folder.digests(step.files(folder))
            if not files:
                continue
            before = done.get(step.name)
            if files != before:
                # what comes after was made of something else
                done = {one.name: done[one.name] for one in steps[:number] if one.name in done}
                if before is not None and step.kind in ("corpus", "train"):
                    folder.clear_run()
            done[step.name] = files
            folder.write(settings, done)
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


def _is_done(folder: StudyFolder, step: Step, done: Mapping[str, dict[str, str]]) -> bool:
    if step.kind == "check":  # it takes a second, and data may have changed
        return False
    return folder.is_done(done.get(step.name))


def _do(step: Step, work: Work) -> None:
    begun, used = time.monotonic(), _cpu_seconds()
    try:
        step.act(work)
    except NearkinError as error:
        told = f"step '{step.name}': {error}"
        if step.kind != "check":
            told += "; finished steps are kept: then give the same nearkin reproduce command again"
        raise type(error)(told) from error
    if step.kind != "check":
        row = (step.name, time.monotonic() - begun, _cpu_seconds() - used, _peak_mb())
        work.folder.log(row)


def _cpu_seconds() -> float:
    """Return the processor time of this process and its own that ended, all workers of a step."""
    mine = os.times()
    return mine.user + mine.system + mine.children_user + mine.children_system


def _peak_mb() -> float:
    """Return the largest memory of this process or of one of its own, in megabytes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return float("nan")
    peaks = [
        resource.getrusage(whose).ru_maxrss
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return max(peaks) * (1.0 if sys.platform == "darwin" else 1024.0) / 1e6


class _Told:
    """Progress over the whole study, and within the kind of step at work."""

    def __init__(self, progress: Progress, steps: list[Step]) -> None:
        self._progress = progress
        self._steps = steps
        self._total = sum(step.weight for step in steps)

    def finished(self, number: int) -> None:
        self._tell(number, 1.0)

    def within(self, number: int) -> Progress:
        """Return the progress of one step."""
        kind = self._steps[number].kind
        stages = STAGES.get(kind, ())
        n_unnamed = len(TASKS) if kind == "performance" else 1  # tasks are scored one by one
        self._tell(number, 0.0)
        seen: list[str] = []

        def told(stage: str, done: int, total: int) -> None:
            share = done / total if total else 1.0
            if stages and stage not in stages:
                return
            if stage not in seen:
                seen.append(stage)
            if stages:
                whole = (stages.index(stage) + share) / len(stages)
            else:
                whole = (len(seen) - 1 + share) / n_unnamed
            self._tell(number, min(whole, 1.0))

        return told

    def _tell(self, number: int, share: float) -> None:
        step = self._steps[number]
        before = sum(one.weight for one in self._steps[:number])
        whole = 100 * (before + share * step.weight) / self._total
        alike = [k for k, one in enumerate(self._steps) if one.kind == step.kind]
        place = alike.index(number) + share
        self._progress(f"{KINDS[step.kind]}, of {len(alike)}", int(place), len(alike))
        self._progress(WHOLE, int(whole), 100)
