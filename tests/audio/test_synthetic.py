"""The built-in music: deterministic, of the loudness promised, and no two clips alike."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.audio import loudness_lufs
from nearkin.audio.features import mfcc_statistics
from nearkin.audio.synthetic import clips
from nearkin.errors import InputError


@pytest.fixture(scope="module")
def made():
    return clips()


def test_shape_loudness_and_peak(made):
    assert len(made) == 16
    assert len({name for name, _ in made}) == 16
    for _, y in made:
        assert y.shape == (6 * 22_050,)
        assert y.dtype == np.float32
        assert -20 <= loudness_lufs(y, sr=22_050) <= -14
        assert 0.1 < np.max(np.abs(y)) < 1
        for start in range(0, 5 * 22_050, 22_050):  # no two seconds of it are silent
            assert loudness_lufs(y[start : start + 2 * 22_050], sr=22_050) > -40


def test_same_every_time_and_for_any_n(made):
    for (name, y), (other_name, other) in zip(clips(3), made, strict=False):
        assert name == other_name
        np.testing.assert_array_equal(y, other)
    assert not np.array_equal(clips(1, seed=1)[0][1], made[0][1])


def test_no_two_are_alike(made):
    points = np.array([mfcc_statistics(y) for _, y in made])
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    off = distances[~np.eye(16, dtype=bool)]
    assert off.min() > 0.15 * np.median(off)
    assert off.min() < 0.9 * np.median(off)


@pytest.mark.parametrize(("seconds", "sr"), [(0.5, 8_000), (3.0, 44_100)])
def test_other_lengths_and_rates(seconds, sr):
    for _, y in clips(4, seconds=seconds, sr=sr):
        assert y.shape == (round(seconds * sr),)
        assert np.isfinite(y).all()


def test_refusals():
    with pytest.raises(InputError, match="n=0"):
        clips(0)
