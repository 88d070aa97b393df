"""What a study is made with: scale, trials, data; frozen, and the same when a study goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.tasks import TASKS

FEATURES = ("vgg", "mfcc")


class Scale(NamedTuple):
    """How much is done.

    Attributes
    ----------
    training : str
        The scale of ``nearkin train``.
    hours : float
        Of music in each corpus that is rendered.
    clips : int
        Test clips of the consistency part, and of each task's scores.
    words : str
        What it is, in a few words.
    patience : int or None
    min_gain : float
        Of ``nearkin train``: when training stops.
    """

    training: str
    hours: float
    clips: int
    words: str
    patience: int | None = None
    min_gain: float = 0.0


SCALES = {
    "small": Scale("small", 3.0, 100, "300 steps, 100 clips"),
    "medium": Scale("paper", 20.0, 300, "until validation stops to fall, 300 clips", 10, 0.005),
    "paper": Scale("paper", 60.0, 1000, "the paper's epochs, 1,000 clips"),
}

PLATEAU_STEPS = {
    **{("vgg", "ae"): 7900, ("vgg", "at"): 2300, ("vgg", "ir"): 4100, ("vgg", "vs"): 6800},
    **{("mfcc", "ae"): 2700, ("mfcc", "at"): 5900, ("mfcc", "ir"): 8500, ("mfcc", "vs"): 4900},
}
"""Steps until 1,000 of them gain less than .5 %, measured: two trials, 5 hours of each corpus."""

CORPORA = {"ae": "tags", "at": "tags", "ir": "instruments", "vs": "vocals"}
"""The corpus that is rendered for a task without a manifest: the paper's AE and AT share one."""


@dataclass(frozen=True)
class StudyPlan:
    """Everything that changes a study's numbers.

    Attributes
    ----------
    scale : {"small", "medium", "paper"}
        A key of `SCALES`.
    trials : int
        Of each network and head.
    seed : int
        Equal seeds, equal numbers.
    grid : str
        Of both parts.
    clips : int, optional
        Test clips of the consistency part; the scale's by default.
    task_clips : int, optional
        Test clips of each task's scores; as many by default.
    head_trials : int, optional
        Trials of the heads on MFCC; as many as of the networks by default.
    hours : float, optional
        Of each rendered corpus; the scale's by default.
    max_steps : int, optional
        Steps of a training at the most.
    batch : int
        Clips of a step.
    clip_seconds : float
        Length of clips, in training too.
    storage : {"float", "mu-law"}
        How clips pass: mu-law is the authors' 8 bits.
    precision, device : str
        As of ``nearkin train``.
    manifests : mapping of str to Path
        Task to manifest; the others are rendered.
    audio : tuple of Path
        Where the test clips of the consistency part come from; without any, the test split that
        AT has.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    scale: str = "small"
    trials: int = 5
    seed: int = 0
    grid: str = "paper"
    clips: int | None = None
    task_clips: int | None = None
    head_trials: int | None = None
    hours: float | None = None
    max_steps: int | None = None
    batch: int = 24
    clip_seconds: float = 2.0
    storage: str = "float"
    precision: str = "32-true"
    device: str = "cpu"
    manifests: Mapping[str, Path] = field(default_factory=dict)
    audio: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Check."""
        if self.scale not in SCALES:
            raise InputError(f"--scale {printable(self.scale)}: {suggest(self.scale, SCALES)}")
        if not 1 <= self.trials <= 100:
            raise InputError(f"--trials {self.trials}: must be in 1..100; the paper has 5")
        if self.head_trials is not None and not 1 <= self.head_trials <= self.trials:
            raise InputError(
                f"--head-trials {self.head_trials}: must be in 1..{self.trials}, the networks'; "
                "leave it out for as many"
            )
        for name in ("clips", "task_clips"):
            value = getattr(self, name)
            if value is not None and value < 2:
                option = f"--{name.replace('_', '-')}"
                raise InputError(f"{option} {value}: must be 2 or more; pass more")
        if self.hours is not None and not self.hours > 0:
            raise InputError(f"--hours {self.hours:g}: must be above 0; pass more")
        for task in self.manifests:
            if task not in TASKS:
                raise InputError(f"--manifest {printable(task)}=...: {suggest(task, TASKS)}")

    @property
    def of_scale(self) -> Scale:
        """The scale's own settings."""
        return SCALES[self.scale]

    @property
    def n_clips(self) -> int:
        """Test clips."""
        return self.of_scale.clips if self.clips is None else self.clips

    @property
    def n_task_clips(self) -> int:
        """Test clips of a task's scores."""
        return self.n_clips if self.task_clips is None else self.task_clips

    @property
    def n_hours(self) -> float:
        """Hours of each rendered corpus."""
        return self.of_scale.hours if self.hours is None else self.hours

    @property
    def rendered(self) -> tuple[str, ...]:
        """The corpora that are rendered."""
        missing = [task for task in TASKS if self.manifest_of(task) is None]
        return tuple(dict.fromkeys(CORPORA[task] for task in missing))

    def manifest_of(self, task: str) -> Path | None:
        """Return the manifest that was given for a task; AE takes AT's, as in the paper."""
        given = self.manifests.get(task)
        return self.manifests.get("at") if given is None and task == "ae" else given

    @property
    def models(self) -> tuple[tuple[str, str, int], ...]:
        """Every training: trial by trial, so that a study cut short has whole trials."""
        return tuple(
            (features, task, trial)
            for trial in range(1, self.trials + 1)
            for task in TASKS
            for features in FEATURES
            if features == "vgg" or trial <= (self.head_trials or self.trials)
        )

    def identity(self) -> dict[str, Any]:
        """Return the settings as JSON values: what may not change while a study goes on."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["manifests"] = {
            task: str(path.absolute()) for task, path in sorted(self.manifests.items())
        }
        if self.of_scale.patience is not None:  # when trainings end: as it was, none is named
            plain |= {"patience": self.of_scale.patience, "min_gain": self.of_scale.min_gain}
        plain["audio"] = [str(path.absolute()) for path in self.audio]
        return plain
