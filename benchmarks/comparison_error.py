"""How often does ``nearkin compare`` call equal encoders different? Type I error at .05.

For N from 8 to 200 clips and differences of several shapes, all with mean 0 and none beyond 1, the
share of tests that reject, beside four peers: Student's t, the sign-flip test, the percentile
bootstrap that ``compare`` used first (centred at no difference), and the studentised bootstrap
alone, which it used next. Then the same with 1, 3 and 5 trials a side (two have no test), and how
often a difference is found where there is one.

    python benchmarks/comparison_error.py [--repeats 1000] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from machine import machine, save
from scipy import stats

from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.paired import paired_difference

SIZES = (8, 12, 20, 30, 50, 100, 200)
RESAMPLES = 599
Draw = Callable[[np.random.Generator, int], np.ndarray]


def answers(rng: np.random.Generator, n: int, places: int) -> np.ndarray:
    """Two encoders that are right with equal odds: clips differ, places differ."""
    ease, severity = rng.normal(size=n), rng.normal(-0.5, 0.7, (places, 1))
    sides = [np.mean(ease + rng.normal(size=(places, n)) > severity, axis=0) for _ in range(2)]
    return sides[0] - sides[1]


def sparse(rng: np.random.Generator, n: int) -> np.ndarray:
    """Good encoders: eight clips of ten do not differ at all."""
    return (rng.random(n) < 0.2) * rng.choice([-1.0, 1.0], n) * rng.uniform(0.1, 1, n)


def fails(rare: float) -> Draw:
    """One encoder fails few clips wholly, the other as many answers of any clip."""
    return lambda rng, n: (rng.random(n) < rare) - rng.binomial(20, rare, n) / 20


SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 0.2, n),
    "uniform": lambda rng, n: rng.uniform(-0.8, 0.8, n),
    "right or wrong, 20 points": lambda rng, n: answers(rng, n, 20),
    "right or wrong, 1 point": lambda rng, n: answers(rng, n, 1),
    "sparse": sparse,
    "skewed: gamma(4)": lambda rng, n: (rng.gamma(4, size=n) - 4) / 10,
    "skewed: exponential": lambda rng, n: (rng.exponential(size=n) - 1) / 5,
    "skewed: two values, 1 in 4": lambda rng, n: rng.choice([1, -1 / 3], n, p=[0.25, 0.75]),
    "skewed: two values, 1 in 10": lambda rng, n: rng.choice([1, -1 / 9], n, p=[0.1, 0.9]),
    "one fails 1 clip in 10 wholly": fails(0.1),
    "one fails 1 clip in 20 wholly": fails(0.05),
}
SHIFTS = {"small": 0.05, "middling": 0.1, "large": 0.3}


def before(d: np.ndarray, counts: np.ndarray) -> float:
    """The p of the percentile bootstrap centred at no difference, as `compare` had it."""
    differing = int((d != 0).sum())
    if differing < 2:
        return 1.0
    far = np.abs(counts @ d / len(d) - d.mean()) * np.sqrt(differing / (differing - 1))
    p = (1 + int((far >= abs(d.mean()) * (1 - 1e-9)).sum())) / (1 + len(counts))
    return float(min(1.0, max(p, 2.0 ** (1 - differing))))


def alone(d: np.ndarray, counts: np.ndarray) -> float:
    """The p of the studentised bootstrap by itself, as `compare` had it next."""
    n, centred = len(d), d - d.mean()
    if not np.ptp(d) > 1e-12:
        return 1.0
    error = d.std(ddof=1) / np.sqrt(n)
    moved = counts @ centred / n
    spread = np.maximum(counts @ centred**2 / n - moved**2, 0) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(spread > 1e-12 * error**2, moved / np.sqrt(spread), np.sign(moved) * np.inf)
    seen = d.mean() / error
    least = 2.0 ** (1 - int((np.abs(d) > 1e-12).sum()))
    p = 2 * (1 + min((t <= seen + 1e-9).sum(), (t >= seen - 1e-9).sum())) / (len(t) + 1)
    return float(min(1.0, max(p, least)))


def by_shape(repeats: int) -> list[dict[str, object]]:
    """Return the level of every method, by shape and N."""
    rows = []
    for shape, draw in SHAPES.items():
        for n in SIZES:
            rng = np.random.default_rng([n, len(rows)])
            counts = resamples(n, n_resamples=RESAMPLES, rng=rng).astype(float)
            signs = rng.choice([-1.0, 1.0], (RESAMPLES, n))
            hits = dict.fromkeys(("nearkin", "t", "sign_flip", "before", "alone"), 0)
            for _ in range(repeats):
                d = draw(rng, n)
                p = paired_difference(d[None], np.zeros((1, n)), counts, bound=1.0).p
                spread = d.std(ddof=1)
                t = abs(d.mean()) / (spread / np.sqrt(n)) if spread > 1e-12 else np.inf
                flipped = np.abs(signs @ d) >= abs(d.sum()) - 1e-9
                hits["nearkin"] += p <= 0.05
                hits["t"] += bool(2 * stats.t.sf(t, n - 1) <= 0.05 and d.any())
                hits["sign_flip"] += bool((1 + flipped.sum()) / (1 + RESAMPLES) <= 0.05)
                hits["before"] += before(d, counts) <= 0.05
                hits["alone"] += alone(d, counts) <= 0.05
            row = {"shape": shape, "n": n} | {k: round(v / repeats, 4) for k, v in hits.items()}
            sys.stderr.write(f"{row}\n")
            rows.append(row)
    return rows


def found_where_there_is(repeats: int) -> list[dict[str, object]]:
    """Return how often a difference of normal shape (sd .2) is found, by its size and N."""
    rows = []
    for name, shift in SHIFTS.items():
        for n in SIZES:
            rng = np.random.default_rng([n, len(rows), 1])
            counts = resamples(n, n_resamples=RESAMPLES, rng=rng).astype(float)
            hits = dict.fromkeys(("nearkin", "alone"), 0)
            for _ in range(repeats):
                d = np.clip(rng.normal(shift, 0.2, n), -1, 1)
                p = paired_difference(d[None], np.zeros((1, n)), counts, bound=1.0).p
                hits["nearkin"] += p <= 0.05
                hits["alone"] += alone(d, counts) <= 0.05
            row = {"difference": name, "mean": shift, "n": n}
            row |= {k: round(v / repeats, 4) for k, v in hits.items()}
            sys.stderr.write(f"{row}\n")
            rows.append(row)
    return rows


def by_trials(repeats: int) -> list[dict[str, object]]:
    """Return the level with several trials a side, which differ or not."""
    rows = []
    for trials in (1, 3, 5):
        for spread in (0.0, 0.03, 0.1):
            for n in (20, 100):
                rng = np.random.default_rng([trials, n, int(spread * 100)])
                counts = resamples(n, n_resamples=RESAMPLES, rng=rng).astype(float)
                hits = 0
                for _ in range(repeats):
                    clip = rng.normal(0, 0.2, n)
                    a, b = (
                        clip + rng.normal(0, spread, (trials, 1)) + rng.normal(0, 0.3, (trials, n))
                        for _ in range(2)
                    )
                    hits += paired_difference(a, b, counts, bound=1.0).p <= 0.05
                row = {"trials": trials, "sd_between": spread, "n": n, "level": hits / repeats}
                sys.stderr.write(f"{row}\n")
                rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--save", action="store_true", help="keep the tables in results/")
    given = parser.parse_args()
    repeats = given.repeats
    found = {
        "benchmark": "comparison_error",
        "date": time.strftime("%Y-%m-%d"),
        "what": "type I error of paired comparisons at .05",
        "repeats": repeats,
        "standard_error": round(float(np.sqrt(0.05 * 0.95 / repeats)), 4),
        "by_shape": by_shape(repeats),
        "by_trials": by_trials(repeats),
        "found": found_where_there_is(repeats),
    }
    found["machine"] = machine()
    if given.save:
        save(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
