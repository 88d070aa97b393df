"""One command at a time in a folder; a holder that is gone does not keep others out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nearkin import lease
from nearkin.errors import InputError, RunError
from nearkin.lease import NAME, leased
from support.runs import small_run

HOLD = (
    "import sys, time; from pathlib import Path; from nearkin.lease import leased\n"
    "with leased(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_second_command_is_refused_and_a_killed_one_is_not_in_the_way(
    tmp_path: Path, music: Path
) -> None:
    out = tmp_path / "run"
    small_run(music, out)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"another nearkin command .*process {holder.pid}"):
            small_run(music, out, seed=1, force=True)
        assert (out / "queries.parquet").is_file()
    finally:
        holder.kill()
        holder.communicate()
    assert (out / NAME).exists()
    assert any("nothing was computed" in told for told in small_run(music, out))
    assert not (out / NAME).exists()


def foreign(folder: Path, age_s: float) -> None:
    """Leave the lease of a process on another host, last touched some time ago."""
    path = folder / NAME
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "theirs"}))
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


def test_another_host_is_believed_as_long_as_it_shows_life(tmp_path: Path) -> None:
    foreign(tmp_path, 50)
    with pytest.raises(InputError, match="process 1 on elsewhere"), leased(tmp_path):
        pass
    foreign(tmp_path, 70)
    with leased(tmp_path) as held:
        assert held.held()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", bytes(150), b"[1]", b"[" * 100_000])
def test_a_damaged_lease_is_told_and_grows_old(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    told = r"--out .*: \.nearkin-lease in it cannot be read.*; if none is, try again in a minute"
    with pytest.raises(InputError, match=told), leased(tmp_path):
        pass
    long_ago = time.time() - 61
    os.utime(path, (long_ago, long_ago))
    with leased(tmp_path) as held:
        assert held.held()
    assert not path.exists()


@pytest.mark.parametrize("skew_s", [-3600.0, 3600.0])
def test_clocks_that_differ_between_machines_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew_s: float
) -> None:
    """A lease's age is told by the file system's clock alone: that of this machine is not asked."""
    begun = time.time()
    monkeypatch.setattr(time, "time", lambda: begun + skew_s)
    monkeypatch.setattr(time, "time_ns", lambda: int((begun + skew_s) * 1e9))
    foreign(tmp_path, 50)
    with pytest.raises(InputError, match="process 1 on elsewhere"), leased(tmp_path):
        pass
    foreign(tmp_path, 70)
    with leased(tmp_path) as held:
        assert held.held()


def test_a_lease_from_the_future_is_fresh_until_its_time_has_come(tmp_path: Path) -> None:
    foreign(tmp_path, -3600)
    with pytest.raises(InputError, match="process 1 on elsewhere"), leased(tmp_path):
        pass


def test_a_holder_that_was_taken_over_stops(tmp_path: Path) -> None:
    with leased(tmp_path) as held:
        held.require()
        foreign(tmp_path, 0)
        with pytest.raises(RunError, match="another command took the folder over"):
            held.require()
    assert json.loads((tmp_path / NAME).read_text())["host"] == "elsewhere"


def test_the_holder_keeps_it_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    with leased(tmp_path) as held:
        os.utime(held.path, (0, 0))
        held._left.wait(1)
        assert held.path.stat().st_mtime > 1e9


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc, not a GPU")
def test_a_number_given_again_is_another_process(tmp_path: Path) -> None:
    here = lease._here() | {"token": "old"}
    (tmp_path / NAME).write_text(json.dumps(here))
    with pytest.raises(InputError), leased(tmp_path):
        pass
    (tmp_path / NAME).write_text(json.dumps(here | {"began": "1"}))
    with leased(tmp_path):
        pass
