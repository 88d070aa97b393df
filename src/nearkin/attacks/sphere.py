"""All perturbations of one SNR: a sphere of signals without a mean.

Signals are float64[samples]. The SNR is that of the transformations: the power of the signal over
that of the perturbation, both without their mean.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]


def radius(x: ArrayLike, *, snr_db: float) -> float:
    """Return the length of a perturbation of x at an SNR.

    Raises
    ------
    InputError
        If x is constant: it has no SNR.

    Examples
    --------
    >>> radius([1.0, -1.0, 1.0, -1.0], snr_db=20.0)
    0.2
    """
    signal = np.asarray(x, np.float64)
    length = float(np.linalg.norm(signal - signal.mean()))
    if not length > 0:
        raise InputError("a constant clip has no SNR: there is nothing to attack; leave it out")
    return length * 10 ** (-snr_db / 20)


def on_sphere(delta: ArrayLike, length: float) -> Floats:
    """Take the mean off perturbations [..., samples] and scale them to a length.

    Examples
    --------
    >>> on_sphere([3.0, 1.0, 2.0, 2.0], 2.0).round(3).tolist()
    [1.414, -1.414, 0.0, 0.0]
    """
    free = np.asarray(delta, np.float64)
    free = free - free.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(free, axis=-1, keepdims=True)
    return np.asarray(free * (length / np.where(norm > 0, norm, 1.0)))


def snr_db(x: ArrayLike, changed: ArrayLike) -> float:
    """Return the SNR of a changed signal; infinite where it is the same.

    Examples
    --------
    >>> round(snr_db([1.0, -1.0, 1.0, -1.0], [1.1, -1.1, 1.1, -1.1]), 6)
    20.0
    """
    signal = np.asarray(x, np.float64)
    moved = np.asarray(changed, np.float64) - signal
    power = float(np.var(moved))
    return 10 * math.log10(float(np.var(signal)) / power) if power > 0 else math.inf
