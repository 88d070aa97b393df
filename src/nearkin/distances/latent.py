"""Distances of the latent space: Euclidean and cosine, float64, from direct differences.

Embeddings are ``[clips, D]``; ``d[i, j]`` row = query, column = original. Every pair is summed in
the same order, so equal embeddings have exactly equal distances and ties stay ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.distances.checks import as_array, bounded, call_kernel, require_same_dimensions
from nearkin.errors import InputError

Float64 = NDArray[np.float64]

_LARGEST_LATENT = 1e150  # squares and their sums stay below float64's 1.8e308


def _embeddings(a: ArrayLike, b: ArrayLike) -> tuple[Float64, Float64]:
    """Return two finite float64 matrices with equally many columns."""
    checked = []
    for values, name in ((a, "a"), (b, "b")):
        array = as_array(values, name)
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"{name} of shape {array.shape}: must be [clips, dimensions] with at least one of "
                "each; pass one embedding a row"
            )
        checked.append(bounded(array, name, np.float64, _LARGEST_LATENT))
    require_same_dimensions(checked[0].shape[1], checked[1].shape[1])
    return checked[0], checked[1]


def _squared_euclidean(a: Float64, b: Float64) -> Float64:
    from nearkin.distances import kernels

    out = np.empty((len(a), len(b)))
    call_kernel(kernels.squared_euclidean, a, b, out)
    return out


def euclidean(a: ArrayLike, b: ArrayLike) -> Float64:
    """Euclidean distances of embeddings, from direct differences in float64.

    Parameters
    ----------
    a, b : array_like of shape (nQ, D) and (N, D)
        Embeddings, one a row.

    Returns
    -------
    float64[nQ, N]
        In [0, inf). Every pair is summed in the same order: equal embeddings have exactly equal
        distances, d(x, x) is exactly 0 and the matrix of a set with itself exactly symmetric.

    Raises
    ------
    InputError
        If a side is not 2-D, empty or not finite, or the dimensions differ.

    Examples
    --------
    >>> euclidean([[0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[5.0, 0.0]]
    """
    x, y = _embeddings(a, b)
    squared = _squared_euclidean(x, y)
    return np.sqrt(squared, out=squared)


def cosine(a: ArrayLike, b: ArrayLike) -> Float64:
    """Cosine distances ``1 - cos(a, b)`` of embeddings, exact near 0.

    Computed as half the squared Euclidean distance of the unit vectors: 1 minus a rounded cosine
    would leave no digit below 1e-16 and break ties at random.

    Parameters
    ----------
    a, b : array_like of shape (nQ, D) and (N, D)
        Embeddings, one a row.

    Returns
    -------
    float64[nQ, N]
        In [0, 2]; NaN for an all-zero embedding, which has no direction. Equal embeddings, and
        those a power of two apart, have exactly equal distances and are exactly 0 from each other;
        any other pair of parallel embeddings is 0 up to the rounding of its unit vectors, about
        1e-31.

    Raises
    ------
    InputError
        If a side is not 2-D, empty or not finite, or the dimensions differ.

    Examples
    --------
    >>> cosine([[1.0, 0.0]], [[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]]).tolist()
    [[0.0, 1.0, 2.0, nan]]
    """
    x, y = _embeddings(a, b)
    distance = _squared_euclidean(unit_rows(x), unit_rows(y))
    distance *= 0.5
    np.minimum(distance, 2.0, out=distance)
    distance[~x.any(axis=1), :] = np.nan
    distance[:, ~y.any(axis=1)] = np.nan
    return distance


def unit_rows(x: Float64) -> Float64:
    """Return rows scaled to length 1, all-zero rows left as they are.

    Each row is first scaled by a power of two, which is exact, so that no square over- or
    underflows and rows that differ by a power of two end in the same bits.
    """
    _, exponent = np.frexp(np.abs(x).max(axis=1, keepdims=True))
    scaled = np.ldexp(x, -exponent)
    # the kernel's lanes are the rows of its second side: there are many of them
    norm = np.sqrt(_squared_euclidean(np.zeros((1, x.shape[1])), scaled)).T
    unit: Float64 = np.divide(scaled, norm, out=scaled, where=norm > 0)
    return unit
