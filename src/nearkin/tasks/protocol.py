"""What a task is: a head, a loss, a target for every recording, and a score for every clip.

Tasks have no state. They use torch only through the networks and tensors that they are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nearkin.corpora.recordings import Row

OK = "ok"
NOT_FINITE = "failed: the network's output is not finite"


class Batch(NamedTuple):
    """Clips and their targets.

    Attributes
    ----------
    audio : Tensor[batch, samples]
        At 22,050 Hz.
    target : Tensor or None
        Tags float[batch, tags], classes int[batch], vocals [batch, samples]; None where the
        audio is its own target.
    changed : Tensor[batch, samples] or None
        Changed versions of the clips, where consistency is learnt.
    recordings : Tensor int[batch] or None
        Which recording each clip is of, where there are changed versions.
    """

    audio: Any
    target: Any = None
    changed: Any = None
    recordings: Any = None


class Scores(NamedTuple):
    """A task's score of every clip of a batch.

    Attributes
    ----------
    values : float64[batch]
        In the task's measure; NaN where the clip cannot be scored.
    status : tuple of str
        ``"ok"``, or why the clip is left out.
    """

    values: NDArray[np.float64]
    status: tuple[str, ...]


class Task(Protocol):
    """A learning task (paper, section 2.1)."""

    name: ClassVar[str]
    """Two letters, as in every table."""
    title: ClassVar[str]
    level: ClassVar[int]
    """The paper's order of the tasks, from 1 for the signal's level to the listener's."""
    measure: ClassVar[str]
    axis: ClassVar[str]
    """The measure in a figure, with its unit."""
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]]
    """The lowest and the highest score there can be."""
    more_is_better: ClassVar[bool]
    binary: ClassVar[bool] = False
    """Whether the score of a clip is 0 or 1, nothing between."""
    average: ClassVar[str] = "mean"
    """``"mean"`` or ``"median"``: how the scores of clips become one."""
    column: ClassVar[str | None]
    """The manifest's column that holds the targets; None where the audio is its own target."""
    one_class: ClassVar[bool] = False
    """Whether every recording is of exactly one class."""
    head: ClassVar[str]
    """`nearkin.networks.network.NetworkConfig.head`."""
    epochs: ClassVar[int]
    """The paper's."""

    @property
    def better(self) -> str:
        """``"more"`` or ``"less"``: which score is the better one."""
        return "more" if self.more_is_better else "less"

    @property
    def lost(self) -> float:
        """The score of a clip that a network failed: the worst; NaN where no score is the worst."""
        worst = self.bounds[0] if self.more_is_better else self.bounds[1]
        return worst if math.isfinite(worst) else math.nan

    def labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the classes or tags of rows, sorted; none for other tasks."""

    def target(self, row: Row, labels: Sequence[str]) -> NDArray[Any] | None:
        """Return a recording's target: float32[tags], or int64 of no dimension.

        Raises
        ------
        InputError
            If the recording's class is not among the labels.
        """

    def loss(self, network: Any, batch: Batch) -> Any:
        """Return the loss, a scalar tensor, averaged over the batch."""

    def scores(self, network: Any, batch: Batch) -> Scores:
        """Score every clip; the network is in evaluation mode."""

    def chance(self, network: Any, batch: Batch) -> NDArray[np.float64]:
        """Return the score of a network that has learnt nothing, a clip each, float64[batch]."""

    def reduce(self, values: NDArray[np.float64]) -> float:
        """Return one score for all clips, without those that are NaN; NaN if all are."""
        known = values[~np.isnan(values)]
        if not known.size:
            return float("nan")
        return float(np.median(known) if self.average == "median" else known.mean())


def array(tensor: Any) -> NDArray[np.float64]:
    """Return a tensor's values as float64."""
    values: NDArray[np.float64] = tensor.detach().cpu().double().numpy()
    return values
