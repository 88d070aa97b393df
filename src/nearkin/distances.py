"""Distances of the audio space (DTW, SiMPle) and of the latent space (Euclidean, cosine).

Audio sequences are ``[frames, dimensions]`` (MFCCs: 24 dimensions), embeddings ``[clips, D]``; in
every matrix ``d[i, j]`` row = query, column = original. The measures are those of section 3.2 of
the paper (Kim, Urbano, Liem and Hanjalic 2019). All differences are taken directly, so a sequence
and itself are exactly 0 apart and near-identical ones keep their digits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError
from nearkin.registry import suggest

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
T = TypeVar("T")

MEASURES = ("dtw", "simple", "simple_reverse")
"""What :func:`pairwise_audio` computes; ``simple_reverse`` takes the windows of the original."""

WINDOW_FRAMES = 50
"""SiMPle's window in the paper: 50 frames, 1.14 s of clip at 22.05 kHz and hop 512."""

_LARGEST_AUDIO = 1e15  # squares and their sums stay far below float32's 3.4e38
_LARGEST_LATENT = 1e150  # squares and their sums stay below float64's 1.8e308
_ALIGNMENT = 64  # bytes; a vector of 16 floats then never straddles two cache lines


# --- the tables ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance and the properties it claims; the contract tests hold each row to its claims.

    Parameters
    ----------
    name : str
        The name in the tables and in the results.
    title : str
        The name in figures.
    space : {"audio", "latent"}
        What it compares: sequences of frames or embeddings.
    symmetric : bool
        Whether d(a, b) equals d(b, a).
    zero_on_self : bool
        Whether d(a, a) is exactly 0.
    minimum_frames : int
        Frames both sequences must have at least (0 in the latent space).
    function : callable
        Audio space: ``(a[La, D], b[Lb, D]) -> float``. Latent space:
        ``(a[nQ, D], b[N, D]) -> float64[nQ, N]``.

    Examples
    --------
    >>> from nearkin.registry import lookup
    >>> row = lookup(AUDIO_DISTANCES, "simple", kind="distance")
    >>> row.title, row.minimum_frames, row.symmetric
    ('SiMPle', 50, False)
    """

    name: str
    title: str
    space: Literal["audio", "latent"]
    symmetric: bool
    zero_on_self: bool
    minimum_frames: int
    function: Callable[..., Any]


AUDIO_DISTANCES: dict[str, str] = {
    "dtw": "nearkin.distances:DTW",
    "simple": "nearkin.distances:SIMPLE",
}
"""Audio-space distances: name -> ``"module:attribute"`` of a :class:`Distance`."""

LATENT_DISTANCES: dict[str, str] = {
    "euclidean": "nearkin.distances:EUCLIDEAN",
    "cosine": "nearkin.distances:COSINE",
}
"""Latent-space distances: name -> ``"module:attribute"`` of a :class:`Distance`."""

DISTANCES: dict[str, str] = AUDIO_DISTANCES | LATENT_DISTANCES
"""Both tables."""


# --- checks ----------------------------------------------------------------------------------


def _array(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name}: must be a rectangular array; {error}") from error


def _frames(sequence: ArrayLike, name: str, dtype: type[np.floating]) -> NDArray[Any]:
    """Return a finite, C-contiguous ``[frames, dimensions]`` array of `dtype`."""
    array = _array(sequence, name)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"{name} of shape {array.shape}: must be [frames, dimensions] with at least one of "
            "each; pass features such as nearkin.features.mfcc(y)"
        )
    return _bounded(array, name, dtype, _LARGEST_AUDIO)


def _bounded(
    array: NDArray[Any], name: str, dtype: type[np.floating], largest: float
) -> NDArray[Any]:
    """Return the array C-contiguous in `dtype`, or say which of its numbers cannot be used."""
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} of dtype {array.dtype}: must hold real numbers; convert it")
    # minimum and maximum carry NaN and inf, and make no temporary as large as the data
    low, high = float(array.min()), float(array.max())
    if not (-largest <= low and high <= largest):
        raise InputError(
            f"{name} with values from {low} to {high}: must be finite and at most {largest:g} in "
            "size; leave out failed clips or rescale"
        )
    return np.ascontiguousarray(array, dtype=dtype)


def _same_dimensions(a: int, b: int) -> None:
    if a != b:
        raise InputError(
            f"{a} and {b} dimensions: both sides must have the same number; "
            "use the same features for both"
        )


def _window(m: int, **lengths: int) -> int:
    """Return the window length, or say which sequence is shorter than it."""
    if isinstance(m, bool) or not isinstance(m, int | np.integer) or m < 1:
        raise InputError(f"m={m!r}: must be an integer of at least 1 frame; the paper uses 50")
    for name, length in lengths.items():
        if length < m:
            raise InputError(
                f"{name} of {length} frames: SiMPle needs at least m={m} frames on both sides; "
                "use longer clips, a smaller m or leave SiMPle out"
            )
    return int(m)


# --- kernels on first use --------------------------------------------------------------------


def _run(kernel: Callable[..., T], *arguments: Any) -> T:
    """Call a kernel; without numba's cache if that fails after the import (disk full, removed)."""
    try:
        return kernel(*arguments)
    except OSError:  # kernels do no I/O of their own
        from nearkin.kernels import without_cache

        result: T = without_cache(kernel)(*arguments)
        return result


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
    from nearkin import kernels

    x, y = _frames(a, "a", np.float64), _frames(b, "b", np.float64)
    _same_dimensions(x.shape[1], y.shape[1])
    return float(_run(kernels.dtw_of, _run(kernels.frame_distances, x, y)))


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
    from nearkin import kernels

    x, y = _frames(a, "a", np.float64), _frames(b, "b", np.float64)
    _same_dimensions(x.shape[1], y.shape[1])
    window = _window(m, a=len(x), b=len(y))
    return float(_run(kernels.simple_of, _run(kernels.frame_distances, x, y), window)[0])


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
        from nearkin.kernels import DIMENSION_STEP, LANES

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
                packed[place // LANES, :, : self._dimensions, place % LANES] = _frames(
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
    window = _window(m)
    if wanted != ("dtw",):
        shortest = int(originals.lengths.argmin())
        _window(m, **{f"original {shortest}": int(originals.lengths[shortest])})
    return wanted, window


def _query(
    query: ArrayLike, i: int, originals: PackedOriginals, wanted: tuple[str, ...], m: int
) -> Float32:
    frames = _frames(query, f"query {i}", np.float32)
    _same_dimensions(frames.shape[1], originals.dimensions)
    if wanted != ("dtw",):
        _window(m, **{f"query {i}": len(frames)})
    return frames


def _rows(
    query: Float32, originals: PackedOriginals, wanted: tuple[str, ...], m: int
) -> dict[str, Float32]:
    """Distances of one checked query to every original."""
    from nearkin import kernels

    rows = {name: np.empty(len(originals), dtype=np.float32) for name in wanted}
    for places, packed in originals._groups:
        # the kernel works on four rows at a time and on the padded dimensions
        step = kernels.ROW_STEP
        a = np.zeros((-(-len(query) // step) * step, packed.shape[2]), dtype=np.float32)
        a[: len(query), : query.shape[1]] = query
        size = packed.shape[0] * packed.shape[3]
        out = [np.empty(size if name in wanted else 0, dtype=np.float32) for name in MEASURES]
        _run(kernels.query_audio, a, len(query), packed, m, *out)
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


# --- latent space ----------------------------------------------------------------------------


def _embeddings(a: ArrayLike, b: ArrayLike) -> tuple[Float64, Float64]:
    """Return two finite float64 matrices with equally many columns."""
    checked = []
    for values, name in ((a, "a"), (b, "b")):
        array = _array(values, name)
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"{name} of shape {array.shape}: must be [clips, dimensions] with at least one of "
                "each; pass one embedding a row"
            )
        checked.append(_bounded(array, name, np.float64, _LARGEST_LATENT))
    _same_dimensions(checked[0].shape[1], checked[1].shape[1])
    return checked[0], checked[1]


def _squared_euclidean(a: Float64, b: Float64) -> Float64:
    from nearkin import kernels

    out = np.empty((len(a), len(b)))
    _run(kernels.squared_euclidean, a, b, out)
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
    distance = _squared_euclidean(_unit(x), _unit(y))
    distance *= 0.5
    np.minimum(distance, 2.0, out=distance)
    distance[~x.any(axis=1), :] = np.nan
    distance[:, ~y.any(axis=1)] = np.nan
    return distance


def _unit(x: Float64) -> Float64:
    """Rows scaled to length 1, all-zero rows left as they are.

    Each row is first scaled by a power of two, which is exact, so that no square over- or
    underflows and rows that differ by a power of two end in the same bits.
    """
    _, exponent = np.frexp(np.abs(x).max(axis=1, keepdims=True))
    scaled = np.ldexp(x, -exponent)
    norm = np.sqrt(_squared_euclidean(scaled, np.zeros((1, x.shape[1]))))
    unit: Float64 = np.divide(scaled, norm, out=scaled, where=norm > 0)
    return unit


DTW = Distance(
    name="dtw",
    title="DTW",
    space="audio",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=1,
    function=dtw,
)
SIMPLE = Distance(
    name="simple",
    title="SiMPle",
    space="audio",
    symmetric=False,
    zero_on_self=True,
    minimum_frames=WINDOW_FRAMES,
    function=simple,
)
EUCLIDEAN = Distance(
    name="euclidean",
    title="Euclidean",
    space="latent",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=0,
    function=euclidean,
)
COSINE = Distance(
    name="cosine",
    title="cosine",
    space="latent",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=0,
    function=cosine,
)
