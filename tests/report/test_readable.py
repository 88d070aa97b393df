"""The page for everybody: contrast in both themes by WCAG 2, narrow screens, what is folded."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest

import nearkin.report
from nearkin.report import page as report
from nearkin.report.figures import style
from support.fabricated import fabricate, performance
from support.shown import Page, seen_by_chromium, specs_of

GRID = {"PN": [-3, 12, 30], "TS": [0.7, 0.98, 1.02, 1.3], "MP": [16, 64, 192]}
CSS = (Path(nearkin.report.__file__).parent / "templates" / "report.css").read_text("utf-8")
TEXT = ("ink", "quiet", "link", "good", "half", "bad", "none")


@pytest.fixture(scope="module")
def data():
    made = fabricate(n=20, grid=GRID, tested=(("good", ""), ("poor", "")))
    return dataclasses.replace(made, performance=performance(grid=GRID))


@pytest.fixture(scope="module")
def html(data):
    return report.build(data, stills=False)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, written from its text."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def ratio(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_ratio_is_the_one_of_known_pairs() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WebAIM's checker


def themes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks)
    return {"light": light, "dark": dark}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_page_and_card(theme: str) -> None:
    colours = themes()[theme]
    for name, ground in itertools.product(TEXT, ("paper", "card")):
        assert ratio(colours[name], colours[ground]) >= 4.5, (theme, name, ground)


def test_marks_of_every_figure_stand_out_in_both_themes(html: str) -> None:
    palette = json.loads(re.findall(r'id="dark-palette">(.*?)</script>', html)[0])
    light, dark = (themes()[theme]["paper"] for theme in ("light", "dark"))
    assert dark == style.DARK_PAPER
    specs = "".join(specs_of(html).values())
    shown = set(re.findall(r'(?:"color"|"range"|"domain"):(\[[^\]]*\]|"[^"]*")', specs))
    used = {colour for part in shown for colour in re.findall("#[0-9a-f]{6}", part)}
    assert len(used) > 10
    for colour in used:
        assert ratio(colour, light) >= 3, colour
        assert ratio(palette[colour], dark) >= 3, colour


def test_colours_of_encoders_stand_out_and_differ() -> None:
    known = [*style.TESTED, *style.REFERENCE.values(), style.AUDIO_GREY]
    for colour in known:
        assert ratio(colour, "#ffffff") >= 3, colour
        assert ratio(style.on_dark(colour), style.DARK_PAPER) >= 3, colour
    dark = [style.on_dark(colour) for colour in style.TESTED]
    assert len(set(dark)) == len(style.TESTED)


def test_rq2_is_folded_where_only_references_speak_to_it(data) -> None:
    def folded(tested: tuple[tuple[str, str], ...]) -> bool:
        made = fabricate(n=20, grid=GRID, tested=tested, references=("mfcc",))
        encoders = [
            {**one, "role": "reference" if one["name"] == "vgg" and len(tested) == 3 else "tested"}
            for one in made.run["encoders"]
        ]
        text = report.build(
            dataclasses.replace(made, run={**made.run, "encoders": encoders}), stills=False
        )
        return text.index('<details class="more"><summary>References') < text.index("(RQ2)")

    assert folded((("good", ""), ("vgg", "at"), ("vgg", "ae")))
    assert not folded((("vgg", "at"), ("vgg", "ae")))


def test_the_effects_are_one_table_and_the_rest_is_folded(data) -> None:
    import pandas as pd

    from nearkin.results.analysis import analyze
    from nearkin.results.analysis_words import sentences
    from nearkin.results.trials import RunScores, join

    grid = {"PN": [-15, 0, 12, 24, 30], "MP": [8, 16, 32, 64, 128]}
    made = fabricate(n=20, grid=grid)
    found = analyze(join([RunScores("r", made.run, made.consistency)], encoders=["good", "poor"]))
    text = report.build(
        dataclasses.replace(made, analysis=found.tables, words=sentences(found)), stills=False
    )
    part = text[text.index('<section id="effects"') :]
    part = part[: part.index("</section>")]
    shown, _, hidden = part.partition("<details")
    assert "F tests of the effects" in shown
    assert "<figure" not in shown
    assert "<figure" in hidden
    tests = pd.DataFrame(found.tables["anova"])
    one = tests[(tests["term"] == "encoder") & tests["F"].notna()].iloc[0]
    assert f"F = {one['F']:.3g}" in shown


def test_task_scores_alone_have_a_page_of_their_own(data) -> None:
    text = report.build_scores(data.performance, {"nearkin": "0.1.0"})
    page = Page(text)
    assert page.open == []
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert {"tasks", "cite", "figure-4"} <= ids
    assert not {"answer", "verdict", "failures"} & ids
    links = {a["href"] for tag, a in page.tags if tag == "a" and a["href"] is not None}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert "Task scores, with 95 % intervals" in text


NARROW = """<!DOCTYPE html><iframe src="inside.html" width="420" height="4000"></iframe><script>
addEventListener('message', (event) => { document.documentElement.dataset.told = event.data; });
</script>"""
MEASURE = """<script>const wait = setInterval(async () => {
  if (!window.nearkin || !document.getElementById('explore').dataset.drawn) return;
  clearInterval(wait);
  for (const one of document.querySelectorAll('details')) one.open = true;
  const lost = document.querySelector('.values button');
  if (lost) lost.click();
  await nearkin.drawAll();
  const wide = [...document.querySelectorAll('main *')].filter((one) =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.wide, .chart, pre, svg'));
  const over = [...document.querySelectorAll('.chart')].filter((one) =>
    one.scrollWidth > one.clientWidth + 1).map((one) => one.dataset.spec + " " + one.scrollWidth);
  parent.postMessage(JSON.stringify([innerWidth, document.documentElement.scrollWidth,
    wide.slice(0, 5).map((one) => one.tagName + '.' + one.className), over]), '*');
}, 50);</script>"""


@pytest.mark.browser
def test_nothing_is_wider_than_a_narrow_screen(html: str, tmp_path: Path) -> None:
    inside = html.replace("<head>", "<head>" + MEASURE, 1)
    (tmp_path / "inside.html").write_text(inside, encoding="utf-8")
    seen = seen_by_chromium(NARROW, tmp_path)
    width, scrolled, wide, charts = json.loads(seen.told)
    assert width == 420
    assert wide == []
    assert charts == []
    assert scrolled <= width
