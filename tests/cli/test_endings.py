"""How commands end: on terminals that are closed, full or gone, and when something is wrong."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nearkin.cli import endings, telling
from nearkin.cli.bars import show
from support.commands import command, refused
from support.fabricated import fabricate
from support.folders import write_folder

NEARKIN = f"{shlex.quote(sys.executable)} -m nearkin"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fabricate(n=6, grid={"PN": [0, 30]}, failures_each=1)
    return write_folder(made, tmp_path_factory.mktemp("ended") / "run")


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fails(what: str) -> list[str]:
        raise error

    monkeypatch.setattr("nearkin.cli.list.catalogue", fails)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_DATE_EPOCH", "x"),
        ("NUMPY_MADVISE_HUGEPAGE", "yes"),
        ("NUMBA_DYLD_WORKAROUND", "on"),
        ("NUMBA_NUM_THREADS", "0"),
        ("JOBLIB_MULTIPROCESSING", "false"),
        ("LIBROSA_CACHE_LEVEL", "1.5"),
        ("LIBROSA_CACHE_VERBOSE", "x"),
        ("LOKY_MAX_CPU_COUNT", ""),
        ("LOKY_MAX_DEPTH", "x"),
    ],
)
def test_a_variable_that_a_library_cannot_take_is_one_sentence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, value)
    done = refused("report", tmp_path)
    assert f"{name}={value!r}: must be a whole number" in done
    assert "unset this variable" in done
    monkeypatch.setenv(name, "1")
    assert "holds no run" in refused("report", tmp_path)
    monkeypatch.setenv("EAGER_IMPORT", "1")
    assert "EAGER_IMPORT='1': must be empty" in refused("report", tmp_path)


@pytest.mark.parametrize("value", ["no_such_module", "json", ".x", "a b"])
def test_a_pickler_that_is_none_makes_no_encoder_unfit(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In `check` it was a fault of the encoder, with exit code 1; elsewhere an exit 70."""
    monkeypatch.setenv("LOKY_PICKLER", value)
    for words in (("check", "mfcc"), ("run", tmp_path, "--out", tmp_path / "out")):
        assert f"LOKY_PICKLER={value!r}: must be a module that has a Pickler" in refused(*words)
    monkeypatch.setenv("LOKY_PICKLER", "pickle")
    assert "holds no run" in refused("report", tmp_path)


def test_a_cache_that_cannot_be_made_makes_no_encoder_unfit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.touch()
    values = [file, file / "below"]
    if Path("/proc/self").is_dir():  # whose rights promise more than can be done
        values.append(Path("/proc/x"))
    for value in values:
        monkeypatch.setenv("LIBROSA_CACHE_DIR", str(value))
        told = refused("check", "mfcc")
        assert told.startswith("nearkin: LIBROSA_CACHE_DIR=")
        assert f"{value.name}': must be a folder that can be made and written in;" in told
    monkeypatch.setenv("LIBROSA_CACHE_DIR", str(tmp_path / "to" / "be" / "made"))
    assert "holds no run" in refused("report", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_DATE_EPOCH", ""),
        ("EAGER_IMPORT", "0"),
        ("LOKY_MAX_CPU_COUNT", "0"),
        ("LOKY_PICKLER", ""),
    ],
)
def test_what_libraries_take_for_unset_or_for_one_is_no_wrong_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By Matplotlib's `os.getenv` without more, lazy_loader's ``not in ("0", "")``, loky's max."""
    monkeypatch.setenv(name, value)
    assert "holds no run" in refused("report", tmp_path)


def test_a_wrong_variable_stops_nothing_that_needs_no_library() -> None:
    for words in ("--help", "run --help", "list grids", "--version"):
        done = shell(f"{NEARKIN} {words}", NUMBA_NUM_THREADS="0", SOURCE_DATE_EPOCH="x")
        assert (done.returncode, done.stderr) == (0, "")


def importing(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``nearkin list`` import a module of this text."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("nearkin.cli.list.catalogue", lambda what: __import__(name) and [])


def test_a_variable_whose_value_an_error_holds_by_chance_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'import os\nLEVEL = [][len(os.environ.get("SOME_LEVEL", ""))]\n'
    importing("has_a_fault", text, tmp_path, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for value in ("", "list"):  # list index out of range
        monkeypatch.setenv("SOME_LEVEL", value)
        done = command("list", "grids")
        assert done.exit_code == 70
        assert "IndexError" in done.stderr


def test_a_variable_that_a_library_reads_where_it_is_imported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As libraries that are not known here do it, over two lines."""
    text = 'import os\nLEVEL = float(\n    os.environ.get("SOME_LEVEL", "1")\n)\n'
    importing("reads_a_variable", text, tmp_path, monkeypatch)
    monkeypatch.setenv("SOME_LEVEL", "much")
    assert "SOME_LEVEL='much': cannot be used (ValueError: could not convert" in refused(
        "list", "grids"
    )


def test_an_unforeseen_error_is_a_sentence_a_trace_and_70(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broken(monkeypatch, KeyError("no\x1b[31m such"))
    done = command("list", "grids")
    assert done.exit_code == 70
    (trace,) = tmp_path.iterdir()
    assert done.stderr.count("\n") == 1
    assert str(trace) in done.stderr
    assert "KeyError" in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout == ""
    text = trace.read_text("utf-8")
    assert "Traceback" in text
    assert "in fails" in text
    assert oct(trace.stat().st_mode & 0o777) == "0o600"


def test_a_trace_that_cannot_be_kept_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/no such folder")
    broken(monkeypatch, ZeroDivisionError())
    done = command("list", "grids")
    assert done.exit_code == 70
    assert "ZeroDivisionError; its trace could not be written" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 2, "not enough memory: pass fewer --workers"),
        (PermissionError(13, "Permission denied", "a\x1bb"), 2, r"a\x1bb: cannot be read or"),
        (OSError(28, "No space left on device"), 2, "(No space left on device)"),
        (KeyboardInterrupt(), 130, "interrupted: give the same command again"),
        (RecursionError("deep"), 70, "RecursionError: deep"),
    ],
)
def test_the_world_s_accidents_have_their_own_codes(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broken(monkeypatch, error)
    done = command("list", "grids")
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_junit_is_written_whatever_happens(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("a bug\0 <of ours>")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("nearkin.results.gate.judge", fails)
    junit = tmp_path / "junit.xml"
    words = ("gate", run, "--require", "C_W[good,cosine] >= 0", "--junit", junit)
    assert command(*words).exit_code == 70
    assert "a bug" in junit.read_text("utf-8")
    assert ElementTree.parse(junit).getroot().get("errors") == "1"
    monkeypatch.undo()
    assert "holds no run" in refused("gate", tmp_path, *words[2:])
    (error,) = ElementTree.parse(junit).getroot().iter("error")
    assert "holds no run" in error.attrib["message"]


def test_junit_goes_to_files_only(run: Path, tmp_path: Path) -> None:
    words = ("gate", run, "--require", "C_W[good,cosine] >= 0", "--junit")
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in refused(*words, tmp_path / "pipe")
    told = refused("gate", tmp_path / "no run", *words[2:], tmp_path / "missing" / "junit.xml")
    assert "there is no folder" in told
    assert not (tmp_path / "missing").exists()


# -- streams ---------------------------------------------------------------------------------------


def test_closed_streams(tmp_path: Path) -> None:
    """Descriptor 1 is free there: the first file that is opened must not become the output."""
    line = f"exec {NEARKIN} list grids >&-"
    assert shell(line).returncode == 0
    assert shell(f"{NEARKIN} list nothing >&- 2>&- <&-").returncode == 2
    victim = tmp_path / "victim"
    code = (
        "import sys; from nearkin.cli.telling import open_closed_streams, say;"
        "open_closed_streams();"
        f"file = open({str(victim)!r}, 'w'); say('a result'); file.write('kept')"
    )
    assert shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} >&-").returncode == 0
    assert victim.read_text() == "kept"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_output_is_an_error_with_a_sentence() -> None:
    done = shell(f"{NEARKIN} list grids > /dev/full")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard output: cannot be written (No space left on device)" in done.stderr
    done = shell(f"{NEARKIN} --help > /dev/full")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert shell(f"{NEARKIN} list nothing 2> /dev/full").returncode == 2


def test_a_reader_that_leaves_changes_no_exit_code(run: Path) -> None:
    gate = f"{NEARKIN} gate {run} --require"
    done = shell(f"{gate} 'C_W[good,cosine] >= 0' | true")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"{gate} 'C_W[constant,cosine] >= 0.5' | true")
    assert (done.returncode, done.stderr) == (1, "")
    done = shell(f"{NEARKIN} list encoders | head -n 1")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_no_escape_sequence_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    telling.say("name\x1b]0;owned\x07\u202e\nsecond \u2028line")
    telling.note("name\x9b31m\r")
    told = capsys.readouterr()
    assert told.out == "name\\x1b]0;owned\\x07\\u202e\nsecond \\u2028line\n"
    assert told.err == "name\\x9b31m\\r\n"
    sentence = refused("report", "no\x1b[2Jsuch")
    assert "\x1b" not in sentence
    assert r"no\x1b[2Jsuch" in sentence


@pytest.mark.parametrize(
    "how",
    [
        f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {NEARKIN} list tasks",
        f"umask 077; {NEARKIN} list tasks",
        f"{shlex.quote(sys.executable)} -O -m nearkin list tasks",
        f"env -u HOME {NEARKIN} list tasks",
    ],
)
def test_bare_surroundings(how: str) -> None:
    done = shell(how)
    assert (done.returncode, done.stderr) == (0, "")
    assert "AUC_C" in done.stdout


# -- signals ---------------------------------------------------------------------------------------


def test_an_interruption_that_was_swallowed_is_obeyed_at_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "_interrupted", False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # a shell without job control starts what runs in its background with SIGINT ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        endings.obey_signals()
        with show(quiet=True) as progress:
            progress("queries", 0, 2)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                signal.pause()
            except KeyboardInterrupt:
                pass  # as code does that catches everything while it is imported
            with pytest.raises(KeyboardInterrupt):
                progress("queries", 1, 2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = (
        "import signal; from nearkin.cli.endings import obey_signals; obey_signals();"
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    )
    done = shell(f"nohup {shlex.quote(sys.executable)} -c {shlex.quote(code)}")
    assert "True" in done.stdout


def test_an_interruption_in_a_library_s_callback_is_obeyed_soon() -> None:
    """numba compiles through ctypes callbacks, in which Python can raise nothing."""
    code = (
        "import ctypes, os, signal, time\n"
        "from nearkin.cli.endings import obey_signals, sentences\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # under nohup it is ignored
        "obey_signals()\n"
        "@ctypes.CFUNCTYPE(None)\n"
        "def callback():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    time.sleep(0.01)\n"
        "import typer\n"
        "try:\n"
        "    with sentences():\n"
        "        callback()\n"
        "        print('went on', flush=True)\n"
        "        time.sleep(60)\n"
        "except typer.Exit as end:\n"
        "    raise SystemExit(end.exit_code)\n"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 130
    assert done.stdout == "went on\n"
    assert done.stderr.startswith("nearkin: interrupted")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 60


def test_a_deleted_working_directory_is_named(tmp_path: Path) -> None:
    gone = shlex.quote(str(tmp_path / "gone"))
    done = shell(f"mkdir {gone}; cd {gone}; rmdir {gone}; {NEARKIN} run song.wav")
    assert done.returncode == 2
    assert (
        "nearkin: the working directory, which was deleted or is hidden: cannot be" in done.stderr
    )
