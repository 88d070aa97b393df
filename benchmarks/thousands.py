"""A run of thousands of clips, really run: wall, CPU, memory, disk, and the size of every table.

python benchmarks/thousands.py FOLDER [--clips 10000] [--save]

The music is synthetic, so that anybody can: pieces of 4.5 s made from their numbers, written as
FLAC of 16 bits into FOLDER/music. Then `nearkin run` is given them with `mfcc` (and the untrained
references) at a few points of the grid, and its processes are watched: the peak is the largest sum
of their resident sets (shared pages counted in each), read from /proc once a second. The run's
folder is kept; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from machine import machine, save, versions

SECONDS, RATE = 4.5, 22_050
GRID = "PN: [30, 6]\nTS: [0.9]\nMP: [64]\n"


def write_pieces(folder: Path, numbers: range) -> None:
    import soundfile

    from nearkin.audio.synthetic import clips

    names = [folder / f"{number // 1000:02d}" / f"{number:06d}.flac" for number in numbers]
    if all(path.exists() for path in names):
        return
    pieces = clips(len(numbers), seed=numbers.start, seconds=SECONDS)
    for path, (_, y) in zip(names, pieces, strict=True):
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        soundfile.write(part, y, RATE, format="FLAC", subtype="PCM_16")
        part.rename(path)


def resident_kb(root: int) -> int:
    """The resident sets of a process and all that it started, in kB."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            pages = int((entry / "statm").read_text().split()[1])
        except OSError:
            continue
        children.setdefault(int(stat[1]), []).append(int(entry.name))
        sizes[int(entry.name)] = pages * resource.getpagesize() // 1024
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += sizes.get(pid, 0)
        todo += children.get(pid, [])
    return total


def folder_mb(folder: Path) -> float:
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--label", default="thousands")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    music, out = arguments.folder / "music", arguments.folder / "run"
    music.mkdir(parents=True, exist_ok=True)
    grid = arguments.folder / "grid.yaml"
    grid.write_text(GRID)

    begun = time.perf_counter()
    steps = [range(at, min(at + 100, arguments.clips)) for at in range(0, arguments.clips, 100)]
    with ProcessPoolExecutor(arguments.workers) as pool:
        list(pool.map(write_pieces, [music] * len(steps), steps))
    making = time.perf_counter() - begun

    words = ["run", str(music), "--encoder", "mfcc", "--references", "untrained"]
    words += ["--grid", str(grid), "--out", str(out), "--workers", str(arguments.workers)]
    begun, peak = time.perf_counter(), 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.Popen([sys.executable, "-m", "nearkin", *words, "--quiet"])
    while run.poll() is None:
        peak = max(peak, resident_kb(run.pid))
        time.sleep(1.0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter() - begun
    if run.returncode:
        sys.exit(run.returncode)
    told = json.loads((out / "run.json").read_text())
    record = {
        "benchmark": "thousands",
        "date": time.strftime("%Y-%m-%d"),
        "clips": told["n"],
        "points": len(told["plan"]["grid"]["points"]),
        "making_music_s": round(making),
        "wall_s": round(wall),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime),
        "stages_s": told["timings_s"],
        "peak_mb_all_processes": round(peak / 1024),
        "peak_mb_one_process": round(after.ru_maxrss / 1024),
        "music_mb": folder_mb(music),
        "run_mb": folder_mb(out),
        "files_mb": {
            path.relative_to(out).as_posix(): round(path.stat().st_size / 1e6, 2)
            for path in sorted(out.iterdir())
            if path.is_file()
        }
        | {path.name + "/": folder_mb(path) for path in sorted(out.iterdir()) if path.is_dir()},
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(record, indent=1))
    if arguments.save:
        save(record | {"benchmark": arguments.label})


if __name__ == "__main__":
    main()
