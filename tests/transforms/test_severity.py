"""What is declared more severe changes a signal more: unlikeness grows along every default grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import stft

from nearkin.transforms import TRANSFORMATIONS, transformation, transformation_class
from support import signals

SR = 22_050
# What moves time is unlike its original at once (their own tests measure how far it moves); a gain
# and a turned polarity are no other sound; one magnitude has no order.
UNORDERED = {"OG", "GN", "PO", "RE", "DC"}
# Its reverberation is as strong as the direct sound at every length; its voice is synthesised.
BY_SPECTRUM = {"RV", "AM"}
CODES = [
    code
    for code in TRANSFORMATIONS
    if code not in UNORDERED | BY_SPECTRUM and not transformation_class(code).moves_time
]


@pytest.fixture(scope="module")
def y():
    return (0.5 * signals.music(2.0)).astype(np.float32)


def unlikeness(y, out):
    """The share of the result's energy that is not the original at any level."""
    y, out = y - y.mean(dtype=np.float64), out - out.mean(dtype=np.float64)
    return 1 - np.dot(y, out) ** 2 / (np.dot(y, y) * np.dot(out, out))


@pytest.mark.parametrize("code", CODES)
def test_unlikeness_grows_with_severity(code, y):
    made = [transformation(code, m) for m in transformation_class(code).axis.defaults]
    for side in transformation_class(code).axis.sides or ("",):
        ladder = sorted((one for one in made if one.side == side), key=lambda one: one.severity)
        found = [
            unlikeness(y, one(y, sr=SR, rng=np.random.default_rng(0)).astype(np.float64))
            for one in ladder
        ]
        # A codec's neighbours may be alike; the end is worse than the beginning by far.
        assert np.all(np.diff(found) > -0.05 * max(found)), found
        assert found[-1] > 2 * found[0], found


def spectrum_db(y):
    frames = stft(y, nperseg=512)[2][1:90]  # up to 3.8 kHz, what a telephone leaves
    return 20 * np.log10(np.abs(frames) + 1e-4)


@pytest.mark.parametrize("code", sorted(BY_SPECTRUM))
def test_the_spectrum_moves_with_severity(code, y):
    made = [transformation(code, m) for m in transformation_class(code).axis.defaults]
    ladder = sorted(made, key=lambda one: one.severity)
    found = [
        np.sqrt(np.mean((spectrum_db(one(y, sr=SR, rng=rng)) - spectrum_db(y)) ** 2))
        for one in (ladder[0], ladder[len(ladder) // 2], ladder[-1])
        for rng in [np.random.default_rng(0)]
    ]
    assert found[0] < found[1] < found[2], found


@pytest.mark.parametrize("code", ["PN", "EN", "MX", "PL", "VC", "RV"])
def test_chance_is_the_generators_alone(code, y):
    worst = transformation(code, transformation_class(code).axis.defaults[-1])
    one, same, other = (worst(y, sr=SR, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
