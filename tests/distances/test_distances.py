"""The face of the distances: truth from outside, exactness, properties, refusals."""

from __future__ import annotations

import doctest
import pickle
import subprocess
import sys

import numpy as np
import pytest
from dtaidistance import dtw_ndim
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from nearkin import distances
from nearkin.distances import (
    AUDIO_DISTANCES,
    DISTANCES,
    LATENT_DISTANCES,
    Distance,
    PackedOriginals,
    cosine,
    dtw,
    euclidean,
    iter_pairwise_audio,
    pairwise_audio,
    simple,
)
from nearkin.errors import InputError
from nearkin.registry import lookup
from support import naive

ALL = ("dtw", "simple", "simple_reverse")
seeds = st.integers(0, 2**32)


@pytest.fixture
def rng():
    return np.random.default_rng(20190904)


def clips(rng, *lengths, dimensions=24):
    """Sequences like MFCCs: slow random walks about a level of their own, size about 100."""
    found = []
    for length in lengths:
        x = rng.normal(size=(length, dimensions)) * 30
        for t in range(1, length):
            x[t] = 0.8 * x[t - 1] + 0.6 * x[t]
        found.append((x + rng.normal(size=dimensions) * 50).astype(np.float32))
    return found


def outside_dtw(a, b):
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return dtw_ndim.distance_fast(a, b, inner_dist="euclidean")


def outside_simple(a, b, m):
    """Brute force in float64 over scipy's frame distances, every window summed on its own."""
    squared = cdist(a.astype(np.float64), b.astype(np.float64), "sqeuclidean")
    rows, columns = len(a) - m + 1, len(b) - m + 1
    profile = [
        min(np.trace(squared[s : s + m, j : j + m]) for j in range(columns)) for s in range(rows)
    ]
    return float(np.median(profile))


# Contract: every row of the tables keeps its claims


def distance(name):
    found = lookup(DISTANCES, name, kind="distance")
    assert isinstance(found, Distance)
    return found


@pytest.mark.parametrize("name", DISTANCES)
def test_contract(name, rng):
    row = distance(name)
    assert row.name == name
    assert name in (AUDIO_DISTANCES if row.space == "audio" else LATENT_DISTANCES)
    if row.space == "audio":
        a, b = clips(rng, row.minimum_frames + 7, row.minimum_frames + 2)
        there, back, self = row.function(a, b), row.function(b, a), row.function(a, a)
        assert isinstance(there, float)
    else:
        a, b = rng.normal(size=(6, 9)), rng.normal(size=(4, 9))
        there, back = row.function(a, b), row.function(b, a).T
        self = row.function(a, a).diagonal()
        assert there.dtype == np.float64
        assert there.shape == (6, 4)
    assert np.all(np.isfinite(there))
    assert np.all(there > 0)
    assert np.array_equal(there, back) == row.symmetric
    assert np.all(self == 0) == row.zero_on_self


@pytest.mark.parametrize("name", AUDIO_DISTANCES)
def test_contract_minimum_frames(name, rng):
    row = distance(name)
    n = row.minimum_frames
    long, shortest = clips(rng, n + 5, n)
    assert np.isfinite(row.function(long, shortest))
    assert np.isfinite(row.function(shortest, long))
    for pair in ((long, shortest[1:]), (shortest[1:], long)):
        with pytest.raises(InputError, match=rf"\b{n - 1}\b"):
            row.function(*pair)


def test_contract_tables_are_strings():
    assert DISTANCES == AUDIO_DISTANCES | LATENT_DISTANCES
    assert all(isinstance(path, str) and ":" in path for path in DISTANCES.values())


# Audio space: truth


LENGTHS = (50, 51, 58, 64, 87, 99, 130, 173, 207, 300)


def test_against_dtaidistance_and_brute_force_at_mixed_lengths(rng):
    originals = clips(rng, *LENGTHS)
    queries = clips(rng, 50, 87, 131, 300)
    found = pairwise_audio(queries, originals, measures=ALL)
    for i, a in enumerate(queries):
        for j, b in enumerate(originals):
            expected = outside_dtw(a, b)
            assert found["dtw"][i, j] == pytest.approx(expected, rel=1e-6)
            assert dtw(a, b) == pytest.approx(expected, rel=1e-12)
            assert found["simple"][i, j] == pytest.approx(simple(a, b), rel=1e-6)
            assert found["simple_reverse"][i, j] == pytest.approx(simple(b, a), rel=1e-6)
    for a, b in (
        (queries[0], originals[4]),
        (queries[1], originals[4]),
        (queries[2], originals[1]),
    ):
        assert simple(a, b) == pytest.approx(outside_simple(a, b, 50), rel=1e-12)


@pytest.mark.parametrize("m", [1, 10, 49, 50, 87])
def test_simple_windows_against_brute_force(rng, m):
    a, b = clips(rng, 88, 87)
    assert simple(a, b, m=m) == pytest.approx(outside_simple(a, b, m), rel=1e-12)
    found = pairwise_audio([a], [b], measures=ALL, m=m)
    assert found["simple"][0, 0] == pytest.approx(outside_simple(a, b, m), rel=1e-6)
    assert found["simple_reverse"][0, 0] == pytest.approx(outside_simple(b, a, m), rel=1e-6)


def test_long_paths_do_not_gather_rounding(rng):
    queries, originals = clips(rng, 300, 300, 290), clips(rng, *[300] * 40)
    found = pairwise_audio(queries, originals, measures=("dtw",))["dtw"]
    expected = np.array([[outside_dtw(a, b) for b in originals] for a in queries])
    assert np.abs(found / expected - 1).max() < 5e-7


def test_identical_clips_are_exactly_zero_apart(rng):
    originals = clips(rng, 87, 87, 130, 50)
    found = pairwise_audio(originals, originals, measures=ALL)
    for matrix in found.values():
        assert matrix.diagonal().tolist() == [0.0] * 4
        assert (matrix[~np.eye(4, dtype=bool)] > 0).all()
    assert dtw(originals[0], originals[0]) == 0.0
    assert simple(originals[0], originals[0]) == 0.0


@pytest.mark.parametrize("noise", [1e-5, 1e-3])
def test_near_identical_clips_keep_their_digits(rng, noise):
    originals = clips(rng, *[87] * 20)
    queries = [(x + noise * 30 * rng.normal(size=x.shape)).astype(np.float32) for x in originals]
    found = pairwise_audio(queries, originals, measures=ALL)
    for i, (a, b) in enumerate(zip(queries, originals, strict=True)):
        assert found["dtw"][i, i] == pytest.approx(outside_dtw(a, b), rel=1e-6)
        assert found["simple"][i, i] == pytest.approx(outside_simple(a, b, 50), rel=1e-6)
        assert found["simple_reverse"][i, i] == pytest.approx(outside_simple(b, a, 50), rel=1e-6)


@pytest.mark.parametrize("dimensions", [1, 3, 4, 24, 25, 40])
def test_twin_any_number_of_dimensions(rng, dimensions):
    originals = clips(rng, *[9] * 2, dimensions=dimensions)
    (query,) = clips(rng, 11, dimensions=dimensions)
    found = pairwise_audio([query], originals, measures=ALL, m=4)
    for j, b in enumerate(originals):
        assert found["dtw"][0, j] == pytest.approx(naive.dtw(query, b), rel=1e-6)
        assert found["simple"][0, j] == pytest.approx(naive.simple(query, b, 4), rel=1e-6)
        assert found["simple_reverse"][0, j] == pytest.approx(naive.simple(b, query, 4), rel=1e-6)


def test_closed_forms():
    a, b = np.zeros((5, 4)), np.full((8, 4), 2.0)  # frames 4 apart: 8 steps at the least
    assert dtw(a, b) == 32.0
    assert simple(a, b, m=3) == 48.0
    ramp = np.arange(10.0)[:, None]
    assert dtw(ramp, np.repeat(ramp, 3, axis=0)) == 0.0  # warping absorbs a change of speed
    assert simple(ramp[2:7], ramp, m=4) == 0.0  # an excerpt is found wherever it lies
    # profile 0, 1, 4, 9: an even number of windows
    assert simple([[0.0], [1.0], [2.0], [3.0]], [[0.0]], m=1) == 2.5


# Audio space: properties


@given(seeds, st.integers(1, 30), st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_dtw_is_symmetric_and_zero_on_itself(seed, la, lb):
    a, b = clips(np.random.default_rng(seed), la, lb, dimensions=3)
    assert dtw(a, b) == dtw(b, a) >= 0
    assert dtw(a, a) == 0
    found = pairwise_audio([a, b], [a, b], measures=("dtw",))["dtw"]
    assert found.diagonal().tolist() == [0, 0]
    assert found[0, 1] == pytest.approx(found[1, 0], rel=1e-6)


@given(seeds, st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_dtw_is_at_most_the_straight_path(seed, length):
    a, b = clips(np.random.default_rng(seed), length, length, dimensions=3)
    straight = np.linalg.norm(a.astype(np.float64) - b, axis=1)
    assert straight.max() <= dtw(a, b) * (1 + 1e-12)
    assert dtw(a, b) <= straight.sum() * (1 + 1e-12)


@given(seeds, st.integers(1, 40))
@settings(deadline=None, max_examples=30)
def test_permuting_originals_permutes_the_result(seed, n):
    rng = np.random.default_rng(seed)
    originals = clips(rng, *rng.integers(10, 13, size=n), dimensions=5)
    (query,) = clips(rng, 14, dimensions=5)
    order = rng.permutation(n)
    straight = pairwise_audio([query], originals, measures=ALL, m=10)
    permuted = pairwise_audio([query], [originals[i] for i in order], measures=ALL, m=10)
    for name in ALL:
        np.testing.assert_array_equal(permuted[name], straight[name][:, order])


@given(seeds, st.integers(2, 8))
@settings(deadline=None, max_examples=30)
def test_scaling_by_two_scales_exactly(seed, m):
    rng = np.random.default_rng(seed)
    a, b = clips(rng, 12, 15, dimensions=5)
    one = pairwise_audio([a], [b], measures=ALL, m=m)
    two = pairwise_audio([2 * a], [2 * b], measures=ALL, m=m)
    assert two["dtw"] == 2 * one["dtw"]
    assert two["simple"] == 4 * one["simple"]
    assert two["simple_reverse"] == 4 * one["simple_reverse"]


def test_equal_originals_tie_exactly(rng):
    a, b, query = clips(rng, 60, 60, 70)
    originals = [a, *[b] * 20, a]  # in different lanes and groups
    for matrix in pairwise_audio([query], originals, measures=ALL).values():
        assert matrix[0, 0] == matrix[0, 21]
        assert len(set(matrix[0, 1:21].tolist())) == 1


def test_threads_change_no_byte(rng):
    originals = PackedOriginals(clips(rng, *[20, 21] * 9, dimensions=3))
    queries = clips(rng, *range(12, 31), dimensions=3)
    one = pairwise_audio(queries, originals, measures=ALL, m=12)
    for threads in (2, 5):
        more = pairwise_audio(queries, originals, measures=ALL, m=12, threads=threads)
        assert list(more) == list(ALL)
        assert all(more[name].tobytes() == one[name].tobytes() for name in ALL)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_come_one_query_at_a_time(rng, threads):
    originals = PackedOriginals(clips(rng, 12, 13, 12, dimensions=3))
    queries = clips(rng, *[14] * 30, dimensions=3)
    taken = []

    def source():
        for i, query in enumerate(queries):
            taken.append(i)
            yield query

    whole = pairwise_audio(queries, originals, m=12)
    rows = iter_pairwise_audio(source(), originals, m=12, threads=threads)
    first = next(rows)
    assert len(taken) <= 2 * threads + 1
    for i, row in enumerate([first, *rows]):
        assert list(row) == ["dtw", "simple"]
        for name, values in row.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, whole[name][i])
    assert taken == list(range(30))


def test_an_unread_stream_ends_quietly(rng):
    rows = iter_pairwise_audio(clips(rng, *[60] * 9), clips(rng, 60), threads=2)
    next(rows)
    rows.close()


def test_packed_originals_survive_pickling(rng):
    originals = PackedOriginals(clips(rng, 55, 60, 55))
    again = pickle.loads(pickle.dumps(originals))
    assert len(again) == 3
    assert again.lengths.tolist() == [55, 60, 55]
    assert again.dimensions == 24
    query = clips(rng, 57)
    expected = pairwise_audio(query, originals, measures=ALL)
    found = pairwise_audio(query, again, measures=ALL)
    assert all(np.array_equal(found[name], expected[name]) for name in ALL)
    for group in (*originals._groups, *again._groups):
        assert not group.packed.flags.writeable
        assert group.packed.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        again.lengths[0] = 1


def test_originals_from_a_memory_map(rng, tmp_path):
    stack = np.stack(clips(rng, *[52] * 18))
    np.save(tmp_path / "originals.npy", stack)
    mapped = np.load(tmp_path / "originals.npy", mmap_mode="r")
    found = pairwise_audio(mapped[:2], PackedOriginals(mapped))
    expected = pairwise_audio(list(stack[:2]), stack)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_inputs_stay_untouched_and_may_be_anything_array_like(rng):
    (a,) = clips(rng, 51)
    before = a.copy()
    fortran = np.asfortranarray(a.astype(np.float64))
    expected = pairwise_audio([a], [a + 1])
    found = pairwise_audio([fortran], [(a + 1).tolist()])
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    np.testing.assert_array_equal(a, before)


# Audio space: refusals


def test_refuse_clips_shorter_than_the_window(rng):
    long, short = clips(rng, 60, 49)
    with pytest.raises(InputError, match=r"query 1 of 49 frames: SiMPle needs at least m=50"):
        pairwise_audio([long, short], [long])
    with pytest.raises(InputError, match=r"original 1 of 49 frames"):
        pairwise_audio([long], [long, short], measures=("simple_reverse",))
    with pytest.raises(InputError, match=r"b of 49 frames"):
        simple(long, short)
    found = pairwise_audio([short], [long, short], measures=("dtw",))
    assert found["dtw"][0, 1] == 0
    assert found["dtw"][0, 0] == pytest.approx(dtw(short, long), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": "dtw"}, "must be a sequence of names"),
        ({"measures": ()}, "must be a sequence of names"),
        ({"measures": ("dwt",)}, "did you mean 'dtw'"),
        ({"m": 0}, "m=0: must be an integer of at least 1"),
        ({"m": 2.5}, r"m=2\.5"),
        ({"m": True}, "m=True"),
        ({"threads": 0}, "threads=0: must be an integer of at least 1"),
    ],
)
def test_refuse_options(options, message):
    clip = np.zeros((4, 2))
    for call in (pairwise_audio, iter_pairwise_audio):  # at once, not when the first row is read
        with pytest.raises(InputError, match=message):
            call([clip], [clip], **{"m": 2, **options})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\)"),
        (np.full((5, 2), np.nan), "must be finite"),
        (np.full((5, 2), np.inf), "must be finite"),
        (np.full((5, 2), 1e20), "rescale"),
        (np.full((5, 2), "x"), "must hold real numbers"),
        (np.full((5, 2), 1j), "must hold real numbers"),
        (np.zeros((5, 3)), "must have the same number|as deep as the first"),
    ],
)
def test_refuse_sequences(bad, message):
    good = np.zeros((5, 2))
    calls = [
        lambda: dtw(bad, good),
        lambda: dtw(good, bad),
        lambda: simple(good, bad, m=2),
        lambda: pairwise_audio([good, bad], [good], m=2),
        lambda: pairwise_audio([good], [good, bad], m=2),
    ]
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()


def test_refuse_no_originals_and_ragged_ones():
    with pytest.raises(InputError, match="no originals"):
        PackedOriginals([])
    with pytest.raises(InputError, match="rectangular"):
        dtw([[1.0], [2.0, 3.0]], [[1.0]])
    assert pairwise_audio([], np.zeros((3, 50, 2)))["dtw"].shape == (0, 3)


# Latent space


def test_latent_against_scipy(rng):
    a, b = rng.normal(size=(13, 100)), rng.normal(size=(70, 100))
    np.testing.assert_allclose(euclidean(a, b), cdist(a, b), rtol=1e-13)
    np.testing.assert_allclose(cosine(a, b), cdist(a, b, "cosine"), rtol=1e-13)


@given(seeds, st.integers(1, 20), st.sampled_from([1e-120, 1.0, 1e120]))
@settings(deadline=None, max_examples=50)
def test_latent_twin_in_rational_arithmetic(seed, dimensions, scale):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(2, dimensions)) * scale
    near = z[:1] * (1 + 1e-7 * rng.normal(size=dimensions))
    z = np.concatenate([z, near])
    found = euclidean(z, z)
    turned = cosine(z, z)
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(float(naive.euclidean(z[i], z[j])), rel=1e-13)
            truth = float(naive.cosine(z[i], z[j]))
            # An angle of a is known to a rounding error of the vectors: eps / a of itself.
            rel = 1e-7 + 8 * np.finfo(float).eps / np.sqrt(2 * truth + 1e-30)
            assert turned[i, j] == pytest.approx(truth, rel=rel, abs=1e-30)


@given(seeds, st.integers(1, 70), st.integers(1, 80))
@settings(deadline=None, max_examples=50)
def test_latent_ties_and_symmetry_are_exact(seed, n, dimensions):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, dimensions))
    twice = np.concatenate([z, z])
    for function in (euclidean, cosine):
        d = function(twice, twice)
        np.testing.assert_array_equal(d, d.T)
        np.testing.assert_array_equal(d[:n, :n], d[n:, n:])
        np.testing.assert_array_equal(d[:n, :n], d[:n, n:])
        assert (d.diagonal() == 0).all()
        order = rng.permutation(n)
        np.testing.assert_array_equal(function(z[order], z), function(z, z)[order])


def test_cosine_of_parallel_embeddings(rng):
    z, x = rng.normal(size=(1, 300)), rng.normal(size=(5, 300))
    assert cosine(z, np.concatenate([z, 2 * z, 2.0**-300 * z])).tolist() == [[0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(cosine(x, 2 * z), cosine(x, z))
    assert 0 <= cosine(z, 3 * z).item() < 1e-30
    np.testing.assert_allclose(cosine(x, 3 * z), cosine(x, z), rtol=1e-14)
    assert cosine(z, -z).item() == pytest.approx(2, rel=1e-15)
    assert cosine(x, -x).max() <= 2


def test_cosine_of_a_constant_encoder_is_all_ties(rng):
    z = np.repeat(rng.normal(size=(1, 128)), 40, axis=0)
    assert not cosine(z, z).any()
    assert not euclidean(z, z).any()


def test_cosine_of_silence_is_undefined():
    d = cosine([[0.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]])
    assert np.isnan(d).tolist() == [[True, True], [False, True]]
    assert d[1, 0] == 1
    assert euclidean([[0.0, 0.0]], [[0.0, 0.0]]).item() == 0


def test_latent_takes_single_precision_and_integers(rng):
    z = rng.normal(size=(4, 7)).astype(np.float32)
    np.testing.assert_array_equal(euclidean(z, z), euclidean(z.astype(np.float64), z.tolist()))
    assert euclidean([[0, 0]], [[3, 4]]).item() == 5


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.zeros((2, 4)), "4 and 3 dimensions|3 and 4 dimensions"),
        (np.full((2, 3), np.nan), "must be finite"),
        (np.full((2, 3), 1e200), "rescale"),
        ([[1.0], [2.0, 3.0]], "rectangular"),
        (np.full((2, 3), "x"), "must hold real numbers"),
    ],
)
@pytest.mark.parametrize("function", [euclidean, cosine])
def test_refuse_embeddings(function, bad, message):
    good = np.zeros((2, 3))
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(InputError, match=message):
            function(*pair)


def test_examples_run():
    rooms = (distances.audio, distances.checks, distances.latent, distances.table)
    found = [doctest.testmod(room) for room in rooms]
    assert sum(one.attempted for one in found) > 9
    assert sum(one.failed for one in found) == 0


def test_the_import_is_cheap():
    code = "import sys, nearkin.distances; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(distances.MEASURES) == set(ALL)
