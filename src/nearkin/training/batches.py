"""Which clips make up a batch: a pure function of seed, task, trial and step.

Resumed at any step, with any number of loader processes, training sees the same clips. An epoch is
one random crop of every recording, in an order of its own; batches run on across epochs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.optional import need
from nearkin.seeds import stream
from nearkin.tasks import Batch
from nearkin.training.changes import Views
from nearkin.training.recordings import Recordings

torch: Any = need("torch", extra="torch")

AS_THEY_ARE = Views()
"""Crops that nothing changes."""


@dataclass(frozen=True)
class Order:
    """Which crops of which recordings a step learns from.

    Attributes
    ----------
    seed, task, trial
        What the random numbers hang on.
    lengths : int64[n]
        Samples of every recording.
    batch, n_samples : int
        Clips of a step, samples of a clip.
    """

    seed: int
    task: str
    trial: int
    lengths: NDArray[np.int64]
    batch: int
    n_samples: int

    def places(self, step: int) -> tuple[list[int], list[int]]:
        """Return the recordings of a step, counted from 0, and where each is cropped."""
        which, offsets = [], []
        for clip in range(step * self.batch, (step + 1) * self.batch):
            epoch, place = divmod(clip, len(self.lengths))
            index = int(self._epoch(epoch)[place])
            rng = stream(self.seed, "training", self.task, self.trial, "crop", epoch, index)
            which.append(index)
            offsets.append(int(rng.integers(self.lengths[index] - self.n_samples + 1)))
        return which, offsets

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        kept: dict[int, NDArray[np.int64]] = self.__dict__.setdefault("_kept", {})
        if epoch not in kept:
            rng = stream(self.seed, "training", self.task, self.trial, "order", epoch)
            for old in [number for number in kept if number < epoch - 1]:
                del kept[old]
            kept[epoch] = rng.permutation(len(self.lengths))
        return kept[epoch]


class TrainingBatches(torch.utils.data.Dataset):  # type: ignore[misc,name-defined]
    """Batches by step; each of several processes gets an equal share of every batch.

    Parameters
    ----------
    recordings : Recordings
        The training split.
    order : Order
        Which crops a step takes.
    rank, world : int
        This process's number, and how many there are.
    views : Views
        How crops are changed; not at all by default.
    """

    def __init__(
        self,
        recordings: Recordings,
        order: Order,
        *,
        rank: int,
        world: int,
        views: Views = AS_THEY_ARE,
    ) -> None:
        self.recordings, self.order, self.rank, self.world = recordings, order, rank, world
        self.views = views

    def __getitem__(self, step: int) -> Batch:
        which, offsets = self.order.places(step)
        share = slice(self.rank, None, self.world)
        numbers = range(step * self.order.batch, (step + 1) * self.order.batch)[share]
        return self.views.batch(
            self.recordings,
            which[share],
            offsets[share],
            self.order.n_samples,
            numbers=numbers,
        )


class FixedBatches(torch.utils.data.Dataset):  # type: ignore[misc,name-defined]
    """The same crops every time, spread evenly over each recording.

    Parameters
    ----------
    recordings : Recordings
        A split.
    n_samples : int
        Samples of a clip.
    batch : int
        Clips of a batch, over all processes.
    most : int
        Take at most so many clips, spread evenly over the split.
    rank, world : int
        This process's number, and how many there are. Each gets equally many clips, in turn;
        the few that remain are left out.
    views : Views
        How crops are changed, by their number in the split; not at all by default. Where they have
        second versions, a batch is mixed of as many recordings as can be.
    """

    def __init__(
        self,
        recordings: Recordings,
        *,
        n_samples: int,
        batch: int,
        most: int,
        rank: int = 0,
        world: int = 1,
        views: Views = AS_THEY_ARE,
    ) -> None:
        self.recordings, self.n_samples, self.views = recordings, n_samples, views
        places = fixed_places(recordings.lengths, n_samples=n_samples, most=most)
        if views.second is not None:
            places = mixed(places)
        if len(places) < world:
            places *= world
        share = slice(rank, len(places) // world * world, world)
        self.places = places[share]
        self._numbers = range(len(places))[share]
        self._batch = batch // world

    def __len__(self) -> int:
        return -(-len(self.places) // self._batch)

    def __getitem__(self, number: int) -> Batch:
        those = slice(number * self._batch, (number + 1) * self._batch)
        which, offsets = zip(*self.places[those], strict=True)
        return self.views.batch(
            self.recordings, which, offsets, self.n_samples, numbers=self._numbers[those]
        )

    def __iter__(self) -> Iterator[Batch]:
        for number in range(len(self)):
            yield self[number]


def mixed(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the first clips of all recordings, then their second ones, and so on.

    Examples
    --------
    >>> mixed([(0, 0), (0, 50), (1, 3), (1, 16)])
    [(0, 0), (1, 3), (0, 50), (1, 16)]
    """
    turns: Counter[int] = Counter()
    ordered = []
    for index, offset in places:
        ordered.append((turns[index], index, offset))
        turns[index] += 1
    return [(index, offset) for _, index, offset in sorted(ordered)]


def fixed_places(lengths: NDArray[np.int64], *, n_samples: int, most: int) -> list[tuple[int, int]]:
    """Choose clips of recordings, without randomness: as many of each as fit, spread evenly.

    One clip of a recording is its centre.

    Examples
    --------
    >>> fixed_places(np.array([10, 30]), n_samples=10, most=4)
    [(0, 0), (1, 3), (1, 16)]
    """
    n = len(lengths)
    chosen = range(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)
    each = max(1, most // max(1, n))
    places = []
    for index in map(int, chosen):
        room = int(lengths[index]) - n_samples
        clips = min(each, int(lengths[index]) // n_samples)
        gap = (int(lengths[index]) - clips * n_samples) / (clips + 1)
        places += [(index, min(room, int(gap + k * (n_samples + gap)))) for k in range(clips)]
    return places
