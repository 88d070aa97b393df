"""C_W over the size of the collection, against counting and against what was simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nearkin.gallery import at_size, beyond, curve_sizes


def test_a_share_of_collections_is_what_counting_gives() -> None:
    m, n = 12, 5
    for k in range(m + 1):
        counted = math.comb(m - k, n - 1) / math.comb(m, n - 1)
        assert at_size([k], m, n)[0] == pytest.approx(counted, rel=1e-12)
    assert at_size([0, 1, 2], m, m + 1).tolist() == [1.0, 0.0, 0.0]
    million = at_size([0, 1, 1_000], 1_000_000, 101)
    assert million == pytest.approx([1.0, 1 - 100 / 1e6, (1 - 1e-3) ** 100], rel=1e-3)


def test_sizes_end_with_what_was_measured() -> None:
    assert curve_sizes(60, 0) == (10, 60)
    assert curve_sizes(100, 900) == (10, 100, 1000)


@pytest.mark.parametrize(("a", "b"), [(0.3, 40.0), (0.8, 400.0), (2.0, 2_000.0)])
def test_beyond_is_what_more_others_show(a: float, b: float) -> None:
    """Queries whose others are near with a probability of their own, drawn from a beta law."""
    rng = np.random.default_rng(3)
    near = rng.beta(a, b, 4_000)
    k = rng.binomial(200, near)
    for n in (1_000, 3_800):
        truth = float(((1 - near) ** (n - 1)).mean())
        found = beyond(k, 200, n)
        assert found.value == pytest.approx(truth, abs=0.03)
        assert found.low <= found.value <= found.high


def test_where_none_was_lost_the_rule_of_three_speaks() -> None:
    found = beyond(np.zeros(300, int), 1_000, 5_001)
    assert found.value == 1.0
    assert found.low == pytest.approx(1 - 3 / 300 * 5)
    assert found.high == 1.0
    assert beyond(np.zeros(3, int), 10, 1_000).low == 0.0
