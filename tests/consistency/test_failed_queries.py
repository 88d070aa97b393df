"""Queries that an encoder failed count as lost, those that could not be made are left out.

Held to slow twins written from the equations (tests/support/naive_consistency.py).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearkin.consistency import (
    agreement,
    between_space_accuracy,
    monotonicity,
    neighbours,
    within_space,
    within_space_at,
)
from support import naive_consistency as naive


@st.composite
def studies(draw):
    """Two spaces of one size, and what is missing in the second; ties are common."""
    n = draw(st.integers(3, 7))
    levels = draw(st.sampled_from([2, 5, 1000]))
    shape = st.integers(0, levels).map(float)
    audio, latent = (draw(arrays(np.float64, (n, n), elements=shape)) for _ in range(2))
    flags = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    there = [k > 0 for k in draw(flags)]
    there[:2] = [True, True]
    made = [k > 0 for k in draw(flags)]
    made[0] = True
    failed = [k == 0 for k in draw(flags)]
    return audio, latent, failed, made, there


def with_gaps(d, failed, made, there):
    """The matrix as a run has it: NaN rows of missing queries, NaN columns of originals."""
    d = d.copy()
    d[[i for i in range(len(d)) if failed[i] or not made[i]]] = np.nan
    d[:, [j for j in range(len(d)) if not there[j]]] = np.nan
    return d


def lost_of(failed, made):
    return [f and m for f, m in zip(failed, made, strict=True)]


@settings(deadline=None)
@given(studies())
def test_c_w_counts_failed_queries_as_lost(study):
    _, latent, failed, made, there = study
    d, lost = with_gaps(latent, failed, made, there), lost_of(failed, made)
    if all(lost[i] for i in naive.asked(made, there)):
        # nothing but failed rows: what columns are there cannot be seen in the matrix
        return
    truth = naive.within_space_with_failures(latent, failed, made, there)
    assert within_space(d, failed=lost) == pytest.approx(truth, abs=1e-12)
    found = neighbours(d, failed=lost)
    assert found.valid.nonzero()[0].tolist() == naive.asked(made, there)
    assert (found.error == (found.rank > 1)).all()
    for n in range(2, found.n_clips + 1):
        every = naive.in_every_collection_with_failures(latent, n, failed, made, there)
        got = within_space_at(found.rank, n=n, n_clips=found.n_clips)
        assert got == pytest.approx(float(every), abs=1e-12)


@settings(deadline=None)
@given(studies())
def test_agreement_counts_failed_queries_as_errors(study):
    audio, latent, failed, made, there = study
    heard = with_gaps(audio, [False] * len(audio), made, [True] * len(audio))
    seen, lost = with_gaps(latent, failed, made, there), lost_of(failed, made)
    if all(lost[i] for i in naive.asked(made, there)):
        return
    same, chance, beyond = naive.agreement_with_failures(audio, latent, failed, made, there)
    found = agreement(neighbours(heard), neighbours(seen, failed=lost))
    assert found.n == len(naive.asked(made, there))
    assert found.accuracy == pytest.approx(float(same), abs=1e-12)
    assert found.chance == pytest.approx(float(chance), abs=1e-12)
    if beyond is None:
        assert np.isnan(found.kappa)
    else:
        assert found.kappa == pytest.approx(float(beyond), abs=1e-9)
    assert between_space_accuracy(heard, seen, failed=lost) == found.accuracy


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, None, "failed"]), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_a_failed_query_does_not_grow(steps, random):
    severity = list(range(len(steps)))
    random.shuffle(severity)
    d_own = [None if value == "failed" else value for value in steps]
    failed = [value == "failed" for value in steps]
    truth = naive.growth_with_failures(severity, d_own, failed)
    row = [[np.nan if value is None else value for value in d_own]]
    assert monotonicity(severity, row, failed=[failed])[0] == pytest.approx(truth, nan_ok=True)


def test_an_encoder_that_fails_on_the_severe_half_does_not_look_perfect():
    """Ten clips stay with their originals, ten are failed: C_W is one half, not 1."""
    d = 1.0 - np.eye(20)
    d[10:] = np.nan
    failed = np.arange(20) >= 10
    assert within_space(d) == 1.0
    assert within_space(d, failed=failed) == 0.5
    grown = np.array([[0.1, 0.2, np.nan, np.nan]])
    assert monotonicity([1, 2, 3, 4], grown)[0] == pytest.approx(1.0)
    lost = np.isnan(grown)
    assert monotonicity([1, 2, 3, 4], grown, failed=lost)[0] < 0.8
    assert monotonicity([1, 2], [[np.nan, np.nan]], failed=[[True, True]])[0] == 0


@settings(deadline=None)
@given(studies(), st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_clips_of_the_own_group_are_no_others(study, labels):
    _, latent, _, _, _ = study
    n = len(latent)
    groups = labels[:n]
    everything, nothing = [True] * n, [False] * n
    found = neighbours(latent, groups=groups)
    for i in range(n):
        around = naive.others(i, everything, groups)
        assert found.valid[i] == bool(around)
        if around:
            truth = naive.delta_or_lost(latent, i, nothing, everything, groups)
            assert found.error[i] == truth
            assert found.rank[i] == 1 + sum(latent[i][j] <= latent[i][i] for j in around)
            assert found.nearest[i] in around
