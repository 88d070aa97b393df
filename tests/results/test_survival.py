"""How much change an encoder survives: found by hand on made-up curves, and said from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

import nearkin
from nearkin.results.survival import answer, difference, of_run, survival, yardstick_of
from nearkin.results.systems import System

N = 20
CURVES = {  # C_W from mild to severe
    "PN": {30.0: 1.0, 12.0: 0.95, 3.0: 0.4, -6.0: 1.0},  # what comes back later is not survived
    "TS": {0.9: 1.0, 0.5: 0.9, 1.1: 1.0, 1.5: 1.0},
    "MP": {64.0: 0.9, 8.0: 0.1},
}


def table(encoder: str = "a", *, distance: str = "cosine") -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            **{"encoder": encoder, "task": "", "trial": 1, "measure": "C_W", "side": ""},
            **{"audio_distance": "", "latent_distance": distance, "status": "ok", "n": N},
            **{"transformation": code, "magnitude": magnitude, "value": value},
            **{"ci_low": value - 0.1, "ci_high": min(1.0, value + 0.1), "chance": 1 / N},
        }
        for code, curve in {**CURVES, "OG": {0.0: 1.0}}.items()
        for magnitude, value in curve.items()
    ]
    return pd.DataFrame(rows)


def test_the_most_severe_magnitude_before_the_first_loss() -> None:
    found = {(one.code, one.side): one for one in survival(table())}
    kept = {key: one.kept.magnitude if one.kept else None for key, one in found.items()}
    assert kept == {
        ("PN", ""): 12.0,
        ("TS", "slower"): 0.9,
        ("TS", "faster"): 1.5,
        ("MP", ""): None,
    }
    lost = {key: one.lost.magnitude if one.lost else None for key, one in found.items()}
    assert lost == {
        ("PN", ""): 3.0,
        ("TS", "slower"): 0.5,
        ("TS", "faster"): None,
        ("MP", ""): 64.0,
    }
    assert (found["PN", ""].stay, found["PN", ""].n) == (8, N)
    assert found["PN", ""].cell() == "12 dB"
    assert found["TS", "faster"].cell() == "1.5 × tempo (all)"
    assert found["MP", ""].cell() == "none"
    assert (found["MP", ""].value, found["MP", ""].ci_low) == (0.9, pytest.approx(0.8))


def test_rows_order_decides_nothing_and_gaps_are_passed_over() -> None:
    rows = table()
    assert survival(rows.sample(frac=1, random_state=0)) == survival(rows)
    rows.loc[rows["magnitude"] == 12.0, "value"] = math.nan
    kept = next(one for one in survival(rows) if one.code == "PN").kept
    assert kept is not None
    assert kept.magnitude == 30.0


def test_the_answer_says_what_the_table_holds() -> None:
    rows, system = table(), System("a", "", "tested")
    text = answer(system, survival(rows), rows, "cosine")
    assert "Of 20 clips 18 stay with their original at the worst of the mildest" in text
    assert "MP at 64 kb/s" in text
    assert "PN at 3 dB (8 of 20 stay)" in text
    assert "Never below 0.95 in this grid: TS+." in text
    whole = rows[rows["transformation"] != "MP"]
    assert answer(system, survival(whole), whole, "cosine").startswith(
        "Keeps 20 of 20 clips through the mildest change of every kind."
    )


def test_the_answer_says_how_many_clips_would_settle_it() -> None:
    """.9 of 20 clips, [.8, 1]: whether that is .95 is open; scipy finds the number that settles."""
    rows, system = table(), System("a", "", "tested")
    text = answer(system, survival(rows), rows, "cosine")
    told = int(text.split(" clips, as these, would settle whether that is 0.95.")[0].split()[-1])

    def upper(n: int) -> float:
        return float(stats.beta.ppf(0.975, 0.9 * n + 1, n - 0.9 * n))

    assert upper(told) < 0.95 <= upper(told - 1)
    sure = rows.assign(ci_low=rows["value"])
    assert "would settle" not in answer(
        system, survival(sure), sure[sure["transformation"] != "MP"], "cosine"
    )


def test_cosine_comes_first_and_another_distance_where_there_is_none() -> None:
    both = pd.concat([table(), table(distance="euclidean")])
    assert of_run(both, {})[0] == "cosine"
    assert of_run(table(distance="euclidean"), {})[0] == "euclidean"


def test_against_the_untrained_reference(small_run: Path) -> None:
    result = nearkin.load(small_run)
    distance, found = of_run(result.consistency, result.run)
    by_name = {system.encoder: system for system, _ in found}
    yardstick = yardstick_of(by_name.values())
    assert yardstick is not None
    asked = (distance, result.queries, result.clips, result.run)
    told = difference(by_name["constant"], yardstick, *asked)
    # five clips have 32 patterns of signs: their smallest p is 1/16, no difference can be shown
    assert "over the whole grid: no difference shown (-0.9" in told
    assert yardstick.encoder in ("random", "logmel-projection")
    assert difference(yardstick, yardstick, *asked) == ""


def test_the_report_opens_with_it(small_run: Path, tmp_path: Path) -> None:
    page = nearkin.load(small_run).report(tmp_path / "r.html").read_text("utf-8")
    assert page.index('id="answer"') < page.index('id="verdict"')
    assert page.count('class="reached') == 4 * len(nearkin.load(small_run).run["encoders"])
