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
from nearkin.study.plan import SCALES, StudyPlan
from nearkin.study.study import hours_of
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
    seconds : dict of str to float
        Wall time by kind of step; trainings take one process.
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
            f"disk: about {size}",
        ]
        told += [f"{kind}: about {duration(s)}" for kind, s in self.seconds.items() if s]
        whole, used = duration(sum(self.seconds.values())), duration(self.cpu_seconds)
        told.append(f"time: about {whole} on {self.workers} workers; CPU time: about {used}")
        return [*told, "nothing was written"]


def estimate(plan: StudyPlan, *, workers: int, threads: int = 1) -> StudyEstimate:
    """Count a study's work, and time a little of each kind.

    Parameters
    ----------
    plan : StudyPlan
        With what.
    workers, threads : int
        Processes of a step, and CPU threads of a training.

    Raises
    ------
    InputError, ExtraError
        If data or a library is missing.
    """
    seconds_a_step = {
        (features, name): _step_seconds(plan, features, name)
        for features in ("vgg", "mfcc")
        for name in TASKS
    }
    rendering = 3600 * plan.n_hours * len(plan.rendered) / RENDERED_A_SECOND / workers
    training = sum(
        seconds_a_step[features, name] * _steps(plan, name) for features, name, _ in plan.models
    )
    one, more = _clip_seconds(plan)
    n_networks = plan.trials * len(TASKS)
    n_points = len(grid(plan.grid).points)
    scoring = sum(
        seconds_a_step[features, name] / plan.batch * FORWARD for features, name, _ in plan.models
    )
    seconds = {
        "corpora": rendering,
        "training": training,
        "consistency": plan.n_clips * (one + n_networks * more) / workers,
        "task scores": plan.n_task_clips * (len(TASKS) * one + n_points * scoring) / workers,
        "analysis, figures and claims": 120.0,
    }
    busy = {"training": threads, "analysis, figures and claims": 1}
    return StudyEstimate(
        trainings=len(plan.models),
        points=n_points,
        clips=plan.n_clips,
        task_clips=plan.n_task_clips,
        workers=workers,
        seconds=seconds,
        cpu_seconds=sum(busy.get(kind, workers) * wall for kind, wall in seconds.items()),
        disk_mb=disk_mb(plan, hours_of(plan.manifests)),
        words=f"{plan.scale} ({SCALES[plan.scale].words})",
    )


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
