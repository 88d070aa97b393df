"""Ways through a space, against simulated ones whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.statistics import paths

N, K, D = 60, 8, 40
S = np.linspace(0, 1, K)
UNITS = np.arange(N)


def rng(seed=0):
    return np.random.default_rng(seed)


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def ways(directions, *, noise=0.0, spread=1.0, length=3.0, seed=1):
    """Clips that begin anywhere in the last ten dimensions and move along their direction."""
    g = rng(seed)
    start = np.zeros((N, D))
    start[:, -10:] = spread * g.standard_normal((N, 10))
    z = start[:, None] + length * S[None, :, None] * directions[:, None]
    return z + noise * g.standard_normal(z.shape)


def r2(z, units=UNITS):
    return float(paths.squared_correlation(paths.projections(z, units), np.ones((1, len(z))))[0])


def test_one_direction_for_all_clips():
    v = np.zeros(D)
    v[3] = 1
    z = ways(np.tile(v, (N, 1)), noise=0.05)
    assert r2(z) > 0.99
    assert abs(paths.direction(z, UNITS)[3]) > 0.99
    assert np.median(paths.own_r2(z)) > 0.99
    filled = paths.spectrum(paths.own_directions(ways(np.tile(v, (N, 1)))))
    assert filled.dimension == pytest.approx(1)
    assert filled.first == pytest.approx(1)
    assert filled.most == 1
    np.testing.assert_allclose(paths.curvature(ways(np.tile(v, (N, 1)))), 1)


def test_the_direction_is_that_of_canonical_correlation():
    cca = pytest.importorskip("sklearn.cross_decomposition")
    g = rng(4)
    z = g.standard_normal((200, 5, 6))
    z[:, :, 0] += 2 * np.linspace(0, 1, 5)
    z[:, :, 1] -= np.linspace(0, 1, 5)
    flat, target = z.reshape(-1, 6), np.tile(np.linspace(0, 1, 5), 200)
    theirs = cca.CCA(n_components=1, scale=False, max_iter=5_000, tol=1e-12)
    weights = theirs.fit(flat, target[:, None]).x_rotations_[:, 0]
    ours = paths.direction(z, np.arange(200))
    assert abs(unit(weights) @ ours) > 0.999
    told = flat @ ours
    seen = np.corrcoef(told, target)[0, 1] ** 2
    # Six parameters of a thousand rows: held out is hardly less.
    assert r2(z, np.arange(200)) == pytest.approx(seen, abs=0.03)


def test_directions_of_their_own_tell_nothing_of_others():
    own = unit(rng(2).standard_normal((N, D)))
    z = ways(own, spread=3.0)
    assert r2(z) < 0.2
    assert np.median(paths.own_r2(z)) > 0.999, "each clip's own way is straight"


@pytest.mark.parametrize("rank", [2, 5, 10])
def test_clips_fill_as_many_dimensions_as_they_move_in(rank):
    directions = np.zeros((4_000, D))
    directions[:, :rank] = unit(rng(3).standard_normal((4_000, rank)))
    filled = paths.spectrum(directions)
    assert filled.dimension == pytest.approx(rank, rel=0.02)
    assert filled.first == pytest.approx(1 / rank, rel=0.1)
    assert filled.most == int(np.ceil(0.9 * rank - 1e-6))


def test_noise_alone_tells_nothing():
    z = rng(5).standard_normal((N, K, D))
    assert r2(z) < 0.05
    assert np.median(paths.own_r2(z)) < 0.35  # of eight steps, one in seven by chance
    # What is fitted to the clips it is judged on would say otherwise.
    flat = z.reshape(-1, D)
    told = flat @ np.linalg.lstsq(flat - flat.mean(0), np.tile(S, N) - 0.5, rcond=None)[0]
    assert np.corrcoef(told, np.tile(S, N))[0, 1] ** 2 > 0.05


@pytest.mark.parametrize("steps", [4, 8, 40])
def test_half_a_circle_is_as_long_as_its_chords(steps):
    angle = np.linspace(0, np.pi, steps)
    z = np.zeros((3, steps, D))
    z[:, :, 0], z[:, :, 1] = np.cos(angle), np.sin(angle)
    chords = (steps - 1) * 2 * np.sin(np.pi / (steps - 1) / 2) / 2
    np.testing.assert_allclose(paths.curvature(z), chords)
    assert np.isnan(paths.curvature(np.concatenate([z, z[:, :1]], axis=1))).all()  # back again


def test_own_directions_are_slopes():
    own = unit(rng(6).standard_normal((N, D)))
    np.testing.assert_allclose(paths.own_directions(ways(own)), own, atol=1e-9)
    assert np.isnan(paths.own_directions(np.ones((2, K, D)))).all()
    assert (paths.own_r2(np.ones((2, K, D))) == 0).all()
    assert (paths.own_r2(ways(-own)) > 0.99).all()


def test_clips_of_a_group_are_held_out_together():
    # Twenty groups of three equal clips that move in ways of their own: only who has seen a clip's
    # twins can tell its severity.
    own = np.repeat(unit(rng(7).standard_normal((N // 3, D))), 3, axis=0)
    start = np.repeat(0.01 * rng(8).standard_normal((N // 3, D)), 3, axis=0)
    z = start[:, None] + 3 * S[None, :, None] * own[:, None]
    groups = np.repeat(np.arange(N // 3), 3)
    assert r2(z, np.arange(N)[rng(9).permutation(N)]) > r2(z, groups) + 0.3


def test_weights_count_clips_as_often_as_they_say():
    told = paths.projections(ways(unit(rng(1).standard_normal((N, D)))), UNITS)
    counts = rng(0).integers(0, 3, (5, N))
    found = paths.squared_correlation(told, counts)
    for row, value in zip(counts, found, strict=True):
        repeated = np.repeat(told, row, axis=0)
        r = np.corrcoef(repeated.ravel(), np.tile(S, len(repeated)))[0, 1]
        assert value == pytest.approx(max(r, 0) ** 2, abs=1e-9)
