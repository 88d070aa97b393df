"""Do 95 % intervals hold the truth 95 times in 100? Simulated studies, the intervals of the tables.

Shares (C_W, C_B_acc) of N clips in T trials: clip c is right in trial t where
``level + clip_c + trial_t + noise_ct > 0``, all normal; ``likeness`` is the clips' part of the
variance of clip and noise (how far trials err on the same clips), ``trial_sd`` the spread of the
trials. The truth is the share over all clips and trials (of one trial: its own). Beside the
intervals of the tables stand the percentile bootstraps they replaced. Then clips in files,
monotonicity and pooled rho.

    python benchmarks/covered.py [--save]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib import metadata
from itertools import product

import numpy as np
import scipy
from machine import machine, save
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from nearkin.consistency import RankedSpace, monotonicity, rho, rho_replicates
from nearkin.statistics.bootstrap import (
    crossed_replicates,
    mean_replicates,
    percentile_interval,
    resamples,
)
from nearkin.statistics.intervals import bounded_limits, share_limits, trials_limits

CLIPS = (8, 16, 50, 100, 200)
SHARES = (0.5, 0.8, 0.95, 0.99)
LIKENESS = (0.0, 0.5, 0.9)
TRIAL_SD = (0.0, 0.1, 0.3)
STUDIES, RESAMPLED_STUDIES, RESAMPLES = 1000, 400, 400


def right(rng, n, trials, share, likeness, trial_sd, studies):
    level = norm.ppf(share) * np.sqrt(1 + trial_sd**2)
    clip = rng.normal(0, likeness**0.5, (studies, 1, n))
    trial = rng.normal(0, trial_sd, (studies, trials, 1))
    noise = rng.normal(0, (1 - likeness) ** 0.5, (studies, trials, n))
    return (level + clip + trial + noise > 0).astype(float)


def summary(limits, truth):
    low, high = np.array([(one[0], one[1]) for one in limits]).T
    known = ~np.isnan(low)
    held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return {
        "coverage": round(float(held[known].mean()), 3) if known.any() else None,
        "width": round(float((high - low)[known].mean()), 3) if known.any() else None,
        "without_interval": round(float((~known).mean()), 3),
    }


def shares(rng):
    rows = []
    for trials, n, share, likeness, sd in product((1, 3, 4, 5), CLIPS, SHARES, LIKENESS, TRIAL_SD):
        if trials == 1 and (likeness or sd):
            continue
        values = right(rng, n, trials, share, likeness, sd, STUDIES)
        found = summary([share_limits(one) for one in values], share)
        cell = {"trials": trials, "clips": n, "share": share, "likeness": likeness}
        rows.append(cell | {"trial_sd": sd} | found)
    return rows


def replaced(rng):
    """Percentile bootstraps of clips, over trials crossed with resamples of trials."""
    rows = []
    for trials, n, share in product((1, 2, 3, 5), CLIPS, SHARES):
        likeness, sd = (0.0, 0.0) if trials == 1 else (0.5, 0.1)
        limits = []
        for values in right(rng, n, trials, share, likeness, sd, RESAMPLED_STUDIES):
            counts = resamples(n, n_resamples=RESAMPLES, rng=rng)
            spread = mean_replicates(values, counts)
            drawn = resamples(trials, n_resamples=RESAMPLES, rng=rng).T
            limits.append(percentile_interval(crossed_replicates(spread, drawn))[:2])
        cell = {"trials": trials, "clips": n, "share": share, "likeness": likeness}
        rows.append(cell | {"trial_sd": sd} | summary(limits, share))
    return rows


def files(rng):
    """Four clips a file, one trial; ``likeness`` is that of the clips of a file."""
    rows = []
    for n_files, share, likeness in product((8, 16, 50), SHARES, (0.0, 0.3, 0.7, 0.95)):
        clusters = np.repeat(np.arange(n_files), 4)
        level = norm.ppf(share)
        shape = (RESAMPLED_STUDIES, n_files, 4)
        file = rng.normal(0, likeness**0.5, (*shape[:2], 1))
        values = (level + file + rng.normal(0, (1 - likeness) ** 0.5, shape) > 0).astype(float)
        values = values.reshape(len(values), -1)
        counts = [
            resamples(4 * n_files, n_resamples=RESAMPLES, rng=rng, clusters=clusters)
            for _ in values
        ]
        spread = [mean_replicates(one, w) for one, w in zip(values, counts, strict=True)]
        ways = {
            "korn-graubard": [share_limits(one, clusters) for one in values],
            "bootstrap of files": [percentile_interval(one)[:2] for one in spread],
            "clopper-pearson of clips": [share_limits(one) for one in values],
        }
        cell = {"files": n_files, "share": share, "likeness": likeness}
        rows += [cell | {"method": way} | summary(found, share) for way, found in ways.items()]
    return rows


def growth(rng, n, trials, studies):
    """Monotonicity by study, trial and clip: six magnitudes, a trend in noise of clip and trial."""
    severity = np.arange(6.0)
    clip = rng.normal(0, 0.7, (studies, 1, n, 6))
    spread = 0.2 if trials > 1 else 0.0
    trial = 1 + rng.normal(0, spread, (studies, trials, 1, 1))
    d = trial * severity + clip + rng.normal(0, 1.5, (studies, trials, n, 6))
    return monotonicity(severity, d.reshape(-1, 6)).reshape(studies, trials, n)


def pooled(rng, n, trials):
    """Pooled rho of a study in every trial, and its replicates."""
    x = rng.normal(size=(n, 3))
    gap = np.linalg.norm(x[:, None] - x[None], axis=2)
    clip = rng.normal(0, 0.6, (n, 3))
    counts = resamples(n, n_resamples=200, rng=rng)
    audio, found, spread = RankedSpace(gap), [], []
    for _ in range(trials):
        stretch = rng.normal(0, 0.4, 3) if trials > 1 else 0.0
        z = x * (1 + stretch) + clip + rng.normal(0, 0.3, (n, 3))
        latent = RankedSpace(np.linalg.norm(z[:, None] - z[None], axis=2))
        found.append(rho(audio, latent))
        spread.append(rho_replicates(audio, latent, counts))
    return np.array(found), np.array(spread)


def means(rng):
    rows = []
    for trials, n in product((1, 3, 5), (8, 16, 50)):
        truth = float(growth(rng, 50, trials, 3000).mean())
        ways: dict[str, list] = {}
        for one in growth(rng, n, trials, RESAMPLED_STUDIES):
            counts = resamples(n, n_resamples=RESAMPLES, rng=rng)
            spread = mean_replicates(one, counts)
            if trials == 1:
                ways.setdefault("tables", []).append(bounded_limits(one[0], (-1, 1)))
                ways.setdefault("bootstrap", []).append(percentile_interval(spread[0])[:2])
            else:
                found = trials_limits(one.mean(axis=1), spread, n, bounds=(-1, 1))
                ways.setdefault("tables", []).append(found)
        cell = {"measure": "monotonicity", "trials": trials, "clips": n, "truth": round(truth, 3)}
        rows += [cell | {"method": way} | summary(found, truth) for way, found in ways.items()]
    for trials, n in product((1, 3, 5), (8, 16, 50)):
        studies = [pooled(rng, n, trials) for _ in range(RESAMPLED_STUDIES)]
        truth = float(np.mean([found.mean() for found, _ in studies]))
        limits = [
            percentile_interval(spread[0])[:2]
            if trials == 1
            else trials_limits(found, spread, n, bounds=(-1, 1))
            for found, spread in studies
        ]
        cell = {"measure": "C_B_rho", "trials": trials, "clips": n, "method": "tables"}
        rows.append(cell | {"truth": round(truth, 3)} | summary(limits, truth))
    return rows


def lowest(rows, *keys):
    """The lowest and the mean coverage of every group of rows."""
    groups = {}
    for row in rows:
        if row["coverage"] is not None:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row["coverage"])
    return [
        dict(zip(keys, names, strict=True))
        | {"lowest": min(found), "mean": round(float(np.mean(found)), 3), "cells": len(found)}
        for names, found in groups.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    with threadpool_limits(limits=1):
        tables = {
            "shares": shares(np.random.default_rng(0)),
            "replaced": replaced(np.random.default_rng(1)),
            "files": files(np.random.default_rng(2)),
            "means": means(np.random.default_rng(3)),
        }
    record = {
        "benchmark": "coverage",
        "date": time.strftime("%Y-%m-%d"),
        "summary": {
            "shares": lowest(tables["shares"], "trials"),
            "replaced": lowest(tables["replaced"], "trials"),
            "files": lowest(tables["files"], "method"),
            "means": lowest(tables["means"], "measure", "trials", "method"),
        },
        "studies": {"shares": STUDIES, "resampled": RESAMPLED_STUDIES, "resamples": RESAMPLES},
        "seconds": round(time.perf_counter() - begun),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            "nearkin": metadata.version("nearkin"),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    print(json.dumps(record, indent=1))
    if arguments.save:
        save(record | tables)


if __name__ == "__main__":
    main()
