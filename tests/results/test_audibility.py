"""C_W at equal audibility, on tables whose answer is known by arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from nearkin.errors import InputError, RunError
from nearkin.results.answers import RunTables
from nearkin.results.audibility import (
    at_level,
    audibility,
    heard_of,
    medians,
)
from nearkin.results.schemas import checked
from nearkin.transforms.magnitudes import Point

N = 20
SNR = (40.0, 30.0, 20.0, 10.0, 0.0)
TEMPO = (0.97, 0.9, 1.03, 1.1)


def perception(mos_of=lambda clip, snr: 5 - (45 - snr) / (20 + clip)):
    """Clip k hears MOS 5 - (45 - SNR) / (20 + k): 4.5 at an SNR of 35 - k / 2."""
    rows = []
    for clip in range(N):
        rows.append(row(clip, "OG", 0.0, "mos", 5.0, 0.0))
        rows += [row(clip, "PN", snr, "mos", mos_of(clip, snr), math.nan) for snr in SNR]
        rows += [
            row(clip, "TS", r, "jnd", math.nan, abs(math.log(r)) / math.log(1.03)) for r in TEMPO
        ]
        rows.append(row(clip, "RE", 1.0, "", math.nan, math.nan, "its kind of change has no scale"))
    return pd.DataFrame(rows)


def row(clip, code, magnitude, scale, mos, jnd, status="ok"):
    return {
        "clip_id": f"clip{clip:02d}", "transformation": code, "magnitude": magnitude,
        "effective_magnitude": magnitude, "scale": scale, "mos": mos,
        "zimtohrli": math.nan, "jnd": jnd, "status": status,
    }  # fmt: skip


def tables(margin_of, *, groups=None):
    """A run whose margins are `margin_of(clip, code, magnitude)`; NaN: the encoder failed."""
    rows = []
    for clip in range(N):
        for code, values in (("OG", (0.0,)), ("PN", SNR), ("TS", TEMPO), ("RE", (1.0,))):
            for magnitude in values:
                margin = margin_of(clip, code, magnitude)
                rows.append(
                    {
                        "encoder": "mine", "task": "", "trial": 1, "space": "latent",
                        "distance": "cosine", "transformation": code, "magnitude": magnitude,
                        "clip_id": f"clip{clip:02d}", "margin": margin,
                        "error": not margin > 0, "status": "ok",
                    }
                )  # fmt: skip
    clips = pd.DataFrame(
        {
            "clip_id": [f"clip{clip:02d}" for clip in range(N)],
            "status": "ok",
            "content_sha256": [f"{clip}" for clip in range(N)],
            "group": groups or [f"g{clip}" for clip in range(N)],
        }
    )
    return RunTables("run", {}, clips, pd.DataFrame(rows))


def linear(clip, code, magnitude):
    """Falls with the SNR: 0 at an SNR of 30 for every clip. 10 at the original."""
    return {"OG": 10.0, "PN": magnitude - 30.0, "TS": 1.0, "RE": 1.0}[code]


def at(found, code, side=""):
    return found[(found["transformation"] == code) & (found["side"] == side)].iloc[0]


def test_every_clip_is_asked_where_its_own_mos_is_the_level():
    found = at(audibility(tables(linear), perception()), "PN")
    # MOS 4.5 lies at SNR 35 - k / 2, where the margin is 5 - k / 2: above 0 for k < 10. Clips 0 to
    # 9; of clip 10 it is just 0. Between 40 dB and the original (k < 0) nobody lies.
    assert found["n"] == N
    assert found["value"] == 10 / N
    assert found["magnitude"] == pytest.approx(np.median(35 - np.arange(N) / 2))
    exact = binomtest(10, N).proportion_ci(0.95, "exact")
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((exact.low, exact.high))
    assert (found["scale"], found["level"], found["status"]) == ("mos", 4.5, "ok")


def test_a_level_milder_than_the_mildest_lies_between_it_and_the_original():
    heard = perception(lambda clip, snr: 5 - 1.0 * (45 - snr) / 5)  # 40 dB: MOS 4
    falling = tables(lambda clip, code, m: 3.0 if code == "OG" else -1.0)
    assert at(audibility(falling, heard, mos=4.5), "PN")["value"] == 1.0  # margin 1 half-way
    assert at(audibility(falling, heard, mos=4.2), "PN")["value"] == 0.0  # 3 - .8 * 4 = -.2


def test_clips_that_never_hear_so_much_are_counted():
    deaf = perception(lambda clip, snr: 4.9 if clip < 15 else 5 - (45 - snr) / (20 + clip))
    found = at(audibility(tables(linear), deaf), "PN")
    assert (found["n"], found["n_beyond"]) == (5, 15)
    nobody = at(audibility(tables(linear), perception(lambda clip, snr: 4.9)), "PN")
    assert math.isnan(nobody["value"])
    assert nobody["status"] == "the most severe magnitude is not audible enough"


def test_what_the_encoder_failed_is_lost():
    def failing(clip, code, magnitude):
        return math.nan if clip < 5 and code == "PN" else linear(clip, code, magnitude)

    assert at(audibility(tables(failing), perception()), "PN")["value"] == 5 / N


def test_just_noticeable_differences_are_another_scale():
    def steep(clip, code, magnitude):
        return 1.0 if code != "TS" else 3 - abs(math.log(magnitude)) / math.log(1.03)

    found = audibility(tables(steep), perception(), jnd=1.0)
    for side in ("slower", "faster"):
        mine = at(found, "TS", side)
        assert (mine["scale"], mine["level"], mine["value"]) == ("jnd", 1.0, 1.0)
        assert at(audibility(tables(steep), perception(), jnd=3.1), "TS", side)["value"] == 0.0
    assert "RE" not in set(found["transformation"])
    assert at(found, "TS", "faster")["magnitude"] == pytest.approx(1.03, abs=0.001)


def test_clips_of_a_group_are_no_independent_draws():
    pairs = [f"g{clip // 5}" for clip in range(N)]
    alone = at(audibility(tables(linear), perception()), "PN")
    together = at(audibility(tables(linear, groups=pairs), perception()), "PN")
    assert together["value"] == alone["value"]
    assert together["ci_high"] - together["ci_low"] > alone["ci_high"] - alone["ci_low"]


def test_at_level():
    heard = np.array([[0.0, 0.4, 0.3, 1.0], [0.0, np.nan, 0.5, 1.0], [0.0, 0.1, 0.2, 0.3]])
    values = np.array([[0.0, 1.0, 2.0, 3.0]] * 3)
    found = at_level(heard, values, 0.5)
    # the first falls back once: from .4 (kept) to 1.0 the level is a sixth of the way
    assert found[0] == pytest.approx(2 + 1 / 6)
    assert found[1] == pytest.approx(2.0)
    assert math.isnan(found[2])


def test_impossible_levels_are_refused():
    for level in (5.0, 1.0, 0.0, math.nan):
        with pytest.raises(InputError, match="must lie between 1 and 5"):
            audibility(tables(linear), perception(), mos=level)
    with pytest.raises(InputError, match="must be > 0"):
        audibility(tables(linear), perception(), jnd=0.0)


def test_medians_and_words():
    table = medians(perception())
    assert "RE" not in table.index.get_level_values("transformation")
    assert table.loc[("PN", 20.0), "n"] == N
    told = heard_of(perception(), [Point("PN", 30.0), Point("TS", 1.03), Point("RE", 1.0)])
    assert told == ["PN at 30 dB: MOS 4.49", "TS at 1.03 × tempo: 1 JND"]


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("mos", "loud", "column mos: 5.0: must be a finite number, or missing"),
        ("transformation", None, "row 3, column transformation: None: must be text"),
        ("status", "half \ud800", "row 3, column status: 'half \\ud800': must be text"),
        ("magnitude", math.inf, "row 3, column magnitude: inf: must be a finite number"),
        ("clip_id", "clip01", "repeats the clip_id transformation magnitude of another"),
    ],
)
def test_tables_of_strangers_are_held_to_their_columns(column: str, value, told: str) -> None:
    good = perception()
    assert len(checked(good, "perception", "p.parquet")) == len(good)
    number = isinstance(value, float)
    wrong = good.assign(**{column: good[column].astype(float if number else object)})
    wrong.loc[2, column] = value
    with pytest.raises(RunError, match=r"^p\.parquet: ") as raised:
        checked(wrong, "perception", "p.parquet")
    assert told in str(raised.value)
    assert str(raised.value).endswith("give nearkin perceive again")


def test_what_perceive_writes_fits_its_schema() -> None:
    linear = audibility(tables(lambda clip, code, magnitude: 0.1), perception())
    assert len(checked(linear, "audibility", "a.parquet")) == len(linear)
    with pytest.raises(RunError, match="has no column level"):
        checked(linear.drop(columns="level"), "audibility", "a.parquet")
