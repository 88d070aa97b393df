"""Fine-tuning without labels: changed clips are to be found, unchanged ones stay where they were.

Networks of one's own go on from their file, the shipped references from their ONNX graph. The rest
is as in training: decoded once, resumable at any moment, the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nearkin.audio import sha256_file
from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Row
from nearkin.corpora.splits import split_by_group
from nearkin.encoders.references.trained import WEIGHTS
from nearkin.encoders.resolve import TRAINED
from nearkin.errors import InputError, printable
from nearkin.networks.files import Model, load
from nearkin.networks.onnx import read_onnx
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.registry import suggest
from nearkin.tasks import task
from nearkin.training.cache import AudioCache
from nearkin.training.objectives import FineTuningObjective
from nearkin.training.place import TrainingPlace
from nearkin.training.precision import tell_imitated
from nearkin.training.run import (
    TrainingData,
    budget_of,
    data_of,
    is_first,
    memory,
    read_splits,
    stands,
    take_best,
    written_to,
)
from nearkin.training.settings import Settings, claim, recorded
from nearkin.training.trainer import fit

SHARES = {"train": 0.9, "valid": 0.1}
_LABEL_FREE = "ae"


@dataclass(frozen=True)
class FineTuning:
    """How a network is fine-tuned.

    Attributes
    ----------
    grid : str
        What changes the crops: a grid's name or file.
    anchor : float
        Weight of the drift of unchanged crops from where the network had them.
    max_steps : int
        Steps at the most.
    seed, max_minutes, batch, crop_s, device, devices, nodes, precision, patience, min_gain, period
        As those of `nearkin.training.Settings`.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    grid: str
    anchor: float = 1.0
    seed: int = Settings.seed
    max_steps: int = 300
    max_minutes: float | None = Settings.max_minutes
    batch: int = Settings.batch
    crop_s: float = Settings.crop_s
    device: str = Settings.device
    devices: int = Settings.devices
    nodes: int = Settings.nodes
    precision: str = Settings.precision
    patience: int | None = Settings.patience
    min_gain: float = Settings.min_gain
    period: int = Settings.period

    def __post_init__(self) -> None:
        """Check."""
        if isinstance(self.anchor, bool) or not isinstance(self.anchor, int | float):
            raise InputError(f"anchor={self.anchor!r}: must be a number")
        if not (math.isfinite(self.anchor) and self.anchor >= 0):
            raise InputError(f"anchor={self.anchor:g}: must be >= 0 and finite")
        if self.max_steps is None:
            raise InputError("max_steps=None: must be a whole number")
        self.training("ae", 1).grids  # noqa: B018 - a grid that cannot be read is told now

    def training(self, name: str, trial: int) -> Settings:
        """Return the same as settings of a training, of a task and trial."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del shared["anchor"]
        return Settings(name, trial=trial, consistency=1.0, **shared)

    def identity(self, parent: Parent, data: TrainingData) -> dict[str, Any]:
        """Return what may not change while it goes on."""
        settings = self.training(parent.model.task, parent.model.trial)
        return {
            "parent_sha256": parent.sha256,
            **settings.identity(data.sha256["train"], data.sha256["valid"]),
            "task": "finetune",
            "consistency": recorded(settings.grids["consistency"]),
            "anchor": self.anchor,
        }


class Parent(NamedTuple):
    """The network that is fine-tuned.

    Attributes
    ----------
    model : Model
        Without a head, where it is a reference.
    name : str
        Its SPEC: the file's name, or the reference's.
    sha256 : str
        Of its file.
    """

    model: Model
    name: str
    sha256: str


def parent(spec: str | os.PathLike[str]) -> Parent:
    """Open the network that is to be fine-tuned.

    Parameters
    ----------
    spec : str or path
        A file that ``nearkin train`` or ``finetune`` wrote, or ``vgg-ae``, ``vgg-at``, ``vgg-ir``,
        ``vgg-vs``.

    Raises
    ------
    InputError
        If it is neither, or nothing in its encoder is learnt.
    ExtraError
        If torch is not installed.
    """
    text = os.fspath(spec)
    if text in TRAINED:
        path = WEIGHTS / f"{text}.onnx"
        return Parent(read_onnx(path), text, sha256_file(path))
    path = Path(text)
    if path.suffix != ".safetensors":
        raise InputError(
            f"{printable(path)}: must be FILE.safetensors of nearkin train, or a network that "
            f"comes with nearkin: {suggest(text, TRAINED)}"
        )
    model = load(path)
    if model.features == "mfcc":
        raise InputError(
            f"{printable(path)}: nothing in the encoder mfcc is learnt, so that nothing can be "
            "fine-tuned; repair its embeddings (nearkin repair)"
        )
    return Parent(model, path.name, model.sha256)


def music_splits(
    manifest: str | os.PathLike[str] | None,
    audio: Sequence[str | os.PathLike[str]],
    *,
    seed: int,
) -> tuple[dict[str, list[Row]], Path]:
    """Return the rows of ``train`` and ``valid``, and what to call their source.

    Without a manifest, recordings are dealt to the two by group (a manifest's; else by file), nine
    of ten for training.

    Raises
    ------
    InputError
        If both or none are given, or there is too little music.
    """
    if (manifest is not None) == bool(audio):
        both = "both are given" if audio else "none is given"
        raise InputError(f"--manifest and --audio: {both}; pass one of them")
    if manifest is not None:
        splits = read_splits(task(_LABEL_FREE), Path(manifest))
        return {name: splits[name] for name in SHARES}, Path(manifest)
    found = collect(audio)
    groups = [one.group or one.name for one in found]
    chosen = split_by_group(groups, SHARES, seed=seed, purpose="finetune")
    rows = [
        Row(one.name, one.path, one.start_s, chosen[group], group)
        for one, group in zip(found, groups, strict=True)
    ]
    return {name: [row for row in rows if row.split == name] for name in SHARES}, Path(audio[0])


def finetune(
    settings: FineTuning,
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    manifest: str | os.PathLike[str] | None = None,
    audio: Sequence[str | os.PathLike[str]] = (),
    cache: str | os.PathLike[str],
    workers: int = 1,
    loaders: int | None = None,
    force: bool = False,
    made_from: Sequence[Path] = (),
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> Model:
    """Fine-tune a network without labels, or go on with that.

    The loss is `nearkin.training.objectives.FineTuningObjective`. The head, where there is one,
    and the statistics of batch normalisation stay as they are.

    Parameters
    ----------
    settings : FineTuning
    model : str or path
        See `parent`.
    out : path
        Where the network is written, ``FILE.safetensors``; see `nearkin.training.train`.
    manifest : path, optional
        Recordings with splits ``train`` and ``valid``; labels are not looked at.
    audio : sequence of paths
        In its place: files, folders or manifests without splits.
    cache, workers, loaders, force, made_from, progress, tell
        As those of `nearkin.training.train`.

    Returns
    -------
    Model
        With the weights of the lowest validation loss, of the parent's task and trial; its
        ``changes`` name the parent. It has no scores: they were the parent's.

    Raises
    ------
    InputError
        If a setting, the network, or a recording cannot be used, or memory does not suffice.
    RunError
        If `out` holds something else, or nothing can be written there.
    ExtraError
        If torch or Lightning is not installed.
    """
    first = is_first()
    if not first:
        progress, tell = silent, unsaid
    before = parent(model)
    training = settings.training(before.model.task, before.model.trial)
    training.require_usable_grids()
    place = TrainingPlace(Path(out))
    given = [Path(one) for one in ([manifest] if manifest is not None else audio)]
    given += [*([Path(model)] if Path(model).is_file() else []), *made_from]
    if first:
        place.decide(given)
    splits, source = music_splits(manifest, audio, seed=settings.seed)
    store = AudioCache(cache)
    data = data_of(
        task(_LABEL_FREE),
        splits,
        source,
        store,
        training,
        workers=workers,
        progress=progress,
        tell=tell,
    )
    inputs = [*given, *data.paths]
    held = place.held(inputs, anew=force, tell=tell) if first else contextlib.nullcontext()
    with held:
        claim(place.folder, settings.identity(before, data))
        return _tuned(settings, training, before, data, place, loaders, progress, tell)


def _tuned(
    settings: FineTuning,
    training: Settings,
    before: Parent,
    data: TrainingData,
    place: TrainingPlace,
    loaders: int | None,
    progress: Progress,
    tell: Tell,
) -> Model:
    """Fine-tune from where it stands to the end, and write the model."""
    n_recordings = len(data.parts["train"])
    budget = budget_of(settings.max_steps, n_recordings, training)
    state, written = stands(place, budget)
    if written is not None:
        return written
    network = before.model.network
    if network.head is not None:
        network.head.requires_grad_(False)
    with memory(training):
        if not budget.spent(state):
            tell_imitated(training, tell)
            fit(
                network,
                FineTuningObjective(network, settings.anchor),
                data.parts,
                state,
                budget,
                training,
                place.folder,
                loaders,
                progress,
            )
        take_best(network, state)
    about = {
        "parent": before.name,
        "parent_sha256": before.sha256,
        "parent_steps": before.model.steps,
        "steps": state.best_step,
        "anchor": settings.anchor,
        "grid": recorded(training.grids["consistency"]),
        "training_sha256": data.sha256["train"],
    }
    earlier = before.model.changes.get("finetune")
    return written_to(
        place,
        dataclasses.replace(
            before.model,
            steps=state.best_step,
            trained_steps=state.step,
            stopped=budget.spent(state),
            epochs=round(state.best_step * settings.batch / n_recordings, 3),
            scores={},
            sha256="",
            changes={
                **before.model.changes,
                "finetune": {**about, **({"earlier": earlier} if earlier else {})},
            },
        ),
    )
