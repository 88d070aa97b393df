"""Gates: verdicts against hand-made tables, refusals that never pass, JUnit XML."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin.errors import InputError
from nearkin.results.gate import judge
from nearkin.results.gate_reports import junit
from nearkin.results.systems import systems_of
from nearkin.tables import CONSISTENCY
from support.fabricated import fabricate

RUN = {
    "encoders": [
        {"name": "mine", "task": "", "role": "tested"},
        {"name": "mfcc", "task": "", "role": "reference"},
    ]
}


def table(*scores: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of (encoder, measure, audio, latent, code, magnitude, value, low, high)."""
    names = ["encoder", "measure", "audio_distance", "latent_distance"]
    names += ["transformation", "magnitude", "value", "ci_low", "ci_high"]
    rows = pd.DataFrame(scores, columns=names)
    rows = rows.assign(task="", trial=1, n=100, n_failed=0, chance=0.01, side="", status="ok")
    rows = rows.assign(ci_method="clopper-pearson")
    return rows[list(CONSISTENCY)]


def c_w(code: str, magnitude: float, value: float, *, encoder: str = "mine") -> tuple[Any, ...]:
    low, high = max(value - 0.03, 0), min(value + 0.03, 1)
    return (encoder, "C_W", "", "cosine", code, magnitude, value, low, high)


SCORES = table(
    c_w("OG", 0, 1.0),
    c_w("MP", 8, 0.3),
    c_w("MP", 128, 0.96),
    c_w("MP", 192, 0.99),
    c_w("PS", -1, 0.8),
    c_w("PS", 1, 0.9),
    c_w("PS", 0.25, 0.97),
    c_w("MP", 8, 0.1, encoder="mfcc"),
    ("mine", "monotonicity", "", "cosine", "MP", math.nan, 0.9, 0.8, 0.95),
)


@pytest.mark.parametrize(
    ("text", "met", "value", "held", "places"),
    [
        ("C_W[mine,cosine] >= 0.95 @ MP>=128", True, 0.96, 2, 2),
        ("C_W[mine,cosine] >= 0.95 @ MP>128", True, 0.99, 1, 1),
        ("C_W[mine,cosine] >= 0.97 @ MP>=128", False, 0.96, 1, 2),
        ("C_W[mine,cosine] > 0.96 @ MP>=128", False, 0.96, 1, 2),
        ("C_W[mine] >= 0.9 @ PS in 0..1, MP=192", True, 0.9, 3, 3),
        ("C_W[mine] >= 0.9 @ PS in -1..1", False, 0.8, 2, 3),
        ("C_W[mine] >= 0.9 @ MP>=64 and MP<=128 and PS=1", True, 0.9, 2, 2),
        ("C_W[mine] >= 0.9 @ imperceptible", True, 0.97, 2, 2),
        ("C_W >= 0.3", True, 0.3, 6, 6),
        ("C_W <= 0.3 @ MP", False, 0.99, 1, 3),
        ("C_W >= 1 @ OG", True, 1.0, 1, 1),
        ("mean(C_W) >= 0.74 @ MP", True, 0.75, 1, 1),
        ("median(C_W) >= 0.97 @ MP", False, 0.96, 0, 1),
        ("C_W[mfcc] < 0.2", True, 0.1, 1, 1),
        ("monotonicity >= 0.9 @ MP", True, 0.9, 1, 1),
    ],
)
def test_verdicts(text: str, met: bool, value: float, held: int, places: int) -> None:
    (found,) = judge([text], SCORES, RUN)
    assert (found.met, found.held, found.places) == (met, held, places)
    assert found.value == pytest.approx(value)
    assert found.sentence().startswith("met " if met else "UNMET ")


def test_the_interval_must_hold_on_request() -> None:
    text = "C_W[mine] >= 0.95 @ MP>=128"
    assert judge([text], SCORES, RUN)[0].met
    found = judge([text], SCORES, RUN, on="lower")[0]
    assert (found.met, found.held) == (False, 1)
    assert "by the interval's lower end" in found.sentence()
    below = "C_W[mine] <= 0.32 @ MP=8"
    assert judge([below], SCORES, RUN)[0].met
    assert not judge([below], SCORES, RUN, on="lower")[0].met
    mean = judge(["mean(C_W) >= 0.72 @ MP"], SCORES, RUN, on="lower")[0]
    assert mean.ci_low == pytest.approx((0.27 + 0.93 + 0.96) / 3)
    assert mean.met == (mean.ci_low >= 0.72)
    with pytest.raises(InputError, match="--on uper"):
        judge([text], SCORES, RUN, on="uper")  # type: ignore[arg-type]


def test_what_is_undefined_is_not_met() -> None:
    scores = SCORES.copy()
    where = (scores["transformation"] == "MP") & (scores["magnitude"] == 192)
    scores.loc[where, ["value", "ci_low", "ci_high"]] = np.nan
    scores.loc[where, "status"] = "undefined: x"
    for text in ("C_W[mine] >= 0 @ MP", "C_W[mine] <= 1 @ MP", "mean(C_W) >= 0 @ MP"):
        (found,) = judge([text], scores, RUN)
        assert not found.met
        assert math.isnan(found.value)
        assert "undefined" in found.sentence()
        assert not judge([text], scores, RUN, on="lower")[0].met


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("C_W[mien] >= 0", "the run has no encoder 'mien': did you mean 'mine'?"),
        ("C_W[mine,cosin] >= 0", "no distance 'cosin' there: known: cosine|did you mean 'cosine'"),
        ("C_W[mine,dtw] >= 0", "no distance 'dtw' there"),
        ("C_W@10 >= 0", "the run has no C_W@10"),
        ("kappa >= 0", "the run has no kappa"),
        ("monotonicity[mfcc] >= 0", "the run has no monotonicity of encoder 'mfcc'"),
        ("C_W >= 0 @ TS", "the run has no transformation 'TS'"),
        ("C_W >= 0 @ Mp", "did you mean 'MP'"),
        ("C_W >= 0 @ MP>192", "'MP>192' names no point of the run: MP has 8, 128, 192"),
        ("C_W >= 0 @ MP, PS=3", "'PS=3' names no point"),
        ("C_W >= 0 @ MP>8 and MP<128", "'MP>8 and MP<128' names no point"),
        ("C_W[mfcc] >= 0 @ imperceptible", "names no point"),
        ("monotonicity >= 0 @ PS", "the run has no transformation 'PS'"),
    ],
)
def test_a_requirement_that_matches_nothing_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("(", r"\(").replace("?", r"\?")):
        judge([text], SCORES, RUN)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        judge(["C_W[mien] > 0", "C_W[mine] > 0", "C_W >"], SCORES, RUN)
    assert str(caught.value).count("requirement '") == 2
    with pytest.raises(InputError, match="a gate needs one"):
        judge([], SCORES, RUN)


def test_references_are_not_meant_unless_named() -> None:
    assert judge(["C_W >= 0.3 @ MP"], SCORES, RUN)[0].met
    assert not judge(["C_W[mfcc] >= 0.3 @ MP"], SCORES, RUN)[0].met


@given(st.floats(0, 1), st.sampled_from([">=", ">", "<=", "<"]))
@settings(deadline=None, max_examples=60)
def test_all_hold_exactly_when_numpy_says_so(bound: float, sign: str) -> None:
    data = fabricate(grid={"PN": [0, 30], "TS": [0.9, 1.1]}, tested=(("good", ""),), n=20)
    rows = data.consistency.query(
        "encoder == 'good' and measure == 'C_W' and transformation != 'OG'"
    )["value"].to_numpy()
    truth = {">=": rows >= bound, ">": rows > bound, "<=": rows <= bound, "<": rows < bound}[sign]
    (found,) = judge([f"C_W {sign} {bound!r}"], data.consistency, data.run)
    assert found.met == truth.all()
    assert (found.held, found.places) == (truth.sum(), len(rows))
    assert found.value == (rows.min() if sign.startswith(">") else rows.max())


def test_an_encoder_may_be_named_by_the_spec_it_was_run_with() -> None:
    run = {"encoders": [{**RUN["encoders"][0], "spec": "./own.py:mine"}, RUN["encoders"][1]]}
    (found,) = judge(["C_W[./own.py:mine,cosine] >= 0.95 @ MP>=128"], SCORES, run)
    assert (found.met, found.encoder) == (True, "mine")


@pytest.mark.parametrize("kept", ["random", "logmel-projection"])
def test_an_encoder_may_be_named_as_it_was_before(kept: str) -> None:
    """In a run of either time, either name means the projection."""
    data = fabricate(grid={"PN": [30]}, tested=(("good", ""),), references=("mfcc", kept), n=20)
    for asked in ("random", "logmel-projection"):
        (found,) = judge([f"C_W[{asked},cosine] >= 0 @ PN"], data.consistency, data.run)
        assert (found.met, found.encoder) == (True, kept)


def test_several_trials_are_judged_by_their_mean() -> None:
    data = fabricate(
        grid={"PN": [0, 30]}, tested=(("vgg", "at"), ("vgg", "ae")), references=(), n=20, trials=3
    )
    (found,) = judge(["C_W[vgg-at,cosine] >= 0 @ PN=30"], data.consistency, data.run)
    rows = data.consistency.query(
        "task == 'at' and trial == 0 and measure == 'C_W' and latent_distance == 'cosine' "
        "and transformation == 'PN' and magnitude == 30"
    )
    assert found.value == rows["value"].item()
    assert judge(["C_W[vgg] >= 0 @ PN=30"], data.consistency, data.run)[0].places == 4
    (before,) = judge(['C_W["vgg · at",cosine] >= 0 @ PN=30'], data.consistency, data.run)
    assert (before.value, before.encoder) == (found.value, "vgg-at")  # its name in older gates


def test_two_encoders_never_share_a_label() -> None:
    data = fabricate(grid={"PN": [30]}, tested=(("vgg-ae", ""), ("vgg", "ae")), references=(), n=9)
    assert [one.label for one in systems_of(data.run, data.consistency)] == [
        "vgg-ae",
        "vgg-ae (ae)",
    ]


def test_junit_xml_is_whole_whatever_the_names() -> None:
    name = 'a <b> & "c" \x00\n]]>'
    scores = SCORES.replace({"encoder": {"mine": name}})
    run = {"encoders": [{"name": name, "task": "", "role": "tested"}, RUN["encoders"][1]]}
    verdicts = judge(["C_W >= 0.5 @ MP", "C_W >= 0.2 @ MP"], scores, run)
    root = ET.fromstring(junit(verdicts, run="r\x01<"))
    assert root.attrib == {"tests": "2", "failures": "1", "errors": "0"}
    cases = root.findall("testsuite/testcase")
    assert [len(case.findall("failure")) for case in cases] == [1, 0]
    assert 'a <b> & "c"' in cases[0].find("failure").attrib["message"]  # type: ignore[union-attr]
    broken = ET.fromstring(junit([], run="r", problem="no <measure>"))
    assert broken.attrib == {"tests": "1", "failures": "0", "errors": "1"}


def test_the_command(tmp_path: Path, small_run: Path) -> None:
    from support.commands import command, refused

    file = tmp_path / "junit.xml"
    good, bad = "C_W[mfcc,cosine] >= 0 @ MP>=32", "C_W[mfcc,cosine] < 0.1 @ PN=30"
    done = command("gate", small_run, "--require", good, "--junit", file, "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert json.loads(done.stdout.strip().splitlines()[-1])["met"] is True
    assert ET.parse(file).getroot().attrib["failures"] == "0"
    done = command("gate", small_run, "--require", good, "--require", bad, "--junit", file)
    assert done.exit_code == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["met", "UNMET"]
    assert ET.parse(file).getroot().attrib["failures"] == "1"
    sentence = refused("gate", small_run, "--require", "C_W[mfc] >= 0", "--junit", file)
    assert "did you mean 'mfcc'?" in sentence
    assert ET.parse(file).getroot().attrib["errors"] == "1"
    assert "a gate needs one" in refused("gate", small_run)
    assert command("gate", small_run, "--require", "C_W@3[mfcc] >= 0 @ PN").exit_code == 0
    assert "C_W@7: must be in 2..5" in refused("gate", small_run, "--require", "C_W@7 >= 0")
    assert "holds no run" in refused("gate", tmp_path, "--require", good)


def test_a_tested_encoder_without_the_gallery_is_refused_by_name() -> None:
    rows = table(
        *(c_w("MP", 8, 0.6, encoder=name) for name in ("mine", "kept", "mfcc")),
        ("mine", "C_W@5000", "", "cosine", "MP", 8, 0.55, 0.5, 0.6),
    )
    run = {"encoders": [*RUN["encoders"], {"name": "kept", "task": "", "role": "tested"}]}
    with pytest.raises(InputError, match=r"the run has no C_W@5000 of kept: .* nearkin gallery"):
        judge(["C_W@5000 >= 0.5"], rows, run)
    assert judge(["C_W@5000[mine] >= 0.5"], rows, run)[0].met
    assert judge(["C_W >= 0.5"], rows, run)[0].places == 2


def test_failed_queries_are_named_at_the_worst_place() -> None:
    lost = SCORES.assign(n=14, n_failed=0)
    lost.loc[(lost["magnitude"] == 8) & (lost["encoder"] == "mine"), "n_failed"] = 11
    (one,) = judge(["C_W[mine] >= 0.9 @ MP"], lost, RUN)
    assert (one.failed, one.asked) == (11, 14)
    assert "(11 of 14 queries failed and count as lost)" in one.sentence()
    lost.loc[lost["n_failed"] > 0, "status"] = "11 of 14 queries failed; 2 of 16 originals failed"
    (one,) = judge(["C_W[mine] >= 0.9 @ MP"], lost, RUN)
    assert one.sentence().endswith("count as lost) (2 of 16 originals failed)")
    (mean,) = judge(["mean(C_W[mine]) >= 0.9 @ MP"], lost, RUN)
    assert "(11 of 42 queries failed and count as lost)" in mean.sentence()
    (fine,) = judge(["C_W[mine] >= 0.9 @ PS=1"], lost, RUN)
    assert "failed" not in fine.sentence()
    assert one.as_dict()["failed"] == 11


def test_kappa_without_a_value_says_what_to_require() -> None:
    rows = table(("mine", "kappa", "dtw", "cosine", "MP", 192, math.nan, math.nan, math.nan))
    rows["status"] = "undefined: agreement by chance is certain"
    (one,) = judge(["kappa >= 0.5 @ MP"], rows, RUN)
    assert not one.met
    assert "agreement by chance is certain" in one.sentence()
    assert one.sentence().endswith("require C_B_acc there")
