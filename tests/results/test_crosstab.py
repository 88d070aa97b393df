"""Encoders by transformations: the cells are the run's own, and names survive every format."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nearkin
from nearkin.errors import InputError
from nearkin.results.crosstab import crosstab, latex_text, render
from support.commands import command, refused


@pytest.fixture(scope="module")
def result(small_run: Path) -> nearkin.Result:
    return nearkin.load(small_run)


def test_cells_are_the_rows_of_the_table(result: nearkin.Result) -> None:
    table = crosstab(result.consistency, result.run, distance="cosine")
    assert table.labels == ["PN 30", "TS 0.9", "TS 1.1", "MP 64"]
    rows = result.consistency.query(
        "measure == 'C_W' and latent_distance == 'cosine' and transformation == 'TS'"
        " and magnitude == 1.1 and encoder == 'mfcc'"
    )
    found = table.frame().loc["mfcc", "TS 1.1"]
    assert found.tolist() == rows[["value", "ci_low", "ci_high"]].iloc[0].tolist()
    severe = crosstab(result.consistency, result.run, at="most-severe")
    assert severe.labels == ["PN -15", "TS 0.5", "TS 1.3", "MP 8"]


@pytest.mark.parametrize("measure", ["C_B_rho", "C_B_acc", "kappa", "monotonicity"])
def test_every_measure_has_its_table(result: nearkin.Result, measure: str) -> None:
    table = crosstab(result.consistency, result.run, measure=measure)
    assert table.distance == ("cosine" if measure == "monotonicity" else "dtw,cosine")
    rows = result.consistency[result.consistency["measure"] == measure]
    side = "slower" if measure == "monotonicity" else ""
    mine = rows.query("encoder == 'mfcc' and latent_distance == 'cosine'")
    mine = mine[mine["transformation"] == "TS"]
    if side:
        label = "TS\N{MINUS SIGN}"
        want = mine[mine["side"] == side]["value"].item()
    else:
        label = "TS 0.9"
        want = mine.query("magnitude == 0.9 and audio_distance == 'dtw'")["value"].item()
    found = table.frame().loc["mfcc", (label, "value")]
    assert found == want or (math.isnan(found) and math.isnan(want))


def test_csv_can_be_read_back_to_the_last_bit(result: nearkin.Result) -> None:
    table = crosstab(result.consistency, result.run, at="TS=1.1, PN=30")
    head, *rows = csv.reader(io.StringIO(render(table, "csv")))
    assert head[1:4] == ["TS 1.1 value", "TS 1.1 ci_low", "TS 1.1 ci_high"]
    read = np.array([[float(x or "nan") for x in row[1:]] for row in rows])
    np.testing.assert_array_equal(read, table.frame().to_numpy())


def test_names_are_escaped(result: nearkin.Result) -> None:
    hostile = r"a_b & 50% #1 {x} $y$ \input{z} ^ ~ |c|"
    rows = result.consistency.assign(encoder=result.consistency["encoder"].replace("mfcc", hostile))
    run = {"encoders": [{"name": hostile, "task": "", "role": "tested"}]}
    table = crosstab(rows, run)
    line = next(row for row in render(table, "latex").splitlines() if row.startswith("a"))
    name = line.split(" & ")[0] + " & " + line.split(" & ")[1]
    assert latex_text(hostile) in line
    assert r"\input" not in name
    # column separators are only those of the table: an ampersand in a name is escaped
    assert line.replace(r"\&", "").count("&") == len(table.labels)
    markdown = render(table, "markdown").splitlines()
    assert {row.replace("\\|", "").count("|") for row in markdown} == {len(table.labels) + 2}


def test_what_is_undefined_is_a_dash() -> None:
    row = {"trial": 1, "measure": "C_W", "audio_distance": "", "latent_distance": "cosine", "n": 9}
    point = {"transformation": "PN", "magnitude": 30.0, "side": ""}
    nothing = {"value": math.nan, "ci_low": math.nan, "ci_high": math.nan}
    bare = {"value": 0.5, "ci_low": math.nan, "ci_high": math.nan}
    frame = pd.DataFrame(
        [
            {**row, **point, **nothing, "encoder": "a", "task": ""},
            {**row, **point, **bare, "encoder": "b", "task": ""},
        ]
    )
    lines = render(crosstab(frame, {}), "markdown").splitlines()
    assert lines[2:] == ["| a | -- |", "| b | 0.50 |"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"measure": "C_Q"}, "measure 'C_Q': did you mean 'C_W'"),
        ({"distance": "cosin"}, "distance 'cosin': must be one of the run's:"),
        ({"measure": "C_B_rho", "distance": "cosine"}, "must be AUDIO,LATENT, such as dtw,"),
        ({"at": "TS=7"}, "at 'TS=7': must be mildest.*the run has TS=0.5, TS=0.7"),
        ({"at": "XX"}, "at 'XX': must be mildest.*the run has PN, TS, MP"),
        ({"encoders": ["mfc"]}, "encoder 'mfc': did you mean 'mfcc'"),
    ],
)
def test_what_the_run_has_not_is_refused(
    result: nearkin.Result, asked: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        crosstab(result.consistency, result.run, **asked)  # type: ignore[arg-type]


def test_the_command(small_run: Path) -> None:
    done = command("table", small_run, "--format", "latex", "--encoder", "mfcc")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrr}"
    assert lines[-1] == r"\end{tabular}"
    assert sum(line.startswith("mfcc") for line in lines) == 1
    assert "format 'word': known: csv, latex, markdown" in refused(
        "table", small_run, "--format", "word"
    )
