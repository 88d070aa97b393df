"""The documentation's site: built strictly, every page made from the code, every address there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import nearkin
from nearkin.audio import SAMPLE_RATE, loudness_lufs
from nearkin.transforms import TRANSFORMATIONS, transformation_class
from support.places import ROOT

pytest.importorskip("sphinx")
sys.path.insert(0, str(ROOT / "docs"))

from making import example, links, transformations

CODES = [code for code in TRANSFORMATIONS.built_in if code != "OG"]


@pytest.fixture(scope="module")
def site(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `scripts/docs` does, with the small run as its example."""
    folder = tmp_path_factory.mktemp("site") / "site"
    words = ["-W", "--keep-going", "-q", "-E", "-b", "html", "-D", f"nearkin_run={small_run}"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            *words,
            "-d",
            str(folder.parent / "trees"),
            "docs",
            folder,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_address_leads_somewhere(site: Path) -> None:
    assert links.problems(site) == []


@pytest.mark.parametrize("code", CODES)
def test_a_transformation_has_a_page(site: Path, code: str) -> None:
    text = (site / "transformations" / f"{code}.html").read_text("utf-8")
    kind = transformation_class(code)
    assert f"{code}: {kind.axis.title}" in text
    shown = transformations.shown(code)
    assert text.count("<audio") == 1 + len(shown)
    # what is heard is what a run compares: two seconds, loudness matched where a run does that
    sounds = {path.stem: soundfile.read(path)[0] for path in (site / "sounds").glob(f"{code}_*")}
    assert len(sounds) == 1 + len(shown)
    original = sounds.pop(f"{code}_original")
    assert len(original) == 2 * SAMPLE_RATE
    for name, y in sounds.items():
        assert len(y) == len(original)
        changed = not np.array_equal(y, original)
        assert changed or name != f"{code}_{shown[0]:g}", name
        if getattr(kind, "loudness", "matched") == "matched":
            apart = loudness_lufs(y, sr=SAMPLE_RATE) - loudness_lufs(original, sr=SAMPLE_RATE)
            assert abs(apart) < 0.1, name


def test_the_example_report_is_the_runs(site: Path, small_run: Path) -> None:
    text = (site / "example" / "report.html").read_text("utf-8")
    for name in nearkin.load(small_run).clips["clip_id"]:
        assert name in text


def test_without_a_run_the_demo_is_the_example(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def demo(words: list[str], *, check: bool) -> None:
        assert words[1:4] == ["-m", "nearkin", "demo"]
        assert check
        shutil.copytree(small_run, words[words.index("--out") + 1])

    monkeypatch.setattr(example.subprocess, "run", demo)
    example.write(tmp_path / "docs" / "extra" / "example", run="")
    assert (tmp_path / "build" / "nearkin-demo" / "run.json").is_file()
    assert (tmp_path / "docs" / "extra" / "example" / "report.html").is_file()


def test_the_pages_of_python_and_of_commands_name_everything(site: Path) -> None:
    import nearkin
    from making.reference import PACKAGES
    from nearkin.cli import app

    text = (site / "api" / "nearkin.html").read_text("utf-8")
    for name in set(nearkin.__all__) - {"__version__"}:
        assert f'id="nearkin.{name}"' in text
    assert all((site / "api" / f"{name}.html").is_file() for name in PACKAGES)
    for command in app.registered_commands:
        assert (site / "commands" / f"{command.name}.html").is_file()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">x</a>', "is not there"),
        ('<a href="page.html#gone">x</a>', "has no such anchor"),
        ('<audio src="sounds/gone.flac"></audio>', "is not there"),
        ('<img src="broken.svg">', "cannot be read"),
        ('<a href="https://nowhere">x</a>', "names no host"),
        ('<a href="file:///etc/passwd">x</a>', "is of an unknown kind"),
    ],
)
def test_what_leads_nowhere_is_found(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "page.html").write_text(f'<h1 id="here">x</h1><a href="#here">x</a>{body}')
    if "broken" in body:
        (tmp_path / "broken.svg").write_text("<svg>")
    (problem,) = links.problems(tmp_path)
    assert said in problem


def test_pages_show_the_most_severe_first_and_every_side() -> None:
    assert transformations.shown("PN") == (-15, 18, 30)
    assert transformations.shown("PS") == (-12, 12, -0.25, 0.25)
    assert transformations.shown("TS") == (0.3, 1.5, 0.98, 1.02)
