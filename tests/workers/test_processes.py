"""Several processes of this machine keep what a session made for all of their units."""

from __future__ import annotations

import concurrent.futures
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nearkin.workers import open_workers, processes
from support.units import Toy, keeps_much, square


def test_a_worker_that_keeps_much_for_later_units_is_not_replaced(tmp_path: Path) -> None:
    with open_workers(Toy(tmp_path), workers=2) as pool:
        assert len({process for _, process in pool.map(keeps_much, range(8))}) == 2


COMMAND = """
import sys
from pathlib import Path
from nearkin.workers import open_workers, processes
from support.units import SlowToBegin, square
with open_workers(SlowToBegin(Path(sys.argv[1])), workers=2) as pool:
    list(pool.map(square, range(4)))
"""


def test_workers_end_whose_command_was_killed_while_they_began(tmp_path: Path) -> None:
    here = str(Path(__file__).parents[1])
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: any(tmp_path.glob("*.began")))
        workers = [int(path.stem) for path in tmp_path.glob("*.began")]
    finally:
        command.kill()
        command.wait()
    wait_for(lambda: not any(map(lives, workers)))


def test_workers_work_that_a_script_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites wrap Python so, to set libraries up: then workers are no children of the command."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\n{shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with open_workers(Toy(tmp_path), workers=2) as pool:
        assert list(pool.map(square, range(4))) == [(i, i * i) for i in range(4)]


def wait_for(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _slept(_: None, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_whoever_waits_is_told_every_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_WAIT_S", 0.05)
    waited: list[float] = []
    with processes.open_processes(None, workers=1) as pool:
        ended = pool.as_they_end(_slept, [0.5], waiting=lambda: waited.append(time.monotonic()))
        assert list(ended) == [(0.5, 0.5)]
        assert len(waited) >= 5
    waited.clear()
    monkeypatch.setattr(processes, "_WAIT_S", 60.0)
    with processes.open_processes(None, workers=1) as pool:
        ended = pool.as_they_end(_slept, [0.0], waiting=lambda: waited.append(0.0))
        assert list(ended) == [(0.0, 0.0)]
        assert len(waited) == 1, "when it has ended"


def test_what_ended_beside_a_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever notes results was busy for a while, in which one failed and two ended."""
    monkeypatch.setattr(processes, "wait", lambda pending, **_: concurrent.futures.wait(pending))
    kept: list[float] = []

    def note_all() -> None:
        with processes.open_processes(None, workers=1) as pool:
            for seconds, _ in pool.as_they_end(_slept, [0.0, "long", 0.1], waiting=lambda: None):
                kept.append(seconds)

    with pytest.raises(TypeError):
        note_all()
    assert kept == [0.0, 0.1]


def test_what_ends_first_comes_first_and_an_error_at_once() -> None:
    with processes.open_processes(None, workers=2) as pool:
        assert list(pool.map(_slept, [1.0, 0.0])) == [(1.0, 1.0), (0.0, 0.0)]
        with pytest.raises(TypeError):  # a unit's own error comes through
            list(pool.map(_slept, ["long"]))
        ended = pool.as_they_end(_slept, [1.0, 0.0, 0.1], waiting=lambda: None)
        assert [seconds for seconds, _ in ended] == [0.0, 0.1, 1.0]
    begun = time.monotonic()
    with (
        pytest.raises(TypeError),
        processes.open_processes(None, workers=2) as pool,
    ):
        list(pool.as_they_end(_slept, [60.0, "long"], waiting=lambda: None))
    assert time.monotonic() - begun < 40
