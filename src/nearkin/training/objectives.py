"""What a training makes small: a task's loss, agreement of changed clips, nearness to what was.

Latent vectors are [batch, D]; losses are scalar tensors, averaged over a batch. An objective is
called with a network and a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from nearkin.optional import need
from nearkin.tasks import Batch, Task

torch: Any = need("torch", extra="torch")

TEMPERATURE = 0.1
"""Of the softmax over a batch; Chen et al. (2020), Table 5, find .1 best of four."""
LEAST_SPREAD = 0.01
"""Of a batch, over its mean squared length; batches of different recordings have .2 and more."""
_LEAST = 1e-12


class Objective(Protocol):
    """A loss of a network on a batch, and how it is made small.

    Attributes
    ----------
    learning_rate : float
        Adam's.
    keeps_statistics : bool
        Whether batch normalisation goes on with the statistics it has.
    """

    learning_rate: float
    keeps_statistics: bool

    def __call__(self, network: Any, batch: Batch) -> Any:
        """Return the loss, a scalar tensor."""


def info_nce(
    changed: Any, originals: Any, recordings: Any = None, *, temperature: float = TEMPERATURE
) -> Any:
    """Return how far changed clips are from being found: the cross-entropy over a batch.

    A changed clip asks for the nearest of the batch's originals, as C_W does, by cosine; the
    softmax makes that smooth. A network that maps all clips to one vector scores log(batch), so
    that nothing is won by collapsing. van den Oord et al. (2018), "Representation learning with
    contrastive predictive coding"; Chen et al. (2020), "A simple framework for contrastive
    learning of visual representations".

    Parameters
    ----------
    changed, originals : Tensor[batch, D]
        Latent vectors, a pair a row.
    recordings : Tensor int[batch], optional
        Other clips of the same recording do not count as wrong answers.
    temperature : float
        Cosines are divided by it.

    Examples
    --------
    >>> import math
    >>> z = torch.eye(4)
    >>> math.isclose(float(info_nce(z, z)), math.log(1 + 3 * math.exp(-10)), rel_tol=1e-3)
    True
    >>> z = torch.ones(4, 4)
    >>> math.isclose(float(info_nce(z, z)), math.log(4), rel_tol=1e-6)
    True
    """
    with torch.autocast(changed.device.type, enabled=False):  # half the bits are not enough here
        cosines = _unit(changed.float()) @ _unit(originals.float()).T
        logits = cosines / temperature
        if recordings is not None:
            same = recordings[:, None] == recordings[None, :]
            same = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
            logits = logits.masked_fill(same, -torch.inf)
        own = torch.arange(len(logits), device=logits.device)
        return torch.nn.functional.cross_entropy(logits, own)


def drift(now: Any, before: Any) -> Any:
    """Return how far latent vectors went from where they were, over their spread.

    The mean squared distance between the two, over the mean squared distance of `before` from its
    mean: 0 where nothing moved, 1 where a vector moved as far as clips lie from their mean. The
    spread counts as a hundredth of the mean squared length at least: a batch of one sound has none.

    Parameters
    ----------
    now, before : Tensor[batch, D]

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> float(drift(z + torch.tensor([0.0, 0.5]), z))
    0.25
    """
    now, before = now.float(), before.float()
    spread = (before - before.mean(dim=0)).square().sum(dim=1).mean()
    least = LEAST_SPREAD * before.square().sum(dim=1).mean()
    spread = torch.maximum(spread, least).clamp(min=_LEAST)
    return (now - before).square().sum(dim=1).mean() / spread


class TaskObjective:
    """A task's loss, and `weight` times the cross-entropy of changed clips over the batch.

    Parameters
    ----------
    task : Task
    weight : float
        0: the task's loss alone, and batches need no changed versions.
    """

    learning_rate = 0.001
    """The paper's (section 4.4)."""
    keeps_statistics = False

    def __init__(self, task: Task, weight: float = 0.0) -> None:
        self.task, self.weight = task, weight

    def __call__(self, network: Any, batch: Batch) -> Any:
        """Return the loss."""
        if not self.weight:
            return self.task.loss(network, batch)
        with _latents(network) as found:
            loss = self.task.loss(network, batch)
        changed = network.embed(batch.changed)
        return loss + self.weight * info_nce(changed, found[0], batch.recordings)


class FineTuningObjective(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Changed clips are to be found, and unchanged ones to stay where they were.

    Parameters
    ----------
    network : nearkin.networks.network.TaskNetwork
        The network before; a copy of its encoder is kept, and does not learn.
    anchor : float
        Weight of the `drift` of unchanged clips.
    """

    learning_rate = 0.0001
    """A tenth of that of training: what is known is changed, not learnt anew."""
    keeps_statistics = True

    def __init__(self, network: Any, anchor: float) -> None:
        super().__init__()
        self.anchor = anchor
        self.before = copy.deepcopy(network.encoder).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FineTuningObjective:
        """Stay in evaluation mode, whatever is asked: what was does not change."""
        super().train(False)
        return self

    def forward(self, network: Any, batch: Batch) -> Any:
        """Return the loss."""
        now = network.embed(batch.audio)
        loss = info_nce(network.embed(batch.changed), now, batch.recordings)
        if not self.anchor:
            return loss
        with torch.no_grad():
            before = self.before(batch.audio).z
        return loss + self.anchor * drift(now, before)


def _unit(vectors: Any) -> Any:
    return torch.nn.functional.normalize(vectors, dim=1, eps=_LEAST)


@contextmanager
def _latents(network: Any) -> Iterator[list[Any]]:
    """Listen to the encoder: the latent vectors of every batch that passes."""
    found: list[Any] = []
    hook = network.encoder.register_forward_hook(lambda _, given, out: found.append(out.z))
    try:
        yield found
    finally:
        hook.remove()
