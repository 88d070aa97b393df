"""What commands share: the version, and what --quiet leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nearkin
from support.commands import command
from support.fabricated import fabricate
from support.folders import write_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fabricate(n=6, grid={"PN": [0, 15, 30], "TS": [0.9, 1.1]}, failures_each=1)
    return write_folder(made, tmp_path_factory.mktemp("common") / "run")


def test_version() -> None:
    done = command("--version")
    assert done.exit_code == 0
    assert done.stdout == f"nearkin {nearkin.__version__}\n"


def test_help_says_what_the_program_is_for() -> None:
    done = command("--help")
    assert "Can a music embedding be trusted?" in done.stdout
    assert "Hold the options" not in done.stdout


def test_quiet_leaves_the_result(run: Path, tmp_path: Path) -> None:
    good, bad = "C_W[good,cosine] >= 0", "C_W[constant,cosine] >= 0.5"
    done = command("gate", run, "--require", good, "--require", bad, "--quiet")
    assert (done.exit_code, done.stdout) == (1, "1 of 2 met\n")
    done = command("gate", run, "--require", good, "--quiet", "--json")
    assert json.loads(done.stdout)["met"] is True  # the line of JSON is the result
    done = command("compare", run, "--quiet", "--out", tmp_path / "c", "--resamples", "200")
    assert done.stdout == f"table: {tmp_path / 'c' / 'comparison.csv'}\n"
    done = command("report", run, "--quiet")
    assert done.stdout == f"report: {run / 'report.html'}\n"
    done = command("check", "mfcc", "--quiet")
    assert done.stdout == "fit to be tested\n"


def test_quiet_says_what_a_run_found_and_what_failed(tmp_path: Path) -> None:
    from conftest import write_tunes

    music = write_tunes(tmp_path / "music", 3)
    (music / "broken.wav").write_text("no audio")
    grid = tmp_path / "small.yaml"
    grid.write_text("{PN: [0, 30]}")
    words = ("run", music, "--grid", grid, "--workers", "1", "--out", tmp_path / "run", "--quiet")
    done = command(*words)
    assert done.exit_code == 3, (done.stderr, done.exception)
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("mfcc: (i) ")
    assert "; 1 clip or encoder failed; report: " in done.stdout
