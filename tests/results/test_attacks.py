"""Sentences on the worst case: where half fall, what lies beyond the run, how it was searched."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from nearkin.errors import InputError
from nearkin.results.attacks import attack_rows, worst_cases
from nearkin.results.gate import judge
from nearkin.results.requirements import parse
from nearkin.tables import ATTACK_SCORES, CONSISTENCY


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
    crossing = {"space": "latent", "distance": "cosine", "transformation": "AD"}
    rows.append({"measure": "half_astray", "magnitude": math.nan, **crossing, **ends})
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
        ((58.0, 55.0, math.inf), "ok", "[55.0 to above 60]"),
        ((36.0, -math.inf, 41.0), "ok", "[below 30 to 41.0]"),
        ((math.inf, math.inf, math.inf), "above 60 dB", "More than half of the clips can be led"),
        ((-math.inf, -math.inf, 35.0), "below 30 dB", "Not half of the clips are led astray"),
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


def rows_of(*tables: pd.DataFrame) -> list[dict[str, Any]]:
    return attack_rows(pd.concat(tables)).to_dict("records")


def test_a_gate_reads_attacked_clips_as_a_transformation() -> None:
    rows = rows_of(table((52.0, 48.0, math.nan)))
    c_w = [row for row in rows if row["measure"] == "C_W"]
    assert [(row["transformation"], row["magnitude"], row["value"]) for row in c_w] == [
        ("AD", 30.0, 0.1),
        ("AD", 60.0, 0.75),
    ]
    (half,) = [row for row in rows if row["measure"] == "AD_snr"]
    assert (half["value"], half["ci_low"], half["ci_high"]) == (52.0, 48.0, math.inf)


@pytest.mark.parametrize(("word", "value"), [("above 60 dB", math.inf), ("below 30 dB", -math.inf)])
def test_beyond_what_was_searched_it_is_infinite(word: str, value: float) -> None:
    nothing = (math.nan, math.nan, math.nan)
    (half,) = [row for row in rows_of(table(nothing, word)) if row["measure"] == "AD_snr"]
    assert half["value"] == value
    (none,) = [row for row in rows_of(table(nothing, "undefined: x")) if row["measure"] == "AD_snr"]
    assert math.isnan(none["value"])
    assert math.isnan(none["ci_low"])


RUN = {"encoders": [{"name": "vgg", "task": "at", "role": "tested"}], "n": 40}


@pytest.mark.parametrize(
    ("requirement", "met", "told"),
    [
        ("C_W[vgg-at,cosine] >= 0.7 @ AD>=60", True, "0.75 [0.65, 0.75] for vgg-at"),
        ("C_W >= 0.7 @ AD", False, "attacked at 30 dB SNR, the worst of 2; 1 of 2 hold"),
        ("mean(C_W[vgg-at]) >= 0.4 @ AD", True, "mean 0.425"),
        ("C_W[vgg-at] >= 0.9 @ AD=60, PN", False, "0.75 [0.65, 0.75]"),
        ("AD_snr[vgg-at] <= 55", True, "52 [48, inf] for vgg-at"),
        ("AD_snr <= 45", False, "52 [48, inf]"),
        ("C_W[vgg-at] >= 0.9", True, "0.99"),  # the whole grid holds no attack
    ],
)
def test_a_gate_holds_a_run_to_its_worst_case(requirement: str, met: bool, told: str) -> None:
    point = {
        **{"encoder": "vgg", "task": "at", "trial": 1, "measure": "C_W", "audio_distance": ""},
        **{"latent_distance": "cosine", "transformation": "PN", "magnitude": 30.0, "side": ""},
        **{"value": 0.99, "ci_low": 0.9, "ci_high": 1.0, "n": 40, "n_failed": 0, "status": "ok"},
    }
    grid = pd.DataFrame([point]).reindex(columns=list(CONSISTENCY))
    (one,) = judge([requirement], grid, RUN, attack_scores=table((52.0, 48.0, math.nan)))
    assert one.met is met
    assert told in one.sentence()
    mean_of_trials = grid.assign(trial=0)  # the mean over trials speaks, and the attack still does
    (again,) = judge([requirement], mean_of_trials, RUN,
                     attack_scores=table((52.0, 48.0, math.nan)))  # fmt: skip
    assert again == one


@pytest.mark.parametrize("text", ["AD_snr{} <= 55", "C_W{} >= 0.5 @ AD>=50", "C_W{} >= 0 @ AD, PN"])
def test_a_tested_encoder_that_was_not_attacked_is_refused_by_name(text: str) -> None:
    one = {"task": "", "trial": 1, "measure": "C_W", "latent_distance": "cosine", "side": ""}
    one |= {"audio_distance": "", "transformation": "PN", "magnitude": 30.0, "status": "ok"}
    one |= {"value": 0.99, "ci_low": 0.9, "ci_high": 1.0, "n": 40, "n_failed": 0}
    names = [("vgg", "at"), ("kept", ""), ("mfcc", "")]
    grid = pd.DataFrame([one | {"encoder": name, "task": task} for name, task in names])
    roles = ["tested", "tested", "reference"]
    entries = [
        {"name": name, "task": task, "role": role}
        for (name, task), role in zip(names, roles, strict=True)
    ]
    run = {"encoders": entries, "n": 40}
    grid = grid.reindex(columns=list(CONSISTENCY))
    scores = table((52.0, 48.0, 57.0))
    with pytest.raises(InputError, match="the run has no attack of kept: name the encoders"):
        judge([text.format("")], grid, run, attack_scores=scores)
    (named,) = judge([text.format("[vgg-at]")], grid, run, attack_scores=scores)
    assert named.met
    (grid_only,) = judge(["C_W >= 0.5 @ PN"], grid, run, attack_scores=scores)
    assert grid_only.places == 2


def test_a_gate_says_how_it_was_searched_and_what_it_needs() -> None:
    grid = pd.DataFrame(columns=list(CONSISTENCY))
    by_questions = table((52.0, 48.0, math.nan), method="nes")
    (one,) = judge(["AD_snr <= 55"], grid, RUN, attack_scores=by_questions)
    assert one.sentence().endswith("(searched by questions alone, which finds less than a "
                                   "gradient does)")  # fmt: skip
    with pytest.raises(InputError, match="give nearkin run the option --attack"):
        judge(["C_W >= 0.5 @ AD>=60"], grid, RUN)
    with pytest.raises(InputError, match="C_B_acc is not scored; require C_W"):
        judge(["C_B_acc >= 0.5 @ AD"], grid, RUN, attack_scores=by_questions)
    with pytest.raises(InputError, match="only a number can be demanded"):
        judge(["C_W[a] >= C_W[b] @ AD"], grid, RUN, attack_scores=by_questions)
    for wrong in ("AD_snr <= 55 @ PN", "AD_snr <= C_W[a]", "AD_snr < 900"):
        with pytest.raises(InputError, match="expected"):
            judge([wrong], grid, RUN, attack_scores=by_questions)
    for text in ("AD_snr[vgg-at] <= 40.5", "C_W >= 0.5 @ AD in 40..60"):
        assert str(parse(text)) == text
