"""All numba loops of nearkin: exact DTW, SiMPle and squared Euclidean distances.

Kernels compute and check nothing; :mod:`nearkin.distances` is their face. Conventions: sequences
are C-contiguous ``[frames, dimensions]``; the first one is the query; distances between frames are
direct differences ``sum((a - b)**2)``, never ``|a|^2 + |b|^2 - 2ab``, which in float32 loses all
digits of the small distances this package decides by. Originals lie packed as float32
``[groups, frames, dimensions, LANES]``: neighbouring lanes are neighbouring originals, so that one
vector instruction serves ``LANES`` of them and no sum is ever reordered.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

LANES = 16
"""Originals that lie side by side in one packed group."""

DIMENSION_STEP = 4
"""Packed dimensions are padded with zeros to a multiple of this."""

ROW_STEP = 4
"""Queries are padded with zero rows to a multiple of this."""

_BLOCK = 32  # latent kernel: accumulators of one row, 4 vectors of 8 doubles


def _cached(function: Callable) -> Callable:
    """Compile on first call without the GIL, cached on disk wherever a cache can be written."""
    try:
        compiled: Callable = njit(function, nogil=True, cache=True)
    except RuntimeError:
        # No cache folder is writable (read-only site-packages, no home): compile in every process.
        compiled = njit(function, nogil=True)
    return compiled


# --- one pair, float64 -----------------------------------------------------------------------


@_cached
def frame_distances(a, b):
    """Return the squared Euclidean distance of every frame of `a` to every frame of `b`, float64."""
    out = np.empty((a.shape[0], b.shape[0]))
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = 0.0
            for k in range(a.shape[1]):
                difference = np.float64(a[i, k]) - np.float64(b[j, k])
                total += difference * difference
            out[i, j] = total
    return out


@_cached
def dtw_of(squared):
    """Return the cost of the cheapest warping path through squared frame distances."""
    row = np.full(squared.shape[1], np.inf)
    for i in range(squared.shape[0]):
        diagonal = 0.0 if i == 0 else np.inf
        left = np.inf
        for j in range(squared.shape[1]):
            above = row[j]
            left = np.sqrt(squared[i, j]) + min(min(above, diagonal), left)
            diagonal = above
            row[j] = left
    return row[-1]


@_cached
def simple_of(squared, m):
    """Return SiMPle of both directions: medians over the windows of rows and of columns."""
    rows = squared.shape[0] - m + 1
    columns = squared.shape[1] - m + 1
    by_row = np.empty(rows)
    by_column = np.full(columns, np.inf)
    window = np.empty(columns)
    for s in range(rows):
        window[:] = 0.0
        for t in range(m):
            for j in range(columns):
                window[j] += squared[s + t, j + t]
        by_row[s] = window.min()
        for j in range(columns):
            by_column[j] = min(by_column[j], window[j])
    return np.median(by_row), np.median(by_column)


# --- one query against packed originals ------------------------------------------------------


@_cached
def plain_audio(query, frames, packed, m, dtw, simple, simple_reverse):
    """Fill the wanted rows, one pair after the other in float64: the path without explicit SIMD.

    `query` is float32 ``[at least frames, dimensions]``, of which the first `frames` rows count;
    `packed` is ``[groups, T, dimensions, LANES]``; each output is float32 ``[groups * LANES]``,
    or empty when it is not wanted.
    """
    a = query[:frames]
    for g in range(packed.shape[0]):
        for lane in range(packed.shape[3]):
            squared = frame_distances(a, np.ascontiguousarray(packed[g, :, :, lane]))
            o = g * packed.shape[3] + lane
            if dtw.size > 0:
                dtw[o] = dtw_of(squared)
            if simple.size > 0 or simple_reverse.size > 0:
                forward, backward = simple_of(squared, m)
                if simple.size > 0:
                    simple[o] = forward
                if simple_reverse.size > 0:
                    simple_reverse[o] = backward


# --- latent space ----------------------------------------------------------------------------


@_cached
def squared_euclidean(a, b, out):
    """Squared Euclidean distances of float64 rows ``[nQ, D]`` and ``[N, D]`` into ``[nQ, N]``.

    Each pair is summed over its dimensions from first to last, whatever block it falls in, so
    equal vectors have equal distances to the last bit.
    """
    dimensions = a.shape[1]
    columns = np.zeros((dimensions, _BLOCK))
    sums = np.empty(_BLOCK)
    for start in range(0, b.shape[0], _BLOCK):
        count = min(_BLOCK, b.shape[0] - start)
        for lane in range(count):
            for k in range(dimensions):
                columns[k, lane] = b[start + lane, k]
        for i in range(a.shape[0]):
            sums[:] = 0.0
            for k in range(dimensions):
                value = a[i, k]
                for lane in range(_BLOCK):
                    difference = value - columns[k, lane]
                    sums[lane] += difference * difference
            for lane in range(count):
                out[i, start + lane] = sums[lane]


query_audio = plain_audio
"""The kernel of this process: see :func:`plain_audio` for its arguments."""
