"""Figure 4 and the top row of figure 12 hold the table, and say which side is better."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nearkin.errors import InputError
from nearkin.report import figures
from nearkin.report import page as report
from nearkin.report.figures.performance import standardised_scores, task_series
from support.fabricated import fabricate, performance

GRID = {"PN": [-3, 12, 30], "TS": [0.7, 0.98, 1.02, 1.3], "MP": [16, 64, 192]}
CHANCE = {"MSE": 1.0, "SDR": 2.0, "accuracy": 1 / 11, "AUC_C": 0.5}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    table = performance(grid=GRID, trials=3)
    chance = table["measure"].map(CHANCE)
    return table.assign(chance=chance + 0.001 * table["magnitude"])


@pytest.fixture(scope="module")
def data():
    tested = (("vgg", "at"), ("vgg", "ae"))
    return fabricate(n=10, grid=GRID, tested=tested, references=("mfcc", "constant"))


@pytest.fixture(scope="module")
def fourth(scores, data) -> dict[str, Any]:
    spec = figures.figure_4(scores, run=data.run).to_dict()  # validates
    json.dumps(spec, allow_nan=False)
    return spec


def test_figure_4_holds_the_table(fourth, scores) -> None:
    seen = 0
    order = ["ae", "vs", "ir", "at"]  # the paper's, from the signal's level to the listener's
    for task, row in zip(order, fourth["vconcat"], strict=True):
        for code, panel in zip(GRID, row["concat"], strict=True):
            for one in panel["data"]["values"]:
                found = scores[
                    (scores["task"] == task)
                    & (scores["encoder"] == one["series"])
                    & (scores["transformation"] == code)
                    & (scores["magnitude"] == one["x"])
                    & (scores["trial"] == 0)
                ].iloc[0]
                for name, column in (
                    *(("value", "value"), ("low", "ci_low"), ("high", "ci_high")),
                    ("chance", "chance"),
                ):
                    assert one[name] == pytest.approx(found[column], abs=1e-6)
                seen += 1
    assert seen == 4 * 2 * sum(map(len, GRID.values()))


def test_figure_4_says_unit_and_better_side(fourth) -> None:
    titles = [row["title"] for row in fourth["vconcat"]]
    assert titles == [
        "Autoencoder: MSE of the standardised spectrogram (less is better)",
        "Singing-voice separation: SDR, dB (more is better)",
        "Instrument recognition: accuracy (more is better)",
        "Auto-tagging: AUC_C (more is better)",
    ]


def test_figure_4_draws_chance_and_the_unchanged_clips(fourth, scores) -> None:
    panel = fourth["vconcat"][1]["concat"][0]
    chance = panel["layer"][0]
    assert chance["encoding"]["y"]["field"] == "chance"
    assert chance["mark"]["strokeDash"] == [1, 3]
    (levels,) = [
        {one["series"]: one["value"] for one in layer["data"]["values"]}
        for layer in panel["layer"]
        if layer["mark"]["type"] == "rule" and "series" in layer["data"]["values"][0]
    ]
    original = scores.query("task == 'vs' and transformation == 'OG' and trial == 0")
    expected = original.set_index("encoder")["value"]
    assert levels == pytest.approx(expected.to_dict(), abs=1e-6)


def test_no_chance_no_line(scores) -> None:
    spec = figures.figure_4(scores.assign(chance=np.nan), run={}).to_dict()
    panel = spec["vconcat"][0]["concat"][0]
    assert all(layer["encoding"]["y"].get("field") != "chance" for layer in panel["layer"])


def test_an_encoders_role_is_that_of_the_run(scores, data) -> None:
    roles = {(one.encoder, one.task): one.role for one in task_series(scores, data.run)}
    assert roles["mfcc", "ir"] == "reference"
    assert roles["vgg", "ir"] == "tested"
    assert {one.role for one in task_series(scores, {})} == {"tested"}
    shipped = [{"name": "vgg", "task": task, "role": "reference"} for task in ("ae", "at")]
    assert {one.role for one in task_series(scores, {"encoders": shipped})} == {"tested"}


def test_standardised_by_hand(scores) -> None:
    """Of each task: less the mean, over the deviation (n - 1), of trials on changed clips."""
    found = standardised_scores(scores)
    for task, sign in (("ae", -1), ("at", 1)):
        mine = scores["task"] == task
        singles = mine & (scores["trial"] > 0) & (scores["transformation"] != "OG")
        values = sign * scores.loc[singles, "value"].to_numpy()
        expected = (sign * scores.loc[mine, "value"] - values.mean()) / values.std(ddof=1)
        assert found.loc[mine, "value"].to_numpy() == pytest.approx(expected.to_numpy())
        assert (found.loc[mine, "ci_low"] < found.loc[mine, "value"]).all()
        assert (found.loc[mine, "ci_high"] > found.loc[mine, "value"]).all()


def test_figure_12_has_task_scores_on_top(scores, data) -> None:
    spec = figures.figure_12(data.consistency, run=data.run, performance=scores).to_dict()
    without = figures.figure_12(data.consistency, run=data.run).to_dict()
    assert spec["vconcat"][1:] == without["vconcat"]  # below it nothing changes
    top = spec["vconcat"][0]
    assert top["title"] == "Task performance, standardised within each task (more is better)"
    (panel,) = top["concat"]
    found = standardised_scores(scores).query("trial == 0")
    table = found.set_index(["encoder", "task", "transformation", "magnitude"])["value"]
    drawn = {(one["series"], one["direction"]): one["value"] for one in panel["data"]["values"]}
    for task in ("ae", "vs", "ir", "at"):
        for direction, point in (
            *(("PN", ("PN", 30.0)), ("TS−", ("TS", 0.98)), ("TS+", ("TS", 1.02))),
            ("MP", ("MP", 192.0)),
        ):
            expected = table["vgg", task, *point]
            assert drawn[f"vgg-{task}", direction] == pytest.approx(expected, abs=1e-6)
    assert len(drawn) == 2 * 4 * 4
    levels = {one["series"]: one["value"] for one in panel["layer"][-1]["data"]["values"]}
    assert levels["vgg-ae"] == pytest.approx(table["vgg", "ae", "OG", 0.0], abs=1e-6)


def test_one_legend_where_the_grids_differ(scores, data) -> None:
    more = performance(grid=GRID | {"PS": [-1, 1]}, trials=1)
    spec = figures.figure_12(data.consistency, run=data.run, performance=more).to_dict()
    legends = [
        panel["layer"][2]["encoding"]["color"]["scale"]
        for row in spec["vconcat"]
        for panel in row["concat"]
    ]
    assert all(legend == legends[0] for legend in legends)
    assert legends[0]["domain"] == ["PN", "TS−", "TS+", "MP", "PS−", "PS+"]


def test_equal_scores_have_no_scale(scores) -> None:
    flat = scores.assign(value=scores["value"].where(scores["task"] != "ir", 0.5))
    found = standardised_scores(flat)
    assert found.loc[found["task"] == "ir", "value"].isna().all()
    figures.figure_4(flat, run={}).to_dict()


def test_the_report_shows_scores_and_what_was_left_out(scores, data) -> None:
    mine = scores.copy()
    mine["status"] = mine["status"].where(
        mine["task"] != "vs", "3 of 100 clips left out: silent vocals"
    )
    performed = {
        "test_sets": {"vs": {"manifest": "<b>songs</b>.csv", "used": 97}},
        "plan": {"split": "test", "seed": 4, "grid": {"name": "g", "points": [["PN", 30.0]]}},
        "models": [{"scale": "small"}],
    }
    page = report.build(
        dataclasses.replace(data, performance=mine, performed=performed), stills=False
    )
    assert '<a href="#tasks">' in page
    assert "SDR (more is better)" in page
    assert "MSE (less is better)" in page
    assert "3 of 100 clips left out: silent vocals" in page
    assert "97 clips of &lt;b&gt;songs&lt;/b&gt;.csv" in page
    assert "<b>songs" not in page
    assert "mixture and voice passed tempo and pitch shifts together" in page
    assert "the scale small" in page
    counted = mine.assign(ci_method="t over trials", n_failed=3)
    page = report.build(
        dataclasses.replace(data, performance=counted, performed=performed), stills=False
    )
    assert '<th scope="col">interval</th>' in page
    assert "<td>t over trials</td>" in page
    assert "<td>100, 3 failed</td>" in page
    bare = report.build(
        dataclasses.replace(data, performance=scores), stills=False
    )  # a table from elsewhere
    assert 'id="figure-4"' in bare


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda t: t.drop(columns="measure"), "has no column measure"),
        (lambda t: t.replace({"measure": {"SDR": "SDRR"}}), "unknown task measure 'SDRR'"),
        (lambda t: t.assign(value="high"), "'value' holds"),
    ],
)
def test_a_spoilt_table_is_refused(scores, data, spoil, text) -> None:
    with pytest.raises(InputError, match=text):
        figures.figure_4(spoil(scores), run=data.run)
    with pytest.raises(InputError, match=text):
        report.build(dataclasses.replace(data, performance=spoil(scores)), stills=False)


def test_a_table_without_intervals_can_be_drawn(scores) -> None:
    lean = scores.drop(columns=["ci_low", "ci_high", "chance", "n"])
    figures.figure_4(lean, run={}).to_dict()
