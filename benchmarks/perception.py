"""Does another model of hearing agree with Zimtohrli about which changes are heard?

Clips of 2 s are changed as a run changes them, and judged by Zimtohrli (what `nearkin perceive`
uses) and by ViSQOL 3 in audio mode (visqol-python). Told: the median scores at every point, the
rank correlation of both over points, and CPU seconds a pair.

    pip install 'nearkin[perception]' visqol-python
    python -P benchmarks/perception.py FILE...          # recordings, each from its middle
    python -P benchmarks/perception.py FILE... --save
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from nearkin.audio import loudness_lufs, read, resample, sound_info
from nearkin.audio.perception import RATE, heard
from nearkin.transforms import transformation

SR, CONTEXT_S, CLIP_S = 22_050, 4.0, 2.0
POINTS = (
    *(("PN", snr) for snr in (0, 12, 20, 30, 40)),
    *(("EN", snr) for snr in (0, 12, 20, 30, 40)),
    *(("MP", kbps) for kbps in (8, 16, 32, 64, 160)),
    *(("LP", hz) for hz in (1_000, 4_000, 8_000)),
    *(("BD", bits) for bits in (6, 8, 12)),
    *(("OP", kbps) for kbps in (8, 24, 64)),
)


def central(y):
    n = round(CLIP_S * SR)
    start = (len(y) - n) // 2
    return y[start : start + n]


def pairs(files):
    """Yield (code, magnitude, original, changed), float32 at 22.05 kHz, equally loud."""
    for number, file in enumerate(files):
        start = max(0.0, (sound_info(file).duration_s - CONTEXT_S) / 2)
        context = read(file, sr=SR, start_s=start, duration_s=CONTEXT_S)
        before = central(context)
        own = loudness_lufs(before, sr=SR)
        for code, magnitude in POINTS:
            rng = np.random.default_rng(number)
            after = central(transformation(code, magnitude)(context, sr=SR, rng=rng))
            gain = np.float32(10 ** ((own - loudness_lufs(after, sr=SR)) / 20))
            yield code, magnitude, before, after * gain


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE-...")
    args = parser.parse_args()
    from visqol import VisqolApi

    other = VisqolApi()
    other.create(mode="audio")
    scores, spent = {}, np.zeros(2)
    for code, magnitude, before, after in pairs(args.files):
        marks = [time.process_time()]
        ours = heard(before, after, sr=SR).mos
        marks.append(time.process_time())
        at = [resample(y, from_sr=SR, to_sr=RATE).astype(np.float64) for y in (before, after)]
        theirs = float(other.measure_from_arrays(*at, RATE).moslqo)
        marks.append(time.process_time())
        spent += np.diff(marks)
        scores.setdefault((code, magnitude), []).append((ours, theirs))
    medians = {point: np.median(pair, axis=0) for point, pair in scores.items()}
    table = np.array(list(medians.values()))
    rho = float(spearmanr(table[:, 0], table[:, 1])[0])
    per_clip = [
        float(spearmanr(*np.array([pair[k] for pair in scores.values()]).T)[0])
        for k in range(len(args.files))
    ]
    print(f"{'':10}{'Zimtohrli':>11}{'ViSQOL':>9}   (median of {len(args.files)} clips)")
    for (code, magnitude), (ours, theirs) in medians.items():
        print(f"{code:3}{magnitude:7g}{ours:11.2f}{theirs:9.2f}")
    pairs_heard = len(scores) * len(args.files)
    print(f"Spearman over points {rho:.3f}, per clip {np.median(per_clip):.3f} (median)")
    line = {
        "benchmark": "perception",
        "date": date.today().isoformat(),
        "clips": len(args.files),
        "medians": {f"{c} {m:g}": [round(float(v), 3) for v in p] for (c, m), p in medians.items()},
        "spearman": {
            "points": round(rho, 3),
            "per_clip_median": round(float(np.median(per_clip)), 3),
        },
        "cpu_s_per_pair": {
            name: round(float(value), 4)
            for name, value in zip(("zimtohrli", "visqol"), spent / pairs_heard, strict=True)
        },
        "columns": ["zimtohrli", "visqol"],
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "versions": {
            "python": platform.python_version(),
            **{
                package: importlib.metadata.version(package)
                for package in ("nearkin", "numpy", "zimtohrli", "visqol-python")
            },
        },
    }
    print(json.dumps(line))
    if args.save:
        folder = Path(__file__).parent / "results"
        path = folder / f"{line['date']}-perception.json"
        path.write_text(json.dumps(line, indent=1) + "\n")


if __name__ == "__main__":
    main()
