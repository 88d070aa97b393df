"""IR: recognise the predominant instrument of a clip (paper, section 2.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.tasks.protocol import NOT_FINITE, OK, Batch, Scores, Task, array

if TYPE_CHECKING:
    from typing import Any

    from nearkin.corpora.recordings import Row


class InstrumentRecognition(Task):
    """One class out of several; the measure is accuracy."""

    name: ClassVar[str] = "ir"
    title: ClassVar[str] = "Instrument recognition"
    level: ClassVar[int] = 3
    measure: ClassVar[str] = "accuracy"
    axis: ClassVar[str] = "accuracy"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    more_is_better: ClassVar[bool] = True
    binary: ClassVar[bool] = True
    column: ClassVar[str | None] = "instrument"
    one_class: ClassVar[bool] = True
    head: ClassVar[str] = "classes"
    epochs: ClassVar[int] = 500

    def labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the instruments of the rows, sorted."""
        return tuple(sorted({row.instrument for row in rows}))

    def target(self, row: Row, labels: Sequence[str]) -> NDArray[Any] | None:
        """Return the class's place among the labels, int64."""
        if row.instrument not in labels:
            raise InputError(
                f"{row.name}: instrument '{row.instrument}' is none that the model knows: "
                f"{suggest(row.instrument, labels)}"
            )
        return np.array(list(labels).index(row.instrument), np.int64)

    def loss(self, network: Any, batch: Batch) -> Any:
        """Return the cross-entropy, averaged over clips."""
        import torch

        return torch.nn.functional.cross_entropy(network(batch.audio).float(), batch.target)

    def scores(self, network: Any, batch: Batch) -> Scores:
        """Score each clip: 1 where the highest logit is the right class's, else 0."""
        logits = array(network(batch.audio))
        right = (logits.argmax(axis=1) == array(batch.target)).astype(float)
        known = np.isfinite(logits.sum(axis=1))
        status = tuple(OK if one else NOT_FINITE for one in known.tolist())
        return Scores(np.where(known, right, np.nan), status)

    def chance(self, network: Any, batch: Batch) -> NDArray[np.float64]:
        """Return one over the number of classes."""
        return np.full(len(batch.audio), 1 / network.config.n_outputs)
