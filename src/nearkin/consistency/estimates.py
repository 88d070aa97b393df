"""The measures with their 95 % intervals, from distance matrices alone: what a run's tables hold.

Conventions are those of `nearkin.consistency`. A clip is an original; queries of one original, and
originals of one group (a song, an artist), come together in the interval. Distances of embeddings
are made with `nearkin.distances.cosine` or ``euclidean``.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.consistency.between import Over, agreement, between_space_rho, rho_by_clip
from nearkin.consistency.matrices import validate
from nearkin.consistency.neighbours import neighbours
from nearkin.consistency.replicates import RankedSpace, own_rho_replicates, rho_replicates
from nearkin.errors import InputError
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import mean_replicates, percentile_interval, resamples
from nearkin.statistics.intervals import BOOTSTRAP, Limits, no_interval, share_limits

NO_CHANCE = float("nan")


class Estimate(NamedTuple):
    """A measure with its 95 % interval.

    Attributes
    ----------
    value : float
        NaN where it is undefined.
    ci_low, ci_high : float
        NaN where there is no interval.
    ci_method : str
        How the interval was made; why there is none, where there is none.
    n : int
        Queries it is made of.
    chance : float
        What a space that knows nothing would reach; NaN for a correlation.
    """

    value: float
    ci_low: float
    ci_high: float
    ci_method: str
    n: int
    chance: float


def within_space_estimate(
    d: ArrayLike,
    own: ArrayLike | None = None,
    *,
    failed: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Estimate:
    """`within_space`, C_W, with its exact binomial interval.

    Parameters
    ----------
    d, own, failed
        As for `within_space`.
    groups : array_like, shape [N], optional
        What every original belongs to; those of one group are no independent witnesses.

    Returns
    -------
    Estimate
        Clopper and Pearson's interval; Korn and Graubard's where queries come in groups.

    Raises
    ------
    InputError
        See `validate`; also if there is not one group an original.

    Examples
    --------
    >>> from nearkin.distances import cosine
    >>> originals = np.eye(8)
    >>> found = within_space_estimate(cosine(originals + 0.1, originals))
    >>> found.value, round(found.ci_low, 2), found.ci_high, found.n, found.ci_method
    (1.0, 0.63, 1.0, 8, 'clopper-pearson')
    """
    found = neighbours(d, own, failed=failed)
    right = np.where(found.valid, (~found.error).astype(np.float64), np.nan)
    matrix, clip = _clips(d, own)
    there = int((~np.isnan(matrix).all(axis=0)).sum())
    return _share(right, _clusters(clip, matrix.shape[1], groups), 1 / there if there else np.nan)


def between_space_accuracy_estimate(
    d_audio: ArrayLike,
    d_latent: ArrayLike,
    own: ArrayLike | None = None,
    *,
    failed: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Estimate:
    """`between_space_accuracy`, C_B_acc, with its interval and the agreement by chance.

    Parameters
    ----------
    d_audio, d_latent, own, failed
        As for `between_space_accuracy`.
    groups : array_like, shape [N], optional
        As for `within_space_estimate`.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        See `validate`; also if there is not one group an original.

    Examples
    --------
    >>> near, far = [[0.1, 1.0], [1.0, 0.2]], [[0.1, 1.0], [0.2, 1.0]]
    >>> between_space_accuracy_estimate(near, far).value
    0.5
    """
    validate(d_audio, d_latent, own=own)
    audio, latent = neighbours(d_audio, own), neighbours(d_latent, own, failed=failed)
    both = audio.valid & latent.valid
    agree = np.where(both, (audio.error == latent.error).astype(np.float64), np.nan)
    matrix, clip = _clips(d_latent, own)
    chance = agreement(audio, latent).chance
    return _share(agree, _clusters(clip, matrix.shape[1], groups), chance)


def between_space_rho_estimate(
    d_audio: ArrayLike,
    d_latent: ArrayLike,
    own: ArrayLike | None = None,
    *,
    over: Over = "pooled",
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """`between_space_rho`, C_B_rho, with its percentile bootstrap interval over clips.

    Parameters
    ----------
    d_audio, d_latent, own, over
        As for `between_space_rho`.
    groups : array_like, shape [N], optional
        As for `within_space_estimate`; those of one group are drawn together.
    n_resamples : int
        Of the clips.
    seed : int
        Equal seeds, equal intervals.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        See `validate`; also if there is not one group an original, or for an unknown `over`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> d = rng.random((12, 12))
    >>> found = between_space_rho_estimate(d, d + 0.1 * rng.random((12, 12)))
    >>> found.ci_low < found.value < found.ci_high
    True
    """
    if over not in get_args(Over):
        raise InputError(f"over={over!r}: must be one of {', '.join(get_args(Over))}; pass one")
    validate(d_audio, d_latent, own=own)
    value = between_space_rho(d_audio, d_latent, own, over=over)
    audio, clip = _clips(d_audio, own)
    latent, _ = _clips(d_latent, own)
    n_clips = audio.shape[1]
    whole = np.array_equal(clip, np.arange(n_clips))
    if not whole and over != "pooled":
        counted = len(clip)
        clusters: NDArray[np.intp] | None = _clusters(clip, n_clips, groups)
    else:
        counted, clusters = n_clips, _labels(n_clips, groups) if groups is not None else None
    rng = stream(seed, "bootstrap", counted)
    counts = resamples(counted, n_resamples=n_resamples, rng=rng, clusters=clusters)
    rows = np.arange(len(clip))
    valid = ~np.isnan(audio[rows, clip]) & ~np.isnan(latent[rows, clip])
    if over == "pooled":
        spread = rho_replicates(RankedSpace(audio, clip), RankedSpace(latent, clip), counts)
    elif over == "clips":
        spread = mean_replicates(rho_by_clip(audio, latent, clip), counts)
    else:
        spread = own_rho_replicates(audio[rows, clip], latent[rows, clip], counts)
    low, high, _ = percentile_interval(spread)
    limits = no_interval("undefined")
    if not np.isnan(value):
        limits = Limits(float(low), float(high), BOOTSTRAP)
        if np.isnan(low):
            limits = no_interval("undefined in too many resamples")
    return _estimate(value, limits, int(valid.sum()), NO_CHANCE)


def _share(by_query: NDArray[np.float64], clusters: NDArray[np.intp], chance: float) -> Estimate:
    there = ~np.isnan(by_query)
    if not there.any():
        return _estimate(float("nan"), no_interval("undefined"), 0, chance)
    limits = share_limits(by_query, clusters)
    return _estimate(float(by_query[there].mean()), limits, int(there.sum()), chance)


def _estimate(value: float, limits: Limits, n: int, chance: float) -> Estimate:
    method = limits.method or f"no interval: {limits.reason}"
    return Estimate(value, limits.low, limits.high, method, n, float(chance))


def _clips(d: ArrayLike, own: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return a checked matrix, and the column of each query's own original."""
    matrix = np.asarray(d, np.float64)
    clip = np.arange(len(matrix)) if own is None else np.asarray(own)
    return matrix, clip.astype(np.intp)


def _labels(n_clips: int, groups: ArrayLike | None) -> NDArray[np.intp]:
    """Number what the originals belong to."""
    if groups is None:
        return np.arange(n_clips)
    named = np.asarray(groups)
    if named.shape != (n_clips,):
        raise InputError(
            f"groups of shape {list(named.shape)} for {n_clips} originals: must be [{n_clips}]; "
            "pass one an original"
        )
    return np.asarray(np.unique(named, return_inverse=True)[1], np.intp)


def _clusters(clip: NDArray[np.intp], n_clips: int, groups: ArrayLike | None) -> NDArray[np.intp]:
    """Number the queries that come together: of one original, or of originals of one group."""
    return _labels(n_clips, groups)[clip]
