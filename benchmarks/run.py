"""The whole run, stage by stage, and how it grows with the number of clips.

python benchmarks/run.py MUSIC_FOLDER [--sizes 50 100 200 400] [--grid paper] [--save]

Clips are drawn from real recordings, several from each where there are too few. Wall seconds a
stage come from run.json; peak memory is the largest resident set of one process. The time of 1,000
clips is projected from the fit a + b N + c N^2 a stage. The peer is the paper's own way to the
distances, per pair as measured by benchmarks/distances.py in its latest saved result.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from machine import machine, save

STAGES = ("originals", "queries", "scores", "tables")


def one_run(music: Path, n_clips: int, arguments: argparse.Namespace, folder: Path) -> dict:
    out = folder / f"run{n_clips}"
    excerpts = -(-n_clips // arguments.recordings)
    words = [
        *("run", str(music), "--clips", str(n_clips), "--excerpts-per-file", str(excerpts)),
        *("--grid", arguments.grid, "--out", str(out), "--workers", str(arguments.workers)),
        "--quiet",
    ]
    for spec in arguments.encoder:
        words += ["--encoder", spec]
    begun = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "nearkin", *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter() - begun
    record = json.loads((out / "run.json").read_text())
    stages = {stage: record["timings_s"][stage] for stage in STAGES}
    stages["start, figures, report"] = round(wall - sum(stages.values()), 3)
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shutil.rmtree(out)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "n": record["n"],
        "seconds": stages,
        "wall": round(wall, 2),
        "cpu": round(cpu, 2),
        "clips_per_minute": round(60 * record["n"] / wall, 1),
        "peak_mb": round(after.ru_maxrss / 1024),
        "result_mb": round(disk / 1e6, 1),
    }


def projected(runs: list[dict], n: int) -> dict[str, float]:
    """Fit every stage with non-negative a + b N + c N^2 and read it off at n."""
    from scipy.optimize import nnls

    sizes = np.array([run["n"] for run in runs], float)
    design = np.stack([np.ones_like(sizes), sizes, sizes**2], axis=1)
    found = {}
    for stage in runs[0]["seconds"]:
        weights = nnls(design, np.array([run["seconds"][stage] for run in runs]))[0]
        found[stage] = round(float(weights @ [1, n, n * n]), 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--grid", default="paper")
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recordings", type=int, default=100, help="recordings in the folder")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    arguments.encoder = arguments.encoder or ["mfcc"]
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for n_clips in arguments.sizes:
            runs.append(one_run(arguments.music, n_clips, arguments, Path(folder)))
            print(json.dumps(runs[-1]), flush=True)
    print(f"{'clips':>6} " + " ".join(f"{stage:>12.12}" for stage in runs[0]["seconds"]), "  wall")
    for run in runs:
        row = " ".join(f"{value:12.1f}" for value in run["seconds"].values())
        print(f"{run['n']:6} {row} {run['wall']:7.1f} s, peak {run['peak_mb']} MB")
    record = {
        "benchmark": "run",
        "date": time.strftime("%Y-%m-%d"),
        "grid": arguments.grid,
        "encoders": arguments.encoder,
        "workers": arguments.workers,
        "runs": runs,
        "machine": machine(),
        "versions": {"python": platform.python_version(), "nearkin": metadata.version("nearkin")},
    }
    if len(runs) > 2:
        record["projected_1000"] = projected(runs, 1000)
        total = sum(record["projected_1000"].values())
        print(f"projected for 1000 clips: {record['projected_1000']}: {total / 60:.1f} min")
    print(json.dumps(record))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
