"""Chains of transformations, alone and in grids' files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from nearkin.errors import InputError
from nearkin.transforms import MP3, Gain, PinkNoise, Speed, Tilt, transformation
from nearkin.transforms.chains import Chain, Chained, chain_of
from nearkin.transforms.grids import Point, grid
from support import signals

SR = 22_050
AIR = Chain("AIR", ("MP", "TI", "PN"), ((2, (32, 6, 20)), (1, (128, 1, 40))))
FILE = """
name: broadcast
points: {PN: [10], LP: defaults}
chains:
  AIR:
    steps: [MP, TI, PN]
    levels: {2: [32, 6, 20], 1: [128, 1, 40]}
  QUICK: {steps: [SP], levels: {0.5: [1.02]}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "chain.yaml"
    path.write_text(text)
    return path


def test_steps_are_done_in_order():
    y = signals.music(1.0).astype(np.float32)
    out = Chained(1, (Gain(-20), Tilt(3)))(y, sr=SR)
    np.testing.assert_allclose(out, Tilt(3)(Gain(-20)(y, sr=SR), sr=SR), atol=1e-7)
    # 4 bits of a soft signal are silence; of a loud one made soft afterwards they are not.
    soft_first = Chained(1, (Gain(-60), transformation("BD", 4)))(y, sr=SR)
    soft_last = Chained(1, (transformation("BD", 4), Gain(-60)))(y, sr=SR)
    assert np.abs(soft_first).max() == 0 < np.abs(soft_last).max()


def test_noise_of_a_step_is_the_same_at_every_level_and_exact():
    y = signals.music(1.0).astype(np.float32)
    mild, grave = (
        Chained(level, (Gain(0.1), PinkNoise(snr)))(y, sr=SR, rng=np.random.default_rng(3))
        - Gain(0.1)(y, sr=SR)
        for level, snr in ((1, 20), (2, 0))
    )
    np.testing.assert_allclose(10 * mild, grave, atol=1e-4)
    # Two noises of one chain are not the same noise.
    twice = Chained(1, (PinkNoise(0), PinkNoise(0)))(y, sr=SR, rng=np.random.default_rng(3)) - y
    once = Chained(1, (PinkNoise(0),))(y, sr=SR, rng=np.random.default_rng(3)) - y
    assert np.var(twice) / np.var(once) == pytest.approx(3, abs=0.3)  # not 5, as if they were one


def test_facts_follow_from_the_steps():
    assert not AIR.at(1).moves_time
    assert AIR.at(1).loudness == "matched"
    assert Chained(1, (Speed(1.1), MP3(64))).moves_time
    assert Chained(1, (MP3(64), Gain(-20))).loudness == "kept"
    assert len(Chained(1, (Speed(2), MP3(64)))(np.zeros(SR) + 0.1, sr=SR)) == SR // 2


def test_a_chain_is_a_value():
    assert Chain("AIR", ("MP", "TI", "PN"), ((1.0, (128.0, 1, 40)), (2, (32, 6, 20)))) == AIR
    assert pickle.loads(pickle.dumps(AIR)) == AIR == chain_of(AIR.record())
    assert AIR.magnitudes == (1.0, 2.0)
    assert AIR.at(2).steps == (MP3(32), Tilt(6), PinkNoise(20))
    assert AIR.at(2, rate="true").steps[0] == MP3(32, rate="true")
    with pytest.raises(InputError, match="has no level 3; its levels are 1, 2"):
        AIR.at(3)


def test_a_file_of_chains(tmp_path):
    made = grid(write(tmp_path, FILE))
    assert made.name == "broadcast"
    assert made.codes == ("PN", "LP", "AIR", "QUICK")
    assert made.magnitudes("AIR") == (1, 2)
    assert len(made.magnitudes("LP")) == 6
    assert made.made(Point("AIR", 2.0)) == AIR.at(2)
    assert made.made(Point("PN", 10.0)) == PinkNoise(10)
    only = grid(write(tmp_path, "chains: {AIR: {steps: [PN], levels: {1: [30]}}}"))
    assert only.points == (Point("AIR", 1.0),)
    assert grid(only) == only == pickle.loads(pickle.dumps(only))


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ("{air: {steps: [PN], levels: {1: [30]}}}", "must be 2 to 12 capitals and digits"),
        ("{PN: {steps: [PN], levels: {1: [30]}}}", "is the code of a transformation"),
        ("{MOS: {steps: [PN], levels: {1: [30]}}}", "is a word of requirements"),
        ("{AD: {steps: [PN], levels: {1: [30]}}}", "is a word of requirements"),
        ("{OG: {steps: [PN], levels: {1: [30]}}}", "is the code of a transformation"),
        ("{AIR/B: {steps: [PN], levels: {1: [30]}}}", "must be 2 to 12 capitals and digits"),
        ("{AIR: {steps: [], levels: {1: []}}}", "has 0 steps"),
        ("{AIR: {steps: [PN, PN], levels: {1: [30]}}}", "has 1 magnitudes: must have one for each"),
        ("{AIR: {steps: [XX], levels: {1: [30]}}}", "unknown transformation 'XX'"),
        ("{AIR: {steps: [AIR], levels: {1: [30]}}}", "unknown transformation 'AIR'"),
        ("{AIR: {steps: [OG], levels: {1: [0]}}}", "must be the code of a transformation"),
        ("{AIR: {steps: [MP], levels: {1: [33]}}}", "must be a bit rate of MP3"),
        ("{AIR: {steps: [PN], levels: {mild: [30]}}}", "level='mild': must be a number"),
        ("{AIR: {steps: [PN], levels: {1: 30}}}", "must have steps and levels"),
        ("{AIR: {steps: PN, levels: {1: [30]}}}", "must have steps and levels"),
        ("{AIR: {steps: [PN], levels: {}}}", "has no levels"),
        ("{AIR: {steps: [PN], levels: {1: [30]}, severity: 2}}", "must have steps and levels"),
        ("[AIR]", "must map codes to steps and levels"),
        ("{}", "must map codes to steps and levels"),
    ],
)
def test_a_bad_chain_is_told_in_one_sentence(tmp_path, chain, message):
    with pytest.raises(InputError) as caught:
        grid(write(tmp_path, f"points: {{PN: 10}}\nchains: {chain}"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_the_only_chain_is_all_that_is_told(tmp_path):
    with pytest.raises(InputError) as caught:
        grid(write(tmp_path, "chains: {AIR: {steps: [PN, PN], levels: {1: [30]}}}"))
    assert "has 1 magnitudes" in str(caught.value)
    assert "no points" not in str(caught.value)
