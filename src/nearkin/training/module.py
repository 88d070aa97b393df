"""The Lightning module, and the callback that watches over a training's course.

A training advances in periods of some steps. At the end of each the validation loss is measured,
the course (`Course`) is written as a checkpoint, and it is decided whether to go on. Since batches
are a function of the step, a checkpoint is all that a training needs to go on bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearkin.errors import RunError, printable
from nearkin.files import write_whole
from nearkin.optional import need
from nearkin.progress import Progress
from nearkin.tasks import Batch, Task

torch: Any = need("torch", extra="torch")
pytorch: Any = need("lightning.pytorch", extra="torch")
profilers: Any = need("lightning.pytorch.profilers", extra="torch")

LEARNING_RATE = 0.001
"""Adam's (paper, section 4.4)."""

COLUMNS = (
    *("step", "epoch", "training_loss", "validation_loss", "seconds", "steps_per_second"),
    "waiting_share",
)
"""Of the curve: what is known at the end of every period."""


@dataclass
class Course:
    """How far a training has come: what a checkpoint holds.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Spent on them, validation and checkpoints included, over all sessions.
    best_loss, best_step : float, int
        The lowest validation loss, and the step it was met at.
    best_weights : dict
        The network's state there.
    stale : int
        Periods since then.
    curve : list of dict
        A row of `COLUMNS` for every period.
    network, optimizer, scaler : dict
        Their states at `step`; the last is of the loss's scale in half precision.
    """

    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    best_step: int = 0
    best_weights: dict[str, Any] = field(default_factory=dict)
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    network: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        try:
            write_whole(path, lambda file: torch.save(vars(self), file))
        except RuntimeError as error:  # torch's own word for a write that failed
            raise RunError(
                f"{printable(path)}: cannot be written ({error}); make room and give the same "
                "command again"
            ) from error

    @classmethod
    def load(cls, path: Path) -> Course:
        """Read a checkpoint without running code from it."""
        import pickle

        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
            text = " ".join(str(error).split())[:200]
            raise RunError(
                f"{printable(path)}: cannot be read ({text}); start anew with --force"
            ) from error


@dataclass(frozen=True)
class Budget:
    """When a training ends.

    Attributes
    ----------
    steps : int
        At the latest.
    patience : int
        Periods without a lower validation loss after which it has reached a plateau, or rises.
    period : int
        Steps from one validation and checkpoint to the next.
    minutes : float or None
        Of training, over all sessions; it ends with the period in which they run out.
    """

    steps: int
    patience: int
    period: int = 100
    minutes: float | None = None

    def spent(self, course: Course) -> str:
        """Say why no further step is due; an empty text if one is."""
        if course.step >= self.steps:
            return "steps"
        if course.stale >= self.patience:
            return "plateau"
        if self.minutes is not None and course.seconds >= 60 * self.minutes:
            return "minutes"
        return ""

    def period_end(self, step: int) -> int:
        """Return the step that ends the period `step` lies in."""
        return min(self.steps, (step // self.period + 1) * self.period)


class Training(pytorch.LightningModule):  # type: ignore[misc,name-defined]
    """A network learning its task.

    Parameters
    ----------
    network : nearkin.networks.network.TaskNetwork
        What learns.
    task : Task
        What for.
    course : Course
        Where it starts; empty at the beginning.
    budget : Budget
        Where it ends.
    """

    def __init__(self, network: Any, task: Task, course: Course, budget: Budget) -> None:
        super().__init__()
        self.network, self.task, self.course, self.budget = network, task, course, budget
        if course.network:
            network.load_state_dict(course.network)

    def configure_optimizers(self) -> Any:
        """Return Adam, with its memory where training goes on."""
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE)
        if self.course.optimizer:
            optimizer.load_state_dict(self.course.optimizer)
        return optimizer

    def training_step(self, batch: Batch, number: int) -> Any:
        """Return the loss of a batch."""
        return self.task.loss(self.network, batch)

    def validation_step(self, batch: Batch, number: int) -> None:
        """Add a batch to the validation loss, weighted by its clips."""
        loss = self.task.loss(self.network, batch)
        self.log(
            "validation_loss",
            loss,
            batch_size=len(batch.audio),
            on_epoch=True,
            sync_dist=True,
            logger=False,
        )


class Steps(torch.utils.data.Sampler):  # type: ignore[misc,name-defined]
    """The steps of the period that comes next: what the loader is asked for.

    It has no length: Lightning must look ahead for the end, since the last period is shorter.
    """

    def __init__(self, course: Course, budget: Budget) -> None:
        self.course, self.budget = course, budget

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.course.step, self.budget.period_end(self.course.step)))


class Waiting(profilers.Profiler):  # type: ignore[misc,name-defined]
    """Adds up the seconds in which training waited for data."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._begun = 0.0

    def start(self, action_name: str) -> None:
        """Begin to wait, if that is the action."""
        if action_name.endswith("train_dataloader_next"):
            self._begun = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """End it."""
        if action_name.endswith("train_dataloader_next"):
            self.seconds += time.perf_counter() - self._begun


class Watch(pytorch.Callback):  # type: ignore[misc,name-defined]
    """Counts steps, and closes every period.

    Parameters
    ----------
    folder : Path
        Where checkpoint and curve are kept.
    waiting : Waiting
        The trainer's profiler.
    steps_per_epoch : float
        For the curve.
    progress : callable
        Told ``(stage, done, total)`` after every step.
    """

    def __init__(
        self, folder: Path, waiting: Waiting, *, steps_per_epoch: float, progress: Progress
    ) -> None:
        self.folder, self.waiting, self.progress = folder, waiting, progress
        self._steps_per_epoch = steps_per_epoch
        self._losses: list[Any] = []
        self._begun = self._waited = 0.0

    def on_train_start(self, trainer: Any, module: Training) -> None:
        """Start the clock."""
        if module.course.scaler:
            trainer.precision_plugin.load_state_dict(module.course.scaler)
        self._begun = time.perf_counter()
        self.progress("steps trained", module.course.step, module.budget.steps)

    def on_train_batch_end(
        self, trainer: Any, module: Training, outputs: Any, batch: Any, number: int
    ) -> None:
        """Count a step."""
        module.course.step += 1
        self._losses.append(outputs["loss"].detach())
        self.progress("steps trained", module.course.step, module.budget.steps)

    def on_train_epoch_end(self, trainer: Any, module: Training) -> None:
        """Close a period: the curve, the best weights, the checkpoint, and whether to go on."""
        course, n_steps = module.course, len(self._losses)
        loss = torch.stack(self._losses).mean()
        training_loss = float(trainer.strategy.reduce(loss, reduce_op="mean"))
        validation_loss = float(trainer.callback_metrics["validation_loss"])
        if not (math.isfinite(training_loss) and math.isfinite(validation_loss)):
            raise RunError(
                f"step {course.step}: the loss is {training_loss:g} in training and "
                f"{validation_loss:g} in validation: must be finite; try --precision 32-true or "
                "another --seed"
            )
        course.stale += 1
        if validation_loss < course.best_loss:
            course.best_loss, course.best_step, course.stale = validation_loss, course.step, 0
            course.best_weights = state_of(module.network)
        now = time.perf_counter()
        spent, waited = now - self._begun, self.waiting.seconds - self._waited
        course.seconds += spent
        row = [course.step, course.step / self._steps_per_epoch, training_loss, validation_loss]
        row += [course.seconds, n_steps / spent, waited / spent]
        course.curve.append(dict(zip(COLUMNS, row, strict=True)))
        self._losses, self._begun, self._waited = [], now, self.waiting.seconds
        for logger in trainer.loggers:
            logger.log_metrics(course.curve[-1], step=course.step)
        course.network = state_of(module.network)
        course.optimizer = module.optimizers().optimizer.state_dict()
        course.scaler = trainer.precision_plugin.state_dict()
        if trainer.is_global_zero:
            course.save(self.folder / "checkpoint.pt")
            write_curve(self.folder / "curve.csv", course)
        over = bool(module.budget.spent(course))
        trainer.should_stop = trainer.strategy.reduce_boolean_decision(over, all=False)


def state_of(network: Any) -> dict[str, Any]:
    """Return a copy of a network's state, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def write_curve(path: Path, course: Course) -> None:
    """Write the curve as CSV, whole or not at all."""
    lines = [",".join(COLUMNS)]
    lines += [",".join(f"{row[name]:.8g}" for name in COLUMNS) for row in course.curve]
    text = "\n".join(lines) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))
