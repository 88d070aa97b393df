"""t-SNE against its definition, and against scikit-learn: divergence, neighbours kept."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import TSNE, trustworthiness

from nearkin.errors import InputError
from nearkin.statistics.tsne import affinities, divergence, gradient, tsne


def clusters(n: int = 12, groups: int = 8, size: int = 20, apart: float = 4) -> np.ndarray:
    rng = np.random.default_rng(1)
    centres = apart * rng.standard_normal((groups, size))
    return (centres[:, None] + rng.standard_normal((groups, n, size))).reshape(-1, size)


@pytest.mark.parametrize("perplexity", [5.0, 30.0])
def test_every_row_has_the_entropy_of_so_many_neighbours(perplexity: float) -> None:
    x = clusters()
    near = affinities(x, perplexity)
    assert near.sum() == pytest.approx(1)
    np.testing.assert_allclose(near, near.T)
    assert np.all(np.diag(near) == 0)
    squared = np.square(x[:, None] - x[None]).sum(-1)
    rows = np.zeros_like(near)
    for i, others in enumerate(squared):  # by hand: the width of that entropy, by bisection
        others[i] = np.inf
        low, high = 1e-6, 1e3
        for _ in range(80):
            beta = np.sqrt(low * high)
            p = np.exp(-beta * (others - others.min()))
            p /= p.sum()
            entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
        rows[i] = p
    np.testing.assert_allclose(near, (rows + rows.T) / (2 * len(x)), atol=1e-9)


def test_the_gradient_is_the_slope_of_the_divergence() -> None:
    rng = np.random.default_rng(0)
    near = affinities(rng.standard_normal((15, 4)), 4.0)
    y = rng.standard_normal((15, 2))
    slope = gradient(near, y)
    for i, j in ((0, 0), (7, 1), (14, 0)):
        up, down = y.copy(), y.copy()
        up[i, j] += 1e-5
        down[i, j] -= 1e-5
        measured = (divergence(near, up) - divergence(near, down)) / 2e-5
        assert slope[i, j] == pytest.approx(measured, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("apart", [0.5, 1.0, 4.0])
def test_it_ends_where_scikit_learn_ends(apart: float) -> None:
    x = clusters(apart=apart)
    near = affinities(x, 20.0)
    theirs = TSNE(method="exact", init="pca", perplexity=20.0, random_state=0).fit_transform(x)
    ours = tsne(x, perplexity=20.0)
    assert divergence(near, ours) < 1.1 * divergence(near, theirs.astype(float)) + 0.01
    assert trustworthiness(x, ours) > trustworthiness(x, theirs) - 0.02


def test_equal_vectors_give_an_equal_map_and_few_are_enough() -> None:
    x = clusters(n=3, groups=3)
    np.testing.assert_array_equal(tsne(x, iterations=60), tsne(x, iterations=60))
    assert np.isfinite(tsne(x[:4], iterations=60)).all()
    twins = np.repeat(x, 2, axis=0)
    assert np.isfinite(tsne(twins, iterations=60)).all()
    assert np.isfinite(tsne(x[:, :1], iterations=60)).all()


@pytest.mark.parametrize(
    "x", [np.zeros((3, 2)), np.ones((9, 2)), np.full((9, 2), np.nan), np.arange(9.0)]
)
def test_what_has_no_map_is_refused(x: np.ndarray) -> None:
    with pytest.raises(InputError):
        tsne(x)
