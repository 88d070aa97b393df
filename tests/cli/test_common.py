"""What commands share: the version, and what --quiet leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nearkin
from nearkin.errors import RunError
from support.commands import command, refused
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


@pytest.mark.parametrize(("points", "code"), [("{TO: [1500]}", 3), ("{TO: [100, 1500]}", 0)])
def test_a_run_in_which_no_query_could_be_made_measured_nothing(
    points: str, code: int, music: Path, tmp_path: Path
) -> None:
    """An offset of 1.5 s needs 1.5 s beside the clip; there is one second."""
    grid = tmp_path / "grid.yaml"
    grid.write_text(points)
    few = ("--clips", "2", "--references", "untrained", "--workers", "1", "--no-report", "--json")
    done = command("run", music, "--grid", grid, *few, "--out", tmp_path / "run")
    assert done.exit_code == code, (done.stderr, done.exception)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["exit"] == code
    said = "no query could be made: the transformed "
    assert told["nothing"].startswith(said) if code else told["nothing"] == ""
    assert (f"\n{said}" in done.stdout) == bool(code)
    if code:
        same = {"grid": str(grid), "clips": 2, "references": "untrained", "out": tmp_path / "run"}
        with pytest.raises(RunError, match=r"^no query could be made: .* force=True"):
            nearkin.evaluate(["mfcc"], music, **same)


def test_other_settings_are_told_alone_and_before_an_encoder_is_loaded(
    small_run: Path, music: Path, tmp_path: Path
) -> None:
    path = tmp_path / "heavy.py"
    path.write_text("raise RuntimeError('it was loaded')\ndef embed(audio, sample_rate): ...\n")
    grid = tmp_path / "small.yaml"
    grid.write_text("{PN: [30]}")
    words = ("run", music, "--encoder", f"{path}:embed", "--out", small_run, "--grid", grid)
    told = refused(*words, "--references", "all")
    settings = told.partition("other settings: ")[2].partition("; name another")[0]
    names = [part.partition(" (was")[0] for part in settings.split("; ")]
    assert names == ["encoders", "grid"]


def test_a_corpus_of_two_folders(music: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "m.csv")
    told = refused("corpus", "folder", "--root", music, "--root", tmp_path, *out)
    assert "--root is given 2 times" in told
    for name in ("bach", "ellington"):
        (tmp_path / "two" / name).mkdir(parents=True)
        (tmp_path / "two" / name / "a.wav").write_bytes(next(music.iterdir()).read_bytes())
    told = refused("corpus", "folder", "--root", tmp_path / "two", *out)
    assert "holds 2 groups (bach, ellington)" in told
    assert "train, valid and test need 3" in told
    assert not (tmp_path / "m.csv").exists()


def test_a_run_without_a_report(music: Path, tmp_path: Path) -> None:
    grid = tmp_path / "small.yaml"
    grid.write_text("{PN: [30]}")
    words = ("run", music, "--grid", grid, "--workers", "1", "--out", tmp_path / "run")
    done = command(*words, "--no-report", "--json")
    assert done.exit_code == 0, (done.stdout, done.stderr)
    *_, told, last = done.stdout.splitlines()
    assert told == f"no report; nearkin report {tmp_path / 'run'} makes one"
    assert json.loads(last)["report"] is None
    assert not (tmp_path / "run" / "report.html").exists()
    assert not (tmp_path / "run" / "figures").exists()
    assert nearkin.load(tmp_path / "run").consistency["value"].notna().any()
    # a finished run is not computed again, and gets its page where it is wanted now
    done = command(*words, "--quiet")
    assert done.stdout.endswith(f"report: {tmp_path / 'run' / 'report.html'}\n")
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("typed", "word"), [("ga", "gate"), ("comp", "compare"), ("gate --ba", "--baseline")]
)
def test_a_shell_completes_commands_and_options(typed: str, word: str) -> None:
    words = ["nearkin", *typed.split()]
    shell = {"_NEARKIN_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words)}
    code = "import sys; sys.argv = ['nearkin']; from nearkin.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **shell, "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert word in done.stdout.split(), (done.stdout, done.stderr)
    assert done.stderr == ""


def test_the_shells_that_can_complete() -> None:
    assert "--install-completion" in command("--help").stdout


def test_a_folder_of_task_scores_alone_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "performance.parquet").write_bytes(b"")
    for words in (("table",), ("gate", "--require", "N >= 2")):
        assert "holds task scores of nearkin perform alone" in refused(
            words[0], tmp_path, *words[1:]
        )
