"""The SNR at which half of the clips can be led astray, and its interval.

A clip that is led astray at one SNR can be at every lower one: the same perturbation fits into the
larger sphere's ball. So the share that can be led astray falls as the SNR rises, and crosses one
half once. The interval holds every SNR at which the share's own interval holds one half.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.statistics.intervals import share_limits

Bools = NDArray[np.bool_]


class Crossing(NamedTuple):
    """An SNR in dB and its 95 % interval.

    ``inf``: above the highest SNR of the run; ``-inf``: below the lowest.
    """

    value: float
    low: float
    high: float


def ever_astray(astray: ArrayLike) -> Bools:
    """Let a clip that is led astray at one SNR be so at every lower one.

    Parameters
    ----------
    astray : bool[K, N]
        By SNR, from the highest to the lowest.

    Examples
    --------
    >>> ever_astray([[True, False], [False, False], [False, True]]).tolist()
    [[True, False], [True, False], [True, True]]
    """
    return np.asarray(np.logical_or.accumulate(np.asarray(astray, bool), axis=0))


def half_astray(
    astray: ArrayLike, snrs_db: ArrayLike, clusters: NDArray[np.intp] | None = None
) -> Crossing:
    """Return where half of the clips can be led astray.

    Parameters
    ----------
    astray : bool[K, N]
        Of every SNR and clip.
    snrs_db : float[K]
        From the highest to the lowest.
    clusters : int[N], optional
        Clips of one file or group have one number.

    Examples
    --------
    >>> half_astray([[0, 0, 0, 0], [1, 1, 1, 1]], [60.0, 50.0]).value
    55.0
    >>> half_astray([[1, 1, 1, 1]] * 2, [60.0, 50.0]).value
    inf
    """
    table = ever_astray(astray)
    shares = np.array([row.mean() for row in table])
    limits = [share_limits(row.astype(np.float64), clusters) for row in table]
    snrs = np.asarray(snrs_db, np.float64)
    return Crossing(
        _crossed(shares, snrs),
        _crossed(np.array([one.low for one in limits]), snrs),
        _crossed(np.array([one.high for one in limits]), snrs),
    )


def _crossed(shares: NDArray[np.float64], snrs: NDArray[np.float64]) -> float:
    """Interpolate where shares that grow as the SNR falls reach one half."""
    reached = np.flatnonzero(shares >= 0.5)
    if not len(reached):
        return -math.inf
    first = int(reached[0])
    if first == 0:
        return math.inf
    before, after = float(shares[first - 1]), float(shares[first])
    part = (0.5 - before) / (after - before)
    return float(snrs[first - 1] + part * (snrs[first] - snrs[first - 1]))
