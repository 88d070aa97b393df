"""The mean and deviation of a network's inputs over its training set, measured once a set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.files import read_arrays, write_arrays
from nearkin.optional import need
from nearkin.progress import Progress
from nearkin.training.batches import Order
from nearkin.training.cache import AudioCache
from nearkin.training.recordings import Recordings
from nearkin.training.settings import Settings

torch: Any = need("torch", extra="torch")

STANDARDISED_RECORDINGS = 2_000


def standardise(
    network: Any,
    part: Recordings,
    sha256: str,
    settings: Settings,
    store: AudioCache,
    progress: Progress,
) -> None:
    """Give a network the mean and deviation of its inputs over the training set."""
    measured = [("decibels", network.front.decibels)]
    if settings.features == "mfcc":
        measured.append(("statistics", network.encoder.statistics))
    for name, measure in measured:
        word = f"{name} {sha256} {settings.n_samples} {STANDARDISED_RECORDINGS}"
        path = store.root / f"{name}-{hashlib.sha256(word.encode()).hexdigest()[:16]}.npz"
        kept = read_arrays(path)  # None where it is not there, or was damaged
        if kept is None:
            moments = _moments(measure, part, settings, progress)
            write_arrays(path, {}, {"moments": moments})
        else:
            moments = kept[1]["moments"]
        network.standardise(*moments.astype(np.float32))


def _moments(
    measure: Callable[[Any], Any], part: Recordings, settings: Settings, progress: Progress
) -> NDArray[np.float64]:
    """Return mean and standard deviation, [2, values], over one crop a recording."""
    n = min(len(part), STANDARDISED_RECORDINGS)
    order = Order(0, "standardisation", 0, part.lengths, 1, settings.n_samples)
    sums: Any = 0.0
    count = 0
    with torch.no_grad():
        for first in range(0, n, settings.batch):
            places = [order.places(k) for k in range(first, min(first + settings.batch, n))]
            which, offsets = [w for w, _ in places], [o for _, o in places]
            clips = part.batch([w[0] for w in which], [o[0] for o in offsets], settings.n_samples)
            values = measure(clips.audio).double()
            values = values.reshape(-1, values.shape[-1]).numpy()
            sums = sums + np.stack([values.sum(axis=0), (values**2).sum(axis=0)])
            count += len(values)
            progress("recordings measured", min(first + settings.batch, n), n)
    mean, square = sums / count
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))])
