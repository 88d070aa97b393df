"""How many CPU seconds does one clip cost: the grid's transformations, loudness, MFCC?

For every point of a grid the 4-s context is transformed, the central 2 s are cut, brought to the
loudness of their original (EBU R128) and turned into MFCCs: what a run does with a clip before any
distance. One process, one BLAS thread, CPU time, the median over clips; the first clip, which pays
for imports and the built-in noise, is thrown away.

Peers, in the same run where pedalboard is installed: TS and PS by Rubber Band R2 (the paper's
engine) and R3.

    python benchmarks/transforms.py                  # built-in music
    python benchmarks/transforms.py FILE...          # recordings, each from its middle
    python benchmarks/transforms.py --save
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import numpy as np
import threadpoolctl

from nearkin.audio import SAMPLE_RATE as SR
from nearkin.audio import loudness_lufs, read, sound_info
from nearkin.audio.features import mfcc
from nearkin.audio.synthetic import clips
from nearkin.transforms import transformation
from nearkin.transforms.grids import grid

CONTEXT_S, CLIP_S = 4.0, 2.0
PACKAGES = ("nearkin", "numpy", "scipy", "librosa", "av", "python-stretch", "pyloudnorm")


def contexts(files, count):
    if not files:
        return [y[: round(CONTEXT_S * SR)] for _, y in clips(count)]
    middles = [max(0.0, (sound_info(file).duration_s - CONTEXT_S) / 2) for file in files]
    return [
        read(file, start_s=start, duration_s=CONTEXT_S)
        for file, start in zip(files, middles, strict=True)
    ]


def central(y):
    n = round(CLIP_S * SR)
    start = (len(y) - n) // 2
    return y[start : start + n]


def costs(y, points, **options):
    """Code -> [transformation, loudness, MFCC] in CPU seconds over that code's points."""
    spent = {}
    own = loudness_lufs(central(y), sr=SR)
    for code, magnitude in points:
        made = transformation(code, magnitude, **options)
        marks = [time.process_time()]
        clip = central(made(y, sr=SR, rng=np.random.default_rng(0)))
        marks.append(time.process_time())
        clip = clip * np.float32(10 ** ((own - loudness_lufs(clip, sr=SR)) / 20))
        marks.append(time.process_time())
        mfcc(clip, sr=SR)
        marks.append(time.process_time())
        spent.setdefault(code, np.zeros(3))
        spent[code] += np.diff(marks)
    return spent


def medians(per_clip):
    return {
        code: [statistics.median(spent[code][k] for spent in per_clip) for k in range(3)]
        for code in per_clip[0]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--grid", default="paper")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE-...")
    args = parser.parse_args()

    points = grid(args.grid).points
    ys = contexts(args.files, args.clips + 1)
    if len(ys) > 1:
        warm, ys = ys[0], ys[1:]
    else:
        warm = ys[0]
    engines = ["signalsmith"]
    if importlib.util.find_spec("pedalboard"):
        engines += ["rubberband", "rubberband-r3"]
    stretched = [point for point in points if point.code in ("TS", "PS")]
    load = os.getloadavg()[0]
    with threadpoolctl.threadpool_limits(1):
        per_engine = {engine: [] for engine in engines}
        for clip in (warm, *ys):
            for engine in engines:  # interleaved, so that a slow minute strikes all alike
                which = points if engine == "signalsmith" else stretched
                per_engine[engine].append(costs(clip, which, engine=engine))
    tables = {engine: medians(spent[1:]) for engine, spent in per_engine.items()}

    ours = tables["signalsmith"]
    print(f"CPU seconds a clip ({len(points)} points of grid {args.grid}, median of {len(ys)})")
    print(f"{'':14}{'points':>7}{'transform':>11}{'loudness':>10}{'mfcc':>8}{'sum':>8}")
    for code, (made, loudness, features) in ours.items():
        count = sum(point.code == code for point in points)
        total = made + loudness + features
        print(f"{code:14}{count:7d}{made:11.3f}{loudness:10.3f}{features:8.3f}{total:8.3f}")
    total = float(np.sum(list(ours.values())))
    print(f"{'all':14}{len(points):7d}{'':29}{total:8.3f}")
    for engine in engines[1:]:
        shown = ", ".join(f"{code} {values[0]:.3f}" for code, values in tables[engine].items())
        print(f"transform by {engine}: {shown}")

    packages = PACKAGES + (("pedalboard",) if len(engines) > 1 else ())
    line = {
        "benchmark": "transforms",
        "date": date.today().isoformat(),
        "grid": grid(args.grid).name,
        "points": len(points),
        "clips": len(ys),
        "source": "recordings" if args.files else "built-in music",
        "cpu_s_per_clip": round(total, 4),
        "by_code": {
            engine: {code: [round(v, 4) for v in values] for code, values in table.items()}
            for engine, table in tables.items()
        },
        "columns": ["transform", "loudness", "mfcc"],
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
        },
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
    }
    print(json.dumps(line))
    if args.save:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        path = folder / f"{line['date']}-transforms.json"
        path.write_text(json.dumps(line, indent=1) + "\n")


if __name__ == "__main__":
    main()
