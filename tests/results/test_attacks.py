"""Sentences on the worst case: where half fall, what lies beyond the run, how it was searched."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from nearkin.results.attacks import worst_cases
from nearkin.tables import ATTACK_SCORES


def table(
    half: tuple[float, float, float], status: str = "ok", *, method: str = "pgd", trial: int = 1
) -> pd.DataFrame:
    who = {"encoder": "vgg", "task": "at", "trial": trial, "method": method, "n": 40}
    rows: list[dict[str, Any]] = []
    for snr, value in ((30.0, 0.1), (60.0, 0.75)):
        for code, kept in (("AD", value), ("PN", 1.0)):
            rows.append(
                {"measure": "C_W", "space": "latent", "distance": "cosine", "transformation": code,
                 "magnitude": snr, "value": kept, "ci_low": kept - 0.1, "ci_high": kept}
            )  # fmt: skip
    ends = dict(zip(("value", "ci_low", "ci_high"), half, strict=True))
    rows.append({"measure": "half_astray", "transformation": "AD", "magnitude": math.nan, **ends})
    found = pd.DataFrame([{"status": status, **row, **who} for row in rows])
    return found.reindex(columns=list(ATTACK_SCORES))


def test_the_crossing_and_its_interval_are_said() -> None:
    (one,) = worst_cases(table((52.34, 48.0, 57.0)))
    assert one.label == "vgg-at"
    assert one.sentence == (
        "Half of the clips can be led astray at 52.3 dB SNR [48.0 to 57.0]; at 60 dB 25% are "
        "(searched along its gradient; N = 40)."
    )
    assert one.snrs == (60.0, 30.0)
    assert dict(one.rows)["attacked"] == ("0.75 [0.65, 0.75]", "0.10 [0.00, 0.10]")
    assert dict(one.rows)["attacked, then MP3 at 128 kb/s"] == ("–", "–")


@pytest.mark.parametrize(
    ("half", "status", "said"),
    [
        ((58.0, 55.0, math.nan), "ok", "[55.0 to above 60]"),
        ((36.0, math.nan, 41.0), "ok", "[below 30 to 41.0]"),
        ((math.nan, math.nan, math.nan), "above 60 dB", "More than half of the clips can be led"),
        ((math.nan, math.nan, math.nan), "below 30 dB", "Not half of the clips are led astray"),
        ((math.nan, math.nan, math.nan), "undefined: nothing was asked", "undefined: nothing"),
    ],
)
def test_what_lies_beyond_the_run_is_said(
    half: tuple[float, float, float], status: str, said: str
) -> None:
    assert said in worst_cases(table(half, status))[0].sentence


def test_how_it_was_searched_is_said() -> None:
    (one,) = worst_cases(table((52.0, 48.0, 57.0), method="nes", trial=2))
    assert "by questions alone, which finds less than a gradient does" in one.sentence
    assert one.label == "vgg-at, trial 2"


def test_nothing_attacked_is_nothing_said() -> None:
    assert worst_cases(None) == []
