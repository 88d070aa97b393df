"""How long do the measures and their bootstrap take for a whole study?

The paper's size: 1,000 clips, 91 points (a transformation at a magnitude), 6 encoders, 2 audio and
2 latent distances, 1,000 resamples. Every point is 2 audio and 12 latent distance matrices: the
neighbours and ranks of each, C_W with C_W@10 and C_W@100, and for each of the 24 pairs of an audio
and a latent matrix rho, accuracy, chance and kappa, all with 95 % intervals. Matrices are random,
made once and used for every point (nothing is remembered from one point to the next).

Stages are told in processor seconds, which do not depend on what else the machine does; the wall
clock of the whole does, and the load average beside it says how much.

Peers, in the same run: scipy.stats.rankdata for the ranks; scipy.stats.spearmanr on every
resampled matrix for the replicates.

    python benchmarks/consistency.py --points 8              # measures 8 points, extrapolates
    python benchmarks/consistency.py --points 91 --save FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import scipy
import threadpoolctl
from scipy.stats import rankdata, spearmanr

import nearkin
from nearkin.consistency import (
    RankedSpace,
    agreement,
    agreement_replicates,
    centred_ranks,
    neighbours,
    rho,
    rho_replicates,
    within_space_at_by_clip,
)
from nearkin.statistics import mean_replicates, percentile_interval, resamples

POINTS, ENCODERS, AUDIO, LATENT = 91, 6, 2, 2


def matrices(n_clips):
    rng = np.random.default_rng(0)
    base = rng.random((n_clips, n_clips))
    base[np.diag_indices(n_clips)] *= 0.003
    audio = [(base + rng.random(base.shape)).astype(np.float32) for _ in range(AUDIO)]
    latent = [base + rng.random(base.shape) for _ in range(ENCODERS * LATENT)]
    return audio, latent


class Clock:
    def __init__(self):
        self.seconds = defaultdict(float)

    def __call__(self, stage, function, *arguments, **options):
        start = time.process_time()
        result = function(*arguments, **options)
        self.seconds[stage] += time.process_time() - start
        return result


def one_point(audio, latent, counts):
    """All numbers of one point; returns processor seconds per stage."""
    clock = Clock()
    n = counts.shape[1]
    found = [clock("neighbours", neighbours, d) for d in (*audio, *latent)]
    spaces = [clock("ranks", RankedSpace, d) for d in (*audio, *latent)]
    replicates = []
    for each in found:
        columns = [~each.error] + [
            within_space_at_by_clip(each.rank, n=m, n_clips=each.n_clips)
            for m in (10, 100)
            if m < n
        ]
        replicates.extend(clock("C_W", mean_replicates, np.stack(columns), counts))
    for i in range(len(audio)):
        for j in range(len(audio), len(spaces)):
            clock("rho", rho, spaces[i], spaces[j])
            clock("accuracy, kappa", agreement, found[i], found[j])
            for k in (i, j):
                clock("rho: sums of each space", spaces[k].sums, counts)
            replicates.append(
                clock("rho: sums of each pair", rho_replicates, spaces[i], spaces[j], counts)
            )
            replicates.extend(
                clock("accuracy, kappa", agreement_replicates, found[i], found[j], counts)
            )
    clock("intervals", percentile_interval, np.stack(replicates))
    return dict(clock.seconds)


_state = {}


def start_worker(n_clips, n_resamples):
    threadpoolctl.threadpool_limits(1)
    counts = resamples(n_clips, n_resamples=n_resamples, rng=np.random.default_rng(1))
    _state["arguments"] = (*matrices(n_clips), counts)


def work(_point):
    return one_point(*_state["arguments"])


def median_ms(functions, repeats):
    """Median milliseconds of each function, the functions taking turns."""
    times = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def peers(n_small, n_large):
    rng = np.random.default_rng(2)
    a = rng.random((n_small, n_small)).astype(np.float32)
    b = a + rng.random((n_small, n_small))
    counts = resamples(n_small, n_resamples=1000, rng=rng)
    drawn = np.repeat(np.arange(n_small), counts[0].astype(int))
    different = drawn[:, None] != drawn

    def scipy_resample():
        square = np.ix_(drawn, drawn)
        spearmanr(a[square][different], b[square][different])

    long = rng.random(n_large * (n_large - 1))
    with threadpoolctl.threadpool_limits(1):
        small = median_ms(
            {
                "scipy": scipy_resample,
                "nearkin": lambda: rho_replicates(RankedSpace(a), RankedSpace(b), counts),
            },
            7,
        )
        large = median_ms(
            {"scipy": lambda: rankdata(long), "nearkin": lambda: centred_ranks(long)}, 5
        )
    per_resample = small["nearkin"] / 1000
    return {
        "resample": {
            "n_clips": n_small,
            "spearmanr_ms": small["scipy"],
            "nearkin_ms": per_resample,
            "ratio": small["scipy"] / per_resample,
        },
        "rank": {
            "values": len(long),
            "rankdata_ms": large["scipy"],
            "nearkin_ms": large["nearkin"],
            "ratio": large["scipy"] / large["nearkin"],
        },
    }


def machine():
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.system()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=4, help=f"points to measure, of {POINTS}")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write the JSON line to this file")
    arguments = parser.parse_args()

    with ProcessPoolExecutor(
        arguments.workers,
        mp_context=get_context("spawn"),
        initializer=start_worker,
        initargs=(arguments.clips, arguments.resamples),
    ) as pool:
        list(pool.map(work, range(arguments.workers)))  # start-up is not what is asked
        start = time.perf_counter()
        points = list(pool.map(work, range(arguments.points)))
        wall = time.perf_counter() - start
        load = os.getloadavg()[0]
    beside = peers(100, arguments.clips)
    stages = {name: statistics.median(point[name] for point in points) for name in points[0]}
    whole = wall * POINTS / arguments.points
    total = sum(stages.values())
    undisturbed = total * POINTS / arguments.workers

    print(f"{'stage':26} s a point   share")
    for name, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"{name:26} {seconds:9.3f} {100 * seconds / total:6.1f} %")
    print(f"{'one point, one process':26} {total:9.3f}")
    kind = "measured" if arguments.points >= POINTS else "extrapolated"
    print(
        f"{POINTS} points, {ENCODERS} encoders, {AUDIO * LATENT} pairs of distances, "
        f"{arguments.clips} clips, {arguments.resamples} resamples, {arguments.workers} processes: "
        f"{whole:.0f} s of wall clock ({kind} from {arguments.points}) at a load average of "
        f"{load:.1f}; {undisturbed:.0f} s by processor time"
    )
    one, two = beside["resample"], beside["rank"]
    print(
        f"a resample of rho, {one['n_clips']} clips: spearmanr {one['spearmanr_ms']:.3f} ms, "
        f"nearkin {one['nearkin_ms']:.4f} ms, {one['ratio']:.0f} times"
    )
    print(
        f"ranks of {two['values']} numbers: rankdata {two['rankdata_ms']:.0f} ms, "
        f"nearkin {two['nearkin_ms']:.0f} ms, {two['ratio']:.2f} times"
    )
    line = json.dumps(
        {
            "benchmark": "consistency",
            "points_measured": arguments.points,
            "clips": arguments.clips,
            "encoders": ENCODERS,
            "pairs_of_distances": AUDIO * LATENT,
            "resamples": arguments.resamples,
            "workers": arguments.workers,
            "wall_s": round(wall, 2),
            "load_average": round(load, 1),
            "whole_study_s": round(whole, 1),
            "whole_study_by_processor_time_s": round(undisturbed, 1),
            "stages_processor_s_per_point": {
                name: round(value, 4) for name, value in stages.items()
            },
            "peers": beside,
            "machine": machine(),
            "versions": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "nearkin": getattr(nearkin, "__version__", "0.1.0"),
            },
        }
    )
    print(line)
    if arguments.save:
        arguments.save.write_text(line + "\n")


if __name__ == "__main__":
    main()
