"""Give every command with one worker and with two: the same bytes come out.

    python scripts/campaign/workers.py STAGE [--only NAME...]

Commands without workers (repair, trajectories) are given one and two threads of the libraries
below them. STAGE is a folder for what is needed and made; it is used again. The result is kept
under benchmarks/results.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
from pathlib import Path

from stage import Command, build, content, differences, keep

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def given(command: Command, workers: int, stage: Path, out: Path) -> float:
    """Give a command anew; return its CPU seconds."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    command.begin(stage, out)
    words = command.at(out)
    threads = 1
    if "--workers" in words:
        words[words.index("--workers") + 1] = str(workers)
    else:
        threads = workers
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words,
        env={**os.environ, **dict.fromkeys(THREADS, str(threads))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"{command.name}: {done.returncode}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--only", nargs="*", help="these commands")
    args = parser.parse_args()
    stage = args.stage.resolve()
    commands = [c for c in build(stage) if not args.only or c.name in args.only]
    rows = {}
    for command in commands:
        seconds, left = [], []
        for workers in (1, 2):  # one after the other in the same place: records may name it
            out = stage / "counted" / command.name
            seconds.append(round(given(command, workers, stage, out), 1))
            left.append(content(out))
        rows[command.name] = {
            "what": "workers" if "--workers" in command.words else "threads",
            "files": len(left[0]),
            "other bytes": differences(*left),
            "cpu_s": seconds,
        }
        print(command.name, rows[command.name], flush=True)
    path = keep("workers", {"commands": rows})
    print(f"{sum(bool(row['other bytes']) for row in rows.values())} differ: {path}")


if __name__ == "__main__":
    main()
