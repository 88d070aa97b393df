"""Whatever files and encoders are called: figures are drawn, the page shows the name, CSV holds it.

The names stand in `support.hostile`. A text column of pandas holds no lone surrogate, so names with
one are clips' only.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pandas as pd
import pytest

from nearkin.errors import printable
from nearkin.report import figures
from nearkin.report import page as report
from nearkin.report.figures.projection import figure_9
from nearkin.report.figures.style import Visible
from nearkin.transforms.magnitudes import ORIGINAL
from support.fabricated import fabricate, performance
from support.hostile import NAMES
from support.shown import Page, seen_by_chromium


def holds_surrogate(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)


ENCODERS = tuple(name for name in NAMES if not holds_surrogate(name))
BATCHES = tuple(ENCODERS[first : first + 16] for first in range(0, len(ENCODERS), 16))
GRID = {"PN": [0, 30], "TS": [0.9]}


def made_of(encoders: tuple[str, ...]):
    tested = tuple((name, "") for name in encoders)
    return fabricate(n=4, grid=GRID, tested=tested, references=("mfcc",), failures_each=1)


@pytest.fixture(scope="module")
def data():
    """A run whose skipped files have every name there is, and its encoders every third."""
    made = made_of(ENCODERS[::3])
    skipped = made.clips.tail(1)
    rows = [
        skipped.assign(clip_id=f"s{i}", path=pd.Series([name], dtype=object, index=skipped.index))
        for i, name in enumerate(NAMES)
    ]
    return dataclasses.replace(made, clips=pd.concat([made.clips, *rows], ignore_index=True))


@pytest.fixture(scope="module")
def html(data) -> str:
    return report.build(data, stills=False)


@pytest.mark.parametrize("names", BATCHES, ids=lambda names: f"{names[0]!a}"[:20])
def test_figures_are_drawn_and_name_its_encoders(names: tuple[str, ...], tmp_path: Path) -> None:
    made = made_of(names)
    for title in ("figure_7", "figure_13"):  # a legend of curves, an axis of names
        chart = figures.FIGURES[title](made.consistency, run=made.run)
        files = figures.save(chart, tmp_path / title)
        assert all(path.stat().st_size > 1_000 for path in files)
    root = ElementTree.parse(tmp_path / "figure_7.svg").getroot()
    texts = [" ".join(text.split()) for text in root.itertext()]
    for name in names:
        shown = " ".join(printable(name).split())
        written = "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in shown)
        # the legend is cut where a name is longer than its column
        found = any(text and written.startswith(text.rstrip("…")) for text in texts)
        assert found or not written, name


def test_task_scores_are_drawn_whatever_the_encoder_is_called(tmp_path: Path) -> None:
    scores = performance(grid=GRID, trials=1).query("encoder == 'vgg' and task == 'at'")
    table = pd.concat([scores.assign(encoder=name) for name in ENCODERS], ignore_index=True)
    files = figures.write_performance(table, {}, tmp_path)
    assert all(path.stat().st_size > 1_000 for path in files)


INHERITED = ("constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf")


def test_a_name_that_every_object_inherits_draws_what_any_other_does(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Panels with such titles were left out, and Vega wrote its trace to stderr."""
    drawn = []
    for names in (INHERITED, tuple(f"{name[:-1]}_" for name in INHERITED)):
        tested = tuple((name, "") for name in names)
        run = fabricate(n=4, grid=GRID, tested=tested, references=(), failures_each=0).run
        points = pd.DataFrame(
            [
                {
                    "encoder": name,
                    "task": "",
                    "trial": 0,
                    "x": float(place),
                    "y": float(place**2),
                    "transformation": "PN" if place % 2 else ORIGINAL,
                    "magnitude": 30.0 if place % 2 else 0.0,
                }
                for name in names
                for place in range(6)
            ]
        )
        chart = figure_9(points, run=run)
        svg = figures.files.svg_of(figures.files.drawable(chart))
        texts = list(ElementTree.fromstring(svg).itertext())
        assert set(names) <= set(texts)
        drawn.append(svg.count("<path "))
    assert drawn[0] == drawn[1] > 36
    assert capfd.readouterr().err == ""


def test_two_names_are_never_shown_as_one() -> None:
    twins = ["a\0", "a\\x00", "a\\x00 (2)", "b"]
    shown = Visible()([*twins, *twins])
    assert len(set(shown)) == len(twins)
    assert shown[: len(twins)] == shown[len(twins) :]
    assert shown[3] == "b"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_has_a_look_and_stays_itself(name: str) -> None:
    shown = printable(name)
    assert printable(shown) == shown
    shown.encode("utf-8")
    assert ElementTree.fromstring(f"<a>{escape(shown)}</a>").text == shown
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202e" for c in shown)
    if name.isprintable():
        assert shown == name


def test_the_page_shows_every_name_as_text(html: str) -> None:
    page = Page(html)
    assert page.open == []
    shown = " ".join(page.texts)
    for name in NAMES:
        assert printable(name) in shown
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "iframe", "object", "embed", "form", "input", "base", "meter"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not any(name.startswith("on") for name in names)
    assert "autofocus" not in names
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert all(link is not None and link.startswith("#") for link in links)
    styles = [tag for tag, _ in page.tags].count("style")
    assert styles == 1


def test_a_table_holds_every_name_and_gives_it_back(data) -> None:
    """CSV is quoted, not rewritten: what a spreadsheet would take for a formula stays a name."""
    table = data.consistency
    text = table.to_csv(index=False, lineterminator="\n")
    back = pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str, lineterminator="\n")
    assert set(ENCODERS[::3]) <= set(back["encoder"])
    assert len(back) == len(table)


@pytest.mark.browser
def test_chromium_runs_no_script_of_a_name_and_draws_every_figure(
    html: str, tmp_path: Path
) -> None:
    seen = seen_by_chromium(html, tmp_path)
    assert seen.complaints == []
    assert seen.hacked == "undefined"
    assert seen.drawn
