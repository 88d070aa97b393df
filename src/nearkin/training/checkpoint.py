"""The state of a training, its checkpoint, and when a training ends.

Since batches are a function of the step, a checkpoint is all that a training needs to go on bit
for bit.
"""

from __future__ import annotations

import math
import zipfile
import zlib
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
    curve: list[dict[str, float]] = field(default_factory=list)
    network: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    def stale(self, gain: float) -> int:
        """Return the periods since the validation loss last fell by a share of itself."""
        least, periods = math.inf, 0
        for row in self.curve:
            periods += 1
            if row["validation_loss"] < (1 - gain) * least:
                least, periods = row["validation_loss"], 0
        return periods

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
            found = torch.load(path, map_location="cpu", weights_only=True)
            found.pop("stale", None)  # which was kept before it was counted from the curve
            return cls(**found)
        except (
            *(OSError, RuntimeError, TypeError, EOFError, ValueError, LookupError, AttributeError),
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
        Periods after which it has reached a plateau, or rises: as long the validation loss did not
        fall by `gain`.
    gain : float
        A share of the loss; any fall counts at 0.
    period : int
        Steps from one validation to the next.
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
        if state.stale(self.gain) >= self.patience:
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
