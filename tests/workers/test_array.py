"""The jobs of an array share one folder, without a scheduler, and leave what one process would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nearkin.errors import InputError, RunError
from nearkin.lease import NAME, joined, leased
from nearkin.workers import ArrayJob, array_job, open_workers
from support.runs import files_of, small_run
from support.units import Toy, slow_square, square

JOB = """
import sys
from pathlib import Path
from nearkin.workers import array_job, open_workers
from support.units import Toy, slow_square

toy = Toy(Path(sys.argv[1]))
with open_workers(toy, workers=array_job(sys.argv[2]), folder=toy.root / "work") as pool:
    made = [item for item, result in pool.map(slow_square, range(30), done=toy.done) if result]
print(len(made))
"""
RUN = """
import sys
from pathlib import Path
from nearkin.workers import array_job
from support.runs import small_run

music, out, job = sys.argv[1:]
told = small_run(Path(music), Path(out), encoders=("mfcc",), workers=array_job(job))
print(told[-1] if told else "")
"""


def job(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    tests = str(Path(__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {tests!r})\n{script}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/2", "1/0", "1/2/3", ""])
def test_a_job_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="--array"):
        array_job(text)


def test_jobs_share_the_units(tmp_path: Path) -> None:
    jobs = [job(JOB, tmp_path, f"{number}/3") for number in (1, 2, 3)]
    counts = []
    for one in jobs:
        out, err = one.communicate(timeout=100)
        assert one.returncode == 0, err
        counts.append(int(out))
    assert sum(counts) >= 29  # 0 squared is no result that counts
    assert max(counts) < 29, "one job did all"
    assert all(Toy(tmp_path).path(item).read_text() == str(item * item) for item in range(30))
    assert not list(tmp_path.rglob("*.claim*"))


def test_what_a_killed_job_had_claimed_is_done_by_another(tmp_path: Path) -> None:
    first = job(JOB.replace("slow_square", "stuck_once_at_three"), tmp_path, "1/2")
    while not (tmp_path / "was-stuck").exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert list(tmp_path.rglob("*.claim"))
    toy = Toy(tmp_path)
    with open_workers(toy, workers=ArrayJob(2, 2), folder=tmp_path / "work") as pool:
        assert {item for item, _ in pool.map(square, range(30), done=toy.done)} == set(range(30))
    assert all(toy.done(item) for item in range(30))


def test_work_whose_end_cannot_be_seen_is_not_shared(tmp_path: Path) -> None:
    opened = open_workers(Toy(tmp_path), workers=ArrayJob(1, 2), folder=tmp_path)
    with opened as pool, pytest.raises(RunError, match="leave --array out"):
        list(pool.map(slow_square, range(3)))


def test_a_run_by_three_jobs_has_the_bytes_of_one(music: Path, tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    small_run(music, alone, encoders=("mfcc",))
    jobs = [job(RUN, music, shared, f"{number}/3") for number in (1, 2, 3)]
    for one in jobs:
        _, err = one.communicate(timeout=200)
        assert one.returncode == 0, err
    tables = {n: c for n, c in files_of(alone).items() if n != "run.json"}
    found = {n: c for n, c in files_of(shared).items() if n != "run.json"}
    # the marker lists what was written in the order in which it was
    for files in (tables, found):
        files[".nearkin"] = b"\n".join(sorted(set(files[".nearkin"].split(b"\n"))))
    assert found == tables
    record = json.loads((shared / "run.json").read_text())
    assert record["finished"]
    assert len(record["processors"]) == 1
    told = small_run(music, shared, encoders=("mfcc",), workers=ArrayJob(1, 3))
    assert any("nothing was computed" in sentence for sentence in told)


def test_an_array_and_another_command_keep_out_of_each_others_way(
    music: Path, tmp_path: Path
) -> None:
    with joined(tmp_path, "1/3"), joined(tmp_path, "2/3"):
        for what in (leased(tmp_path), joined(tmp_path, "1/3"), joined(tmp_path, "1/2")):
            with pytest.raises(InputError, match="another nearkin command is at work there"), what:
                pass
    with leased(tmp_path):
        late = joined(tmp_path, "1/3", patience_s=0.1)
        with pytest.raises(InputError, match="another nearkin command"), late:
            pass
        assert (tmp_path / NAME).exists()
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="--force: every job of an array"):
        small_run(music, tmp_path / "run", force=True, workers=ArrayJob(1, 2))
