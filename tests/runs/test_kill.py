"""Kill -9 at twenty random moments, then the same command again: nothing is lost, not a bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import write_tunes
from support.tables import same_tables

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs kill -9")]

GRID = "{PN: [0, 30], EN: [6], TS: [0.4, 0.9, 1.1], PS: [-4, 4], MP: [8, 64]}"


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a run whose stderr goes to a file beside its folder."""
    words = ["run", str(folder / "music"), "--grid", str(folder / "grid.yaml"), "--quiet"]
    with told(out).open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "nearkin", *words, "--out", str(out), "--workers", "2"],
            start_new_session=True,
            stderr=stderr,
        )


def told(out: Path) -> Path:
    return out.with_name(out.name + ".stderr")


def children_of(session: int) -> list[str]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(session)], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


def test_kill_9_at_twenty_random_moments(tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 24)
    (tmp_path / "grid.yaml").write_text(GRID)
    begun = time.monotonic()
    straight = start(tmp_path, tmp_path / "straight")
    assert straight.wait() == 0
    whole = time.monotonic() - begun
    rng = random.Random(0)
    killed, number = 0, 0
    while killed < 20:
        out = tmp_path / f"broken{number}"
        process = start(tmp_path, out)
        try:
            assert process.wait(timeout=rng.uniform(0.05, 0.5) * whole) == 0, told(out).read_text()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            if killed % 5 == 0:  # its workers notice that they are orphans
                time.sleep(3)
                assert children_of(process.pid) == []
        else:
            same_tables(tmp_path / "straight", out)
            number += 1
    last = start(tmp_path, out)
    assert last.wait() == 0, told(out).read_text()
    same_tables(tmp_path / "straight", out)
    assert not list(out.rglob("*.tmp"))


def test_interrupting_is_one_sentence(tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 12)
    (tmp_path / "grid.yaml").write_text(GRID)
    process = start(tmp_path, tmp_path / "run")
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    stderr = told(tmp_path / "run").read_text()
    sentences = stderr.strip().splitlines()
    assert sentences[-1].startswith("nearkin: interrupted: give the same command again")
    assert "Traceback" not in stderr
    assert start(tmp_path, tmp_path / "run").wait() == 0
