"""Between two spaces: C_B_rho, C_B_acc, agreement by chance and Cohen's kappa.

Paper, section 3.1.2; conventions as in `nearkin.consistency`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from nearkin.consistency.matrices import Floats, both, mean, others_of, validate
from nearkin.consistency.neighbours import Neighbours, neighbours
from nearkin.consistency.ranks import spearman
from nearkin.errors import InputError

Over = Literal["pooled", "clips", "own"]


class Agreement(NamedTuple):
    """How far two spaces make the same errors.

    Attributes
    ----------
    accuracy : float
        Share of queries on which both are right or both are wrong, in [0, 1].
    chance : float
        The agreement expected of independent errors, in [0, 1].
    kappa : float
        Cohen's kappa, in [-1, 1]; NaN where chance agreement is certain.
    n : int
        Queries valid in both spaces.
    """

    accuracy: float
    chance: float
    kappa: float
    n: int


def between_space_rho(
    d_audio: ArrayLike,
    d_latent: ArrayLike,
    own: ArrayLike | None = None,
    *,
    over: Over = "pooled",
) -> float:
    """Between-space consistency C_B_rho: Spearman correlation of the distances in two spaces.

    Parameters
    ----------
    d_audio, d_latent : array_like, shape [n, N]
        Distances from the same queries to the same originals, in two spaces.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    over : {"pooled", "clips", "own"}
        What is correlated: all pairs of a query and an other, in one; the same query by query,
        then the mean over the queries where it is defined; or the distances to the own originals
        (the prose of the paper's section 3.1.2, where its equation leaves the own original out).

    Returns
    -------
    float
        In [-1, 1], ties get average ranks; NaN where undefined (all distances equal in a space).

    Raises
    ------
    InputError
        See `validate`; also for an unknown `over`.

    Examples
    --------
    >>> between_space_rho([[0, 1, 2], [3, 0, 4], [5, 6, 0]], [[0, 1, 3], [4, 0, 5], [7, 9, 0]])
    1.0
    """
    if over not in get_args(Over):
        raise InputError(f"over={over!r}: must be one of {', '.join(get_args(Over))}; pass one")
    if over == "clips":
        by_clip = rho_by_clip(d_audio, d_latent, own)
        return mean(by_clip[~np.isnan(by_clip)])
    audio, latent, rows, columns = both(d_audio, d_latent, own)
    if not rows.any():
        return float("nan")
    if over == "own":
        here = np.flatnonzero(rows)
        at = (here, audio.own[here])
        return float(spearman(audio.d[at], latent.d[at]))
    return float(
        spearman(
            others_of(audio, rows, columns).ravel(),
            others_of(latent, rows, columns).ravel(),
        )
    )


def rho_by_clip(d_audio: ArrayLike, d_latent: ArrayLike, own: ArrayLike | None = None) -> Floats:
    """Correlate query by query: the terms of ``between_space_rho(over="clips")``.

    Returns
    -------
    float64[n]
        In [-1, 1]; NaN where a query is not valid in both spaces or its distances are all equal.

    Examples
    --------
    >>> rho_by_clip([[0, 1, 2], [3, 0, 4], [5, 6, 0]], [[0, 1, 3], [5, 0, 4], [7, 7, 0]])
    array([ 1., -1., nan])
    """
    audio, latent, rows, columns = both(d_audio, d_latent, own)
    rho = np.full(len(rows), np.nan)
    if rows.any():
        rho[rows] = spearman(others_of(audio, rows, columns), others_of(latent, rows, columns))
    return rho


def between_space_accuracy(
    d_audio: ArrayLike,
    d_latent: ArrayLike,
    own: ArrayLike | None = None,
    *,
    failed: ArrayLike | None = None,
) -> float:
    """Between-space consistency C_B_acc: the share of queries with the same error in both spaces.

    It rises again where both spaces fail: read it beside `agreement`'s chance and kappa.

    Parameters
    ----------
    d_audio, d_latent : array_like, shape [n, N]
        Distances from the same queries to the same originals, in two spaces.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    failed : array_like of bool, shape [n], optional
        Queries that the encoder failed: errors in the latent space.

    Returns
    -------
    float
        In [0, 1]; NaN if no query is valid in both spaces.

    Raises
    ------
    InputError
        See `validate`.

    Examples
    --------
    >>> between_space_accuracy([[0.1, 1.0], [1.0, 0.2]], [[0.1, 1.0], [0.2, 1.0]])
    0.5
    """
    validate(d_audio, d_latent, own=own)
    return agreement(neighbours(d_audio, own), neighbours(d_latent, own, failed=failed)).accuracy


def agreement(audio: Neighbours, latent: Neighbours) -> Agreement:
    """Compare the errors of two spaces, over the queries valid in both.

    Examples
    --------
    >>> both = agreement(neighbours([[0, 1], [1, 0]]), neighbours([[0, 1], [0, 1]]))
    >>> both.accuracy, both.chance, both.kappa
    (0.5, 0.5, 0.0)
    """
    if len(audio.error) != len(latent.error):
        raise InputError(
            f"{len(audio.error)} and {len(latent.error)} queries: must be the same queries; "
            "compute both on the same clips"
        )
    valid = audio.valid & latent.valid
    a, b = ~audio.error[valid], ~latent.error[valid]
    accuracy = mean(a == b)
    chance = float(agreement_by_chance(mean(a), mean(b)))
    return Agreement(accuracy, chance, float(kappa(accuracy, chance)), int(valid.sum()))


def agreement_by_chance(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the agreement of two spaces that are right independently, a and b of the time.

    Examples
    --------
    >>> float(agreement_by_chance(0.5, 0.75))
    0.5
    """
    right_a, right_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.asarray(right_a * right_b + (1 - right_a) * (1 - right_b))


def kappa(accuracy: ArrayLike, chance: ArrayLike) -> Floats:
    """Cohen's kappa: the agreement beyond chance over what was left to reach; NaN at chance 1.

    Examples
    --------
    >>> float(kappa(0.75, 0.5))
    0.5
    """
    seen, expected = np.asarray(accuracy, np.float64), np.asarray(chance, np.float64)
    left = 1 - expected
    return np.where(left > 0, (seen - expected) / np.where(left > 0, left, 1), np.nan)
