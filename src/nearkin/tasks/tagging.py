"""AT: predict the tags that listeners gave a clip (paper, sections 2.1.2 and 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.tasks.protocol import NOT_FINITE, OK, Batch, Scores, Task, array

if TYPE_CHECKING:
    from typing import Any

    from nearkin.corpora.recordings import Row

ONE_SIDED = ("no positive tag", "no negative tag")
"""Why a clip has no ROC curve."""


class AutoTagging(Task):
    """Many tags at once; the measure is AUC_C, the ROC AUC over each clip's tags.

    A clip that has none of the tags, or all of them, has no ROC curve: it is left out and counted.
    """

    name: ClassVar[str] = "at"
    title: ClassVar[str] = "Auto-tagging"
    level: ClassVar[int] = 4
    measure: ClassVar[str] = "AUC_C"
    axis: ClassVar[str] = "AUC_C"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    more_is_better: ClassVar[bool] = True
    column: ClassVar[str | None] = "tags"
    head: ClassVar[str] = "classes"
    epochs: ClassVar[int] = 200

    def labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return every tag of the rows, sorted."""
        return tuple(sorted({tag for row in rows for tag in row.tags}))

    def target(self, row: Row, labels: Sequence[str]) -> NDArray[Any] | None:
        """Return 1 for every tag that the recording has, float32[tags]; others are ignored."""
        return np.array([label in row.tags for label in labels], np.float32)

    def loss(self, network: Any, batch: Batch) -> Any:
        """Return the binary cross-entropy, averaged over clips and tags."""
        import torch

        logits = network(batch.audio).float()
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.target)

    def scores(self, network: Any, batch: Batch) -> Scores:
        """Score each clip by the ROC AUC of its tags' logits."""
        return roc_auc_per_clip(array(network(batch.audio)), array(batch.target) > 0)

    def chance(self, network: Any, batch: Batch) -> NDArray[np.float64]:
        """Return 1/2."""
        return np.full(len(batch.audio), 0.5)


def roc_auc_per_clip(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Scores:
    """Return the area under each clip's ROC curve over tags.

    The chance that a tag the clip has scores above one it has not, ties counting half: the
    Mann-Whitney statistic of each row.

    Parameters
    ----------
    scores : float64[clips, tags]
        What the tags scored.
    positive : bool[clips, tags]
        Which the clip has.

    Examples
    --------
    >>> roc_auc_per_clip(np.array([[0.9, 0.1, 0.5]]), np.array([[True, False, True]])).values
    array([1.])
    """
    from scipy.stats import rankdata

    n_tags = positive.shape[1]
    n_positive = positive.sum(axis=1)
    above = (rankdata(scores, axis=1) * positive).sum(axis=1) - n_positive * (n_positive + 1) / 2
    pairs = n_positive * (n_tags - n_positive)
    values = np.divide(above, pairs, out=np.full(len(scores), np.nan), where=pairs > 0)
    status = [OK if n else ONE_SIDED[int(k > 0)] for n, k in zip(pairs, n_positive, strict=True)]
    for clip in np.flatnonzero(~np.isfinite(scores).all(axis=1)):
        values[clip], status[clip] = np.nan, NOT_FINITE
    return Scores(values, tuple(status))
