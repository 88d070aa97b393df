"""Projected gradient descent on the sphere of one SNR (Madry et al. 2018, arXiv:1706.06083).

The gradient is normalised, the step a part of the radius, and what is found is put back on the
sphere: every perturbation that is tried has exactly its SNR. Step i does not depend on how many
follow, and the best one is kept, so that more steps are never worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.attacks.aim import Aim
from nearkin.attacks.sphere import Floats, on_sphere
from nearkin.optional import need

STEPS = 20
FIRST_STEP = 0.5
"""Part of the radius that the first step goes."""
SLOWS_BY = 10
"""Steps after which a step has shrunk by the root of 2."""

Network = Callable[[Any], Any]
"""Tensor[B, samples] to Tensor[B, D], with a gradient."""


class Attacked(NamedTuple):
    """What was found at every SNR.

    Attributes
    ----------
    audio : float32[K, samples]
    margin : float64[K]
        Of the best perturbation, as the search saw it.
    asked : int[K]
        How many perturbations were tried.
    """

    audio: NDArray[np.float32]
    margin: Floats
    asked: NDArray[np.intp]


def pgd(
    network: Network,
    x: NDArray[np.float32],
    aim: Aim,
    radii: Sequence[float],
    start: Floats,
    *,
    steps: int = STEPS,
) -> Attacked:
    """Search for the perturbation with the least margin, at several radii side by side.

    Parameters
    ----------
    network : callable
    x : float32[samples]
        The clip.
    aim : Aim
    radii : sequence of K float
        See `nearkin.attacks.sphere.radius`.
    start : float64[samples]
        Any direction to begin with.
    steps : int

    Returns
    -------
    Attacked
    """
    torch = need("torch", extra="torch")
    lengths = np.asarray(radii, np.float64)
    delta = np.stack([on_sphere(start, float(length)) for length in lengths])
    best, least = delta.copy(), np.full(len(lengths), np.inf)
    clip = np.asarray(x, np.float64)
    for step in range(steps + 1):
        heard = torch.from_numpy((clip + delta).astype(np.float32)).requires_grad_(True)
        margin = aim.tensor_margin(network(heard))
        seen = margin.detach().cpu().double().numpy()
        better = seen < least
        best[better], least[better] = delta[better], seen[better]
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(margin.sum(), heard)
        downhill = np.nan_to_num(gradient.double().numpy(), posinf=0.0, neginf=0.0)
        stride = FIRST_STEP / np.sqrt(1 + step / SLOWS_BY)
        for number, length in enumerate(lengths):
            move = on_sphere(downhill[number], stride * float(length))
            delta[number] = on_sphere(delta[number] - move, float(length))
    audio = (clip + best).astype(np.float32)
    return Attacked(audio, least, np.full(len(lengths), steps + 1, np.intp))
