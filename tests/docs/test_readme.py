"""The README: its commands are run as they stand, its picture and its links are there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import nearkin
from conftest import write_tunes
from support.pages import run_blocks
from support.places import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    return next(part for part in re.split(r"^## ", TEXT, flags=re.M) if part.startswith(title))


def test_your_own_encoder(tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 3)
    run_blocks(section("Test your own encoder"), tmp_path)
    assert (tmp_path / "report.html").is_file()
    tested = nearkin.load(tmp_path / "nearkin-run").run["encoders"]
    assert "my_encoder:embed" in {row["name"] for row in tested}


@pytest.mark.slow
def test_install_and_see_it(tmp_path: Path) -> None:
    text = section("Install, and see it").replace("pip install -c constraints.txt .\n", "")
    run_blocks(text, tmp_path)
    assert (tmp_path / "nearkin-demo" / "report.html").is_file()


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).is_file(), link


def test_the_picture_shows_what_its_caption_says() -> None:
    shown = "".join(ElementTree.parse(ROOT / "docs" / "within-space.svg").getroot().itertext())
    for text in ("chroma", "mfcc", "logmel-projection", "vgg-ae", "Pitch shift", "MP3"):
        assert text in shown


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    assert "<!-- test command -->" in TEXT
    assert "sed -n '/<!-- test command -->/" in (ROOT / ".ci" / "run").read_text("utf-8")
