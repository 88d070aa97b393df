"""All numba loops of nearkin: exact DTW, SiMPle, squared Euclidean distances, near neighbours.

Kernels compute and check nothing; :mod:`nearkin.distances` is their face. Conventions: sequences
are C-contiguous ``[frames, dimensions]``; the first one is the query; distances between frames are
direct differences ``sum((a - b)**2)``, never ``|a|^2 + |b|^2 - 2ab``, which in float32 loses all
digits of the small distances this package decides by. Originals lie packed as float32
``[groups, frames, dimensions, LANES]``: neighbouring lanes are neighbouring originals, so that one
vector instruction serves ``LANES`` of them and no sum is ever reordered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import config, njit

from nearkin.distances import simd

LANES = simd.WIDTH
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


@cache
def without_cache(kernel: Any) -> Callable:
    """Return a kernel compiled anew for this process alone."""
    compiled: Callable = njit(kernel.py_func, nogil=True)
    return compiled


# --- one pair, float64 -----------------------------------------------------------------------


@_cached
def frame_distances(a, b):
    """Return the squared Euclidean distance of each frame of `a` to each of `b`."""
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


# --- one query against packed originals, explicit vectors -------------------------------------


@njit(nogil=True)
def _strip(query, i, group, columns, depth, row, shift, ring, slots):
    """Compare four query frames with every frame of 16 originals and move the DTW on by four rows.

    Parameters
    ----------
    query, i, depth
        Flat query; its frames ``i`` to ``i + 3`` count; its dimensions.
    group, columns
        Flat packed group; its frames.
    row : float32[columns * LANES]
        Path costs of the row above, left as those of the lowest row here.
    shift : float32[LANES]
        What to take off `row` first: its minimum; left as the new minimum.
    ring, slots
        Flat squared frame distances ``[slots, columns, LANES]``; query frame i has slot i % slots.

    Returns
    -------
    None
        The last LANES of the four rows' path costs are in ``row[columns * LANES:]``.
    """
    infinity = simd.fill(np.float32(np.inf))
    zero = simd.fill(np.float32(0.0))
    taken = simd.load(shift, 0)
    lowest = infinity
    diagonal = zero if i == 0 else infinity
    left0 = left1 = left2 = left3 = infinity
    a0 = i * depth
    a1 = a0 + depth
    a2 = a1 + depth
    a3 = a2 + depth
    width = columns * LANES
    ring0 = (i % slots) * width
    ring1 = ((i + 1) % slots) * width
    ring2 = ((i + 2) % slots) * width
    ring3 = ((i + 3) % slots) * width
    b = 0
    for j in range(0, width, LANES):
        sum0 = sum1 = sum2 = sum3 = zero
        # frame - spread, not the reverse: only the second operand of a subtraction can be a number
        # repeated straight from memory, which spares AVX-512 machines 30 % of the time.
        for k in range(0, depth, DIMENSION_STEP):
            for u in range(DIMENSION_STEP):
                frame = simd.load(group, b)
                b += LANES
                d0 = simd.subtract(frame, simd.spread(query, a0 + k + u))
                sum0 = simd.multiply_add(d0, d0, sum0)
                d1 = simd.subtract(frame, simd.spread(query, a1 + k + u))
                sum1 = simd.multiply_add(d1, d1, sum1)
                d2 = simd.subtract(frame, simd.spread(query, a2 + k + u))
                sum2 = simd.multiply_add(d2, d2, sum2)
                d3 = simd.subtract(frame, simd.spread(query, a3 + k + u))
                sum3 = simd.multiply_add(d3, d3, sum3)
        simd.store(ring, ring0 + j, sum0)
        simd.store(ring, ring1 + j, sum1)
        simd.store(ring, ring2 + j, sum2)
        simd.store(ring, ring3 + j, sum3)
        above = simd.subtract(simd.load(row, j), taken)
        cost0 = _cheapest(sum0, above, diagonal, left0)
        cost1 = _cheapest(sum1, cost0, left0, left1)
        cost2 = _cheapest(sum2, cost1, left1, left2)
        cost3 = _cheapest(sum3, cost2, left2, left3)
        diagonal = above
        left0, left1, left2, left3 = cost0, cost1, cost2, cost3
        lowest = simd.minimum(cost3, lowest)
        simd.store(row, j, cost3)
    simd.store(shift, 0, lowest)
    simd.store(row, width, left0)
    simd.store(row, width + LANES, left1)
    simd.store(row, width + 2 * LANES, left2)
    simd.store(row, width + 3 * LANES, left3)


@njit(nogil=True)
def _cheapest(squared, above, diagonal, left):
    """Return the path costs up to a cell, from those of its three neighbours."""
    best = simd.minimum(simd.minimum(above, diagonal), left)
    return simd.add(simd.square_root(squared), best)


@njit(nogil=True)
def _close_block(first, frames, columns, m, ring, slots, by_row, by_column):
    """Sum a full block of m query frames along its diagonals, from every cell to the block's end.

    In place, from the last row up; the first row then holds the windows that start there.
    """
    width = columns * LANES
    windows = columns - m + 1
    last_start = min(m - 1, frames - m - first)  # later rows start no window of their own
    for r in range(m - 2, -1, -1):
        here = ((first + r) % slots) * width
        below = ((first + r + 1) % slots) * width + LANES
        low = max(0, r - last_start) * LANES
        high = (windows + r) * LANES
        for c in range(low, high, LANES):
            total = simd.add(simd.load(ring, here + c), simd.load(ring, below + c))
            simd.store(ring, here + c, total)
    _take_windows(ring, (first % slots) * width, ring, -1, windows, by_row, first, by_column)


@njit(nogil=True)
def _open_block(i, frames, columns, m, ring, slots, prefix, by_row, by_column):
    """Add query frame i to the sums from its block's first row, and finish the window it ends.

    `prefix` is indexed by the column a diagonal has in the block's first row. A window that starts
    in the block before is the rest of that block (:func:`_close_block`) plus such a sum: only
    additions, so small distances keep their digits.
    """
    width = columns * LANES
    offset = i % m
    ends = min(m - 2, frames - 1 - (i - offset))  # last row of the block that ends such a window
    if offset > ends:
        return
    here = ((i % slots) * width) + offset * LANES
    low = (m - 1 - ends) * LANES
    high = (columns - offset) * LANES
    if offset == 0:
        for c in range(low, high, LANES):
            simd.store(prefix, c, simd.load(ring, here + c))
    else:
        for c in range(low, high, LANES):
            total = simd.add(simd.load(ring, here + c), simd.load(prefix, c))
            simd.store(prefix, c, total)
    start = i - m + 1
    _take_windows(
        ring,
        (start % slots) * width,
        prefix,
        (m - 1 - offset) * LANES,
        columns - m + 1,
        by_row,
        start,
        by_column,
    )


@njit(nogil=True)
def _take_windows(head, h, tail, t, windows, by_row, start, by_column):
    """Keep the minima of ``head + tail`` (of `head` alone if t < 0) over a row of windows."""
    lowest = simd.fill(np.float32(np.inf))
    both = by_column.size > 0
    for j in range(0, windows * LANES, LANES):
        total = simd.load(head, h + j)
        if t >= 0:
            total = simd.add(total, simd.load(tail, t + j))
        lowest = simd.minimum(total, lowest)
        if both:
            simd.store(by_column, j, simd.minimum(total, simd.load(by_column, j)))
    simd.store(by_row, start * LANES, lowest)


@njit(nogil=True)
def _median(values, n, out, o):
    """Sort n vectors lane by lane (Batcher's odd-even merge sort) and write their medians."""
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(j, min(j + k, n - k)):
                    if i // (2 * p) == (i + k) // (2 * p):
                        x = simd.load(values, i * LANES)
                        y = simd.load(values, (i + k) * LANES)
                        simd.store(values, i * LANES, simd.minimum(x, y))
                        simd.store(values, (i + k) * LANES, simd.maximum(x, y))
            k //= 2
        p *= 2
    low = simd.load(values, (n - 1) // 2 * LANES)
    high = simd.load(values, n // 2 * LANES)
    half = simd.fill(np.float32(0.5))
    simd.store(out, o, simd.add(simd.multiply(low, half), simd.multiply(high, half)))


@_cached
def lanes_audio(query, frames, packed, m, dtw, simple, simple_reverse):
    """Fill the wanted rows, 16 originals at a time: :func:`plain_audio` with explicit vectors."""
    groups, columns, depth = packed.shape[:3]
    windowed = simple.size > 0 or simple_reverse.size > 0
    both = simple_reverse.size > 0
    width = columns * LANES
    flat = query.reshape(-1)
    # A window reaches back m rows, of which a strip overwrites none before they are read.
    slots = m + ROW_STEP if windowed else ROW_STEP
    ring = np.empty(slots * width, np.float32)
    row = np.empty(width + ROW_STEP * LANES, np.float32)
    shift = np.empty(LANES, np.float32)
    base = np.empty(LANES, np.float64)
    prefix = np.empty(width, np.float32)
    by_row = np.empty(max(frames - m + 1, 1) * LANES, np.float32)
    by_column = np.empty(max(columns - m + 1, 1) * LANES if both else 0, np.float32)
    for g in range(groups):
        group = packed[g].reshape(-1)
        row[:] = np.inf
        by_column[:] = np.inf
        shift[:] = 0.0
        base[:] = 0.0
        for i in range(0, frames, ROW_STEP):
            # Path costs are kept relative to the lowest of the row above: small numbers round
            # finely, where sums of hundreds of terms in float32 would lose more than 1e-6.
            for lane in range(LANES):
                base[lane] += shift[lane]
            _strip(flat, i, group, columns, depth, row, shift, ring, slots)
            if windowed:
                for q in range(i, min(i + ROW_STEP, frames)):
                    if q >= m:
                        _open_block(q, frames, columns, m, ring, slots, prefix, by_row, by_column)
                    if q % m == m - 1:
                        first = q - m + 1
                        _close_block(first, frames, columns, m, ring, slots, by_row, by_column)
        if dtw.size > 0:
            last = width + (frames - 1) % ROW_STEP * LANES
            for lane in range(LANES):
                dtw[g * LANES + lane] = base[lane] + row[last + lane]
        if simple.size > 0:
            _median(by_row, frames - m + 1, simple, g * LANES)
        if both:
            _median(by_column, columns - m + 1, simple_reverse, g * LANES)


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


@_cached
def judge_scores(
    scores,
    queries,
    rows,
    own,
    surely,
    perhaps,
    close,
    bound,
    half,
    start,
    count,
    nearest,
    least,
    best,
):
    """Count the rows at least as near as `own`, keep the nearest; float64 decides what is close.

    `scores` float32 ``[nQ, N]`` are the higher the nearer, each within ``bound[i]`` of the truth.
    Above ``surely[i]`` a row is nearer than ``own[i]``, below ``perhaps[i]`` it is not; in between
    the distance of `queries` and `rows` (float64; half the square if `half`, else its root) tells.
    Below ``close[i]`` none is nearest; ``best[i]`` is what the nearest one's score surely reaches.
    `count`, `nearest` (numbered from `start`), `least` and `best` are brought up to date.
    """
    for i in range(scores.shape[0]):
        above = 0
        there = 0
        first = 0
        for j in range(scores.shape[1]):
            above += scores[i, j] > surely[i]
            there += scores[i, j] >= perhaps[i]
            first += scores[i, j] >= close[i]
        count[i] += above
        if there == above and first == 0:
            continue
        for j in range(scores.shape[1]):
            score = scores[i, j]
            unsure = perhaps[i] <= score <= surely[i]
            leading = score >= close[i] and score + bound[i] >= best[i]
            if not unsure and not leading:
                continue
            total = 0.0
            for k in range(queries.shape[1]):
                difference = queries[i, k] - rows[j, k]
                total += difference * difference
            distance = min(0.5 * total, 2.0) if half else np.sqrt(total)
            if unsure and distance <= own[i]:
                count[i] += 1
            if leading:
                best[i] = max(best[i], score - bound[i])
                if distance < least[i]:  # of those that tie the first stays
                    least[i] = distance
                    nearest[i] = start + j


# Explicit vectors exist only in compiled code.
query_audio = plain_audio if config.DISABLE_JIT else lanes_audio
"""The kernel of this process: see :func:`plain_audio` for its arguments."""
