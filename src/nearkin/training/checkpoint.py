"""The state of a training, its checkpoint, and when a training ends.

Since batches are a function of the step, a checkpoint is all that a training needs to go on bit
for bit.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearkin.errors import RunError, printable
from nearkin.files import write_whole
from nearkin.optional import need

torch: Any = need("torch", extra="torch")

CURVE_COLUMNS = (
    *("step", "epoch", "training_loss", "validation_loss", "seconds", "steps_per_second"),
    "waiting_share",
)
"""The columns of the curve, which has a row for every period."""


@dataclass
class TrainingState:
    """The state of a training: what a checkpoint holds.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Spent on them, validation and checkpoints included, over all sessions.
    best_loss, best_step : float, int
        The lowest validation loss, and its step.
    best_weights : dict
        The network's state at that step.
    plateau_loss : float
        The last validation loss that was lower than the one before it by enough.
    stale : int
        Periods since that.
    curve : list of dict
        A row of `CURVE_COLUMNS` for every period.
    network, optimizer, scaler : dict
        Their states at `step`; the last is of the loss's scale in half precision.
    """

    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    best_step: int = 0
    best_weights: dict[str, Any] = field(default_factory=dict)
    plateau_loss: float = math.inf
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    network: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    def validated(self, loss: float, weights: Callable[[], dict[str, Any]], gain: float) -> None:
        """Take note of a period's validation loss; keep the weights of the lowest.

        Parameters
        ----------
        loss : float
        weights : callable
            Returns a copy of the network's state.
        gain : float
            The share by which the loss must fall, or it is on a plateau.
        """
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.best_weights = loss, self.step, weights()
        if loss < (1 - gain) * self.plateau_loss:
            self.plateau_loss, self.stale = loss, 0
        else:
            self.stale += 1

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
    def load(cls, path: Path) -> TrainingState:
        """Read a checkpoint without running code from it; every byte is held to its checksum."""
        import pickle

        try:
            with zipfile.ZipFile(path) as archive:  # torch itself does not look at checksums
                damaged = archive.testzip()
            if damaged is not None:
                raise OSError(f"{damaged} was damaged after it was written")
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (
            *(OSError, RuntimeError, TypeError, EOFError, ValueError, LookupError),
            *(NotImplementedError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
        ) as error:
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
    gain : float
        By which share it must be lower.
    period : int
        Steps from one validation and checkpoint to the next.
    minutes : float or None
        Of training, over all sessions; it ends with the period in which they run out.
    """

    steps: int
    patience: int
    period: int = 100
    minutes: float | None = None
    gain: float = 0.0

    def spent(self, state: TrainingState) -> str:
        """Return why training is over; an empty text where it is not."""
        if state.step >= self.steps:
            return "steps"
        if state.stale >= self.patience:
            return "plateau"
        if self.minutes is not None and state.seconds >= 60 * self.minutes:
            return "minutes"
        return ""

    def period_end(self, step: int) -> int:
        """Return the step that ends the period `step` lies in."""
        return min(self.steps, (step // self.period + 1) * self.period)


def write_curve(path: Path, state: TrainingState) -> None:
    """Write the curve as CSV, whole or not at all, unless it is there already."""
    lines = [",".join(CURVE_COLUMNS)]
    lines += [",".join(f"{row[name]:.8g}" for name in CURVE_COLUMNS) for row in state.curve]
    content = ("\n".join(lines) + "\n").encode()
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, lambda file: file.write(content))
