"""Change a finished run's record and tables at random: every command ends well or in one sentence.

python scripts/campaign/folders.py STAGE [--cases 400] [--seed 0]

One file of a run, its analysis, its task scores or an export is changed (a value of JSON, a column,
a cell, a row of a table), and a command reads the folder. Wrong is an error that nobody foresaw
(exit code 70). Checksums are taken out of the records first: else every table would be refused for
being changed. All happens in this process.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from stage import Command, build, keep, nearkin
from typer.testing import CliRunner

from nearkin.cli import app

JUNK: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan")),
    *(float("inf"), "", " ", "0", "nan", "OG", "cosine", "x" * 5000, "\u0000", "\ud800", "=1+1"),
    *([], [None], [[]], {}, {"a": {}}, ["a", "a"], "mfcc", "2026-11-26T00:00:00+00:00", "ok"),
]
Change = Callable[[random.Random, Path], str]


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*here, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:20]):
            found += places(inner, (*here, number))
    return found


def change_json(rng: random.Random, path: Path) -> str:
    data = json.loads(path.read_text())
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        known = places(data)
        if not known:
            break
        *way, last = rng.choice(known)
        holder = data
        for step in way:
            holder = holder[step]
        how = rng.choice(["junk", "junk", "junk", "drop", "twice", "rename"])
        if how == "drop":
            del holder[last]
        elif how == "twice" and isinstance(holder, list):
            holder.insert(last, holder[last])
        elif how == "rename" and isinstance(holder, dict):
            holder[rng.choice(["", "x", "finished", "audio"])] = holder.pop(last)
        else:
            holder[last] = rng.choice(JUNK)
        told.append(f"{how} {'.'.join(map(str, [*way, last]))}")
    text = json.dumps(data, ensure_ascii=True)
    path.write_text(rng.choice([text] * 20 + [text[:-1], "", "[]", "null", f"[{text}]"]))
    return f"{path.name}: {'; '.join(told)}"


def change_table(rng: random.Random, path: Path) -> str:
    csv = path.suffix == ".csv"
    table = pd.read_csv(path, keep_default_na=False) if csv else pd.read_parquet(path)
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        column = rng.choice(list(table.columns))
        how = rng.choice(
            ["cell", "cell", "cell", "column", "drop", "empty", "one", "twice", "rename", "type"]
        )
        junk = rng.choice(JUNK)
        if how == "cell" and len(table):
            values = table[column].astype(object).tolist()
            for _ in range(rng.choice([1, 3])):
                values[rng.randrange(len(values))] = junk
            table[column] = pd.Series(values, dtype=object)
        elif how == "column":
            table[column] = pd.Series([junk] * len(table), dtype=object)
        elif how == "drop":
            table = table.drop(columns=column)
        elif how == "empty":
            table = table.iloc[:0]
        elif how == "one":
            table = table.iloc[: rng.choice([1, 2, 3])]
        elif how == "twice":
            table = pd.concat([table, table.iloc[: rng.choice([1, 1000])]], ignore_index=True)
        elif how == "rename":
            table = table.rename(columns={column: rng.choice(["x", "", "index"])})
        elif how == "type":
            table[column] = table[column].astype(str)
        told.append(f"{how} {column} {junk!r:.30}")
        if not len(table.columns):
            break
    try:
        table.to_csv(path, index=False) if csv else table.to_parquet(path, index=False)
    except Exception:  # the junk cannot be written at all: as text
        table = table.map(lambda value: ascii(value) if isinstance(value, object) else value)
        table.to_csv(path, index=False) if csv else table.to_parquet(path, index=False)
    return f"{path.name}: {'; '.join(told)}"


def prepared(stage: Path) -> tuple[Path, Path]:
    """Return a run with analysis and task scores, and an export, without checksums; made once."""
    run, export = stage / "fuzzed", stage / "fuzzed-export"
    if not run.is_dir():
        commands: dict[str, Command] = {one.name: one for one in build(stage)}
        shutil.copytree(stage / "finished", run)
        nearkin(*commands["analyze"].at(run)[3:])
        scores = [w.replace("{out}", str(run)) for w in commands["perform"].words]
        nearkin(*scores)
        for name in ("run.json", "performance.json"):
            record = json.loads((run / name).read_text())
            record.pop("files")
            record.pop("checksum")
            (run / name).write_text(json.dumps(record))
        for folder in ("embeddings", "figures"):
            shutil.rmtree(run / folder, ignore_errors=True)
        (run / ".nearkin").unlink()  # it holds checksums of the rest
    if not export.is_dir():
        shutil.copytree(stage / "exported", export)
        shutil.rmtree(export / "audio")
        record = json.loads((export / "export.json").read_text())
        record.pop("checksum")
        (export / "export.json").write_text(json.dumps(record))
    return run, export


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stage = given.stage.resolve()
    run, export = prepared(stage)
    rng = random.Random(given.seed)
    run_files = sorted(
        path.relative_to(run)
        for path in run.rglob("*")
        if path.suffix in (".json", ".parquet", ".csv") and path.name != "consistency.csv"
    )
    rows: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(given.cases):
        here, there = stage / "case", stage / "case-export"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(run, here)
        few = ("--resamples", "50")
        words: list[list[str]] = [
            ["report", str(here)],
            ["gate", str(here), "--require", "C_W[mfcc,cosine] >= 0.5"],
            ["gate", str(here), "--require", "mean(C_B_acc[mfcc,dtw,cosine]) > 0.1 @ MP>=16"],
            ["compare", str(here), *few],
            ["compare", str(here), str(run), *few],
            ["analyze", str(here), "--encoder", "mfcc", "--encoder", "logmel-projection"],
            ["table", str(here)],
            ["card", str(here), "--encoder", "mfcc"],
        ]
        if number % 8 == 7:
            shutil.rmtree(there, ignore_errors=True)
            shutil.copytree(export, there)
            name = rng.choice(["export.json", "manifest.csv"])
            told = (change_json if name.endswith("json") else change_table)(rng, there / name)
            chosen = ["score", "--manifest", str(there / "manifest.csv"), "--embeddings"]
            chosen += [str(stage / "vectors.npy"), "--out", str(stage / "case-scored"), "--workers"]
            chosen += ["1", "--force", "--quiet"]
        else:
            name = str(rng.choice(run_files))
            told = (change_json if name.endswith("json") else change_table)(rng, here / name)
            chosen = rng.choice(words)
        done = CliRunner().invoke(app, chosen)
        ended = f"{chosen[0]}: exit {done.exit_code}"
        rows[ended] += 1
        wrong = done.exit_code not in (0, 1, 2, 3)
        if wrong or (done.exception and not isinstance(done.exception, SystemExit)):
            faults.append(
                f"case {number} of seed {given.seed}, {told}: {ended}: {done.stderr[-300:]}"
            )
            print(faults[-1], flush=True)
        if number % 20 == 0:
            print(number, told[:80], "|", ended, file=sys.stderr, flush=True)
    path = keep("folders", {"seed": given.seed, "cases": dict(rows), "faults": faults})
    print(f"{given.cases} cases, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
