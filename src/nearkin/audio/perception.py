"""How different two signals sound: Zimtohrli, a model of hearing, behind a guarded face.

Conventions: a signal is ``float32[samples]`` mono, full scale at 1.0, rates in Hz. The mean opinion
score (MOS) goes from 5 (no difference is heard) to 1. Zimtohrli (Alakuijala et al. 2025, Apache
licence) compares spectrograms of an auditory filter bank by dynamic time warping, which hides tempo
and time, and levels gain: it says nothing about tempo, pitch, speed or level.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nearkin.audio.signals import resample
from nearkin.errors import InputError
from nearkin.optional import need

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

RATE = 48_000
"""The rate Zimtohrli hears at."""
SHORTEST_S = 0.1
"""Zimtohrli 0.2.1 aborts the process on signals below about 3,950 samples (.082 s)."""
BEST, WORST = 5.0, 1.0
"""The ends of the MOS scale."""


class Heard(NamedTuple):
    """What `heard` returns."""

    mos: float
    """Mean opinion score, 1 to 5."""
    distance: float
    """Zimtohrli's own distance, from 0 on."""


def heard(original: ArrayLike, changed: ArrayLike, *, sr: int) -> Heard:
    """Return how different a changed signal sounds from its original.

    Parameters
    ----------
    original, changed : array_like of float, shape [samples]
        The two signals, equally long, at least 0.1 s, finite.
    sr : int
        Their rate in Hz.

    Returns
    -------
    Heard

    Raises
    ------
    InputError
        If a signal is too short, not mono or not finite, or they are not equally long.
    ExtraError
        If Zimtohrli is not installed (the extra ``perception``).
    """
    if sr <= 0:
        raise InputError(f"sr={sr}: must be > 0; pass the signals' rate in Hz")
    before, after = (np.asarray(y) for y in (original, changed))
    for y in (before, after):
        if y.ndim != 1 or y.dtype.kind != "f":
            raise InputError(
                f"signal of shape {list(y.shape)} and {y.dtype}: must be float [samples]; pass one "
                "channel"
            )
        if not np.isfinite(y).all():
            raise InputError("NaN or infinite samples: must be finite; repair the signal")
    if len(before) != len(after):
        raise InputError(
            f"signals of {len(before)} and {len(after)} samples: must be equally long; cut them to "
            "the same part"
        )
    if len(before) < SHORTEST_S * sr:
        raise InputError(
            f"{len(before) / sr:.3g} s: too short to be judged; pass at least {SHORTEST_S:g} s"
        )
    module = need("zimtohrli", extra="perception")
    pair = [resample(y, from_sr=sr, to_sr=RATE) for y in (before, after)]
    distance = float(_ear().distance(*pair))
    return Heard(float(np.clip(module.mos_from_zimtohrli(distance), WORST, BEST)), distance)


@functools.cache
def _ear() -> Any:
    return need("zimtohrli", extra="perception").Pyohrli()
