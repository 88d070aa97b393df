"""How long does `nearkin run --dry-run` take for a manifest of a hundred thousand paths?

python benchmarks/dry_run.py FOLDER [--paths 100000] [--save]

FOLDER gets ten pieces of synthetic music and that many links to them, in folders of a thousand, and
a manifest that names each with an id and a group. The command is a process of its own; its wall and
CPU seconds are medians of five calls. It includes one clip that is really done, to tell the time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import machine, save, versions
from thousands import write_pieces


def write_manifest(folder: Path, paths: int) -> Path:
    pieces, manifest = folder / "pieces", folder / "manifest.csv"
    pieces.mkdir(parents=True, exist_ok=True)
    write_pieces(pieces, range(10))
    found = sorted(pieces.rglob("*.flac"))
    lines = ["path,clip_id,group"]
    for number in range(paths):
        link = folder / "links" / f"{number // 1000:03d}" / f"{number:06d}.flac"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            os.link(found[number % len(found)], link)
        lines.append(f"{link.relative_to(folder).as_posix()},c{number:06d},g{number // 10}")
    manifest.write_text("\n".join([*lines, ""]))
    return manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    words = ["run", str(write_manifest(given.folder, given.paths)), "--encoder", "mfcc"]
    words += ["--references", "untrained", "--out", str(given.folder / "out"), "--dry-run"]
    walls, spent = [], []
    for _ in range(5):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "nearkin", *words], check=True, capture_output=True)
        walls.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    record = {
        "benchmark": "dry-run",
        "date": time.strftime("%Y-%m-%d"),
        "paths": given.paths,
        "wall_s": round(statistics.median(walls), 2),
        "cpu_s": round(statistics.median(spent), 2),
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(record, indent=1))
    if given.save:
        save(record)


if __name__ == "__main__":
    main()
