"""What is cut off a context changes what is heard by less than another start does."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.audio.features import mfcc
from nearkin.audio.synthetic import clips
from nearkin.distances import pairwise_audio
from nearkin.runs.describe import centre
from nearkin.transforms import TRANSFORMATIONS, transformation, transformation_class

SR, HEARD = 22_050, 44_100


def heard(change, y, cut):
    made = centre(change(y[cut : len(y) - cut], sr=SR, rng=np.random.default_rng(0)), HEARD)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def contexts():
    return [y[: 4 * SR] for _, y in clips(6, seconds=4.0)]


@pytest.mark.parametrize(
    ("code", "magnitude"), [("TS", 0.5), ("TS", 0.9), ("TS", 1.3), ("PS", -12), ("PS", 4)]
)
def test_a_short_context_differs_less_than_another_start(code, magnitude, contexts):
    change = transformation(code, magnitude)
    rng = np.random.default_rng(5)
    short, start = [], []
    for y in contexts:
        whole = mfcc(heard(change, y, 0))
        spare = change.spare(len(y), heard=HEARD, sr=SR)
        others = [mfcc(heard(change, y, cut)) for cut in (spare, int(rng.integers(100, 600)))]
        row = pairwise_audio(others, [whole], measures=("dtw",))["dtw"][:, 0]
        short.append(row[0])
        start.append(row[1])
    assert 0 < np.median(short) < np.median(start)


@pytest.mark.parametrize("kbps", [16, 64, 160])
def test_a_short_context_of_mp3_is_nearly_the_same_wave(kbps, contexts):
    change = transformation("MP", kbps)
    rng = np.random.default_rng(6)
    for y in contexts[:3]:
        whole = heard(change, y, 0)
        spare = change.spare(len(y), heard=HEARD, sr=SR)
        short, start = (heard(change, y, cut) for cut in (spare, int(rng.integers(100, 500))))
        assert np.mean((short - whole) ** 2) < np.mean((start - whole) ** 2) / 2


@pytest.mark.parametrize("code", [code for code in TRANSFORMATIONS if code != "OG"])
def test_what_is_cut_leaves_more_than_is_heard(code):
    for magnitude in transformation_class(code).axis.defaults:
        change = transformation(code, magnitude)
        for n in (3 * SR, 3 * SR + 1, 4 * SR):
            spare = change.spare(n, heard=HEARD, sr=SR)
            ratio = magnitude if code == "TS" else 1.0
            assert spare >= 0
            assert spare == 0 or n - 2 * spare >= ratio * HEARD + 0.4 * SR


def test_starts_fall_between_blocks_and_frames():
    assert transformation("MP", 64).spare(4 * SR, heard=HEARD, sr=SR) % 1152 == 0
    assert transformation("MP", 64).spare(4 * SR, heard=HEARD, sr=SR) > 0
    # 48 kHz is the next rate MP3 knows to 45 kHz: no frame begins where a sample does
    assert transformation("MP", 64).spare(180_000, heard=90_000, sr=45_000) == 0
    for ratio in (0.5, 0.9, 1.3):
        spare = transformation("TS", ratio).spare(4 * SR, heard=HEARD, sr=SR)
        blocks = spare / ratio / 661  # Signalsmith's step of 0.03 s
        assert blocks == pytest.approx(round(blocks), abs=0.5 / ratio / 661 + 1e-9)
        assert round(blocks) >= 1


def test_nothing_is_cut_where_it_was_not_measured():
    for change in (transformation("PN", 3), transformation("EN", 3), transformation("RV", 0.5)):
        assert change.spare(4 * SR, heard=HEARD, sr=SR) == 0
    for code, value in (("TS", 0.4), ("PS", 13.0)):  # phases at random: no start is like another
        assert transformation(code, value).spare(4 * SR, heard=HEARD, sr=SR) == 0
    for code, value in (("TS", 0.5), ("PS", 2.0)):
        change = transformation(code, value, engine="rubberband")
        assert change.spare(4 * SR, heard=HEARD, sr=SR) == 0
