"""AE: reconstruct a clip from 256 values (paper, section 2.1.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.tasks.protocol import NOT_FINITE, OK, Batch, Scores, Task, array

if TYPE_CHECKING:
    from typing import Any

    from nearkin.corpora.recordings import Row


class Autoencoder(Task):
    """Reconstruct the standardised spectrogram in decibels; the measure is its squared error.

    A changed clip is its own target: the network must return the spectrogram it was given.
    """

    name: ClassVar[str] = "ae"
    title: ClassVar[str] = "Autoencoder"
    level: ClassVar[int] = 1
    measure: ClassVar[str] = "MSE"
    axis: ClassVar[str] = "MSE of the standardised spectrogram"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    more_is_better: ClassVar[bool] = False
    column: ClassVar[str | None] = None
    head: ClassVar[str] = "decoder"
    epochs: ClassVar[int] = 500

    def labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return no label."""
        return ()

    def target(self, row: Row, labels: Sequence[str]) -> NDArray[Any] | None:
        """Return None: the audio is the target."""
        return None

    def loss(self, network: Any, batch: Batch) -> Any:
        """Return the mean squared error over clips, frames and bins."""
        return self._errors(network, batch).mean()

    def scores(self, network: Any, batch: Batch) -> Scores:
        """Score each clip by its mean squared error over frames and bins."""
        errors = array(self._errors(network, batch))
        return Scores(errors, tuple(OK if np.isfinite(one) else NOT_FINITE for one in errors))

    def chance(self, network: Any, batch: Batch) -> NDArray[np.float64]:
        """Return the error of a network that always returns the training set's mean spectrum."""
        return array((network.front(batch.audio) ** 2).mean(dim=(1, 2)))

    def _errors(self, network: Any, batch: Batch) -> Any:
        error = network(batch.audio).float() - network.front(batch.audio)
        return (error**2).mean(dim=(1, 2))
