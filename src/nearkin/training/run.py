"""From a manifest to a trained model: decoded, standardised, trained, scored, written.

`train` may be stopped at any moment, kill -9 included: called again, it goes on from the last
checkpoint, a period back at the most, and ends with the weights it would have ended with.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError, RunError, printable
from nearkin.networks.files import Model, load, save
from nearkin.networks.network import NetworkConfig, build
from nearkin.optional import need
from nearkin.progress import Progress, silent, unsaid
from nearkin.seeds import stream
from nearkin.tasks import Task
from nearkin.tasks import task as task_named
from nearkin.tasks.protocol import OK
from nearkin.training.batches import FixedBatches, Order, Recordings, recordings
from nearkin.training.cache import AudioCache, Cached
from nearkin.training.module import Budget, Course
from nearkin.training.settings import Settings, claim
from nearkin.training.trainer import fit

torch: Any = need("torch", extra="torch")
pytorch: Any = need("lightning.pytorch", extra="torch")

SPLITS = ("train", "valid", "test")
SCORED_CLIPS = 1_000
STANDARDISED_RECORDINGS = 2_000


def train(
    task: str,
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str],
    features: str = "vgg",
    trial: int = 1,
    seed: int = 0,
    scale: str = "small",
    max_steps: int | None = None,
    max_minutes: float | None = None,
    batch: int = 24,
    crop_s: float = 2.0,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    precision: str = "32-true",
    patience: int | None = None,
    period: int = 100,
    workers: int = 1,
    loaders: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Model:
    """Train a network for a task.

    Parameters
    ----------
    task : {"ae", "at", "ir", "vs"}
        What for.
    manifest : path
        Recordings with splits ``train`` and ``valid`` (and ``test``), and the task's labels.
    out : path
        Where the model is written, ``FILE.safetensors``. Beside it, in ``OUT.training/``, stand
        the checkpoint, the curve (``curve.csv``, ``tensorboard/``) and the settings.
    cache : path
        Folder for decoded audio; trainings share it.
    features, trial, seed, scale, max_steps, max_minutes, batch, crop_s, device, devices, nodes, \
    precision, patience, period
        See `Settings`.
    workers : int
        Processes that decode.
    loaders : int, optional
        Processes that make batches; none on the CPU and two on a GPU if not given.
    force : bool
        Start anew where `out` holds another training.
    progress : callable, optional
        Told ``(stage, done, total)``.
    tell : callable, optional
        Told in a sentence what was left out.

    Returns
    -------
    Model
        With the weights of the lowest validation loss.

    Raises
    ------
    InputError
        If a setting, the manifest or a recording cannot be used, or memory does not suffice.
    RunError
        If `out` holds another training, or nothing can be written there.
    ExtraError
        If torch or Lightning is not installed.
    """
    settings = Settings(
        task=task,
        features=features,
        trial=trial,
        seed=seed,
        scale=scale,
        max_steps=max_steps,
        max_minutes=max_minutes,
        batch=batch,
        crop_s=crop_s,
        device=device,
        devices=devices,
        nodes=nodes,
        precision=precision,
        patience=patience,
        period=period,
    )
    what = task_named(task)
    target = Path(out)
    if target.suffix != ".safetensors":
        raise InputError(f"{printable(target)}: must end in .safetensors; name it so")
    first = is_first()
    tell = tell if tell is not None and first else unsaid
    progress = progress if progress is not None and first else silent
    folder = target.with_name(target.name + ".training")
    if force and first:
        shutil.rmtree(folder, ignore_errors=True)
        target.unlink(missing_ok=True)
    elif target.exists() and not folder.exists():
        raise RunError(
            f"{printable(target)}: is there already; name another --out or start anew with --force"
        )
    splits = _splits(what, Path(manifest))
    store = AudioCache(cache)
    paths = [row.path for rows in splits.values() for row in rows]
    if what.column == "vocals_path":
        paths += [row.vocals_path for rows in splits.values() for row in rows if row.vocals_path]
    found = store.fill(paths, workers=workers, progress=progress)
    labels = what.labels(splits["train"])
    if what.head == "classes" and not labels:
        raise InputError(
            f"{printable(Path(manifest))}: its training rows hold no {what.column}: must hold at "
            f"least one; fill the column '{what.column}'"
        )
    parts: dict[str, Recordings] = {}
    hashes: dict[str, str] = {}
    for name, rows in splits.items():
        parts[name], used, left_out = recordings(
            what, rows, labels, store, found, n_samples=settings.n_samples
        )
        if left_out:
            tell(_left_out(name, left_out, len(rows)))
        if not used:
            raise InputError(
                f"{printable(Path(manifest))}: no usable {name} recording ({left_out[0][1]}); "
                "mend the manifest"
            )
        hashes[name] = content_sha256(used, found)
    identity = settings.identity(hashes["train"], hashes["valid"])
    claim(folder, identity)
    if first:
        _sweep(folder, target)
    budget = Budget(
        settings.n_steps(what, len(parts["train"])),
        settings.patience or _patience(len(parts["train"]), settings),
        settings.period,
        settings.max_minutes,
    )
    path = folder / "checkpoint.pt"
    course = Course.load(path) if path.is_file() else Course()
    if budget.spent(course) and target.is_file():
        written = load(target)
        if written.trained_steps == course.step:
            return written  # else it is of a training that has since gone on
    config = NetworkConfig(features, what.head, len(labels) if what.head == "classes" else 0)
    network = build(config, seed=int(stream(seed, task, trial).integers(2**31)))
    with _memory(settings):
        _standardise(network, parts["train"], hashes["train"], settings, store, progress)
        if not budget.spent(course):
            fit(network, what, parts, course, budget, settings, folder, loaders, progress)
        network.load_state_dict(course.best_weights)
        network.cpu().to(memory_format=torch.contiguous_format).eval()
        scores = {
            name: score(what, network, parts[name], settings, progress=progress)
            for name in SPLITS[1:]
            if name in parts and first
        }
    model = Model(
        task=task,
        features=features,
        head=what.head,
        network=network,
        labels=tuple(labels),
        trial=trial,
        seed=seed,
        scale=scale,
        steps=course.best_step,
        trained_steps=course.step,
        stopped=budget.spent(course),
        epochs=round(course.best_step * batch / len(parts["train"]), 3),
        training_sha256=hashes["train"],
        scores=scores,
    )
    if not first:
        return model
    save(target, model)
    return load(target)


def is_first() -> bool:
    """Whether this process is the one of several that writes and tells."""
    return bool(pytorch.utilities.rank_zero_only.rank == 0)


def score(
    what: Task, network: Any, part: Recordings, settings: Settings, *, progress: Progress
) -> dict[str, Any]:
    """Score a network on the centres of a split's recordings.

    Returns
    -------
    dict
        measure, value, n (clips scored), chance (their score for who has learnt nothing),
        left_out (why clips have no score, counted).
    """
    batches = FixedBatches(
        part, n_samples=settings.n_samples, batch=settings.batch, most=SCORED_CLIPS
    )
    values: list[NDArray[np.float64]] = []
    chance: list[NDArray[np.float64]] = []
    status: Counter[str] = Counter()
    with torch.no_grad():
        for done, clips in enumerate(batches, start=1):
            scored = what.scores(network, clips)
            known = ~np.isnan(scored.values)
            values.append(scored.values[known])
            chance.append(what.chance(network, clips)[known])
            status.update(scored.status)
            progress("batches scored", done, len(batches))
    every, by_chance = np.concatenate(values), np.concatenate(chance)
    left_out = {reason: n for reason, n in sorted(status.items()) if reason != OK}
    return {
        "measure": what.measure,
        "value": _finite(what.reduce(every)),
        "n": len(every),
        "chance": _finite(what.reduce(by_chance)),
        "left_out": left_out,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _splits(what: Task, manifest: Path) -> dict[str, list[Row]]:
    rows = read_labelled(manifest, column=what.column).rows
    # by name: the order of a manifest's lines must not decide which crops are drawn
    rows = tuple(sorted(rows, key=lambda row: row.name))
    splits = {name: [row for row in rows if row.split == name] for name in SPLITS}
    for name in SPLITS[:2]:
        if not splits[name]:
            raise InputError(
                f"{printable(manifest)}: has no row of split '{name}': training needs 'train' and "
                "'valid'; give the rows splits"
            )
    return {name: part for name, part in splits.items() if part}


def _left_out(split: str, left_out: Sequence[tuple[Row, str]], n: int) -> str:
    return f"{split}: {len(left_out)} of {n} recordings left out ({left_out[0][1]})"


def _patience(n_recordings: int, settings: Settings) -> int:
    """Return 20 periods, and those of ten epochs at the least."""
    return max(20, -(-10 * n_recordings // (settings.batch * settings.period)))


def _sweep(folder: Path, target: Path) -> None:
    """Remove what was being written when a training was killed."""
    for old in (*folder.glob(".*.tmp"), *target.parent.glob(f".{glob.escape(target.name)}.*.tmp")):
        old.unlink(missing_ok=True)


def content_sha256(rows: Sequence[Row], found: dict[Path, Cached | str]) -> str:
    """Return the hash of recordings and labels, whatever their names and order.

    The SHA-256 of the sorted lines ``audio vocals start instrument tags``, with the SHA-256 of the
    sound files for the first two.
    """
    lines = []
    for row in rows:
        parts = [found[row.path], found.get(row.vocals_path) if row.vocals_path else None]
        files = [part.sha256 if isinstance(part, Cached) else "" for part in parts]
        start = "" if row.start_s is None else f"{row.start_s:.9g}"
        lines.append("\t".join([*files, start, row.instrument, ";".join(sorted(row.tags))]))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _standardise(
    network: Any,
    part: Recordings,
    sha256: str,
    settings: Settings,
    store: AudioCache,
    progress: Progress,
) -> None:
    """Give a network the mean and deviation of its inputs over the training set."""
    measured = [("decibels", network.front.decibels)]
    if settings.features == "mfcc":
        measured.append(("statistics", network.encoder.statistics))
    for name, measure in measured:
        word = f"{name} {sha256} {settings.n_samples} {STANDARDISED_RECORDINGS}"
        path = store.root / f"{name}-{hashlib.sha256(word.encode()).hexdigest()[:16]}.npy"
        if path.is_file():
            moments = np.load(path)
        else:
            moments = _moments(measure, part, settings, progress)
            store.keep(path, moments)
        network.standardise(*moments.astype(np.float32))


def _moments(
    measure: Callable[[Any], Any], part: Recordings, settings: Settings, progress: Progress
) -> NDArray[np.float64]:
    """Return mean and standard deviation, [2, values], over one crop a recording."""
    n = min(len(part), STANDARDISED_RECORDINGS)
    order = Order(0, "standardisation", 0, part.lengths, 1, settings.n_samples)
    sums: Any = 0.0
    count = 0
    with torch.no_grad():
        for first in range(0, n, settings.batch):
            places = [order.places(k) for k in range(first, min(first + settings.batch, n))]
            which, offsets = [w for w, _ in places], [o for _, o in places]
            clips = part.batch([w[0] for w in which], [o[0] for o in offsets], settings.n_samples)
            values = measure(clips.audio).double()
            values = values.reshape(-1, values.shape[-1]).numpy()
            sums = sums + np.stack([values.sum(axis=0), (values**2).sum(axis=0)])
            count += len(values)
            progress("recordings measured", min(first + settings.batch, n), n)
    mean, square = sums / count
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))])


@contextlib.contextmanager
def _memory(settings: Settings) -> Iterator[None]:
    """Say in one sentence that memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())
        short = "not enough memory" in text or "out of memory" in text.lower()
        if not (short or isinstance(error, MemoryError)):
            raise
        raise InputError(
            f"batch={settings.batch}: does not fit into memory ({text[:120]}); pass --batch "
            f"{max(2, settings.batch // 2)}"
        ) from error
