from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import cohen_kappa_score

from nearkin.consistency import (
    agreement,
    agreement_by_chance,
    between_space_accuracy,
    between_space_rho,
    centred_ranks,
    kappa,
    monotonicity,
    neighbours,
    rho_by_clip,
    spearman,
    validate,
    within_space,
    within_space_at,
    within_space_at_by_clip,
)
from nearkin.errors import InputError
from support import naive_consistency as naive


@st.composite
def matrices(draw, count=1, smallest=2):
    """Square distance matrices of one size; few distinct values, so that ties are common."""
    n = draw(st.integers(smallest, 7))
    levels = draw(st.sampled_from([2, 5, 1000]))
    shape = st.integers(0, levels)
    found = [draw(arrays(np.float64, (n, n), elements=shape.map(float))) for _ in range(count)]
    return found[0] if count == 1 else found


def off_diagonal(d):
    return d[~np.eye(len(d), dtype=bool)]


def random_pair(seed, n=40, levels=None):
    rng = np.random.default_rng(seed)
    a = rng.random((n, n))
    b = a + rng.random((n, n))
    if levels is not None:
        a, b = np.round(a * levels), np.round(b * levels)
    return a, b


# Neighbours and C_W


@settings(deadline=None)
@given(matrices())
def test_neighbours_follow_the_equations(d):
    found = neighbours(d)
    n = len(d)
    assert found.error.tolist() == [bool(naive.delta(d, i)) for i in range(n)]
    assert found.rank.tolist() == [naive.rank(d, i) for i in range(n)]
    assert found.nearest.tolist() == [naive.nearest(d, i) for i in range(n)]
    assert found.d_own.tolist() == np.diag(d).tolist()
    assert found.d_nearest.tolist() == [d[i][naive.nearest(d, i)] for i in range(n)]
    assert np.array_equal(found.margin, found.d_nearest - found.d_own)
    assert within_space(d) == pytest.approx(naive.within_space(d), abs=1e-15)
    assert found.n_clips == n


@settings(deadline=None)
@given(matrices())
def test_an_error_is_a_rank_above_1_and_a_margin_that_is_not_positive(d):
    found = neighbours(d)
    assert np.array_equal(found.error, found.rank > 1)
    assert np.array_equal(found.error, found.margin <= 0)


def test_a_tie_is_an_error():
    found = neighbours([[0.2, 0.2], [1.0, 0.1]])
    assert found.error.tolist() == [True, False]
    assert found.rank.tolist() == [2, 1]


def test_dtypes_are_the_documented_ones_and_the_input_is_untouched():
    d = np.array([[0.1, 1.0], [1.0, 0.2]], np.float32)
    before = d.copy()
    found = neighbours(d)
    kinds = [value.dtype for value in found[:-1]]
    assert kinds == [bool, np.int64, np.float64, np.float64, np.float64, np.int64, bool]
    assert np.array_equal(d, before)


def test_own_says_which_column_is_the_querys_original():
    d = np.array([[5.0, 1.0, 9.0], [0.5, 2.0, 3.0], [1.0, 2.0, 3.0], [9.0, 9.0, 1.0]])
    found = neighbours(d, own=[1, 0, 2, 2])
    assert found.rank.tolist() == [1, 1, 3, 1]
    assert found.nearest.tolist() == [0, 1, 0, 0]
    assert within_space(d, own=[1, 0, 2, 2]) == 0.75


@settings(deadline=None)
@given(matrices(), st.integers(0, 2**32 - 1))
def test_the_order_of_clips_changes_nothing(d, seed):
    order = np.random.default_rng(seed).permutation(len(d))
    found, shuffled = neighbours(d), neighbours(d[np.ix_(order, order)])
    assert np.array_equal(found.rank[order], shuffled.rank)
    assert within_space(d) == pytest.approx(within_space(d[np.ix_(order, order)]), abs=1e-15)


@settings(deadline=None)
@given(matrices(2))
def test_monotone_rescaling_changes_nothing(pair):
    a, b = pair
    scaled = np.exp(a / 100) - 7
    assert np.array_equal(neighbours(a).rank, neighbours(scaled).rank)
    assert between_space_accuracy(a, b) == between_space_accuracy(scaled, b)
    for over in ("pooled", "clips", "own"):
        before = between_space_rho(a, b, over=over)
        after = between_space_rho(scaled, b, over=over)
        assert before == after or (np.isnan(before) and np.isnan(after))


def test_a_perfect_encoder_scores_1_and_a_constant_one_0():
    audio, _ = random_pair(0)
    audio[np.diag_indices(len(audio))] -= 0.9
    perfect = 1.0 - np.eye(40)
    constant = np.zeros((40, 40))
    assert within_space(perfect) == 1.0
    assert within_space(constant) == 0.0
    for over in ("pooled", "clips", "own"):
        assert np.isnan(between_space_rho(audio, constant, over=over))
        assert between_space_rho(audio, audio, over=over) == 1.0
        assert between_space_rho(audio, -audio, over=over) == -1.0
    assert 0 < within_space(audio) < 1
    assert between_space_accuracy(audio, constant) == pytest.approx(1 - within_space(audio))


def test_random_distances_score_at_the_level_of_chance():
    d = np.random.default_rng(1).random((2000, 10))
    own = np.arange(2000) % 10
    assert within_space(d, own) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 2000))


# C_W@n


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [2, 6, 10**6])
def test_smaller_collections_agree_with_every_collection_enumerated(seed, levels):
    d = np.random.default_rng(seed).integers(0, levels, (8, 8)).astype(float)
    d[np.diag_indices(8)] //= 3
    rank = neighbours(d).rank
    for n in range(2, 9):
        expected = float(naive.within_space_in_every_collection(d, n))
        assert within_space_at(rank, n=n, n_clips=8) == pytest.approx(expected, abs=1e-14)


def test_the_whole_collection_gives_c_w_itself():
    d, _ = random_pair(2)
    found = neighbours(d)
    assert within_space_at(found.rank, n=40, n_clips=40) == within_space(d)


@pytest.mark.parametrize("n", [2, 10, 999, 1000])
def test_uniform_ranks_give_chance_in_a_collection_of_any_size(n):
    # Hockey stick: the sum of binom(N - r, n - 1) over r is binom(N, n) = N/n binom(N - 1, n - 1).
    ranks = np.arange(1, 1001)
    assert within_space_at(ranks, n=n, n_clips=1000) == pytest.approx(1 / n, rel=1e-12)


def test_smaller_collections_are_stable_where_binomials_overflow():
    # Rank 2 of N: right unless the one other is drawn, 1 - (n - 1)/(N - 1).
    value = within_space_at([2], n=500_001, n_clips=1_000_001)
    assert value == pytest.approx(0.5, rel=1e-12)
    assert within_space_at([3], n=10, n_clips=1_000_001) == pytest.approx(
        (999_991 * 999_990) / (1_000_000 * 999_999), rel=1e-12
    )


def test_failed_queries_are_left_out_of_smaller_collections():
    by_clip = within_space_at_by_clip([1, 0, 2], n=3, n_clips=5)
    assert np.isnan(by_clip[1])
    assert by_clip[[0, 2]].tolist() == pytest.approx([1.0, 0.5])
    assert within_space_at([1, 0, 2], n=3, n_clips=5) == pytest.approx(0.75)
    assert np.isnan(within_space_at([0, 0], n=3, n_clips=5))


# C_B_rho


@pytest.mark.parametrize("levels", [None, 4, 50])
@pytest.mark.parametrize("seed", range(3))
def test_rho_equals_scipy(seed, levels):
    a, b = random_pair(seed, levels=levels)
    expected = spearmanr(off_diagonal(a), off_diagonal(b)).statistic
    assert between_space_rho(a, b) == pytest.approx(expected, abs=1e-12)
    own = spearmanr(np.diag(a), np.diag(b)).statistic
    assert between_space_rho(a, b, over="own") == pytest.approx(own, abs=1e-12)
    by_clip = [spearmanr(np.delete(a[i], i), np.delete(b[i], i)).statistic for i in range(len(a))]
    assert rho_by_clip(a, b).tolist() == pytest.approx(by_clip, abs=1e-12)
    assert between_space_rho(a, b, over="clips") == pytest.approx(np.mean(by_clip), abs=1e-12)


@settings(deadline=None)
@given(matrices(2, smallest=3))
def test_rho_follows_the_equations(pair):
    a, b = pair
    ranks = [naive.average_ranks(off_diagonal(d).tolist()) for d in (a, b)]
    expected = naive.pearson(*ranks)
    assert between_space_rho(a, b) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_rho_by_hand():
    # Off-diagonal 1 2 3 4 5 6 against 1 2 3 4 6 5: 1 - 6 * 2 / (6 * 35).
    a = [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    b = [[0, 1, 2], [3, 0, 4], [6, 5, 0]]
    assert between_space_rho(a, b) == pytest.approx(1 - 12 / 210, abs=1e-15)


def test_clips_without_a_correlation_are_left_out_of_the_mean_over_clips():
    a = [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    b = [[0, 1, 2], [4, 0, 3], [5, 5, 0]]
    assert rho_by_clip(a, b).tolist() == pytest.approx([1.0, -1.0, np.nan], nan_ok=True)
    assert between_space_rho(a, b, over="clips") == 0.0


def test_single_precision_distances_are_ranked_as_they_are():
    a, b = random_pair(3)
    narrow = a.astype(np.float32)
    assert between_space_rho(narrow, b) == between_space_rho(narrow.astype(np.float64), b)


@settings(deadline=None)
@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda kind: arrays(
            kind,
            st.tuples(st.integers(1, 4), st.integers(1, 30)),
            elements=st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0, 3.0, 1e-40, 1e30]),
        )
    )
)
def test_ranks_equal_scipy(values):
    ranks = centred_ranks(values)
    expected = rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2
    assert np.array_equal(ranks, expected)
    assert np.array_equal(centred_ranks(values[0]), ranks[0])


def test_long_arrays_are_ranked_as_by_scipy():
    rng = np.random.default_rng(4)
    for values in (
        rng.random(200_000),
        1 + rng.random(200_000) * 1e-12,
        rng.random(200_000).astype(np.float32),
        rng.standard_normal(200_000),
        rng.integers(0, 300, 200_000).astype(float),
        np.full(1000, 0.25),
    ):
        assert np.array_equal(centred_ranks(values), rankdata(values) - (len(values) + 1) / 2)


# C_B_acc and kappa


@settings(deadline=None)
@given(matrices(2))
def test_accuracy_chance_and_kappa_equal_scikit_learn(pair):
    a, b = (neighbours(d) for d in pair)
    found = agreement(a, b)
    assert found.accuracy == pytest.approx(np.mean(a.error == b.error))
    assert between_space_accuracy(*pair) == found.accuracy
    if found.chance < 1:
        expected = cohen_kappa_score(a.error, b.error)
        assert found.kappa == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(found.kappa)


def test_kappa_by_hand():
    # 20 both right, 15 both wrong, 5 and 10 apart: accuracy 0.7, chance 0.5, kappa 0.4.
    chance = agreement_by_chance(25 / 50, 30 / 50)
    assert float(chance) == pytest.approx(0.5)
    assert float(kappa(0.7, chance)) == pytest.approx(0.4)
    assert np.isnan(kappa(1.0, 1.0))


# Monotonicity


@settings(deadline=None)
@given(arrays(np.float64, (3, 6), elements=st.integers(0, 4).map(float)))
def test_monotonicity_equals_scipy_clip_by_clip(d_own):
    severity = np.array([1.0, 2.0, 3.0, 3.0, 5.0, 8.0])
    found = monotonicity(severity, d_own)
    for value, row in zip(found, d_own, strict=True):
        if len(set(row)) == 1:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(spearmanr(severity, row).statistic, abs=1e-12)


def test_monotonicity_takes_the_magnitudes_that_did_not_fail():
    d_own = np.array([[1.0, np.nan, 3.0, 2.0], [4.0, 3.0, 2.0, 1.0], [np.nan, np.nan, np.nan, 1.0]])
    found = monotonicity([1, 2, 3, 4], d_own)
    assert found.tolist() == pytest.approx([0.5, -1.0, np.nan], abs=1e-15, nan_ok=True)
    assert np.isnan(monotonicity([1.0], np.ones((2, 1)))).all()


def test_monotonicity_does_not_depend_on_the_order_of_magnitudes():
    rng = np.random.default_rng(5)
    severity, d_own = rng.random(8), rng.random((5, 8))
    order = rng.permutation(8)
    assert np.array_equal(
        monotonicity(severity, d_own), monotonicity(severity[order], d_own[:, order])
    )


# Failures


def test_a_failed_query_is_left_out():
    a, b = random_pair(6, n=12)
    there = np.arange(12) != 4
    failed = b.copy()
    failed[4] = np.nan
    own = np.arange(12)[there]
    found = neighbours(failed)
    assert found.valid.tolist() == there.tolist()
    assert (found.rank[4], found.error[4], found.nearest[4]) == (0, False, -1)
    assert np.isnan([found.margin[4], found.d_own[4], found.d_nearest[4]]).all()
    assert found.n_clips == 12
    assert within_space(failed) == within_space(b[there], own)
    assert between_space_accuracy(a, failed) == between_space_accuracy(a[there], b[there], own)
    for over in ("pooled", "clips", "own"):
        assert between_space_rho(a, failed, over=over) == pytest.approx(
            between_space_rho(a[there], b[there], own, over=over), abs=1e-15
        )


def test_a_failed_original_takes_its_query_with_it():
    a, b = random_pair(7, n=12)
    there = np.arange(12) != 4
    failed = b.copy()
    failed[:, 4] = np.nan
    smaller_a, smaller_b = a[np.ix_(there, there)], b[np.ix_(there, there)]
    found = neighbours(failed)
    assert found.n_clips == 11
    assert found.valid.tolist() == there.tolist()
    assert np.array_equal(found.rank[there], neighbours(smaller_b).rank)
    assert within_space(failed) == within_space(smaller_b)
    for over in ("pooled", "clips", "own"):
        assert between_space_rho(a, failed, over=over) == pytest.approx(
            between_space_rho(smaller_a, smaller_b, over=over), abs=1e-15
        )


def test_a_space_in_which_all_failed_is_undefined():
    a, _ = random_pair(8, n=5)
    nothing = np.full((5, 5), np.nan)
    assert not neighbours(nothing).valid.any()
    assert np.isnan(within_space(nothing))
    assert np.isnan(between_space_accuracy(a, nothing))
    for over in ("pooled", "clips", "own"):
        assert np.isnan(between_space_rho(a, nothing, over=over))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0],), r"d has 1 dimension\(s\): must have 2"),
        (([["a", "b"], ["c", "d"]],), r"d of type <U1: must hold real numbers"),
        (([[1j, 2], [3, 4]],), r"must hold real numbers"),
        (([[1.0], [2.0]],), r"2 queries and 1 original\(s\): at least 1 and 2 are needed"),
        ((np.ones((2, 3)),), r"d of shape \[2, 3\] without own: must be square"),
        (([[1.0, np.inf], [0.0, 1.0]],), r"d\[0, 1\] is infinite: distances must be finite"),
        (
            ([[1.0, 2.0, 0.0], [0.0, np.nan, 1.0], [0.0, 1.0, 1.0]],),
            r"d\[1, 1\] is NaN, its row and its column are not",
        ),
        ((np.ones((2, 2)), np.ones((3, 3))), r"shapes \[2, 2\] and \[3, 3\]: must be of the same"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        validate(*arguments)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ([0, 2], r"own=2: must be in 0..1"),
        ([-1, 0], r"own=-1: must be in 0..1"),
        ([0], r"must be 2 integers"),
        ([0.0, 1.0], r"type float64: must be 2 integers"),
    ],
)
def test_own_must_be_columns(own, message):
    with pytest.raises(InputError, match=message):
        within_space(np.ones((2, 2)), own)


def test_other_values_out_of_range_are_refused():
    d = 1 - np.eye(3)
    with pytest.raises(InputError, match=r"over='rows': must be one of pooled, clips, own"):
        between_space_rho(d, d, over="rows")
    for n in (1, 4):
        with pytest.raises(InputError, match=rf"n={n}: must be in 2..3"):
            within_space_at([1, 2], n=n, n_clips=3)
    with pytest.raises(InputError, match=r"rank=4: must be in 1..3"):
        within_space_at([1, 4], n=2, n_clips=3)
    with pytest.raises(InputError, match=r"rank of type float64"):
        within_space_at([1.0, 2.0], n=2, n_clips=3)
    with pytest.raises(InputError, match=r"severity of shape \[2\] with d_own of shape \[3, 3\]"):
        monotonicity([1, 2], d)
    with pytest.raises(InputError, match=r"must be finite"):
        monotonicity([1, 2, np.nan], d)
    with pytest.raises(InputError, match=r"3 and 2 queries: must be the same"):
        agreement(neighbours(d), neighbours(1 - np.eye(2)))


def test_spearman_is_undefined_for_constants_and_never_beyond_1():
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    rng = np.random.default_rng(9)
    values = rng.random((200, 37))
    assert (spearman(values, values) == 1.0).all()


def test_the_measures_need_numpy_only():
    code = (
        "import sys, nearkin.consistency, nearkin.statistics;"
        "print([m for m in ('scipy', 'pandas', 'numba', 'librosa') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
