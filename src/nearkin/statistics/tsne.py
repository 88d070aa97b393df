"""t-SNE of a few hundred vectors: points of a plane that keep who lies near whom.

Van der Maaten and Hinton (2008), exact: all pairs are kept, no tree, no sampling. It starts from
the two first principal components, so that equal vectors give an equal map; the seed only moves
points apart that lie exactly on one another. Distances between far groups mean nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from nearkin.errors import InputError
from nearkin.seeds import stream

Floats = NDArray[np.float64]
AnyFloats = NDArray[np.floating]

PERPLEXITY = 30.0
EXAGGERATED = 250
"""Iterations at the beginning in which near points are drawn together twelve times as strongly."""
ITERATIONS = 600


def tsne(
    x: ArrayLike, *, perplexity: float = PERPLEXITY, seed: int = 0, iterations: int = ITERATIONS
) -> Floats:
    """Lay vectors out in a plane.

    Parameters
    ----------
    x : float[n, d]
        Finite vectors, 4 or more.
    perplexity : float
        How many neighbours each keeps, softly; at most ``(n - 1) / 3``, which it is lowered to.
    seed : int
        Of the jitter that parts equal vectors, a ten-thousandth of the start.
    iterations : int
        Steps of gradient descent, the `EXAGGERATED` included.

    Returns
    -------
    float64[n, 2]

    Raises
    ------
    InputError
        If the vectors are too few, not finite, or all the same.

    Examples
    --------
    >>> two = np.repeat([[0.0, 0, 0], [9, 9, 9]], 10, axis=0) + np.eye(20, 3)
    >>> y = tsne(two)
    >>> bool(np.linalg.norm(y[:10] - y[:10].mean(0)) < np.linalg.norm(y[:10] - y[10:]))
    True
    """
    vectors = np.asarray(x, np.float64)
    if vectors.ndim != 2 or len(vectors) < 4 or not np.isfinite(vectors).all():
        raise InputError(f"vectors {vectors.shape}: a map needs 4 or more, all finite")
    if not np.ptp(vectors, axis=0).any():
        raise InputError("all vectors are the same: there is no map of them")
    jitter = stream(seed, "tsne").standard_normal((len(vectors), 2))
    # half the digits do for a picture, in half the time
    near = affinities(vectors, min(perplexity, (len(vectors) - 1) / 3)).astype(np.float32)
    y: AnyFloats = (_start(vectors) + 1e-8 * jitter).astype(np.float32)
    step, gains = np.zeros_like(y), np.ones_like(y)
    rate = max(len(y) / 12 / 4, 50.0)
    for number in range(iterations):
        early = number < EXAGGERATED
        if number == EXAGGERATED:  # what was gathered in the other landscape would throw it off
            step, gains = np.zeros_like(y), np.ones_like(y)
        slope = gradient(near, y, exaggeration=12.0 if early else 1.0)
        onwards = step * slope < 0
        gains = np.maximum(np.where(onwards, gains + 0.2, 0.8 * gains), 0.01)
        step = (0.5 if early else 0.8) * step - rate * gains * slope
        y = y + step
        y -= y.mean(axis=0)
    return np.asarray(y, np.float64)


def affinities(vectors: Floats, perplexity: float) -> Floats:
    """Return how near vectors are, float64[n, n]: symmetric, of sum 1, its diagonal 0.

    Row by row the width of a Gaussian is sought whose entropy is that of `perplexity` neighbours.
    """
    squared = np.square(cdist(vectors, vectors))
    squared /= squared.mean()
    np.fill_diagonal(squared, np.inf)  # nobody is its own neighbour
    squared -= squared.min(axis=1, keepdims=True)
    low, high = np.full(len(vectors), -40.0), np.full(len(vectors), 40.0)
    rows = np.zeros_like(squared)
    for _ in range(50):  # the logarithm of the precision, by halves
        middle = (low + high) / 2
        with np.errstate(under="ignore"):
            weight = np.exp(-squared * np.exp(middle)[:, None])
        rows = weight / weight.sum(axis=1, keepdims=True)
        entropy = -(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.asarray((rows + rows.T) / (2 * len(vectors)))


def gradient(near: AnyFloats, y: AnyFloats, *, exaggeration: float = 1.0) -> AnyFloats:
    """Return the slope of the divergence that t-SNE lowers, float64[n, 2].

    Parameters
    ----------
    near : float64[n, n]
        Of `affinities`.
    y : float64[n, 2]
        Where the points lie.
    exaggeration : float
        By how much `near` is taken larger.
    """
    squared = np.square(y).sum(1)
    kernel = 1 / (1 + np.maximum(squared[:, None] + squared[None] - 2 * y @ y.T, 0))
    np.fill_diagonal(kernel, 0.0)
    pull = (exaggeration * near - kernel / kernel.sum()) * kernel
    return np.asarray(4 * (pull.sum(axis=1)[:, None] * y - pull @ y))


def divergence(near: Floats, y: Floats) -> float:
    """Return what t-SNE lowers: the Kullback-Leibler divergence of `near` from the map's own."""
    squared = np.square(y[:, None] - y[None]).sum(-1)
    kernel = 1 / (1 + squared)
    np.fill_diagonal(kernel, 0.0)
    there = kernel / kernel.sum()
    known = near > 0
    return float((near[known] * np.log(near[known] / there[known])).sum())


def _start(vectors: Floats) -> Floats:
    """Return the two first principal components, the first of spread 1e-4."""
    centred = vectors - vectors.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    turned = np.sign(right[:2, :][np.arange(min(2, len(right))), np.abs(right[:2]).argmax(axis=1)])
    found = np.zeros((len(vectors), 2))
    found[:, : len(turned)] = left[:, :2] * sizes[:2] * turned
    return np.asarray(found / found[:, 0].std() * 1e-4)
