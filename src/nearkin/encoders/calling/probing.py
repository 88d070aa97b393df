"""Learning a model's form by running it on a little noise, where its file does not state it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearkin.encoders.calling.forward import Forward
from nearkin.encoders.foreign import foreign_code
from nearkin.encoders.protocol import as_array


def probe(forward: Forward, shape: tuple[int, ...]) -> Any:
    """Run a model on noise of a shape; an error it raises is returned."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=shape).astype(np.float32)
    try:
        with foreign_code():
            return forward(noise)
    except Exception as error:  # the border to foreign code: anything may come
        return error


def time_axis_of(forward: Forward, n_samples: int) -> int | None:
    """Return the axis of a [2, ?, ?] answer that grows with the clip, None if not exactly one does.

    Parameters
    ----------
    forward : callable
        Takes float32[batch, samples].
    n_samples : int
        A length it takes; half as much again is tried beside it.
    """
    shapes = [_shape(probe(forward, (2, n))) for n in (n_samples, n_samples + n_samples // 2)]
    if any(len(shape) != 3 for shape in shapes):
        return None
    grown = [axis for axis in (1, 2) if shapes[0][axis] != shapes[1][axis]]
    return grown[0] if len(grown) == 1 else None


def _shape(answer: Any) -> tuple[int, ...]:
    if isinstance(answer, Exception) or not hasattr(answer, "shape"):
        return ()
    return as_array(answer).shape
