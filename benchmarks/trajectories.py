"""How embeddings move under the four effects of Deng et al. (2025), on your recordings.

    python benchmarks/trajectories.py MUSIC_FOLDER --out RUN [--clips 100] [--grid effects] [--save]

Runs `nearkin run` with the four trained references and `mfcc`, then `nearkin trajectories`, and
prints a table an encoder. A finished RUN is read, not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from machine import machine, save

import nearkin
from nearkin.transforms.magnitudes import direction

SHOWN = {
    "rank_moved": "in order along one direction",
    "R2_moved": "R2 from how far a clip moved",
    "R2_global": "R2 from where it lies",
    "R2_clip": "R2 along a clip's own direction",
    "dimension": "dimensions",
    "dimension_90": "dimensions that hold 90 %",
    "curvature": "length over distance",
}


def command(*words: str | Path) -> None:
    called = [sys.executable, "-m", "nearkin", *map(str, words), "--quiet"]
    subprocess.run(called, check=True, stdout=subprocess.DEVNULL)


def printed(table: pd.DataFrame) -> None:
    for name, rows in table.groupby("encoder", sort=False):
        sides = list(dict.fromkeys(rows["at"]))
        print(f"\n| {name} | {' | '.join(sides)} |\n|{'---|' * (len(sides) + 1)}")
        for measure, told in SHOWN.items():
            mine = rows[rows["measure"] == measure].set_index("at")
            cells = [cell(mine.loc[side]) if side in mine.index else "" for side in sides]
            print(f"| {told} | {' | '.join(cells)} |")


def cell(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return "-"
    if pd.isna(row["ci_low"]):
        return f"{row['value']:.3g}"
    return f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--grid", default="effects")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE-...")
    args = parser.parse_args()
    if not (args.out / "consistency.parquet").is_file():
        words = ["run", args.music, "--encoder", "mfcc", "--encoder", "vgg-at"]
        words += ["--grid", args.grid, "--clips", str(args.clips), "--no-report"]
        command(*words, "--out", args.out, "--workers", str(args.workers))
    command("trajectories", args.out)
    table = pd.read_parquet(args.out / "trajectories.parquet")
    table["encoder"] += table["task"].map(lambda task: f"-{task}" if task else "")
    sides = zip(table["transformation"], table["side"], strict=True)
    table["at"] = [direction(*both) for both in sides]
    printed(table)
    agreement = pd.read_parquet(args.out / "trajectory_agreement.parquet")
    result = nearkin.load(args.out)
    columns = ["encoder", "at", "n", "n_magnitudes", "measure", "value", "ci_low", "ci_high"]
    record = {
        "benchmark": "trajectories",
        "date": time.strftime("%Y-%m-%d"),
        "nearkin": nearkin.__version__,
        "versions": result.run["versions"],
        **machine(),
        "grid": args.grid,
        "n": result.run["n"],
        "seed": result.run["plan"]["seed"],
        "embedding_sizes": {
            row["name"] + (f"-{row['task']}" if row["task"] else ""): row["embedding_size"]
            for row in result.run["encoders"]
        },
        "columns": columns,
        "rows": json.loads(table[columns].round(3).to_json(orient="values")),
        "agreement": json.loads(agreement.round(3).to_json(orient="records")),
    }
    if args.save:
        save(record)


if __name__ == "__main__":
    main()
