"""What a study would take, for ``--dry-run``: counted, and estimated from measured steps.

A few training steps of every task and encoder are timed on noise, and one clip's changes on made
music; nothing is written outside of the system's temporary folder.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.recordings import Row
from nearkin.progress import duration
from nearkin.study.checks import disk_mb
from nearkin.study.places import StudyFolder
from nearkin.study.plan import SCALES, StudyPlan
from nearkin.study.steps import steps_of
from nearkin.study.study import finished, hours_of
from nearkin.tasks import TASKS, task
from nearkin.transforms.grids import grid

RENDERED_A_SECOND = 60.0
"""Seconds of music that a core renders in a second, measured."""
CLIP_S = {"tags": 10.0, "instruments": 6.0, "vocals": 10.0}
FORWARD = 1 / 3
"""Of a training step's time: what scoring takes, which goes one way only."""
TRAIN_SHARE = 0.75


@dataclass(frozen=True)
class StudyEstimate:
    """Counts and times of a study that was not done.

    Attributes
    ----------
    trainings, points, clips, task_clips, workers : int
    steps, steps_done, trainings_done : int
        Steps of the study, those which are done already, and the trainings among them.
    seconds : dict of str to float
        Wall time of what is left, by kind of step; trainings take one process.
    cpu_seconds : float
        Of all processes and threads together, the workers' too.
    disk_mb : float
        Of the whole folder, in megabytes (1e6 bytes).
    words : str
        What the scale is.
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
        whole, used = duration(sum(self.seconds.values())), duration(self.cpu_seconds)
        told.append(f"time: about {whole} on {self.workers} workers; CPU time: about {used}")
        return [*told, "nothing was written"]


def estimate(
    plan: StudyPlan, folder: StudyFolder, *, workers: int, threads: int = 1
) -> StudyEstimate:
    """Count a study's work, and time a little of each kind that is left.

    Parameters
    ----------
    plan : StudyPlan
        With what.
    folder : StudyFolder
        Where; what is done there already is not timed.
    workers, threads : int
        Processes of a step, and CPU threads of a training.

    Raises
    ------
    InputError, ExtraError
        If data or a library is missing, or the folder holds a study with other settings.
    """
    done = finished(plan, folder)
    missing = [name for name in plan.rendered if f"corpus {name}" not in done]
    left = _steps_left(plan, folder, done)
    n_networks = plan.trials * len(TASKS)
    n_points = len(grid(plan.grid).points)
    wanted = set(left) if "performance" in done else {model[:2] for model in plan.models}
    each = {kind: _step_seconds(plan, *kind) for kind in sorted(wanted)}
    one = more = 0.0
    if not {"consistency", "performance"} <= done:
        one, more = _clip_seconds(plan)
    comparing = plan.n_clips * (one + n_networks * more) / workers
    scoring = len(TASKS) * one
    if "performance" not in done:
        scoring += n_points * FORWARD * sum(each[m[:2]] for m in plan.models) / plan.batch
    rest = [step for step in steps_of(plan) if step.kind in ("analyze", "report")]
    seconds = {
        "corpora": 3600 * plan.n_hours * len(missing) / RENDERED_A_SECOND / workers,
        "training": sum(each[kind] * n for kind, n in left.items()),
        "consistency": 0.0 if "consistency" in done else comparing,
        "task scores": 0.0 if "performance" in done else plan.n_task_clips * scoring / workers,
        "analysis, figures and claims": sum(step.weight for step in rest if step.name not in done),
    }
    trained = sum(f"train {features} {task} {n}" in done for features, task, n in plan.models)
    busy = {"training": threads, "analysis, figures and claims": 1}
    return StudyEstimate(
        trainings=len(plan.models),
        points=n_points,
        clips=plan.n_clips,
        task_clips=plan.n_task_clips,
        workers=workers,
        steps=sum(step.kind != "check" for step in steps_of(plan)),
        steps_done=len(done),
        trainings_done=trained,
        seconds=seconds,
        cpu_seconds=sum(busy.get(kind, workers) * wall for kind, wall in seconds.items()),
        disk_mb=disk_mb(plan, hours_of(plan.manifests)),
        words=f"{plan.scale} ({SCALES[plan.scale].words})",
    )


def _steps_left(plan: StudyPlan, folder: StudyFolder, done: set[str]) -> dict[tuple[str, str], int]:
    """Return the most steps that are left, by encoder and task; what has none left is done."""
    from nearkin.training.place import TrainingPlace

    most = {name: _steps(plan, name) for name in TASKS}
    left: dict[tuple[str, str], int] = {}
    for features, name, trial in plan.models:
        place = TrainingPlace(folder.model(features, name, trial))
        step = f"train {features} {name} {trial}"
        n = 0 if step in done or place.is_whole(place.target) else most[name] - place.steps()
        if n > 0:
            left[features, name] = left.get((features, name), 0) + n
        else:
            done.add(step)
    return left


def _steps(plan: StudyPlan, name: str) -> int:
    """Return the most steps a training takes."""
    from nearkin.training import Settings

    settings = Settings(
        task=name, scale=plan.of_scale.training, max_steps=plan.max_steps, batch=plan.batch
    )
    given = plan.manifest_of(name)
    if given is None:
        corpus = {"ae": "tags", "at": "tags", "ir": "instruments", "vs": "vocals"}[name]
        n = math.ceil(3600 * plan.n_hours / CLIP_S[corpus] * TRAIN_SHARE)
    else:
        rows = read_labelled(given, column=task(name).column).rows
        n = sum(row.split == "train" for row in rows)
    return settings.n_steps(task(name), max(n, 1))


def _step_seconds(plan: StudyPlan, features: str, name: str) -> float:
    from nearkin.training import Settings
    from nearkin.training.estimate import step_seconds

    labels = [f"label {k}" for k in range({"at": 50, "ir": 11}.get(name, 0))]
    tags, instrument = tuple(labels[:3]), labels[0] if labels else ""
    row = Row("noise", Path("noise"), tags=tags, instrument=instrument)
    settings = Settings(
        task=name,
        features=features,
        batch=plan.batch,
        crop_s=plan.clip_seconds,
        device=plan.device,
        precision=plan.precision,
    )
    return step_seconds(settings, task(name), labels, [row])


def _clip_seconds(plan: StudyPlan) -> tuple[float, float]:
    """Return the seconds of one clip with all its changes, and of one network beside."""
    import numpy as np
    import soundfile

    from nearkin.runs.estimate import estimate as of_run
    from nearkin.runs.sources import make_sources

    n_clips = 2
    seconds = []
    with tempfile.TemporaryDirectory(prefix="nearkin-") as folder:
        for number in range(n_clips):
            noise = np.random.default_rng(number).normal(0, 0.1, 6 * 22_050)
            soundfile.write(Path(folder) / f"{number}.wav", noise, 22_050)
        for encoders in (["mfcc"], ["mfcc", "vgg-at"]):
            settings = {
                "grid": plan.grid,
                "clip_seconds": plan.clip_seconds,
                "references": "untrained",
            }
            made, sources = make_sources(encoders, [{} for _ in encoders], settings)
            found = of_run(made, [folder], encoders=sources, workers=1)
            seconds.append(found.seconds / n_clips)
    return seconds[0], max(seconds[1] - seconds[0], 0.0)
