"""Figures for print: the width and the text size that were asked for, panels that can be read."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import nearkin
from nearkin.errors import InputError
from nearkin.report.figures import FIGURES, figure_7
from nearkin.report.figures.files import write_spec
from nearkin.report.figures.fitting import fitted
from support.commands import command, refused


def drawn(path: Path) -> tuple[float, set[float]]:
    """Width in px, and the sizes of all texts, of an SVG."""
    root = ElementTree.parse(path).getroot()
    sizes = set()
    for element in root.iter():
        if element.tag.endswith("text") and (element.text or "").strip():
            sizes.add(float(re.sub("px$", "", element.attrib["font-size"])))
    return float(root.attrib["width"]), sizes


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_width_and_text_are_what_was_asked_for(name: str, small_run: Path, tmp_path: Path) -> None:
    result = nearkin.load(small_run)
    chart = FIGURES[name](result.consistency, run=result.run)
    spec = fitted(chart, width_in=6.9, font_pt=8)
    (path,) = write_spec(spec, tmp_path / name, ["svg"])
    width, sizes = drawn(path)
    assert width == pytest.approx(6.9 * 72, abs=2)
    assert sizes <= {8.0, 9.0}
    assert 8.0 in sizes


def test_panels_fold_as_the_column_narrows(small_run: Path) -> None:
    result = nearkin.load(small_run)
    chart = figure_7(result.consistency, run=result.run)
    columns = [
        fitted(chart, width_in=inches, font_pt=8)["vconcat"][0]["columns"]
        for inches in (12.0, 4.5, 2.5)
    ]
    assert columns == sorted(columns, reverse=True)
    assert columns[-1] == 1
    with pytest.raises(InputError, match="too narrow for text of 24 pt"):
        fitted(chart, width_in=2, font_pt=24)


def test_a_pdf_embeds_its_fonts_and_is_as_wide(small_run: Path, tmp_path: Path) -> None:
    words = ("--figure", "6", "--width", "87mm", "--font-size", "7", "--format", "pdf,png")
    done = command("figures", small_run, "--out", tmp_path, *words)
    assert done.exit_code == 0, done.stderr
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [".nearkin", "figure_6.pdf", "figure_6.png"]
    pdf = (tmp_path / "figure_6.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[0 0 ([0-9.]+) [0-9.]+\]", pdf)
    assert box is not None
    assert float(box[1]) == pytest.approx(87 / 25.4 * 72, abs=2)
    assert b"/FontFile" in pdf or b"/Type0" in pdf


def test_encoders_and_references_are_chosen(small_run: Path, tmp_path: Path) -> None:
    words = ("--figure", "7", "--format", "svg", "--distance", "cosine")
    command("figures", small_run, "--out", tmp_path, *words, "--encoder", "mfcc")
    text = (tmp_path / "figure_7.svg").read_text()
    assert "mfcc" in text
    assert "constant" not in text
    assert "Euclidean" not in text
    done = command("figures", small_run, "--out", tmp_path, *words, "--no-references")
    assert done.exit_code == 0
    assert "constant" not in (tmp_path / "figure_7.svg").read_text()


def test_what_fits_is_written_and_what_does_not_is_told(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One figure too wide for the column does not cost the others."""
    both = {name: FIGURES[name] for name in ("figure_6", "figure_10")}
    monkeypatch.setattr("nearkin.report.figures.table.FIGURES", both)
    words = ("--width", "3in", "--format", "svg")
    done = command("figures", small_run, "--out", tmp_path, *words)
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in tmp_path.glob("*.svg")] == ["figure_6.svg"]
    assert "left out: figure 10: width 3 in: too narrow for text of 8 pt" in done.stdout
    told = refused("figures", small_run, "--out", tmp_path / "f", *words, "--figure", "10")
    assert "figure 10: width 3 in: too narrow" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--width", "wide"), "--width wide: must be a number and a unit of in, cm, mm, pt"),
        (("--width", "1in"), "must be in 2..40"),
        (("--font-size", "1"), "must be in 4..24"),
        (("--format", "docx"), "--format docx: known: pdf, png, svg"),
        (("--figure", "99"), "--figure 99"),
        (("--encoder", "mfc"), "encoder 'mfc': did you mean 'mfcc'"),
        (("--distance", "cosin"), "distance 'cosin': did you mean 'cosine'"),
    ],
)
def test_bad_words(words: tuple[str, ...], sentence: str, small_run: Path, tmp_path: Path) -> None:
    assert sentence in refused("figures", small_run, "--out", tmp_path / "f", *words)
    assert not (tmp_path / "f").exists()
