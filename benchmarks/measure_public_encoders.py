"""Public encoders on your recordings: what becomes of C_W, and what an embedding costs.

    python benchmarks/measure_public_encoders.py MUSIC_FOLDER --out RUN [--grid third] [--save]

Runs `nearkin run` over the encoders of benchmarks/public_encoders.py (its heading has the wheels)
and tells C_W by cosine with its interval at every point, and the CPU time of an embedding of 2 s.
`--grid third` are 33 points of the grid `paper`, which shape the curves at a third of its cost. A
finished RUN is read, not run again, and with `nearkin perceive RUN` before, C_W at MOS 4.5 is told
too. --also OTHER reads further encoders from a run of the same clips; --attacked RUN the worst
case.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from machine import machine, save

import nearkin
from nearkin.consistency import within_space_at_by_clip
from nearkin.statistics.bootstrap import mean_replicates, percentile_interval, resamples
from nearkin.transforms import magnitudes

PLUG_INS = Path(__file__).with_name("public_encoders.py")
MEASURED = ("GE2E", "CrepeTiny", "Pesto", "BasicPitch", "SileroVAD", "BirdNET",
            "SpeechEmbedding", "MusicnnMSD")  # fmt: skip
POINTS = {"PN": [30], "EN": [18], "TS": [0.9], "PS": [2], "MP": [96, 32]}
"""Of the grid `quick`, which the shipped references were measured at."""
THIRD = {
    "PN": [-15, 6, 12, 18, 24, 30],
    "EN": [-15, 6, 12, 18, 24, 30],
    "TS": [0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5],
    "PS": [-12, -6, -2, -1, 1, 2, 6, 12],
    "MP": [8, 16, 32, 64, 96, 192],
}
GRIDS = {"": ("public-encoders", POINTS), "third": ("third-of-paper", THIRD)}
DISTANCE = "cosine"
PACKAGES = ("nearkin", "numpy", "torch", "onnxruntime")


def plug_ins():
    spec = importlib.util.spec_from_file_location("public_encoders", PLUG_INS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(music: Path, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        grid = arguments.grid
        if grid in GRIDS:
            name, points = GRIDS[grid]
            grid = str(Path(folder) / "points.yaml")
            Path(grid).write_text(yaml.safe_dump({"name": name, "points": points}))
        words = ["run", str(music), "--out", str(arguments.out), "--grid", grid, "--no-report"]
        words += ["--workers", str(arguments.workers)]
        words += ["--clips", str(arguments.clips)] if arguments.clips else []
        for name in arguments.encoder or MEASURED:
            words += ["--encoder", f"{PLUG_INS}:{name}"]
        subprocess.run([sys.executable, "-P", "-m", "nearkin", *words], check=True)


def cost(names) -> dict[str, float]:
    """Median CPU milliseconds of an embedding of 2 s of noise, one clip a call, one thread."""
    from threadpoolctl import threadpool_limits

    module, found = plug_ins(), {}
    for name in names:
        encoder = getattr(module, name)()
        rng = np.random.default_rng(0)
        audio = 0.1 * rng.standard_normal((1, 2 * encoder.sample_rate)).astype(np.float32)
        encoder.embed(audio)
        spent = []
        with threadpool_limits(limits=1):
            for _ in range(9):
                begun = time.process_time()
                encoder.embed(audio)
                spent.append(time.process_time() - begun)
        found[name] = round(1000 * float(np.median(spent)), 1)
    return found


def shown(encoder: str, task: str) -> str:
    name = encoder.rpartition(":")[2]
    return f"{name}-{task}" if task else name


def scores(result: nearkin.Result, measure: str = "C_W") -> dict[str, dict[str, list[float]]]:
    """C_W by encoder and point: value and ends of the interval."""
    table = result.consistency
    rows = table[(table["measure"] == measure) & table["latent_distance"].eq(DISTANCE)]
    rows = rows[rows["transformation"].ne("OG") & rows["magnitude"].notna()]
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows.to_dict("records"):
        point = f"{row['transformation']} {row['magnitude']:g}"
        mine = found.setdefault(shown(row["encoder"], row["task"] or ""), {})
        mine[point] = [round(row[name], 3) for name in ("value", "ci_low", "ci_high")]
    return found


def sides_of(points) -> dict[str, list[float]]:
    """Magnitudes by side, such as PS-, the mildest first."""
    sides: dict[str, list[float]] = {}
    for code, magnitude in points:
        side = magnitudes.direction(code, magnitudes.side(code, magnitude))
        sides.setdefault(side, []).append(magnitude)
    return {
        side: sorted(values, key=lambda value: magnitudes.severity(side[:2], value))
        for side, values in sides.items()
    }


def by_transformation(result: nearkin.Result) -> dict[str, dict[str, list]]:
    """The mean of C_W@100 over the magnitudes of a side, its interval, and where C_W breaks.

    The interval is of the clips (bootstrap, 2,000 resamples; binomial where no clip is lost). It
    breaks at the mildest magnitude with a C_W under .5; None where there is none.
    """
    n, table = result.run["n"], result.queries
    table = table[table["space"].eq("latent") & table["distance"].eq(DISTANCE)]
    at = within_space_at_by_clip(table["rank"].fillna(0).astype(int), n=min(100, n), n_clips=n)
    table = table.assign(right=np.where(table["rank"].notna(), at, np.nan))
    counts = resamples(n, n_resamples=2_000, rng=np.random.default_rng(0))
    found: dict[str, dict[str, list]] = {}
    for (encoder, task), mine in table.groupby(["encoder", "task"], sort=False):
        sides = found.setdefault(shown(encoder, task or ""), {})
        for side, values in sides_of(result.run["grid"]["points"]).items():
            rows = mine[mine["transformation"].eq(side[:2]) & mine["magnitude"].isin(values)]
            wide = rows.pivot(index="clip_id", columns="magnitude", values="right")[values]
            each = wide.mean(axis=1).to_numpy()
            low, high, _ = percentile_interval(mean_replicates(each, counts))
            if (each == 1).all():
                low = 0.025 ** (1 / len(each))
            under = [value for value in values if wide[value].mean() < 0.5]
            numbers = [round(float(value), 3) for value in (np.nanmean(each), low, high)]
            sides[side] = [*numbers, under[0] if under else None]
    return found


def same_clips(one: nearkin.Result, two: nearkin.Result) -> bool:
    key = ["clip_id", "content_sha256", "start_s"]
    used = [side.clips.loc[side.clips["status"] == "ok", key] for side in (one, two)]
    return used[0].reset_index(drop=True).equals(used[1].reset_index(drop=True))


def equally_audible(result: nearkin.Result) -> dict[str, dict[str, list[float]]]:
    table = result.audibility
    if table is None:
        return {}
    rows = table[(table["scale"] == "mos") & table["latent_distance"].eq(DISTANCE)]
    rows = rows[rows["value"].notna()]
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows.to_dict("records"):
        mine = found.setdefault(shown(row["encoder"], row["task"] or ""), {})
        numbers = ("magnitude", "value", "ci_low", "ci_high", "n", "n_beyond")
        mine[row["transformation"]] = [round(float(row[name]), 3) for name in numbers]
    return found


def worst_case(folder: Path) -> list[dict[str, object]]:
    table = nearkin.load(folder).attack_scores
    if table is None:
        return []
    rows = table[(table["space"] == "latent") & table["transformation"].isin(["AD", "AD+MP", "PN"])]
    kept = ["encoder", "task", "method", "measure", "transformation", "magnitude", "value"]
    rows = rows[[*kept, "ci_low", "ci_high", "n", "status"]].round(3)
    return json.loads(rows.to_json(orient="records"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument(
        "--grid", default="", help="third, or one of nearkin's [six points of quick]"
    )
    parser.add_argument("--clips", type=int, help="at most so many")
    parser.add_argument("--encoder", action="append", help=f"of {PLUG_INS.name} [the eight fast]")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--also", type=Path, help="a run of the same clips with other encoders")
    parser.add_argument("--attacked", type=Path, nargs="+", default=[],
                        help="runs with --attack")  # fmt: skip
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE-...")
    arguments = parser.parse_args()
    if not (arguments.out / "consistency.parquet").is_file():
        run(arguments.music, arguments)
    result = nearkin.load(arguments.out)
    c_w, at_100 = scores(result), scores(result, "C_W@100")
    by_side, at_mos = by_transformation(result), equally_audible(result)
    points = list(next(iter(c_w.values())))
    if arguments.also:
        other = nearkin.load(arguments.also)
        if not same_clips(result, other):
            raise SystemExit(f"{arguments.also}: is of other clips; name a run of the same")
        at_100 |= scores(other, "C_W@100") | at_100
        if other.run["grid"]["points"] == result.run["grid"]["points"]:
            by_side, at_mos = by_transformation(other) | by_side, equally_audible(other) | at_mos
        for name, mine in scores(other).items():
            there = {point: value for point, value in mine.items() if point in points}
            if name in c_w and c_w[name] != there:
                raise SystemExit(f"{name}: has other scores in {arguments.also}")
            c_w.setdefault(name, there)
    table = pd.DataFrame({name: {at: one[0] for at, one in mine.items()}
                          for name, mine in c_w.items()}).T  # fmt: skip
    print(f"C_W ({DISTANCE}), N = {result.run['n']}\n{table.to_string()}")
    module, name = plug_ins(), result.run["grid"]["name"]
    names = [name for name in module.WHEELS if name in c_w]
    record = {
        "benchmark": "public-encoders" + ("" if name == "public-encoders" else f"-{name}"),
        "date": date.today().isoformat(),
        "n": result.run["n"],
        "grid": result.run["grid"]["points"],
        "seed": result.run["plan"]["seed"],
        "c_w": c_w,
        "c_w_at_100": {
            name: {point: mine[point] for point in points if point in mine}
            for name, mine in at_100.items()
        },
        "by_transformation": by_side,
        "by_transformation_columns": ["mean C_W@100", "ci_low", "ci_high", "mildest under .5"],
        "at_mos_4.5": at_mos,
        "at_mos_4.5_columns": ["magnitude", "value", "ci_low", "ci_high", "n", "n_beyond"],
        "worst_case": [row for folder in arguments.attacked for row in worst_case(folder)],
        "ms_an_embedding": cost(names),
        "wheels": {name: module.WHEELS[name] for name in names},
        "wheels_columns": ["package", "version", "trained for", "code", "weights"],
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }
    sides = {
        name: {
            side: f"{mean:.2f}" + ("" if under is None else f" ({under:g})")
            for side, (mean, _, _, under) in mine.items()
        }
        for name, mine in record["by_transformation"].items()
    }
    print("mean C_W@100 (mildest magnitude under .5)")
    print(pd.DataFrame(sides).T.to_string())
    print(json.dumps(record["ms_an_embedding"]))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
