"""Natural evolution strategies: the same search where an encoder gives no gradient.

The gradient is estimated from antithetic pairs of white directions (Ilyas et al. 2018,
arXiv:1804.08598), each pair two questions to the encoder. It finds less than a gradient does: what
it finds is never shown in one curve with the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nearkin.attacks.aim import Aim
from nearkin.attacks.pgd import Attacked
from nearkin.attacks.sphere import Floats, on_sphere

DIRECTIONS = 20
STEPS = 12
LOOK, STRIDE = 0.3, 0.3
"""Parts of the radius: how far a direction is looked at, and how far a step goes."""

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""float32[B, samples] to float32[B, D]."""


def nes(
    embed: Embed,
    x: NDArray[np.float32],
    aim: Aim,
    radii: Sequence[float],
    start: Floats,
    *,
    rng: np.random.Generator,
    steps: int = STEPS,
    directions: int = DIRECTIONS,
) -> Attacked:
    """Search for a perturbation with a margin below 0, at one radius after the other.

    Parameters
    ----------
    embed : callable
        The encoder.
    x, aim, radii, start
        As in `nearkin.attacks.pgd.pgd`.
    rng : numpy.random.Generator
        Draws the directions.
    steps, directions : int
        A step asks ``2 * directions`` questions. A search ends once the clip is led astray.

    Returns
    -------
    Attacked
    """
    clip = np.asarray(x, np.float64)
    audio, margins, asked = [], [], []
    draws = rng.spawn(len(radii))
    for length, own in zip(radii, draws, strict=True):
        delta = on_sphere(start, length)
        best, least, questions = delta, np.inf, 0

        def look(tried: Floats) -> Floats:
            return aim.margin(embed((clip + tried).astype(np.float32)))

        least = float(look(delta[None])[0])
        questions += 1
        for _ in range(steps):
            if least <= 0:
                break
            ways = on_sphere(own.standard_normal((directions, len(clip))), LOOK * length)
            sides = [on_sphere(delta + sign * ways, length) for sign in (1.0, -1.0)]
            seen = [look(side) for side in sides]
            questions += 2 * directions
            for side, margin in zip(sides, seen, strict=True):
                if margin.min() < least:
                    best, least = side[margin.argmin()], float(margin.min())
            uphill = ((seen[0] - seen[1])[:, None] * ways).sum(axis=0)
            delta = on_sphere(delta - on_sphere(uphill, STRIDE * length), length)
        audio.append(clip + best)
        margins.append(least)
        asked.append(questions)
    return Attacked(
        np.stack(audio).astype(np.float32), np.array(margins), np.array(asked, dtype=np.intp)
    )
