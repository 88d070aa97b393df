"""What a finished run shows in Python and in a notebook."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nearkin
from nearkin.errors import InputError


@pytest.fixture
def result(small_run: Path) -> nearkin.Result:
    return nearkin.load(small_run)


def test_a_table_is_what_the_consistency_table_says(result: nearkin.Result) -> None:
    found = result.table("C_W", distance="euclidean", at="MP=64", encoders=["mfcc"])
    rows = result.consistency.query(
        "measure == 'C_W' and latent_distance == 'euclidean' and transformation == 'MP'"
        " and magnitude == 64 and encoder == 'mfcc'"
    )
    assert found.index.tolist() == ["mfcc"]
    assert found.loc["mfcc", ("MP 64", "value")] == rows["value"].item()


def test_the_summary_has_a_row_an_encoder_and_the_verdicts_words(result: nearkin.Result) -> None:
    summary = result.summary
    assert summary.index[-1].startswith("audio space")
    assert [one.near.word for one in result.verdicts] == summary["assumption_i"].tolist()
    assert summary.loc["constant", "assumption_i"] == "does not hold"


def test_a_notebook_shows_verdicts_and_charts(result: nearkin.Result) -> None:
    page = result._repr_html_()
    assert page.count("<tr>") == len(result.verdicts)  # the head for the audio space
    for measure in ("C_W", "C_B_rho", "C_B_acc"):
        bundle = result.plot(measure, encoders=["mfcc"])._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        spec = json.dumps(bundle)
        assert "mfcc" in spec
        assert "constant" not in spec


def test_names_of_encoders_are_escaped(small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    result = nearkin.load(tmp_path / "run")
    hostile = "<script>alert(1)</script>"
    result.consistency["encoder"] = result.consistency["encoder"].replace("mfcc", hostile)
    result.queries["encoder"] = result.queries["encoder"].replace("mfcc", hostile)
    page = result._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_what_cannot_be_drawn_is_refused(result: nearkin.Result) -> None:
    with pytest.raises(InputError, match="measure 'kappa': known: C_B_acc, C_B_rho, C_W"):
        result.plot("kappa")
    with pytest.raises(InputError, match="encoder 'mfc': did you mean 'mfcc'"):
        result.plot(encoders=["mfc"])
