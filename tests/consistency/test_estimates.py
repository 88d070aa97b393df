"""Measures with intervals from vectors alone: scipy's exact interval, a run's tables, refusals."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import nearkin
from nearkin.consistency import estimates
from nearkin.distances import cosine
from nearkin.errors import InputError


def test_c_w_of_vectors_with_scipys_exact_interval() -> None:
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(40, 6))
    moved = originals + rng.normal(size=(40, 6))
    d = cosine(moved, originals)
    found = nearkin.within_space_estimate(d)
    hits = int((d.argmin(axis=1) == np.arange(40)).sum())
    exact = stats.binomtest(hits, 40).proportion_ci(method="exact")
    assert 0 < hits < 40
    assert found.value == hits / 40
    assert [found.ci_low, found.ci_high] == pytest.approx([exact.low, exact.high])
    assert (found.n, found.chance, found.ci_method) == (40, 1 / 40, "clopper-pearson")


def test_queries_of_one_original_and_clips_of_one_group_come_together() -> None:
    rng = np.random.default_rng(1)
    originals = rng.normal(size=(30, 4))
    moved = originals + rng.normal(size=(30, 4))
    own = np.repeat(np.arange(30), 2)
    once = nearkin.within_space_estimate(cosine(moved, originals))
    twice = nearkin.within_space_estimate(cosine(moved[own], originals), own)
    assert twice.value == once.value
    assert twice.ci_method == "korn-graubard"
    # the same queries again are no news: as wide as before
    assert twice.ci_high - twice.ci_low == pytest.approx(once.ci_high - once.ci_low, rel=0.05)
    wide = nearkin.within_space_estimate(
        cosine(moved, originals), groups=np.repeat(["a", "b", "c", "d", "e"], 6)
    )
    assert wide.ci_method == "korn-graubard"
    with pytest.raises(InputError, match="one an original"):
        nearkin.within_space_estimate(cosine(moved, originals), groups=["a"])


def test_failed_queries_count_as_lost_and_missing_ones_do_not() -> None:
    d = cosine(np.eye(5) + 0.1, np.eye(5))
    d[[0, 1]] = np.nan
    found = nearkin.within_space_estimate(d, failed=[True, False, False, False, False])
    assert (found.value, found.n) == (0.75, 4)
    nothing = nearkin.within_space_estimate(np.full((3, 3), np.nan))
    assert np.isnan(nothing.value)
    assert (nothing.n, nothing.ci_method) == (0, "no interval: undefined")


def test_agreement_of_two_spaces() -> None:
    rng = np.random.default_rng(2)
    audio, latent = rng.random((25, 25)), rng.random((25, 25))
    audio[np.diag_indices(18)] = 0
    latent[np.diag_indices(12)] = 0
    found = nearkin.between_space_accuracy_estimate(audio, latent)
    right = [d.argmin(axis=1) == np.arange(25) for d in (audio, latent)]
    same = right[0] == right[1]
    exact = stats.binomtest(int(same.sum()), 25).proportion_ci(method="exact")
    assert found.value == same.mean()
    assert [found.ci_low, found.ci_high] == pytest.approx([exact.low, exact.high])
    p, q = right[0].mean(), right[1].mean()
    assert found.chance == pytest.approx(p * q + (1 - p) * (1 - q))


@pytest.mark.parametrize("over", ["pooled", "clips", "own"])
def test_correlation_holds_its_value_and_repeats(over: str) -> None:
    rng = np.random.default_rng(3)
    audio = rng.random((20, 20))
    latent = audio + 0.5 * rng.random((20, 20))
    first = nearkin.between_space_rho_estimate(audio, latent, over=over)  # type: ignore[arg-type]
    again = nearkin.between_space_rho_estimate(audio, latent, over=over)  # type: ignore[arg-type]
    assert first[:5] == again[:5]
    assert first.value == nearkin.between_space_rho(audio, latent, over=over)  # type: ignore[arg-type]
    assert first.ci_low < first.value < first.ci_high
    assert (first.n, first.ci_method) == (20, "bootstrap")


def test_correlation_that_is_undefined_or_misnamed() -> None:
    flat = np.ones((4, 4))
    assert nearkin.between_space_rho_estimate(flat, flat).ci_method == "no interval: undefined"
    with pytest.raises(InputError, match="over='all'"):
        nearkin.between_space_rho_estimate(flat, flat, over="all")  # type: ignore[arg-type]


def test_the_numbers_of_a_run_come_out_again(small_run: Path) -> None:
    result = nearkin.load(small_run)
    originals = np.load(result.folder.embeddings_path("mfcc", of="originals"))
    queries = np.load(result.folder.embeddings_path("mfcc")).swapaxes(0, 1)
    points = json.loads((small_run / "embeddings" / "ids.json").read_text())["points"]
    table = result.consistency.query(
        "encoder == 'mfcc' and measure == 'C_W' and latent_distance == 'cosine'"
    ).set_index(["transformation", "magnitude"])
    assert len(points) == len(queries) > 10
    for (code, magnitude), moved in zip(points, queries, strict=True):
        found = nearkin.within_space_estimate(cosine(moved, originals))
        row = table.loc[(code, magnitude)]
        assert found.value == row["value"]
        assert [found.ci_low, found.ci_high] == pytest.approx([row["ci_low"], row["ci_high"]])
        assert (found.n, found.chance) == (row["n"], row["chance"])


def test_doc_examples() -> None:
    assert doctest.testmod(estimates).failed == 0
