"""The Lightning module, and the callback that ends every period of a training.

A training advances in periods of some steps. At the end of each the validation loss is measured,
and it is decided whether to go on. The state is written as a checkpoint after the first period of a
session and the last, and between them whenever some seconds have gone by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearkin.errors import RunError
from nearkin.optional import need
from nearkin.progress import Progress
from nearkin.tasks import Batch
from nearkin.training.checkpoint import CURVE_COLUMNS, Budget, TrainingState, write_curve
from nearkin.training.objectives import Objective

torch: Any = need("torch", extra="torch")
pytorch: Any = need("lightning.pytorch", extra="torch")
profilers: Any = need("lightning.pytorch.profilers", extra="torch")

CHECKPOINT_S = 10.0
"""Between two checkpoints at the least: on a GPU a period may take one second."""


class TrainingModule(pytorch.LightningModule):  # type: ignore[misc,name-defined]
    """A network learning.

    Parameters
    ----------
    network : nearkin.networks.network.TaskNetwork
        The network that learns.
    objective : Objective
        What it makes small.
    state : TrainingState
        Where training starts; empty at the beginning.
    budget : Budget
        When training ends.
    """

    def __init__(
        self, network: Any, objective: Objective, state: TrainingState, budget: Budget
    ) -> None:
        super().__init__()
        self.network, self.objective, self.state, self.budget = network, objective, state, budget
        if state.network:
            network.load_state_dict(state.network)

    def train(self, mode: bool = True) -> TrainingModule:
        """Set the mode of training; statistics that are to be kept stay as they are."""
        super().train(mode)
        if self.objective.keeps_statistics:
            self.network.eval()
        return self

    def configure_optimizers(self) -> Any:
        """Return Adam, with its memory where training goes on."""
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimizer = adam(weights, self.objective.learning_rate, self.device)
        if self.state.optimizer:
            optimizer.load_state_dict(for_device(self.state.optimizer, self.device))
        return optimizer

    def training_step(self, batch: Batch, number: int) -> Any:
        """Return the loss of a batch."""
        return self.objective(self.network, batch)

    def validation_step(self, batch: Batch, number: int) -> None:
        """Add a batch to the validation loss, weighted by its clips."""
        loss = self.objective(self.network, batch)
        self.log(
            "validation_loss",
            loss,
            batch_size=len(batch.audio),
            on_epoch=True,
            sync_dist=True,
            logger=False,
        )


def adam(weights: list[Any], rate: float, device: Any) -> Any:
    """Return Adam: on a GPU one kernel instead of many; elsewhere it keeps the bits it had."""
    return torch.optim.Adam(weights, lr=rate, fused=_fused(device))


def for_device(kept: dict[str, Any], device: Any) -> dict[str, Any]:
    """Return Adam's state as a device takes it, of whatever device it was kept.

    By how it was computed torch decides where the count of steps lies.
    """
    groups = [{**group, "fused": _fused(device)} for group in kept["param_groups"]]
    return {**kept, "param_groups": groups}


def _fused(device: Any) -> bool | None:
    return True if torch.device(device).type == "cuda" else None


class PeriodSteps(torch.utils.data.Sampler):  # type: ignore[misc,name-defined]
    """The steps of the next period, which the loader is asked for.

    It has no length: Lightning must look ahead for the end, since the last period is shorter.
    """

    def __init__(self, state: TrainingState, budget: Budget) -> None:
        self.state, self.budget = state, budget

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.state.step, self.budget.period_end(self.state.step)))


class WaitingTime(profilers.Profiler):  # type: ignore[misc,name-defined]
    """Measures the seconds in which training waited for data."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._begun = 0.0

    def start(self, action_name: str) -> None:
        """Start the clock when a batch is asked for."""
        if action_name.endswith("train_dataloader_next"):
            self._begun = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """Stop the clock when the batch has come."""
        if action_name.endswith("train_dataloader_next"):
            self.seconds += time.perf_counter() - self._begun


class PeriodEnd(pytorch.Callback):  # type: ignore[misc,name-defined]
    """Counts steps, and ends every period.

    Parameters
    ----------
    folder : Path
        Where checkpoint and curve are kept.
    waiting : WaitingTime
        The trainer's profiler.
    steps_per_epoch : float
        For the curve.
    progress : callable
        Told ``(stage, done, total)`` after every step.
    """

    def __init__(
        self, folder: Path, waiting: WaitingTime, *, steps_per_epoch: float, progress: Progress
    ) -> None:
        self.folder, self.waiting, self.progress = folder, waiting, progress
        self._steps_per_epoch = steps_per_epoch
        self._losses: list[Any] = []
        self._begun = self._waited = 0.0
        self._saved = -math.inf

    def on_train_start(self, trainer: Any, module: TrainingModule) -> None:
        """Start the clock."""
        if module.state.scaler:
            trainer.precision_plugin.load_state_dict(module.state.scaler)
        self._begun = time.perf_counter()
        self.progress("steps trained", module.state.step, module.budget.steps)

    def on_train_batch_end(
        self, trainer: Any, module: TrainingModule, outputs: Any, batch: Any, number: int
    ) -> None:
        """Count a step."""
        module.state.step += 1
        self._losses.append(outputs["loss"].detach())
        self.progress("steps trained", module.state.step, module.budget.steps)

    def on_train_epoch_end(self, trainer: Any, module: TrainingModule) -> None:
        """End a period: keep the best weights, decide to go on, write curve and checkpoint."""
        state, n_steps = module.state, len(self._losses)
        loss = torch.stack(self._losses).mean()
        training_loss = float(trainer.strategy.reduce(loss, reduce_op="mean"))
        validation_loss = float(trainer.callback_metrics["validation_loss"])
        if not (math.isfinite(training_loss) and math.isfinite(validation_loss)):
            raise RunError(
                f"step {state.step}: the loss is {training_loss:g} in training and "
                f"{validation_loss:g} in validation: must be finite; try --precision 32-true or "
                "another --seed"
            )
        if validation_loss < state.best_loss:
            state.best_loss, state.best_step = validation_loss, state.step
            state.best_weights = state_of(module.network)
        now = time.perf_counter()
        spent, waited = now - self._begun, self.waiting.seconds - self._waited
        state.seconds += spent
        row = [state.step, state.step / self._steps_per_epoch, training_loss, validation_loss]
        row += [state.seconds, n_steps / spent, waited / spent]
        state.curve.append(dict(zip(CURVE_COLUMNS, row, strict=True)))
        self._losses, self._begun, self._waited = [], now, self.waiting.seconds
        for logger in trainer.loggers:
            logger.log_metrics(state.curve[-1], step=state.step)
        over = bool(module.budget.spent(state))
        over = trainer.strategy.reduce_boolean_decision(over, all=False)
        trainer.should_stop = over
        if trainer.is_global_zero and (over or now >= self._saved + CHECKPOINT_S):
            self._saved = now
            state.network = state_of(module.network)
            state.optimizer = module.optimizers().optimizer.state_dict()
            state.scaler = trainer.precision_plugin.state_dict()
            state.save(self.folder / "checkpoint.pt")
            write_curve(self.folder / "curve.csv", state)


def state_of(network: Any) -> dict[str, Any]:
    """Return a copy of a network's state, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
