"""Distances of the audio space: exact DTW and SiMPle, of one pair and of many.

Sequences are ``[frames, dimensions]`` (MFCCs: 24 dimensions); in every matrix ``d[i, j]`` row =
query, column = original. Paper, section 3.2; SiMPle: Silva and others, ISMIR 2016.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.distances.checks import (
    as_frames,
    call_kernel,
    checked_window,
    require_same_dimensions,
)
from nearkin.errors import InputError
from nearkin.registry import suggest

Float32 = NDArray[np.float32]
T = TypeVar("T")

MEASURES = ("dtw", "simple", "simple_reverse")
"""What `pairwise_audio` computes; ``simple_reverse`` takes the windows of the original."""

WINDOW_FRAMES = 50
"""SiMPle's window in the paper: 50 frames, 1.14 s of clip at 22.05 kHz and hop 512."""

_ALIGNMENT = 64  # bytes; a vector of 16 floats then never straddles two cache lines


# --- one pair --------------------------------------------------------------------------------


def dtw(a: ArrayLike, b: ArrayLike) -> float:
    """Return the exact dynamic time warping distance of two sequences, in float64.

    Steps (1, 1), (1, 0), (0, 1), no window, local cost Euclidean; the sum of the local costs along
    the cheapest path, not normalised by its length. The paper (section 3.2) used FastDTW, an
    approximation of this distance.

    Parameters
    ----------
    a, b : array_like of shape (La, D) and (Lb, D)
        Frames of any lengths of at least 1.

    Returns
    -------
    float
        In [0, inf), in the unit of the features; d(a, a) is exactly 0 and d(a, b) equals d(b, a).

    Raises
    ------
    InputError
        If a sequence is not 2-D, empty or not finite, or the dimensions differ.

    Examples
    --------
    >>> dtw([[0.0], [1.0], [3.0]], [[0.0], [3.0]])
    1.0
    """
    from nearkin.distances import kernels

    x, y = as_frames(a, "a", np.float64), as_frames(b, "b", np.float64)
    require_same_dimensions(x.shape[1], y.shape[1])
    return float(call_kernel(kernels.dtw_of, call_kernel(kernels.frame_distances, x, y)))


def simple(a: ArrayLike, b: ArrayLike, *, m: int = WINDOW_FRAMES) -> float:
    """Return the SiMPle distance from `a` to `b`, in float64.

    For every length-`m` window of `a`, the smallest squared Euclidean distance, summed over the
    window's frames, to any length-`m` window of `b`; the distance is the median of that profile
    (the mean of the two middle values for an even number of windows). Source: Silva, Yeh, Batista
    and Keogh, "SiMPle: assessing music similarity using subsequences joins", ISMIR 2016.

    Parameters
    ----------
    a, b : array_like of shape (La, D) and (Lb, D)
        Frames, at least `m` of them; in nearkin `a` is the transformed clip.
    m : int
        Window in frames.

    Returns
    -------
    float
        In [0, inf), in squared units of the features; not symmetric, d(a, a) is exactly 0.

    Raises
    ------
    InputError
        If a sequence has fewer than `m` frames, is not 2-D, empty or not finite, or the
        dimensions differ.

    Examples
    --------
    >>> simple([[0.0], [1.0], [2.0]], [[0.0], [1.0], [0.0], [2.0]], m=2)
    0.5
    """
    from nearkin.distances import kernels

    x, y = as_frames(a, "a", np.float64), as_frames(b, "b", np.float64)
    require_same_dimensions(x.shape[1], y.shape[1])
    window = checked_window(m, a=len(x), b=len(y))
    return float(
        call_kernel(kernels.simple_of, call_kernel(kernels.frame_distances, x, y), window)[0]
    )


# --- many pairs ------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Originals of one length: their places in the list, and their packed frames."""

    places: NDArray[np.int64]  # [count]
    packed: Float32  # [ceil(count / LANES), frames, padded dimensions, LANES]


class PackedOriginals:
    """Original clips packed once for many queries; read-only, and cheap to pickle to workers.

    Originals of one length lie in groups of 16, side by side in the lanes of a vector. Use equal
    lengths where you can: a length that occurs once costs as much as one that occurs 16 times.

    Parameters
    ----------
    sequences : array of shape (N, T, D), or sequence of arrays of shape (T_i, D)
        The originals, N >= 1, any D >= 1; converted to float32. A memory-mapped array is read
        sixteen originals at a time.

    Raises
    ------
    InputError
        If there is no original, or one is empty, not finite or of other dimensions than the rest.

    Examples
    --------
    >>> originals = PackedOriginals(np.zeros((3, 87, 24), dtype=np.float32))
    >>> len(originals), originals.dimensions, originals.lengths.tolist()
    (3, 24, [87, 87, 87])
    """

    def __init__(self, sequences: NDArray[Any] | Sequence[ArrayLike]) -> None:
        from nearkin.distances.kernels import DIMENSION_STEP, LANES

        if len(sequences) == 0:
            raise InputError("no originals: at least one is needed; pass [N, T, D] or a list")
        shapes = [np.shape(sequence) for sequence in sequences]
        for i, shape in enumerate(shapes):
            if len(shape) != 2 or 0 in shape or shape[1] != shapes[0][-1]:
                raise InputError(
                    f"original {i} of shape {shape}: must be [frames, dimensions], not empty and "
                    f"as deep as the first, {shapes[0]}; use the same features for all"
                )
        self._dimensions = int(shapes[0][1])
        self._lengths = np.array([shape[0] for shape in shapes], dtype=np.int64)
        depth = -(-self._dimensions // DIMENSION_STEP) * DIMENSION_STEP
        groups = []
        for length in np.unique(self._lengths):
            places = np.flatnonzero(self._lengths == length)
            packed = _aligned((-(-len(places) // LANES), int(length), depth, LANES))
            for place in range(packed.shape[0] * LANES):
                # lanes left over repeat the last original: their results are thrown away
                i = int(places[min(place, len(places) - 1)])
                packed[place // LANES, :, : self._dimensions, place % LANES] = as_frames(
                    sequences[i], f"original {i}", np.float32
                )
            groups.append(_Group(places, packed))
        self._groups = tuple(groups)
        self._freeze()

    def _freeze(self) -> None:
        self._lengths.setflags(write=False)
        for group in self._groups:
            group.places.setflags(write=False)
            group.packed.setflags(write=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickle keeps neither the alignment nor the read-only flag, and numba compiles anew
        # for an array that may be written
        self.__dict__.update(state)
        self._groups = tuple(
            _Group(places, _aligned_copy(packed)) for places, packed in self._groups
        )
        self._freeze()

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[Float32]:
        """Yield the frames of every original, float32[T, D], in order."""
        from nearkin.distances.kernels import LANES

        where = {int(p): (g, k) for g in self._groups for k, p in enumerate(g.places)}
        for i in range(len(self)):
            group, k = where[i]
            yield group.packed[k // LANES, :, : self._dimensions, k % LANES].copy()

    @property
    def dimensions(self) -> int:
        """Dimensions of a frame."""
        return self._dimensions

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Frames of every original, ``[N]``, read-only."""
        return self._lengths


def _aligned(shape: tuple[int, ...]) -> Float32:
    """Zeros whose first element lies at the start of a cache line."""
    size = math.prod(shape)
    raw = np.zeros(size + _ALIGNMENT // 4, dtype=np.float32)
    start = (-raw.ctypes.data % _ALIGNMENT) // 4
    return raw[start : start + size].reshape(shape)


def _aligned_copy(array: Float32) -> Float32:
    copy = _aligned(array.shape)
    copy[...] = array
    return copy


def pairwise_audio(
    queries: Sequence[ArrayLike],
    originals: PackedOriginals | NDArray[Any] | Sequence[ArrayLike],
    *,
    measures: Sequence[str] = ("dtw", "simple"),
    m: int = WINDOW_FRAMES,
    threads: int = 1,
) -> dict[str, Float32]:
    """Audio-space distances of every query to every original.

    Both measures share the frame distances, so asking for both costs little more than one. Sums
    are in float32 and agree with :func:`dtw` and :func:`simple` to a relative 1e-6.

    Parameters
    ----------
    queries : sequence of array_like of shape (L_i, D)
        The transformed clips, of any lengths.
    originals : PackedOriginals, or what it takes
        Pack once when there are several calls.
    measures : sequence of {"dtw", "simple", "simple_reverse"}
        ``simple`` takes the windows of the query (the paper), ``simple_reverse`` those of the
        original.
    m : int
        SiMPle's window in frames.
    threads : int
        Threads over queries; the result is the same to the last byte for any number.

    Returns
    -------
    dict of str to float32[nQ, N]
        One matrix a measure, in the order asked for; equal originals have exactly equal columns.

    Raises
    ------
    InputError
        If a query or original is unusable, SiMPle is asked for and one is shorter than `m`
        frames, or a measure is unknown.

    Examples
    --------
    >>> clips = np.random.default_rng(0).normal(size=(3, 60, 24)).astype(np.float32)
    >>> d = pairwise_audio(clips, clips)
    >>> d["dtw"].shape, d["simple"].diagonal().tolist()
    ((3, 3), [0.0, 0.0, 0.0])
    """
    packed = _packed(originals)
    wanted, window = _options(packed, measures, m, threads)
    checked = [_query(query, i, packed, wanted, window) for i, query in enumerate(queries)]
    out = {name: np.empty((len(checked), len(packed)), dtype=np.float32) for name in wanted}
    rows = _map(lambda query: _rows(query, packed, wanted, window), checked, threads)
    for i, row in enumerate(rows):
        for name in wanted:
            out[name][i] = row[name]
    return out


def iter_pairwise_audio(
    queries: Iterable[ArrayLike],
    originals: PackedOriginals | NDArray[Any] | Sequence[ArrayLike],
    *,
    measures: Sequence[str] = ("dtw", "simple"),
    m: int = WINDOW_FRAMES,
    threads: int = 1,
) -> Iterator[dict[str, Float32]]:
    """Yield the rows of :func:`pairwise_audio` one query at a time, in order.

    Queries are taken from the iterable a few ahead of the rows, so neither they nor the results
    need to fit into memory. An unusable query raises when its turn comes.

    Parameters
    ----------
    queries, originals, measures, m, threads
        As in :func:`pairwise_audio`; `queries` may be any iterable.

    Yields
    ------
    dict of str to float32[N]
        Distances of one query to every original.

    Raises
    ------
    InputError
        As :func:`pairwise_audio`; for originals and options at once.

    Examples
    --------
    >>> clips = np.random.default_rng(0).normal(size=(3, 60, 24)).astype(np.float32)
    >>> [int(row["dtw"].argmin()) for row in iter_pairwise_audio(clips, clips)]
    [0, 1, 2]
    """
    packed = _packed(originals)
    wanted, window = _options(packed, measures, m, threads)
    checked = (_query(query, i, packed, wanted, window) for i, query in enumerate(queries))
    return _map(lambda query: _rows(query, packed, wanted, window), checked, threads)


def _packed(originals: PackedOriginals | NDArray[Any] | Sequence[ArrayLike]) -> PackedOriginals:
    return originals if isinstance(originals, PackedOriginals) else PackedOriginals(originals)


def _options(
    originals: PackedOriginals, measures: Sequence[str], m: int, threads: int
) -> tuple[tuple[str, ...], int]:
    """Return the measures without repeats and the window, both checked."""
    if isinstance(measures, str) or len(measures) == 0:
        raise InputError(
            f"measures={measures!r}: must be a sequence of names; pass a tuple such as ('dtw',)"
        )
    for name in measures:
        if name not in MEASURES:
            raise InputError(f"unknown measure {name!r}: {suggest(str(name), MEASURES)}")
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads={threads!r}: must be an integer of at least 1; pass threads=1")
    wanted = tuple(dict.fromkeys(measures))
    window = checked_window(m)
    if wanted != ("dtw",):
        shortest = int(originals.lengths.argmin())
        checked_window(m, **{f"original {shortest}": int(originals.lengths[shortest])})
    return wanted, window


def _query(
    query: ArrayLike, i: int, originals: PackedOriginals, wanted: tuple[str, ...], m: int
) -> Float32:
    frames = as_frames(query, f"query {i}", np.float32)
    require_same_dimensions(frames.shape[1], originals.dimensions)
    if wanted != ("dtw",):
        checked_window(m, **{f"query {i}": len(frames)})
    return frames


def _rows(
    query: Float32, originals: PackedOriginals, wanted: tuple[str, ...], m: int
) -> dict[str, Float32]:
    """Distances of one checked query to every original."""
    from nearkin.distances import kernels

    rows = {name: np.empty(len(originals), dtype=np.float32) for name in wanted}
    for places, packed in originals._groups:
        # the kernel works on four rows at a time and on the padded dimensions
        step = kernels.ROW_STEP
        a = np.zeros((-(-len(query) // step) * step, packed.shape[2]), dtype=np.float32)
        a[: len(query), : query.shape[1]] = query
        size = packed.shape[0] * packed.shape[3]
        out = [np.empty(size if name in wanted else 0, dtype=np.float32) for name in MEASURES]
        call_kernel(kernels.query_audio, a, len(query), packed, m, *out)
        for name, values in zip(MEASURES, out, strict=True):
            if name in wanted:
                rows[name][places] = values[: len(places)]
    return rows


def _map(function: Callable[[Float32], T], items: Iterable[Float32], threads: int) -> Iterator[T]:
    """Map in order, a bounded number of items ahead."""
    if threads == 1:
        yield from map(function, items)
        return
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
