"""Ranks with ties averaged, and Spearman's correlation of them.

Ranks are centred: less their mean, exact multiples of one half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.consistency.matrices import Bools, Checked, Floats


def spearman(a: ArrayLike, b: ArrayLike) -> Floats:
    """Spearman's rank correlation along the last axis; NaN where a side is constant.

    Examples
    --------
    >>> float(spearman([1, 2, 3], [10, 30, 20]))
    0.5
    """
    x, y = centred_ranks(a), centred_ranks(b)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    rho = (x * y).sum(axis=-1) / np.where(scale > 0, scale, np.nan)
    # Rounding may carry a perfect correlation a last bit past 1.
    return np.asarray(np.clip(rho, -1, 1))


def centred_ranks(values: ArrayLike) -> Floats:
    """Ranks along the last axis, ties averaged, less their mean: exact multiples of one half.

    Examples
    --------
    >>> centred_ranks([10.0, 30.0, 20.0, 30.0])
    array([-1.5,  1. , -0.5,  1. ])
    """
    array = np.asarray(values)
    length = array.shape[-1]
    if array.size == 0:
        return np.zeros(array.shape)
    rows = array.reshape(-1, length)
    order = rows.argsort(axis=1)
    order += np.arange(len(rows))[:, None] * length
    ranks = np.empty(array.size)
    ranks[order] = _ranks_in_order(rows.ravel()[order])
    return ranks.reshape(array.shape)


def centred_ranks_of_others(space: Checked, rows: Bools, columns: Bools) -> Floats:
    """Rank all pairs of a chosen query and a chosen other in one; 0 where there is no pair.

    Returns
    -------
    float64[n, N]
        The same as `centred_ranks` over the pairs, each where its distance stands.
    """
    d, own, _, _ = space
    n_pairs = int(rows.sum()) * max(int(columns.sum()) - 1, 0)
    # What is no pair sorts behind all that are: cheaper than taking the pairs out and back.
    pairs = d.copy()
    pairs[np.arange(len(d)), own] = np.inf
    pairs[~rows] = np.inf
    pairs[:, ~columns] = np.inf
    flat = pairs.ravel()
    order = flat.argsort()[:n_pairs]
    ranks = np.zeros(d.size)
    if n_pairs:
        ranks[order] = _ranks_in_order(flat[order][None])[0]
    return ranks.reshape(d.shape)


def _ranks_in_order(ascending: NDArray[Any]) -> Floats:
    """Rank rows that are sorted: ties averaged, the mean rank subtracted."""
    length = ascending.shape[1]
    first = np.ones(ascending.shape, bool)
    np.not_equal(ascending[:, 1:], ascending[:, :-1], out=first[:, 1:])
    middle = (length - 1) / 2
    if first.all():
        return np.broadcast_to(np.arange(length) - middle, ascending.shape)
    starts = np.flatnonzero(first)
    counts = np.diff(starts, append=ascending.size)
    ranks = starts % length + (counts - 1) / 2 - middle
    return np.repeat(ranks, counts).reshape(ascending.shape)
