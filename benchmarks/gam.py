"""How long does the additive model take on the paper's table, and how long in R's mgcv?

The paper's consistency table: 4 tasks x 5 trials and one MFCC encoder over 91 points, 1,911 rows,
25 curves; and its performance table: 2 encoders x 4 tasks x 5 trials over 91 points, 3,640 rows, 40
curves. Scores are simulated (a curve per transformation, levels, normal noise). Both programs fit
the same table with the same basis, penalty and criterion, in the same run on one thread; where
Rscript with mgcv is missing its time is null. How far the two fits are apart stands beside the
times.

    python benchmarks/gam.py
    python benchmarks/gam.py --save benchmarks/results/FILE.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from threadpoolctl import threadpool_limits

import nearkin
from nearkin.statistics.additive import gam

POINTS = {"PN": 19, "EN": 19, "TS": 20, "PS": 20, "MP": 13}
R_SCRIPT = """
suppressMessages(library(mgcv))
options(contrasts = c("contr.sum", "contr.poly"))
args <- commandArgs(TRUE)
d <- read.csv(args[1], stringsAsFactors = TRUE)
d$cell <- interaction(d[setdiff(names(d), c("mag", "score"))], drop = TRUE)
select <- args[3] == "select"
seconds <- system.time(m <- gam(as.formula(args[2]), data = d, method = "REML", select = select))
a <- anova(m)$pTerms.table
version <- as.character(packageVersion("mgcv"))
cat(seconds[["elapsed"]], summary(m)$r.sq, sum(m$edf), a[1, 2], version)
"""


def scores(encoders, tasks, trials, seed):
    rng = np.random.default_rng(seed)
    rows = [
        (encoder, task, name, u)
        for encoder in encoders
        for task in tasks
        for name, n in POINTS.items()
        for u in np.linspace(0, 1, n)
        for _ in range(trials(encoder))
    ]
    table = pd.DataFrame(rows, columns=["encoder", "task", "transformation", "mag"])
    bend = table["transformation"].map({name: i + 1 for i, name in enumerate(POINTS)})
    level = table["encoder"].map({name: 0.2 * i for i, name in enumerate(encoders)})
    own = table["task"].map({name: 0.3 * i + 0.5 for i, name in enumerate(tasks)})
    curve = own * np.tanh(bend * (table["mag"] - 0.4))
    table["score"] = level + curve + rng.normal(0, 0.1, len(table))
    return table


TABLES = {
    "consistency": (
        scores(["AE", "AT", "IR", "VS", "mfcc"], ["-"], lambda e: 1 if e == "mfcc" else 5, 0),
        ["encoder", "transformation"],
        "score ~ encoder * transformation",
    ),
    "performance": (
        scores(["VGG", "mfcc"], ["AE", "AT", "IR", "VS"], lambda _: 5, 1),
        ["encoder", "task", "transformation"],
        "score ~ encoder * task + encoder * transformation + task * transformation",
    ),
}


def ours(table, factors, *, select, repeats):
    seconds = []
    with threadpool_limits(1):
        for _ in range(repeats):
            start = time.perf_counter()
            fit = gam(table, response="score", factors=factors, smooth="mag", select=select)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        fit.anova()
        for factor in factors:
            fit.marginal_means(factor)
            fit.contrasts(factor)
        tables_s = time.perf_counter() - start
    return fit, statistics.median(seconds), tables_s


def mgcv(table, factors, formula, *, select, repeats):
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    formula += ' + s(mag, by = cell, bs = "ps", k = 8)'
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        table[[*factors, "mag", "score"]].to_csv(path / "scores.csv", index=False)
        (path / "fit.R").write_text(R_SCRIPT)
        for _ in range(repeats):
            done = subprocess.run(
                [rscript, path / "fit.R", path / "scores.csv", formula, "select" * select or "-"],
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            if done.returncode:
                return None
            elapsed, r2_adj, edf, F, version = done.stdout.split()
            seconds.append(float(elapsed))
    return statistics.median(seconds), float(r2_adj), float(edf), float(F), version


def machine():
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        names = Path("/proc/cpuinfo").read_text().split("model name")[1:2]
        cpu = names[0].splitlines()[0].strip(" \t:") if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.system()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--r-repeats", type=int, default=3)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()

    results = []
    version = None
    for name, (table, factors, formula) in TABLES.items():
        for select in (False, True):
            if select and name == "performance":
                continue  # minutes in R
            fit, seconds, tables_s = ours(table, factors, select=select, repeats=options.repeats)
            row = {
                "table": name,
                "rows": fit.n,
                "curves": len(fit.smooths()),
                "select": select,
                "fit_s": round(seconds, 4),
                "rounds": fit.iterations,
                "tables_s": round(tables_s, 3),
                "edf": round(fit.edf, 3),
                "residual_df": round(fit.residual_df, 1),
            }
            theirs = mgcv(table, factors, formula, select=select, repeats=options.r_repeats)
            row["mgcv_fit_s"] = None
            if theirs is not None:
                their_s, r2_adj, edf, F, version = theirs
                row |= {
                    "mgcv_fit_s": their_s,
                    "ratio": round(their_s / seconds, 1),
                    "r2_adj_off": abs(fit.r2_adj / r2_adj - 1),
                    "edf_off": abs(fit.edf / edf - 1),
                    "first_f_off": float(abs(fit.anova()["F"][0] / F - 1)),
                }
            results.append(row)
            print(row)
    line = {
        "benchmark": "gam",
        "nearkin": nearkin.__version__,
        "machine": machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "pandas": pd.__version__,
            "mgcv": version,
        },
        "results": results,
    }
    if options.save:
        options.save.write_text(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
