"""What a study would take, for ``--dry-run``: counted, and estimated from measured parts.

A few training steps of every task and encoder are timed on noise; a clip's changes, embeddings and
scores on made music (`nearkin.study.timed`). Nothing is written outside of the system's temporary
folder.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.recordings import Row
from nearkin.optional import need
from nearkin.progress import duration
from nearkin.study.checks import disk_mb
from nearkin.study.places import StudyFolder
from nearkin.study.plan import CORPORA, PLATEAU_STEPS, SCALES, StudyPlan
from nearkin.study.side_by_side import at_once
from nearkin.study.steps import settings_of, steps_of, steps_to_train
from nearkin.study.study import finished, hours_of
from nearkin.study.timed import comparing_seconds, labels_for, scoring_seconds
from nearkin.tasks import TASKS, task
from nearkin.transforms.grids import grid

if TYPE_CHECKING:
    from nearkin.training.estimate import StepTime

RENDERED_A_SECOND = {"tags": 44.0, "instruments": 34.5, "vocals": 47.0}
"""Seconds of music that a core renders in a second, measured over 20 h of each."""
CLIP_S = {"tags": 10.0, "instruments": 6.0, "vocals": 10.0}
TRAIN_SHARE = 0.75
FORWARD = 1 / 3
"""Of a training step's time: what validation takes, which goes one way only."""
STOPS = {
    "small": "",
    "medium": "a training ends when validation stops to fall; counted here are the steps that "
    f"it took when measured, {min(PLATEAU_STEPS.values()):,} to {max(PLATEAU_STEPS.values()):,}",
    "paper": "a training ends with the paper's epochs, which are counted here, or when validation "
    "stops to fall, which may be far sooner",
}
"""When the trainings of a scale end, where their steps are not known before."""
TOLD_S = {"analyze": 7.0, "report": 8.5, "vocal map": 6.0, "claims": 0.5}
"""Seconds of a step that do not grow with the study, measured on one core."""
TOLD_ROW_S = {"analyze": 3e-6, "report": 2.4e-5, "claims": 6e-6}
"""And for every row of queries.parquet."""
SPACES, DISTANCES = 3, 2
"""Spaces beside those of networks (the signals', MFCC and log-mel), and distances in each."""


@dataclass(frozen=True)
class StudyEstimate:
    """Counts and times of a study that was not done.

    Attributes
    ----------
    trainings, points, clips, task_clips, workers : int
    steps, steps_done, trainings_done : int
        Steps of the study, those which are done already, and the trainings among them.
    seconds : dict of str to float
        Wall time of what is left, by kind of step, on a machine that does nothing else; on a GPU
        trainings count as if they took turns.
    cpu_seconds : float
        Of all processes and threads together, the workers' too.
    disk_mb : float
        Of the whole folder, in megabytes (1e6 bytes).
    words : str
        What the scale is.
    stops : str
        When its trainings end, where that is not known before.
    imitated : str
        See `nearkin.training.precision.imitated`.
    """

    trainings: int
    points: int
    clips: int
    task_clips: int
    workers: int
    steps: int
    steps_done: int
    trainings_done: int
    seconds: dict[str, float]
    cpu_seconds: float
    disk_mb: float
    words: str
    stops: str
    imitated: str

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        total = sum(self.seconds.values())
        return {**self.__dict__, "total_seconds": total}

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        size = f"{self.disk_mb:.0f} MB" if self.disk_mb < 1000 else f"{self.disk_mb / 1000:.1f} GB"
        told = [
            f"{self.words}: {self.trainings} trainings, {self.points} points and the originals, at "
            f"most {self.clips} test clips, {self.task_clips} of each task",
            f"disk: about {size}{', with what is there' if self.steps_done else ''}",
        ]
        if self.steps_done:
            told.append(
                f"{self.steps_done} of {self.steps} steps are done and not done again, "
                f"{self.trainings_done} of {self.trainings} trainings among them; left:"
            )
        told += [f"{kind}: about {duration(s)}" for kind, s in self.seconds.items() if s]
        if self.stops and self.seconds["training"]:
            told.append(self.stops)
        if self.imitated and self.seconds["training"]:
            told.append(self.imitated)
        whole, used = duration(sum(self.seconds.values())), duration(self.cpu_seconds)
        told.append(f"time: about {whole} on {self.workers} workers; CPU time: about {used}")
        return [*told, "nothing was written"]


def estimate(plan: StudyPlan, folder: StudyFolder, *, workers: int) -> StudyEstimate:
    """Count a study's work, and time a little of each kind that is left.

    Parameters
    ----------
    plan : StudyPlan
        With what.
    folder : StudyFolder
        Where; what is done there already is not timed.
    workers : int
        Processes of a step; a training takes torch's threads, and with one thread on a CPU several
        go side by side.

    Raises
    ------
    InputError, ExtraError
        If data or a library is missing, or the folder holds a study with other settings.
    """
    from nearkin.training.precision import imitated

    done = finished(plan, folder)
    missing = [name for name in plan.rendered if f"corpus {name}" not in done]
    left = _steps_left(plan, folder, done)
    each = {kind: _step_time(plan, *kind) for kind in sorted(left)}
    needed = {
        "corpora": sum(3600 * plan.n_hours / RENDERED_A_SECOND[name] for name in missing),
        "consistency": 0.0 if "consistency" in done else comparing_seconds(plan),
        "task scores": 0.0 if "performance" in done else scoring_seconds(plan),
    }
    shared = {
        "corpora": workers,
        "consistency": min(workers, plan.n_clips),
        "task scores": min(workers, plan.n_task_clips),
    }
    told = sum(_told_seconds(plan, step.name) for step in steps_of(plan) if step.name not in done)
    seconds = {
        "corpora": needed["corpora"] / shared["corpora"],
        "training": _training_seconds(plan, each, left, workers),
        "consistency": needed["consistency"] / shared["consistency"],
        "task scores": needed["task scores"] / shared["task scores"],
        "analysis, figures and claims": told,
    }
    trained_s = sum(each[kind].cpu_seconds * n for kind, n in left.items())
    trained = sum(f"train {features} {task} {n}" in done for features, task, n in plan.models)
    return StudyEstimate(
        trainings=len(plan.models),
        points=len(grid(plan.grid).points),
        clips=plan.n_clips,
        task_clips=plan.n_task_clips,
        workers=workers,
        steps=sum(step.kind != "check" for step in steps_of(plan)),
        steps_done=len(done),
        trainings_done=trained,
        seconds=seconds,
        cpu_seconds=sum(needed.values()) + trained_s + told,
        disk_mb=disk_mb(plan, hours_of(plan.manifests)),
        words=f"{plan.scale} ({SCALES[plan.scale].words})",
        stops="" if plan.max_steps else STOPS[plan.scale],
        imitated=imitated(settings_of(plan, "vgg", "ae", 1)) if left else "",
    )


def _training_seconds(
    plan: StudyPlan,
    each: Mapping[tuple[str, str], StepTime],
    left: Mapping[tuple[str, str], float],
    workers: int,
) -> float:
    """Return the wall time of trainings; that of two side by side on one GPU is not known."""
    from nearkin.training.trainer import device_of

    by_kind = {kind: each[kind].seconds * n for kind, n in left.items()}
    if not by_kind or device_of(settings_of(plan, "vgg", "vs", 1)).type != "cpu":
        return sum(by_kind.values())
    trials = Counter((features, name) for features, name, _ in plan.models)
    longest = max(seconds / trials[kind] for kind, seconds in by_kind.items())
    return max(longest, sum(by_kind.values()) / at_once(plan, workers))


def _steps_left(
    plan: StudyPlan, folder: StudyFolder, done: set[str]
) -> dict[tuple[str, str], float]:
    """Return the steps that are left, by encoder and task; what has none left is done.

    What is validated and scored beside counts as the steps that take as long.
    """
    from nearkin.training.place import TrainingPlace

    rows = {name: _rows(plan, name)["train"] for name in TASKS}
    left: dict[tuple[str, str], float] = {}
    for features, name, trial in plan.models:
        place = TrainingPlace(folder.model(features, name, trial))
        step = f"train {features} {name} {trial}"
        if step not in done and not place.is_whole(place.target):
            n = max(1, steps_to_train(plan, features, name, rows[name]) - place.steps())
            n_steps = n + FORWARD * _clips_forward(plan, name, n) / plan.batch
            left[features, name] = left.get((features, name), 0.0) + n_steps
        else:
            done.add(step)
    return left


def _clips_forward(plan: StudyPlan, name: str, n_steps: int) -> int:
    """Return the clips that pass a network forwards beside so many steps of its training."""
    from nearkin.training.run import SCORED_CLIPS
    from nearkin.training.trainer import VALIDATION_CLIPS

    rows = _rows(plan, name)
    n_validations = math.ceil(n_steps / settings_of(plan, "vgg", name, 1).period)
    scored = sum(min(rows[split], SCORED_CLIPS) for split in ("valid", "test"))
    return n_validations * min(rows["valid"], VALIDATION_CLIPS) + scored


def _rows(plan: StudyPlan, name: str) -> Counter[str]:
    """Return the rows of a task's manifest by split; of one that is not rendered, about."""
    given = plan.manifest_of(name)
    if given is not None:
        rows = read_labelled(given, column=task(name).column).rows
        return Counter(row.split for row in rows)
    n = 3600 * plan.n_hours / CLIP_S[CORPORA[name]]
    train, other = TRAIN_SHARE, (1 - TRAIN_SHARE) / 2
    return Counter(train=math.ceil(n * train), valid=round(n * other), test=round(n * other))


def _told_seconds(plan: StudyPlan, step: str) -> float:
    """Return the seconds of a step that reads finished tables; 0 for any other."""
    networks = sum(features == "vgg" for features, _, _ in plan.models)
    rows = plan.n_clips * (len(grid(plan.grid).points) + 1) * DISTANCES * (networks + SPACES)
    return TOLD_S.get(step, 0.0) + TOLD_ROW_S.get(step, 0.0) * rows


def _step_time(plan: StudyPlan, features: str, name: str) -> StepTime:
    """Return a step's time; on a CPU as its threads need it, whatever else is at work there."""
    from nearkin.training.estimate import StepTime, step_time
    from nearkin.training.trainer import device_of

    labels = labels_for(name)
    tags, instrument = tuple(labels[:3]), labels[0] if labels else ""
    row = Row("noise", Path("noise"), tags=tags, instrument=instrument)
    settings = settings_of(plan, features, name, 1)
    found = step_time(settings, task(name), labels, [row])
    if device_of(settings).type != "cpu":
        return found
    threads: int = need("torch", extra="torch").get_num_threads()
    return StepTime(found.cpu_seconds / threads, found.cpu_seconds)
