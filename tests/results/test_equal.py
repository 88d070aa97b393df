"""Equally audible magnitudes, on hearing whose answer is known by arithmetic."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from nearkin.errors import InputError
from nearkin.results.equal import MOST_STEPS, equal_points, grid_file, reach
from nearkin.transforms.grids import grid


def table(points, mos_of):
    """Three clips that hear the same."""
    rows = [
        {
            "clip_id": f"clip{clip}", "transformation": code, "magnitude": m, "scale": scale,
            "mos": mos_of(code, m) if scale == "mos" else math.nan, "jnd": jnd, "status": "ok",
        }
        for clip in range(3)
        for code, m, scale, jnd in points
    ]  # fmt: skip
    return pd.DataFrame(rows)


def pn(*levels):
    return [("PN", level, "mos", math.nan) for level in levels]


class Ear:
    """MOS 5 - (45 - SNR) / 25 under noise, curved for MP3; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, code, magnitude):
        self.asked.append((code, magnitude))
        return self.mos(code, magnitude)

    @staticmethod
    def mos(code, magnitude):
        if code == "PN":
            return min(5.0, max(1.0, 5 - (45 - magnitude) / 25))
        if code == "MP":
            return 5 - 40 / magnitude
        return 5 - magnitude**2 / 100  # CL


@pytest.mark.parametrize("tried", [(30, 18, 6, -15), (20, 10), (30,), (60, 50)])
def test_noise_is_found_between_beyond_and_around_what_was_tried(tried):
    ear = Ear()
    found = equal_points(table(pn(*tried), ear.mos), ear)["PN"]
    assert [one.magnitude for one in found] == pytest.approx([-30, -5, 20, 32.5, 40], abs=0.55)
    for one, level in zip(found, (2, 3, 4, 4.5, 4.8), strict=True):
        assert one.level == pytest.approx(level, abs=0.02)
        assert one.level == pytest.approx(ear.mos("PN", one.magnitude))
    assert len(set(ear.asked)) == len(ear.asked), "nothing is heard twice"


def test_a_codec_takes_the_nearest_of_its_own_rates():
    ear = Ear()
    found = equal_points(table([("MP", m, "mos", math.nan) for m in (192, 96, 8)], ear.mos), ear)
    # MOS 4.5 would be 80 kb/s, 4 is 40, 3 lies at 20 between 16 (2.5) and 24 (3.33), 2 at 13.3
    assert [one.magnitude for one in found["MP"]] == [16, 24, 40, 80, 192]


def test_of_the_rates_between_two_known_ones_each_is_tried():
    ear = lambda code, magnitude: {32: 3.7, 40: 4.4, 48: 4.69}[magnitude]  # noqa: E731
    tried = table([("MP", m, "mos", math.nan) for m in (48, 32)], ear)
    assert [one.magnitude for one in equal_points(tried, ear, mos=(4.5,))["MP"]] == [40]


def test_what_has_an_identity_is_found_from_there():
    ear = Ear()
    found = equal_points(table([("CL", 1.0, "mos", math.nan)], ear.mos), ear, mos=(4.99, 4.5))
    assert [one.magnitude for one in found["CL"]] == pytest.approx([1, 50**0.5], rel=0.02)


def test_steps_that_are_just_noticed_are_those_of_their_constants():
    steps = [("TS", r, "jnd", abs(math.log(r)) / math.log(1.03)) for r in (0.9, 1.1)]
    steps += [("PS", 0.25, "jnd", 2.5)]
    found = equal_points(table(steps, Ear.mos), Ear(), jnd=(1, 2, 5))
    # Magnitudes have three digits.
    expected = [1.03**-5, 1.03**-2, 1 / 1.03, 1.03, 1.03**2, 1.03**5]
    assert [one.magnitude for one in found["TS"]] == pytest.approx(
        expected, abs=5e-3
    )  # three digits
    assert [one.magnitude for one in found["PS"]] == pytest.approx([0.1, 0.2, 0.5])


def test_what_is_never_heard_so_much_or_so_little_is_left_out():
    deaf = lambda code, magnitude: 4.9  # noqa: E731
    with pytest.raises(InputError, match="reaches one of the levels"):
        equal_points(table(pn(30, 10), deaf), deaf, mos=(4.5,))
    silent = lambda code, magnitude: math.nan  # noqa: E731
    with pytest.raises(InputError, match="reaches one of the levels"):
        equal_points(table(pn(30, 10), lambda *_: 4.9), silent, mos=(4.5,))
    unscaled = [("RE", 1.0, "", math.nan)]
    found = equal_points(table([*unscaled, *pn(30, 0)], Ear.mos), Ear())
    assert set(found) == {"PN"}


def test_a_chain_has_the_levels_it_was_written_with():
    chain = [("AIR", m, "mos", math.nan) for m in (1.0, 2.0, 3.0)]
    heard = {1.0: 4.7, 2.0: 4.1, 3.0: 2.9}
    found = equal_points(table(chain, lambda _, m: heard[m]), None, mos=(4.5, 4.0, 2.0))
    assert [(one.magnitude, one.level) for one in found["AIR"]] == [
        (1.0, pytest.approx(4.7)), (2.0, pytest.approx(4.1)),
    ]  # fmt: skip


def test_a_level_costs_few_questions_even_where_hearing_jumps():
    asked = []

    def step(magnitude):
        asked.append(magnitude)
        return 0.0 if magnitude > 17.3 else 3.0

    known = {40.0: 0.0, -20.0: 3.0}
    best = reach(step, 0.5, code="PN", known=known, tolerance=0.02)
    assert len(asked) <= MOST_STEPS
    assert best == min((m for m in known if m > 17.3), default=None)
    assert best == pytest.approx(17.3, abs=1.5)


def test_the_grid_can_be_run_and_says_what_is_heard(tmp_path):
    ear = Ear()
    found = equal_points(table([*pn(30, 0), ("PS", 1.0, "jnd", 10.0)], ear.mos), ear, mos=(4.5,))
    made = grid_file(found, n_clips=3)
    assert b"PN: [32.5]  # MOS 4.50 (median of 3 clips)" in made
    file = tmp_path / "equal.yaml"
    file.write_bytes(made)
    assert set(grid(file).codes) == {"PN", "PS"}
