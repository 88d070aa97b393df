"""Train the encoders that come with the package, and write their ONNX files and model cards.

python scripts/train_shipped.py DATA MODELS [--music FOLDER] [--only at-vgg,at-mfcc] [--minutes 60]
    [--hours 3] [--device cpu]

Renders the three corpora into DATA (extra ``render``), trains each task's VGG-like network and,
for comparison, the same head on MFCCs (extra ``torch``); every step goes on where it stopped.
The autoencoder also learns from recorded music where a FOLDER of it is given. With ``--ship`` the
encoders are exported into the package, each with its card.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from nearkin.audio import sound_info
from nearkin.cli.trained import cache_folder
from nearkin.corpora.manifest import write_manifest
from nearkin.encoders.references.trained import WEIGHTS
from nearkin.networks.files import Model, load
from nearkin.networks.onnx import export_onnx
from nearkin.progress import silent
from nearkin.statistics.bootstrap import (
    clusters_of,
    mean_replicates,
    percentile_interval,
    resamples,
)
from nearkin.tasks import task as task_named
from nearkin.tasks.tagging import roc_auc_per_clip
from nearkin.training.batches import FixedBatches
from nearkin.training.cache import AudioCache
from nearkin.training.recordings import recordings
from nearkin.training.run import labels_of, read_splits
from nearkin.training.settings import Settings

HOURS = {"instruments": 3.0, "tags": 6.7, "vocals": 2.5}
MANIFESTS = {"ae": "reconstruction", "at": "tags", "ir": "instruments", "vs": "vocals"}
SAID = {
    "ae": "renderings of public scores",
    "at": "renderings of public scores with exact tags (`nearkin corpus rendered-tags`)",
    "ir": "renderings with a predominant instrument (`nearkin corpus rendered-instruments`)",
    "vs": "renderings with a sung part (`nearkin corpus rendered-vocals`)",
}
RECORDED_TIMES = 10
"""Crops of a recording an epoch: recordings are minutes long, rendered clips seconds."""


def nearkin(*arguments: str | Path) -> None:
    subprocess.run(["nearkin", *map(str, arguments)], check=True)


def corpora(data: Path, music: Path | None, wanted: float | None) -> None:
    for name, usual in HOURS.items():
        hours = usual if wanted is None else wanted
        root = data / name
        out = root / "manifest.csv"
        nearkin("corpus", f"rendered-{name}", "--root", root, "--out", out, "--hours", f"{hours}")
    tables = [rows(data / "tags" / "manifest.csv")]
    if music is not None:
        recorded = data / "recorded.csv"
        nearkin("corpus", "folder", "--root", music, "--out", recorded)
        table = rows(recorded)
        again = pd.concat([table[table["split"] == "train"]] * (RECORDED_TIMES - 1))
        tables += [table, again]
    joined = pd.concat(tables, ignore_index=True)
    joined["clip_id"] = [f"{number:05d}" for number in range(len(joined))]
    root = data / "reconstruction"
    root.mkdir(parents=True, exist_ok=True)
    write_manifest(root / "manifest.csv", joined[["path", "clip_id", "split", "group"]])


def rows(manifest: Path) -> pd.DataFrame:
    table = pd.read_csv(manifest)
    folder = manifest.parent
    return table.assign(path=[os.path.normpath(folder / path) for path in table["path"]])


def ship(data: Path, models: Path, task: str, device: str) -> None:
    """Export one encoder into the package, and write its card."""
    vgg, mfcc = (load(models / f"{features}-{task}.safetensors") for features in ("vgg", "mfcc"))
    path = WEIGHTS / f"vgg-{task}.onnx"
    path.parent.mkdir(exist_ok=True)
    export_onnx(vgg, path)
    off = difference(vgg, path)
    if off > 1e-4:
        raise SystemExit(f"{path}: differs from its network by {off:g}")
    spent = [
        trained(models / f"{features}-{task}.safetensors", device) for features in ("vgg", "mfcc")
    ]
    path.with_suffix(".md").write_text(card(data, vgg, mfcc, path, spent), "utf-8")


def trained(model: Path, device: str) -> str:
    """Say how long a network was trained, from the curve beside it."""
    last = pd.read_csv(model.with_name(f"{model.name}.training") / "curve.csv").iloc[-1]
    where = "a CPU core" if device == "cpu" else "a GPU"
    return f"{last['step']:,.0f} steps, {last['seconds'] / 60:.0f} min on {where}"


def difference(model: Model, path: Path) -> float:
    """Return the largest difference of a latent value between ONNX and torch, on noise."""
    import onnxruntime
    import torch

    audio = np.random.default_rng(0).standard_normal((4, 44_100)).astype(np.float32) * 0.1
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"audio": audio})
    with torch.no_grad():
        want = model.network.embed(torch.from_numpy(audio)).numpy()
    return float(np.abs(found - want).max())


def card(data: Path, vgg: Model, mfcc: Model, path: Path, spent: list[str]) -> str:
    what = task_named(vgg.task)
    manifest = rows(data / MANIFESTS[vgg.task] / "manifest.csv")
    training = manifest[manifest["split"] == "train"]
    hours = sum(sound_info(Path(name)).duration_s for name in training["path"].unique()) / 3600
    foreign = {path for path in training["path"] if not path.startswith(str(data.resolve()))}
    recorded = f" and {len(foreign)} freely licensed recordings" if foreign else ""
    lines = [
        f"# vgg-{vgg.task}",
        "",
        f"The VGG-like network of Kim et al. (2019), Table 1, trained for: {what.title.lower()}. "
        "A reference line for reports: what a small network learns from little, made music. It is "
        "no encoder to build on.",
        "",
        "| | |",
        "|---|---|",
        "| takes | audio[batch, samples] at 22,050 Hz, from 32,512 samples (1.47 s) up |",
        "| gives | 256 values, none below 0 |",
        f"| file | `{path.name}`, {path.stat().st_size / 1e6:.1f} MB; opening it runs no code |",
        f"| trained on | {SAID[vgg.task]}{recorded}: {training['path'].nunique():,} files, "
        f"{hours:.1f} h, {training['group'].nunique():,} pieces that are in no other split |",
        f"| training set's hash | `{vgg.training_sha256}` |",
        f"| for | {spent[0]}; kept is step {vgg.steps:,}, of the lowest validation loss "
        f"({vgg.epochs:g} epochs of one 2-s crop a file; the paper's {what.epochs}) |",
        f"| with | Adam at 0.001, batches of 24, seed {vgg.seed}, bfloat16 where torch takes it |",
        f"| labels | {', '.join(vgg.labels) or 'none'} |",
        "| recipe | `scripts/train_shipped.py` |",
        "",
        f"{what.measure}{f' in {what.unit}' if what.unit else ''} on 2-s clips of its corpus, "
        f"{'more' if what.more_is_better else 'less'} is better:",
        "",
        "| split | clips | vgg | MFCC, same head | chance |",
        "|---|---|---|---|---|",
    ]
    for split, score in vgg.scores.items():
        lines.append(
            f"| {split} | {score['n']:,} | {score['value']:.3f} | "
            f"{mfcc.scores[split]['value']:.3f} | {score['chance']:.3f} |"
        )
    said = f"The MFCC head was trained for {spent[1]}; kept is step {mfcc.steps:,}."
    if vgg.task == "at":
        said += (
            " Who ranks the tags by their frequency in training, the same for every clip, scores "
            f"{by_frequency(training, manifest[manifest['split'] == 'test'], vgg.labels):.3f} on "
            "the test split: read the scores against that, too."
        )
    ours, theirs = vgg.scores["test"]["value"], mfcc.scores["test"]["value"]
    if vgg.task in ("at", "ir"):
        said += (
            " The network's lead over it on the test split, clip by clip, with a 95 % bootstrap "
            f"interval over pieces: {lead(vgg, mfcc, data / MANIFESTS[vgg.task] / 'manifest.csv')}."
        )
    if unheard(data / ("tags" if vgg.task == "ae" else MANIFESTS[vgg.task])):
        said += (
            " The test split is played by a SoundFont that neither of them heard: its scores are "
            "lower than those of valid for that reason, too."
        )
    if vgg.task == "ae":
        said += (
            f" The network's error is {ours / theirs:.2f} times that of the MFCC head on the "
            "test split; less than half was hoped for."
        )
    return "\n".join([*lines, "", said, ""])


def unheard(corpus: Path) -> bool:
    """Tell whether the test split of a rendered corpus has timbres of its own."""
    about = corpus / "rendering.json"
    return about.is_file() and "test_soundfont" in json.loads(about.read_text("utf-8"))


def lead(vgg: Model, mfcc: Model, manifest: Path) -> str:
    """Say by how much the network leads the MFCC head on the test split, pieces resampled."""
    import torch

    what, settings = task_named(vgg.task), Settings(task=vgg.task)
    splits = read_splits(what, manifest)
    labels = labels_of(what, splits, manifest)
    paths = [path for row in splits["test"] for path in (row.path, row.vocals_path) if path]
    store = AudioCache(cache_folder())
    found = store.fill(paths, workers=1, progress=silent)
    part, used, _ = recordings(
        what, splits["test"], labels, store, found, n_samples=settings.n_samples
    )
    batches = FixedBatches(part, n_samples=settings.n_samples, batch=settings.batch, most=1_000)
    each = [batches[k] for k in range(len(batches))]
    with torch.no_grad():
        ours, theirs = (
            np.concatenate([what.scores(network, batch).values for batch in each])  # noqa: PD011
            for network in (vgg.network.eval(), mfcc.network.eval())
        )
    heard = [used[place] for place, _ in batches.places]
    pieces = clusters_of([row.group or str(row.path) for row in heard])
    counts = resamples(len(heard), rng=np.random.default_rng(0), clusters=pieces)
    low, high = percentile_interval(mean_replicates(ours - theirs, counts))[:2]
    return f"{np.nanmean(ours - theirs):+.3f} [{low:.3f}, {high:.3f}]"


def by_frequency(training: pd.DataFrame, test: pd.DataFrame, labels: tuple[str, ...]) -> float:
    """Return the AUC_C of one ranking of the tags for all clips."""
    has = [
        np.array([[label in tags.split(";") for label in labels] for tags in table["tags"]])
        for table in (training, test)
    ]
    ranked = np.tile(has[0].mean(axis=0), (len(test), 1))
    return task_named("at").reduce(roc_auc_per_clip(ranked, has[1]).values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--music", type=Path, help="folder of recorded music, for ae")
    parser.add_argument("--only", help="such as at-vgg,ae-mfcc; all eight if not given")
    parser.add_argument("--minutes", type=float, default=60.0, help="for each training at most")
    parser.add_argument("--hours", type=float, help="of each corpus; about 3 if not given")
    parser.add_argument("--device", default="cpu", help="cpu, on one thread, or cuda")
    parser.add_argument("--ship", action="store_true", help="export into the package")
    given = parser.parse_args()
    corpora(given.data.resolve(), given.music and given.music.resolve(), given.hours)
    where = ["--device", given.device]
    where += ["--threads", "1"] if given.device == "cpu" else []
    wanted = given.only.split(",") if given.only else None
    data = given.data
    for task, name in MANIFESTS.items():
        for features in ("vgg", "mfcc"):
            if wanted is None or f"{task}-{features}" in wanted:
                out = given.models / f"{features}-{task}.safetensors"
                manifest = data / name / "manifest.csv"
                nearkin(
                    *("train", task, "--manifest", manifest, "--out", out, "--features", features),
                    *("--scale", "paper", "--max-minutes", f"{given.minutes:g}", *where),
                    *("--precision", "bf16-mixed", "--patience", "60"),
                )
        if given.ship:
            ship(data, given.models, task, given.device)


if __name__ == "__main__":
    main()
