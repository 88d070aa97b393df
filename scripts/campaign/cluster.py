"""A run on a Dask cluster whose workers and scheduler are killed: the bytes of one process.

python scripts/campaign/cluster.py STAGE [--workers-killed 20] [--schedulers-killed 5]
python scripts/campaign/cluster.py STAGE --times [--clips 60] [--grid paper] [--music FOLDER]

STAGE is a folder for what is needed and made; it is used again. ``--times`` measures instead how
long one process, two processes and clusters of 1, 2 and 4 workers take, and how many CPU seconds
(on a machine that is idle), on that many clips: synthetic ones, or excerpts of a folder's music.
The result is kept under benchmarks/results. Needs the extra ``dask``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stage import content, differences, is_one_sentence, keep
from stage import nearkin as command

CLIPS = 6
AT_ONCE = 5
"""Workers killed in one run, at most."""
COMMON = ("--references", "untrained", "--no-report", "--quiet")
GRID = "{PN: [0, 30], TS: [0.9, 1.2], PS: [2], MP: [8, 64]}"


class Cluster:
    """A scheduler and workers with nannies, each in a process of its own."""

    def __init__(self, place: Path, workers: int) -> None:
        self.file = place / "scheduler.json"
        self.file.unlink(missing_ok=True)
        dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        where = ["--scheduler-file", str(self.file), "--dashboard-address", ":0"]
        self.scheduler = subprocess.Popen([*dask, *where, "--port", "0"], **quiet)
        while not self.file.is_file():
            time.sleep(0.2)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", *where]
        each = ["--nthreads", "1", "--nworkers", str(workers), "--death-timeout", "30"]
        local = ["--local-directory", str(place / "dask")]
        self.workers = subprocess.Popen([*worker, *each, *local], **quiet)

    def pids(self) -> list[int]:
        """Return the processes of the workers, which their nannies bring back."""
        from distributed import Client

        with Client(scheduler_file=str(self.file), timeout=60, set_as_default=False) as client:
            return list(client.run(os.getpid, on_error="ignore").values())

    def wait(self, workers: int) -> None:
        from distributed import Client

        with Client(scheduler_file=str(self.file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=300)

    def stop(self) -> None:
        self.workers.terminate()
        self.scheduler.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.workers.wait(timeout=60)
        self.workers.kill()
        self.scheduler.wait()


@contextlib.contextmanager
def cluster(place: Path, workers: int) -> Iterator[Cluster]:
    place.mkdir(exist_ok=True)
    made = Cluster(place, workers)
    try:
        made.wait(workers)
        yield made
    finally:
        made.stop()


def words(stage: Path, out: Path, *more: str) -> list[str]:
    run = ["run", str(stage / "music"), "--grid", str(stage / "grid.yaml")]
    return [*run, *COMMON, "--out", str(out), *more]


def begin(stage: Path, out: Path, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nearkin", *words(stage, out, "--scheduler", f"file:{file}")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepare(stage: Path) -> dict[str, str]:
    """Make the music, and return what one process makes of it."""
    import soundfile

    from nearkin.audio.synthetic import clips

    music, straight = stage / "music", stage / "straight"
    if not music.is_dir():
        music.mkdir(parents=True)
        for name, y in clips(CLIPS):
            soundfile.write(music / f"{name}.flac", y[: 5 * 22_050], 22_050, subtype="PCM_16")
        (stage / "grid.yaml").write_text(GRID)
    if not (straight / "failures.parquet").is_file():
        shutil.rmtree(straight, ignore_errors=True)
        command(*words(stage, straight, "--workers", "1"))
    return content(straight)


def killed_workers(stage: Path, wanted: int, rng: random.Random, straight: dict[str, str]) -> dict:
    """Kill workers at random moments of run after run; hold what comes out to one process."""
    row = {"kills": 0, "runs": 0, "faults": []}
    with cluster(stage / "of-workers", 3) as there:
        while row["kills"] < wanted:
            # a fresh folder: a worker may still be at a unit of the run before
            before, out = row["kills"], stage / f"workers-killed-{row['runs']}"
            shutil.rmtree(out, ignore_errors=True)
            process = begin(stage, out, there.file)
            while process.poll() is None:
                time.sleep(rng.uniform(1.0, 15.0))
                if row["kills"] - before == AT_ONCE:  # a unit that is hit three times is given up
                    continue
                pids = there.pids()
                # what begins before there is a shard says nothing
                if process.poll() is None and pids and any((out / "work").glob("*/*")):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rng.choice(pids), signal.SIGKILL)
                        row["kills"] += 1
            judge(row, process, out, straight)
            print(f"workers: {row}", flush=True)
    return row


def killed_schedulers(
    stage: Path, wanted: int, rng: random.Random, straight: dict[str, str]
) -> dict:
    """Kill the scheduler at random moments; give the same command to the next one."""
    row = {"kills": 0, "runs": 0, "faults": []}
    out = stage / "schedulers-killed"
    shutil.rmtree(out, ignore_errors=True)
    while row["kills"] < wanted or row["runs"] == 0:
        with cluster(stage / "of-schedulers", 2) as there:
            process = begin(stage, out, there.file)
            while process.poll() is None and not any((out / "work").glob("*/*")):
                time.sleep(0.2)
            if row["kills"] < wanted:
                time.sleep(rng.uniform(0.0, 6.0))
            if row["kills"] < wanted and process.poll() is None:
                there.scheduler.kill()
                row["kills"] += 1
                _, told = process.communicate(timeout=600)
                if process.returncode == 0 or not is_one_sentence(told):
                    row["faults"].append(f"{process.returncode}: {told[-1500:]}")
            else:
                judge(row, process, out, straight)
                if row["kills"] < wanted:
                    shutil.rmtree(out)
        print(f"schedulers: {row}", flush=True)
    return row


def judge(row: dict, process: subprocess.Popen[str], out: Path, straight: dict[str, str]) -> None:
    _, told = process.communicate()
    row["runs"] += 1
    if process.returncode:
        row["faults"].append(f"{process.returncode}: {told[-1500:]}")
    elif other := differences(straight, content(out)):
        row["faults"].append(f"other bytes: {other[:5]}")


def cpu_seconds(above: int) -> float:
    """Return what a process and all that it started have spent so far, ended children with them."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for entry in filter(lambda one: one.name.isdecimal(), Path("/proc").iterdir()):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, left = 0.0, [above]
    while left:
        pid = left.pop()
        total += spent.get(pid, 0.0)
        left += children.get(pid, [])
    return total


def times(stage: Path, run: list[str]) -> list[dict]:
    """Return seconds of the wall, and the share of what as many lone processes would do."""
    rows: list[dict] = []
    straight: dict[str, str] = {}

    def timed(name: str, workers: int, *more: str) -> None:
        out = stage / "timed"
        shutil.rmtree(out, ignore_errors=True)
        begun, spent_before = time.monotonic(), cpu_seconds(os.getpid())
        command(*run, "--out", out, *more)
        wall, cpu = time.monotonic() - begun, cpu_seconds(os.getpid()) - spent_before
        alone = rows[0]["seconds"] if rows else wall
        found = content(out)
        straight.update({} if straight else found)
        rows.append(
            {
                "where": name,
                "seconds": round(wall, 1),
                "cpu_seconds": round(cpu, 1),
                "efficiency": round(alone / wall / min(workers, os.cpu_count() or 1), 2),
                "same bytes": not differences(straight, found),
                "load": round(os.getloadavg()[0], 1),
            }
        )
        print(rows[-1], flush=True)

    timed("one process", 1, "--workers", "1")
    timed("2 processes", 2, "--workers", "2")
    for workers in (1, 2, 4):
        with cluster(stage / "of-times", workers) as there:
            timed(f"cluster of {workers}", workers, "--scheduler", f"file:{there.file}")
    return rows


def timed_run(stage: Path, given: argparse.Namespace) -> list[str]:
    """Return the words of the run that is timed, over music that is made where none is given."""
    import soundfile

    from nearkin.audio.synthetic import clips

    music = given.music or stage / f"music-{given.clips}"
    if not music.is_dir():
        music.mkdir(parents=True)
        for name, y in clips(given.clips):
            soundfile.write(music / f"{name}.flac", y[: 5 * 22_050], 22_050, subtype="PCM_16")
    return ["run", str(music), "--clips", str(given.clips), "--grid", given.grid, *COMMON]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--workers-killed", type=int, default=20)
    parser.add_argument("--schedulers-killed", type=int, default=5)
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--grid", default="paper")
    parser.add_argument("--music", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stage, rng = given.stage.resolve(), random.Random(given.seed)
    if given.times:
        about = {
            "clips": given.clips,
            "grid": given.grid,
            "music": "real" if given.music else "synthetic",
        }
        path = keep("cluster-times", {**about, "times": times(stage, timed_run(stage, given))})
    else:
        straight = prepare(stage)
        result: dict = {"seed": given.seed, "clips": CLIPS, "load": os.getloadavg()[0]}
        for name, wanted, kill in (
            ("schedulers", given.schedulers_killed, killed_schedulers),
            ("workers", given.workers_killed, killed_workers),
        ):
            if wanted:
                result[name] = kill(stage, wanted, rng, straight)
        path = keep("cluster", result)
    print(path)


if __name__ == "__main__":
    main()
