from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from nearkin.report.figures import (
    FIGURES,
    figure_3,
    figure_7,
    figure_12,
    figure_13,
    save,
    write_all,
)
from nearkin.report.figures.files import _svg, drawable, svg_of
from nearkin.transforms import magnitudes
from nearkin.transforms.grids import grid
from support.fabricated import IMPERCEPTIBLE, PAPER, fabricate


@pytest.fixture(scope="module")
def data():
    return fabricate(n=20)


@pytest.fixture(scope="module")
def trials():
    small = {"PN": [-3, 12, 30], "TS": [0.7, 0.98, 1.02, 1.3], "MP": [16, 64, 192]}
    return fabricate(n=12, trials=3, grid=small, tested=(("vgg", "at"), ("vgg", "ae")))


def records(spec) -> list[dict]:
    """Every data record anywhere in a spec."""
    found = []
    if isinstance(spec, dict):
        found += (
            spec.get("data", {}).get("values", []) if isinstance(spec.get("data"), dict) else []
        )
        for key, inner in spec.items():
            if key != "data":
                found += records(inner)
    elif isinstance(spec, list):
        for inner in spec:
            found += records(inner)
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_valid_vega_lite_and_finite_json(name, trials):
    spec = FIGURES[name](trials.consistency, run=trials.run).to_dict()  # validates
    json.dumps(spec, allow_nan=False)
    assert records(spec)


def test_figure_7_holds_the_table_and_nothing_else(data):
    spec = figure_7(data.consistency, run=data.run).to_dict(validate=False)
    table = data.consistency[
        (data.consistency["measure"] == "C_W")
        & (data.consistency["encoder"] == "good")
        & (data.consistency["latent_distance"] == "cosine")
    ]
    row = spec["vconcat"][1]
    assert "cosine" in row["title"]
    seen = 0
    for panel, (code, values) in zip(row["concat"], PAPER.items(), strict=True):
        drawn = {one["x"]: one for one in panel["data"]["values"] if one["series"] == "good"}
        assert sorted(drawn) == sorted(map(float, values))
        mine = table[table["transformation"] == code]
        for magnitude, value, low in zip(
            mine["magnitude"], mine["value"], mine["ci_low"], strict=True
        ):
            assert drawn[magnitude]["value"] == pytest.approx(value, abs=1e-6)
            assert drawn[magnitude]["low"] == pytest.approx(low, abs=1e-6)
            assert drawn[magnitude]["n"] == 20
            assert drawn[magnitude]["chance"] == pytest.approx(1 / 20)
            seen += 1
    assert seen == 91


def test_the_audio_space_lies_behind_and_references_below_the_tested(data):
    spec = figure_7(data.consistency, run=data.run).to_dict(validate=False)
    panel = spec["vconcat"][0]["concat"][0]
    order = list(dict.fromkeys(one["series"] for one in panel["data"]["values"]))
    assert order == [
        *("audio space, DTW", "audio space, SiMPle"),
        *("constant", "logmel-projection", "mfcc", "poor", "good"),
    ]


def test_within_space_axes_run_from_0_to_1(data):
    for name in ("figure_6", "figure_7"):
        spec = FIGURES[name](data.consistency, run=data.run).to_dict(validate=False)
        for row in spec["vconcat"]:
            for panel in row["concat"]:
                for layer in panel["layer"]:
                    if "y" in layer["encoding"]:
                        assert layer["encoding"]["y"]["scale"]["domain"] == [0.0, 1.0]


def test_trials_are_points_and_their_mean_the_curve(trials):
    spec = figure_7(trials.consistency, run=trials.run).to_dict(validate=False)
    panel = spec["vconcat"][0]["concat"][0]
    curve = [one for one in panel["data"]["values"] if one["series"] == "vgg-at"]
    assert {one["trial"] for one in curve} == {0}
    (points,) = [
        layer["data"]["values"]
        for layer in panel["layer"]
        if layer["mark"]["type"] == "point" and "data" in layer
    ]
    for one in curve:
        same = [p["value"] for p in points if (p["series"], p["x"]) == (one["series"], one["x"])]
        assert len(same) == 3
        assert one["value"] == pytest.approx(sum(same) / 3, abs=2e-6)


def test_figure_3_dots_are_the_grid_and_red_is_the_original():
    run = {"grid": {"points": [list(point) for point in grid("paper").points]}}
    spec = figure_3(pd.DataFrame(), run=run).to_dict()
    assert sum(len(strip["layer"][1]["data"]["values"]) for strip in spec["vconcat"]) == 91
    red = [strip["layer"][0]["data"]["values"][0]["x"] for strip in spec["vconcat"]]
    assert red == [30, 30, 1, 0, 192]


def test_figure_12_takes_the_imperceptible_points_of_the_paper_grid(data):
    spec = figure_12(data.consistency, run=data.run).to_dict(validate=False)
    panel = spec["vconcat"][0]["concat"][0]
    mine = [one for one in panel["data"]["values"] if one["series"] == "poor"]
    assert [one["direction"] for one in mine] == ["PN", "EN", "TS−", "TS+", "PS−", "PS+", "MP"]
    table = data.consistency.query(
        "encoder == 'poor' and measure == 'C_W' and latent_distance == 'euclidean'"
    ).set_index(["transformation", "magnitude"])["value"]
    expected = [table[code, float(v)] for code, values in IMPERCEPTIBLE.items() for v in values]
    assert [one["value"] for one in mine] == pytest.approx(expected, abs=1e-6)


def test_figure_13_names_what_is_undefined(data):
    spec = figure_13(data.consistency, run=data.run).to_dict(validate=False)
    panels = spec["vconcat"][0]["concat"]
    assert [panel["title"]["text"] for panel in panels] == [
        *("DTW and Euclidean", "DTW and cosine", "SiMPle and Euclidean", "SiMPle and cosine")
    ]
    assert {"series": "constant", "text": "undefined"} in records(spec)


def test_svg_and_pdf_are_written_and_the_svg_is_equal_each_time(trials, tmp_path):
    chart = figure_13(trials.consistency, run=trials.run)
    svg, pdf = save(chart, tmp_path / "a" / "figure_13")
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    assert "C_B_rho" in svg.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert min(svg.stat().st_size, pdf.stat().st_size) > 4_000
    again = save(figure_13(trials.consistency, run=trials.run), tmp_path / "b" / "figure_13")
    assert again[0].read_bytes() == svg.read_bytes()
    assert again[1].stat().st_size == pdf.stat().st_size
    assert b"/CreationDate" not in pdf.read_bytes()


def test_an_svg_does_not_hang_on_what_the_process_drew_before(trials):
    """The drawing program numbers parts over all that it drew; figures share a page."""
    specs = [drawable(chart(trials.consistency, run=trials.run)) for chart in (figure_7, figure_3)]
    drawn = []
    for spec in (*specs, *specs):
        drawn.append(svg_of(spec))
        _svg.cache_clear()
    assert drawn[:2] == drawn[2:]
    named = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in drawn[:2]]
    assert named[0]
    assert not named[0] & named[1]
    for svg, ids in zip(drawn, named, strict=False):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids


def test_write_all_writes_two_files_a_figure(trials, tmp_path):
    written = write_all(trials.consistency, trials.run, tmp_path)
    assert sorted(path.name for path in written) == sorted(
        f"{name}.{suffix}" for name in FIGURES for suffix in ("svg", "pdf")
    )
    assert all(path.stat().st_size > 2_000 for path in written)


def test_the_mildest_of_the_paper_grid_are_footnote_4():
    found = magnitudes.mildest(grid("paper").points)
    assert [(one.code, one.magnitude) for one in found] == [
        (code, float(value)) for code, values in IMPERCEPTIBLE.items() for value in values
    ]
    assert all(magnitudes.is_imperceptible(one) for one in found)
    assert not magnitudes.is_imperceptible(magnitudes.Point("PN", 20.0))


@pytest.mark.parametrize(("gib", "drawn"), [(2, False), (48, False), (None, True)])
def test_drawing_where_addresses_are_limited(
    gib: int | None, drawn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below some 64 GiB the drawing program aborts the process: a sentence instead."""
    import resource

    import altair as alt

    from nearkin.errors import RunError
    from nearkin.report.figures import save

    limit = resource.RLIM_INFINITY if gib is None else gib * 2**30
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    chart = alt.Chart(alt.Data(values=[{"a": 1}])).mark_point().encode(x="a:Q")
    if drawn:
        assert len(save(chart, tmp_path / "a")) == 2
        return
    with pytest.raises(RunError, match=rf"limited to {gib} GiB \(ulimit -v\)"):
        save(chart, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
