"""What each remedy is worth on recordings and changes that it never saw, and what it costs.

python benchmarks/remedies.py MUSIC TAGS_MANIFEST WORK [--instruments MANIFEST] [--save]

Recordings of MUSIC are dealt to two halves. Remedies learn on one half (or, training, on the tags
of TAGS_MANIFEST, as `nearkin corpus rendered-tags` writes it, and on the instruments of
`rendered-instruments`) with PN and MP alone, and are tested on the other half with PN, MP, EN, TS
and PS: `map` of mfcc and vgg-at, `finetuned` from vgg-at; `augmented` and `consistent` beside
`plain`, a network of the same task trained as long without either. Tasks are scored by the
networks' own heads (`nearkin perform`) on test clips that are unchanged and changed; for vgg-at by
a ridge regression on its embeddings of 400 training clips, which the remedies then have to do
with, and by one learnt anew.

Every command goes on where it was stopped; those that are done are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import machine, save

import nearkin
from nearkin.audio import SAMPLE_RATE, read
from nearkin.consistency import rho_by_clip
from nearkin.corpora.collect import collect
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.splits import split_by_group
from nearkin.distances import latent_distance
from nearkin.encoders import Key, resolve
from nearkin.encoders.protocol import embed
from nearkin.maps.files import read_map
from nearkin.networks.files import read_header
from nearkin.repair.held_out import BEFORE, HeldOut, Where
from nearkin.repair.pairs import Embeddings
from nearkin.repair.table import rows_of
from nearkin.runs.folder import RunFolder
from nearkin.statistics.bootstrap import clusters_of
from nearkin.tasks.tagging import roc_auc_per_clip
from nearkin.transforms.grids import Point

LEARNED = "PN: [0, 10, 20, 30]\nMP: [16, 32, 64]\n"
TESTED = "PN: [10, 20]\nMP: [32]\nEN: [10]\nTS: [0.9]\nPS: [-1]\n"
SHARES = {"train": 0.44, "valid": 0.06, "test": 0.5}
REMEDIES = ("map", "finetuned", "augmented", "consistent")
FITTED, SCORED = 400, 200
RIDGE = 10.0


def run(*words: str | Path) -> None:
    """Give a command; 3 means that it is done, and left something out."""
    command = [sys.executable, "-m", "nearkin", *map(str, words), "--quiet"]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code not in (0, 3):
        raise SystemExit(f"nearkin {words[0]} ended with {code}")


def prepared(music: Path, work: Path) -> None:
    """Deal the recordings, and write manifests and grids."""
    found = collect([music])
    split = split_by_group([one.name for one in found], SHARES, seed=0, purpose="remedies")
    table = pd.DataFrame(
        {
            "path": [str(one.path.absolute()) for one in found],
            "split": [split[r.name] for r in found],
        }
    )
    table.to_csv(work / "music.csv", index=False)
    learned = table[table["split"] != "test"].assign(split="train")
    learned.to_csv(work / "learn.csv", index=False)
    table[table["split"] == "test"].to_csv(work / "test.csv", index=False)
    (work / "learn.yaml").write_text(LEARNED)
    (work / "test.yaml").write_text(TESTED)


def corpora(tags: Path, args: argparse.Namespace) -> dict[str, Path]:
    """Return the manifest of each task that networks are trained in."""
    instruments = {"ir": args.instruments} if args.instruments else {}
    return {task: path for task, path in ({"at": tags} | instruments).items() if task in args.tasks}


def learn(work: Path, tags: Path, args: argparse.Namespace) -> dict[str, Path]:
    """Learn every remedy; return the models by name."""
    models = work / "models"
    models.mkdir(exist_ok=True)
    common = [
        *("--batch", str(args.batch), "--precision", "bf16-mixed", "--device", "cpu"),
        *("--threads", str(args.threads), "--workers", str(args.workers)),
        *("--cache", args.cache or work / "cache"),
    ]
    steps = ["--max-steps", str(args.steps)]
    grid = ["--grid", work / "learn.yaml"]
    trained = {
        "plain": [],
        "augmented": ["--augment", work / "learn.yaml"],
        "consistent": ["--consistency", str(args.weight), *grid],
    }
    found = {}
    for task, manifest in corpora(tags, args).items():
        for remedy, more in trained.items():
            if remedy in args.remedies or (remedy == "plain" and {*trained} & {*args.remedies}):
                name = f"{remedy}-{task}"
                found[name] = models / f"{name}.safetensors"
                words = ["train", task, "--manifest", manifest, "--out", found[name]]
                run(*words, *common, *steps, *more)
    if "finetuned" in args.remedies:
        found["finetuned"] = models / "finetuned.safetensors"
        words = ["finetune", "vgg-at", "--manifest", work / "music.csv", *grid, *common]
        run(*words, "--max-steps", str(args.tuning_steps), "--out", found["finetuned"])
    if "map" in args.remedies:
        if not (work / "learned" / "run.json").is_file():
            words = ["run", work / "learn.csv", "--encoder", "mfcc", "--encoder", "vgg-at", *grid]
            words += ["--excerpts-per-file", "2", "--references", "untrained", "--no-report"]
            run(*words, "--out", work / "learned", "--workers", str(args.workers))
        for encoder in ("mfcc", "vgg-at"):
            words = ["repair", work / "learned", "--encoder", encoder]
            run(*words, "--out", work / f"{encoder}-map.safetensors")
    return found


def tested(work: Path, specs: dict[str, str | Path], workers: int) -> None:
    """Run every encoder over the other half, one folder an encoder, all on the same clips."""
    for name, spec in specs.items():
        out = work / f"tested-{name}"
        if not (out / "consistency.parquet").is_file():
            words = ["run", work / "test.csv", "--encoder", spec, "--references", "untrained"]
            words += ["--grid", work / "test.yaml", "--excerpts-per-file", "2", "--keep-distances"]
            run(*words, "--no-report", "--out", out, "--workers", str(workers))


def performed(work: Path, name: str, model: Path, manifest: Path, args) -> Path:
    """Score a network's own head on unchanged and changed test clips."""
    out = work / f"performed-{name}"
    if not (out / "performance.parquet").is_file():
        words = ["perform", model, "--manifest", manifest, "--grid", work / "test.yaml"]
        run(*words, "--clips", str(args.task_clips), "--out", out, "--workers", str(args.workers))
    return out


def task_compared(before: Path, after: Path, manifest: Path, name: str) -> pd.DataFrame:
    """Compare task scores clip by clip, resampling clips of a group together."""
    key = ["transformation", "magnitude"]
    sides = [pd.read_parquet(folder / "performance_clips.parquet") for folder in (before, after)]
    wide = [side.pivot(index="clip_id", columns=key, values="value") for side in sides]
    wide = [side.reindex(wide[0].index) for side in wide]
    groups = pd.read_csv(manifest).set_index("path")["group"].loc[wide[0].index]
    tables = [pd.read_parquet(folder / "performance.parquet") for folder in (before, after)]
    measure = str(tables[0]["measure"].iloc[0])
    values = {
        Where(measure, "", "", code, magnitude, fit): side[code, magnitude].to_numpy(float)
        for fit, side in zip((BEFORE, name), wide, strict=True)
        for code, magnitude in side.columns
    }
    n = len(groups)
    none = Embeddings(np.zeros((n, 1)), np.zeros((n, 1, 1)), [], np.ones((n, 1), bool),
                      groups.astype("category").cat.codes.to_numpy())  # fmt: skip
    rows = rows_of(none, HeldOut(values, {}), seed=0).set_index(key)
    for side, table in zip(("before", "after"), tables, strict=True):  # the product's intervals
        there = table.set_index(key)
        rows[f"{side}_low"], rows[f"{side}_high"] = there["ci_low"], there["ci_high"]
    return rows.reset_index()


class Seen:
    """What a run left of its tested encoder."""

    def __init__(self, root: Path, label: str = "") -> None:
        record = json.loads((root / "run.json").read_text())
        tested = [row for row in record["encoders"] if row["role"] == "tested"]
        (row,) = [one for one in tested if label in ("", one["label"])]
        folder = RunFolder(root)
        ids = json.loads((root / "embeddings" / "ids.json").read_text())
        self.clips = ids["clip_id"]
        self.points = [Point(code, float(magnitude)) for code, magnitude in ids["points"]]
        originals = folder.embeddings_path(row["label"], of="originals")
        self.originals = np.load(originals).astype(np.float64)
        self.queries = np.load(folder.embeddings_path(row["label"])).astype(np.float64)
        clips = pd.read_parquet(root / "clips.parquet").set_index("clip_id")
        groups = clusters_of([str(group) for group in clips.loc[self.clips, "group"]])
        self.groups = np.arange(len(self.clips)) if groups is None else groups
        self.audio = np.load(root / "distances" / "dtw.npy", mmap_mode="r")

    def mapped(self, path: Path) -> Seen:
        """Return the same under a map."""
        found, other = read_map(path), object.__new__(Seen)
        other.__dict__.update(self.__dict__)
        other.originals = found.apply(self.originals)
        whole = self.queries.reshape(-1, self.queries.shape[-1])
        other.queries = found.apply(whole).reshape(self.queries.shape)
        return other

    def by_clip(self, fit: str) -> dict[Where, np.ndarray]:
        """C_W, C_B_rho (DTW) and, of unchanged clips, whether the nearest is of the same track."""
        distance = latent_distance("cosine").function
        own = np.arange(len(self.clips))
        found = {}
        for place, point in enumerate(self.points):
            d = distance(self.queries[:, place], self.originals)
            right = (d.argmin(axis=1) == own).astype(float)
            found[Where("C_W", "", "cosine", *point, fit)] = right
            rho = rho_by_clip(self.audio[:, place], d, own)
            found[Where("C_B_rho", "dtw", "cosine", *point, fit)] = rho
            if point.code == "OG":
                d = d.copy()
                d[own, own] = np.inf
                same = (self.groups[d.argmin(axis=1)] == self.groups).astype(float)
                same[np.bincount(self.groups)[self.groups] < 2] = np.nan
                found[Where("P@1", "", "cosine", *point, fit)] = same
        return found


def compared(before: Seen, after: Seen, name: str) -> pd.DataFrame:
    if before.clips != after.clips:
        raise SystemExit(f"{name}: was tested on other clips; empty WORK")
    asked = np.ones(before.queries.shape[:2], bool)
    found = Embeddings(before.originals, before.queries, before.points, asked, before.groups)
    values = {**before.by_clip(BEFORE), **after.by_clip(name)}
    return rows_of(found, HeldOut(values, {}), seed=0)


def tag_scores(tags: Path, specs: dict[str, str | Path], maps: dict[str, Path]) -> dict[str, dict]:
    """AUC_C on test clips of a ridge regression, learnt before a remedy and learnt after it."""
    rows = read_labelled(tags, column="tags").rows
    parts = [
        [row for row in rows if row.split == "train"][::2][:FITTED],
        [row for row in rows if row.split == "test"][:SCORED],
    ]
    labels = sorted({tag for row in parts[0] for tag in row.tags})
    targets = [np.array([[t in row.tags for t in labels] for row in part]) for part in parts]
    clips = [np.stack([excerpt(row.path) for row in part]) for part in parts]
    vectors = {}
    for name, spec in specs.items():
        encoder = resolve(str(spec))
        keys = [[Key(row.name, "OG", 0.0) for row in part] for part in parts]
        vectors[name] = [
            embed(encoder, *both).vectors.astype(np.float64)
            for both in zip(clips, keys, strict=True)
        ]
    for name, path in maps.items():
        vectors[name] = [read_map(path).apply(part) for part in vectors["vgg-at"]]
    old = ridge(vectors["vgg-at"][0], targets[0])
    scores = {}
    for name, (fitted, scored) in vectors.items():
        anew = ridge(fitted, targets[0])
        scores[name] = {"old head": auc(old(scored), targets[1])}
        scores[name]["new head"] = auc(anew(scored), targets[1])
    return scores


def excerpt(path: Path) -> np.ndarray:
    y = read(path, sr=SAMPLE_RATE)
    spare = len(y) - 2 * SAMPLE_RATE
    return y[spare // 2 : spare // 2 + 2 * SAMPLE_RATE]


def ridge(z: np.ndarray, y: np.ndarray):
    mean, std = z.mean(axis=0), np.maximum(z.std(axis=0), 1e-6)
    x = (z - mean) / std
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean(axis=0)))
    return lambda new: (new - mean) / std @ weights + y.mean(axis=0)


def auc(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    values, _ = roc_auc_per_clip(scores, targets)
    values = values[~np.isnan(values)]
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return {"AUC_C": round(float(values.mean()), 4), "half_interval": round(float(half), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("tags", type=Path, help="a manifest with tags")
    parser.add_argument("work", type=Path)
    parser.add_argument("--instruments", type=Path, help="a manifest with instruments")
    parser.add_argument("--tasks", nargs="+", choices=("at", "ir"), default=["at", "ir"])
    parser.add_argument("--weight", type=float, default=0.5, help="of the consistency")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--cache", type=Path, help="of decoded recordings [WORK/cache]")
    parser.add_argument("--task-clips", type=int, default=200, help="scored in a task")
    parser.add_argument("--remedies", nargs="+", choices=REMEDIES, default=list(REMEDIES))
    parser.add_argument("--steps", type=int, default=120, help="of training")
    parser.add_argument("--tuning-steps", type=int, default=50, help="of fine-tuning")
    parser.add_argument("--threads", type=int, default=1, help="of a training")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    prepared(args.music, args.work)
    models = learn(args.work, args.tags, args)
    asked = {"map", "finetuned"} & {*args.remedies}
    specs = {**({"mfcc": "mfcc", "vgg-at": "vgg-at"} if asked else {}), **models}
    tested(args.work, specs, args.workers)
    seen = {name: Seen(args.work / f"tested-{name}") for name in specs}
    tables, maps = [], {}
    if "map" in args.remedies:
        for encoder in ("mfcc", "vgg-at"):
            path = args.work / f"{encoder}-map.safetensors"
            tables.append((encoder, compared(seen[encoder], seen[encoder].mapped(path), "map")))
        maps["map"] = args.work / "vgg-at-map.safetensors"
    manifests = corpora(args.tags, args)
    tasks = []
    for name, model in models.items():
        remedy, _, task = name.partition("-")
        against = f"plain-{task}" if task else "vgg-at"
        if remedy != "plain":
            tables.append((against, compared(seen[against], seen[name], remedy)))
        if task:
            out = performed(args.work, name, model, manifests[task], args)
            if remedy != "plain":
                before = args.work / f"performed-{against}"
                tasks.append((against, task_compared(before, out, manifests[task], remedy)))
    own = {n: path for n, path in specs.items() if n in ("vgg-at", "finetuned")}
    parts = [rows.assign(encoder=encoder) for encoder, rows in [*tables, *tasks]]
    table = pd.concat(parts, ignore_index=True)
    columns = ["encoder", "fit", "measure", "transformation", "magnitude", "before"]
    columns += ["before_low", "before_high", "after", "after_low", "after_high"]
    columns += ["difference", "ci_low", "ci_high", "p", "n", "n_groups"]
    record = {
        "benchmark": "remedies",
        "date": time.strftime("%Y-%m-%d"),
        "nearkin": nearkin.__version__,
        **machine(),
        "learned": LEARNED.split("\n")[:2],
        "remedies": args.remedies,
        "steps": args.steps,
        "batch": args.batch,
        "consistency": args.weight,
        "tuning_steps": args.tuning_steps,
        "rows": json.loads(table[columns].round(4).to_json(orient="records")),
        "tags, ridge regression on vgg-at": tag_scores(args.tags, own, maps) if own else {},
        "own heads, all test clips": {
            name: read_header(path)["scores"]["test"]
            for name, path in models.items()
            if name != "finetuned"
        },
    }
    print(json.dumps(record))
    if args.save:
        save(record)


if __name__ == "__main__":
    main()
