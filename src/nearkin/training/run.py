"""From a manifest to a trained model: decoded, standardised, trained, scored, written.

`train` may be stopped at any moment, kill -9 included: called again, it goes on from the last
checkpoint, a period or some seconds back, and ends with the weights it would have ended with.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError, printable, shown
from nearkin.networks.files import Model, load, save
from nearkin.networks.network import NetworkConfig, build
from nearkin.optional import need
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.seeds import stream
from nearkin.tasks import Batch, Task, task
from nearkin.tasks.protocol import OK
from nearkin.training.batches import FixedBatches
from nearkin.training.cache import AudioCache, Cached
from nearkin.training.checkpoint import Budget, TrainingState, write_curve
from nearkin.training.objectives import TaskObjective
from nearkin.training.place import TrainingPlace
from nearkin.training.precision import tell_imitated
from nearkin.training.recordings import Recordings, recordings
from nearkin.training.settings import Settings, claim
from nearkin.training.standardise import standardise
from nearkin.training.trainer import device_of, fit

torch: Any = need("torch", extra="torch")
pytorch: Any = need("lightning.pytorch", extra="torch")

SPLITS = ("train", "valid", "test")
SCORED_CLIPS = 1_000


def train(
    settings: Settings,
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str],
    workers: int = 1,
    loaders: int | None = None,
    force: bool = False,
    made_from: Sequence[Path] = (),
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> Model:
    """Train a network for a task, or go on with that.

    Parameters
    ----------
    settings : Settings
        Task, encoder, trial, and how it is trained.
    manifest : path
        Recordings with splits ``train`` and ``valid`` (and ``test``), and the task's labels.
    out : path
        Where the model is written, ``FILE.safetensors``. Beside it, in ``OUT.training/``, stand
        the checkpoint, the curve (``curve.csv``, ``tensorboard/``) and the settings.
    cache : path
        Folder for decoded audio; trainings share it.
    workers : int
        Processes that decode.
    loaders : int, optional
        Processes that make batches; none on the CPU and two on a GPU if not given.
    force : bool
        Start anew where `out` holds another training.
    made_from : sequence of Path
        What else the training is made from, such as a configuration: it may not lie in the folder.
    progress : callable
        Told ``(stage, done, total)``.
    tell : callable
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
        If `out` holds another training or something else, or nothing can be written there.
    ExtraError
        If torch or Lightning is not installed.
    """
    what = task(settings.task)
    target = Path(out)
    first = is_first()
    if not first:
        progress, tell = silent, unsaid
    settings.require_usable_grids()
    place = TrainingPlace(target)
    given = [Path(manifest), *made_from]
    if first:
        place.decide(given)
    store = AudioCache(cache)
    data = training_data(
        what, Path(manifest), store, settings, workers=workers, progress=progress, tell=tell
    )
    inputs = [*given, *data.paths]
    held = place.held(inputs, anew=force, tell=tell) if first else contextlib.nullcontext()
    with held:
        claim(place.folder, settings.identity(data.sha256["train"], data.sha256["valid"]))
        return _trained(settings, what, data, place, store, loaders, progress, tell)


def _trained(
    settings: Settings,
    what: Task,
    data: TrainingData,
    place: TrainingPlace,
    store: AudioCache,
    loaders: int | None,
    progress: Progress,
    tell: Tell,
) -> Model:
    """Train from where it stands to the end, and write the model."""
    first = is_first()
    training = data.parts["train"]
    budget = budget_of(settings.n_steps(what, len(training)), len(training), settings)
    state, written = stands(place, budget)
    if written is not None:
        return written
    objective = TaskObjective(what, settings.consistency)
    config = NetworkConfig(settings.features, what.head, len(data.labels))
    seed = stream(settings.seed, settings.task, settings.trial).integers(2**31)
    network = build(config, seed=int(seed))
    with memory(settings):
        standardise(network, training, data.sha256["train"], settings, store, progress)
        if not budget.spent(state):
            tell_imitated(settings, tell)
            fit(
                network,
                objective,
                data.parts,
                state,
                budget,
                settings,
                place.folder,
                loaders,
                progress,
            )
        take_best(network, state)
        scores = {
            name: score(what, network, data.parts[name], settings, progress=progress)
            for name in SPLITS[1:]
            if name in data.parts and first
        }
    model = Model(
        task=settings.task,
        features=settings.features,
        head=what.head,
        network=network,
        labels=data.labels,
        trial=settings.trial,
        seed=settings.seed,
        scale=settings.scale,
        steps=state.best_step,
        trained_steps=state.step,
        stopped=budget.spent(state),
        epochs=round(state.best_step * settings.batch / len(training), 3),
        training_sha256=data.sha256["train"],
        scores=scores,
        changes=settings.changes(),
    )
    return written_to(place, model)


def stands(place: TrainingPlace, budget: Budget) -> tuple[TrainingState, Model | None]:
    """Return where a training stands; and its model, where it is over and that was written."""
    checkpoint = place.folder / "checkpoint.pt"
    state = TrainingState.load(checkpoint) if checkpoint.is_file() else TrainingState()
    if budget.spent(state) and place.is_whole(place.target):
        written = load(place.target)
        if written.trained_steps == state.step:
            write_curve(place.folder / "curve.csv", state)  # it may have been damaged since
            return state, written  # else it is of a training that has since gone on
    return state, None


def take_best(network: Any, state: TrainingState) -> None:
    """Give a network the weights of the lowest validation loss, and bring it to the CPU."""
    network.load_state_dict(state.best_weights)
    network.cpu().to(memory_format=torch.contiguous_format).eval()


def written_to(place: TrainingPlace, model: Model) -> Model:
    """Write a model to its place, where this process is the one that writes."""
    if not is_first():
        return model
    save(place.target, model)
    place.wrote(place.target)
    return load(place.target)


class TrainingData(NamedTuple):
    """The recordings of a training.

    Attributes
    ----------
    labels : tuple of str
        Tags or classes; none for the tasks that have no such.
    parts : dict of str to Recordings
        By split.
    sha256 : dict of str to str
        By split, the hash of its recordings and labels.
    paths : tuple of Path
        All sound files.
    """

    labels: tuple[str, ...]
    parts: dict[str, Recordings]
    sha256: dict[str, str]
    paths: tuple[Path, ...]


def training_data(
    what: Task,
    manifest: Path,
    store: AudioCache,
    settings: Settings,
    *,
    workers: int,
    progress: Progress,
    tell: Tell,
) -> TrainingData:
    """Read a manifest, decode its recordings, and line up those that can be trained on.

    Raises
    ------
    InputError
        If a split has no usable recording, or the task has no label.
    """
    return data_of(
        what,
        read_splits(what, manifest),
        manifest,
        store,
        settings,
        workers=workers,
        progress=progress,
        tell=tell,
    )


def data_of(
    what: Task,
    splits: Mapping[str, Sequence[Row]],
    source: Path,
    store: AudioCache,
    settings: Settings,
    *,
    workers: int,
    progress: Progress,
    tell: Tell,
) -> TrainingData:
    """Decode the recordings of splits, and line up those that can be trained on.

    Parameters
    ----------
    what : Task
    splits : mapping of str to sequence of Row
    source : Path
        Where they come from, for messages.
    store, settings, workers, progress, tell
        As those of `training_data`.

    Raises
    ------
    InputError
        If a split has no usable recording, or the task has no label.
    """
    paths = [row.path for rows in splits.values() for row in rows]
    if what.column == "vocals_path":
        paths += [row.vocals_path for rows in splits.values() for row in rows if row.vocals_path]
    found = store.fill(paths, workers=workers, progress=progress, tell=tell)
    labels = labels_of(what, splits, source)
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
                f"{printable(source)}: no usable {name} recording ({left_out[0][1]}); "
                "mend the manifest, or give more music"
            )
        hashes[name] = content_sha256(used, found)
    return TrainingData(labels, parts, hashes, tuple(paths))


def budget_of(n_steps: int, n_recordings: int, settings: Settings) -> Budget:
    """Return when a training ends; without `patience` after 20 periods, or those of ten epochs."""
    patience = max(20, -(-10 * n_recordings // (settings.batch * settings.period)))
    return Budget(
        n_steps,
        settings.patience or patience,
        settings.period,
        settings.max_minutes,
        settings.min_gain,
    )


def is_first() -> bool:
    """Whether this process is the one of several that writes and tells."""
    return bool(pytorch.utilities.rank_zero_only.rank == 0)


def score(
    what: Task, network: Any, part: Recordings, settings: Settings, *, progress: Progress
) -> dict[str, Any]:
    """Score a network on the centres of a split's recordings, where it was trained.

    Returns
    -------
    dict
        measure, value, n (clips scored), chance (the score of a network that has learnt
        nothing),
        left_out (why clips have no score, counted).
    """
    batches = FixedBatches(
        part, n_samples=settings.n_samples, batch=settings.batch, most=SCORED_CLIPS
    )
    values: list[NDArray[np.float64]] = []
    chance: list[NDArray[np.float64]] = []
    status: Counter[str] = Counter()
    device = device_of(settings)
    network.to(device)
    with torch.no_grad():
        for done, on_cpu in enumerate(batches, start=1):
            clips = Batch(*(None if part is None else part.to(device) for part in on_cpu))
            scored = what.scores(network, clips)
            known = ~np.isnan(scored.values)
            values.append(scored.values[known])
            chance.append(what.chance(network, clips)[known])
            status.update(scored.status)
            progress("batches scored", done, len(batches))
    network.cpu()
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


def labels_of(what: Task, splits: Mapping[str, Sequence[Row]], manifest: Path) -> tuple[str, ...]:
    """Return what a model is to know: a task's classes or tags, in the rows of these splits.

    Where every recording is of one class, the classes of all splits count: a small corpus may have
    one in 'valid' alone. Tags that no training row has are nothing that can be learnt.

    Raises
    ------
    InputError
        If the task needs labels and there are none, or classes and there is one.
    """
    every = [row for rows in splits.values() for row in rows]
    labels = what.labels(every if what.one_class else splits["train"])
    if what.head == "classes" and not labels:
        raise InputError(
            f"{printable(manifest)}: its training rows hold no {what.column}: must hold at "
            f"least one; fill the column '{what.column}'"
        )
    if what.one_class and len(labels) == 1:
        raise InputError(
            f"{printable(manifest)}: every row is of the {what.column} {shown(labels[0])}: must be "
            "two at least, or there is nothing to tell apart; add rows of another"
        )
    return labels


def read_splits(what: Task, manifest: Path) -> dict[str, list[Row]]:
    """Return a manifest's rows by split, ``train`` and ``valid`` and, if there is any, ``test``.

    Raises
    ------
    InputError
        If the manifest cannot be read, or has no row to train on or to validate with.
    """
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


@contextlib.contextmanager
def memory(settings: Settings) -> Iterator[None]:
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
