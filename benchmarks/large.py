"""A collection of 10,000 clips: memory and time of a point, and what drawing clips for rho costs.

python benchmarks/large.py [--clips 10000] [--save]

Synthetic embeddings and distance blocks: clips are points around 200 centres, the audio distances
those of another noisy view of the same points. First a point is scored with 10,000 clips (C_W over
all of them, C_B_rho over the 2,000 drawn) and its peak memory read; then, with 4,000 clips, the rho
of all pairs is set beside the rho of ten draws of 2,000 and 500 clips and the intervals they gave.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from machine import machine, save, versions
from threadpoolctl import threadpool_limits

from nearkin.consistency import RankedSpace, rho, rho_replicates
from nearkin.distances import euclidean
from nearkin.runs.plan import make_plan
from nearkin.runs.scoring import Scorer
from nearkin.runs.spaces import AudioAtPoint, EncoderAtPoint, Space, latent_space
from nearkin.statistics import percentile_interval, resamples
from nearkin.transforms.grids import Point

SIZE = 144


def views(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Originals in two spaces, and the queries' embeddings."""
    centres = rng.standard_normal((200, SIZE))
    points = centres[rng.integers(0, 200, n)] + 0.7 * rng.standard_normal((n, SIZE))
    latent = points + 0.8 * rng.standard_normal((n, SIZE))
    queries = latent + 0.3 * rng.standard_normal((n, SIZE))
    return points.astype("f4"), latent.astype("f4"), queries.astype("f4")


def one_point(n: int) -> dict:
    rng = np.random.default_rng(0)
    audio, latent, queries = views(n, rng)
    plan = make_plan({"encoders": ["mfcc"], "grid": "imperceptible"})
    scorer = Scorer(plan, [str(i) for i in range(n)])
    status = ["ok"] * n
    moved = (audio + 0.3 * rng.standard_normal(audio.shape)).astype("f4")
    heard = EncoderAtPoint("audio", "", 1, audio, moved, status)
    space = latent_space("euclidean", heard, scorer.drawn, made=np.ones(n, bool))
    spaces = [Space.of_audio(name, space.found, space.pairs) for name in ("dtw", "simple")]
    encoder = EncoderAtPoint("synthetic", "", 1, latent, queries, status)
    begun = time.perf_counter()
    scorer.point(Point("PN", 30.0), AudioAtPoint(spaces, np.zeros(n), status), [encoder])
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    points = 92
    return {
        "clips": n,
        "seconds_a_point_and_encoder": round(seconds, 2),
        "peak_mb": round(peak),
        "disk_gb_distances": round(2 * plan.rho_clips**2 * points * 4 / 1e9, 2),
        "disk_gb_if_all_were_kept": round(2 * n**2 * points * 4 / 1e9, 1),
    }


def drawing(n: int) -> list[dict]:
    rng = np.random.default_rng(1)
    audio, latent, queries = views(n, rng)
    a, b = euclidean(audio, audio), euclidean(queries, latent)
    truth = rho(RankedSpace(a), RankedSpace(b))
    rows = []
    for size in (500, 2000):
        errors, covered, widths = [], 0, []
        for _ in range(10):
            drawn = np.sort(rng.permutation(n)[:size])
            grid = np.ix_(drawn, drawn)
            one, two = RankedSpace(a[grid]), RankedSpace(b[grid])
            counts = resamples(size, n_resamples=1000, rng=rng)
            low, high, _ = percentile_interval(rho_replicates(one, two, counts))
            errors.append(abs(rho(one, two) - truth))
            covered += bool(low <= truth <= high)
            widths.append(float(high - low))
        rows.append(
            {
                "drawn": size,
                "rho_of_all": round(truth, 4),
                "largest_error": round(max(errors), 4),
                "mean_interval_width": round(float(np.mean(widths)), 4),
                "intervals_holding_rho_of_all": f"{covered} of 10",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    with threadpool_limits(limits=1):
        record = {
            "benchmark": "large",
            "date": time.strftime("%Y-%m-%d"),
            "point": one_point(arguments.clips),
            "drawing": drawing(4000),
            "machine": machine(),
            "versions": versions(),
        }
    print(json.dumps(record, indent=1))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
