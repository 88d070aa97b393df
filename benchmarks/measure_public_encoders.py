"""Public encoders on your recordings: what becomes of C_W, and what an embedding costs.

    python benchmarks/measure_public_encoders.py MUSIC_FOLDER --out RUN [--grid paper] [--save]

Runs `nearkin run` over the encoders of benchmarks/public_encoders.py (its heading has the wheels)
and tells C_W by cosine with its interval at every point, and the CPU time of an embedding of 2 s. A
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
from nearkin.transforms import magnitudes

PLUG_INS = Path(__file__).with_name("public_encoders.py")
MEASURED = ("GE2E", "CrepeTiny", "Pesto", "BasicPitch", "SileroVAD", "BirdNET",
            "SpeechEmbedding", "MusicnnMSD")  # fmt: skip
POINTS = {"PN": [30], "EN": [18], "TS": [0.9], "PS": [2], "MP": [96, 32]}
"""Of the grid `quick`, which the shipped references were measured at."""
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
        if not grid:
            grid = str(Path(folder) / "points.yaml")
            Path(grid).write_text(yaml.safe_dump({"name": "public-encoders", "points": POINTS}))
        words = ["run", str(music), "--out", str(arguments.out), "--grid", grid, "--no-report"]
        words += ["--workers", str(arguments.workers)]
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


def by_transformation(at_100: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list]]:
    """The mean of C_W@100 over the magnitudes of a side, and the mildest at which it is under .5.

    None where it is nowhere under .5.
    """
    found: dict[str, dict[str, list]] = {}
    for name, mine in at_100.items():
        sides: dict[str, list[tuple[float, float]]] = {}
        for point, (value, *_) in mine.items():
            code, magnitude = point.split()[0], float(point.split()[1])
            side = magnitudes.direction(code, magnitudes.side(code, magnitude))
            sides.setdefault(side, []).append((magnitude, value))
        found[name] = {}
        for side, values in sides.items():
            values.sort(key=lambda one: magnitudes.severity(side[:2], one[0]))
            under = [magnitude for magnitude, value in values if value < 0.5]
            mean = round(float(np.mean([value for _, value in values])), 3)
            found[name][side] = [mean, under[0] if under else None]
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
    parser.add_argument("--grid", default="", help="[six points of the grid quick]")
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
    points = list(next(iter(c_w.values())))
    if arguments.also:
        other = nearkin.load(arguments.also)
        if not same_clips(result, other):
            raise SystemExit(f"{arguments.also}: is of other clips; name a run of the same")
        at_100 |= scores(other, "C_W@100") | at_100
        for name, mine in scores(other).items():
            there = {point: value for point, value in mine.items() if point in points}
            if name in c_w and c_w[name] != there:
                raise SystemExit(f"{name}: has other scores in {arguments.also}")
            c_w.setdefault(name, there)
    table = pd.DataFrame({name: {at: one[0] for at, one in mine.items()}
                          for name, mine in c_w.items()}).T  # fmt: skip
    print(f"C_W ({DISTANCE}), N = {result.run['n']}\n{table.to_string()}")
    module = plug_ins()
    names = [name for name in module.WHEELS if name in c_w]
    record = {
        "benchmark": "public-encoders",
        "date": date.today().isoformat(),
        "n": result.run["n"],
        "grid": result.run["grid"]["points"],
        "seed": result.run["plan"]["seed"],
        "c_w": c_w,
        "c_w_at_100": {
            name: {point: mine[point] for point in points if point in mine}
            for name, mine in at_100.items()
        },
        "by_transformation": by_transformation(at_100),
        "by_transformation_columns": ["mean C_W@100", "mildest magnitude under .5"],
        "at_mos_4.5": equally_audible(result),
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
            for side, (mean, under) in mine.items()
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
