"""What a training depends on, and the settings that may not change while it goes on."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nearkin.audio import SAMPLE_RATE
from nearkin.errors import InputError, RunError, printable
from nearkin.files import write_whole
from nearkin.tasks import Task, task
from nearkin.training.changes import UNCHANGED, Changes, Views
from nearkin.transforms.grids import Grid, grid

SCALES = ("small", "paper")
SMALL_STEPS = 300
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes
    ----------
    task : {"ae", "at", "ir", "vs"}
        The task.
    features : {"vgg", "mfcc"}
        The encoder.
    trial : int
        From 1; trials differ in first weights and crops.
    seed : int
        Equal seeds, equal weights (on the CPU, with one number of threads).
    scale : {"small", "paper"}
        300 steps, or the paper's epochs.
    max_steps : int or None
        The most steps, whatever the scale is.
    max_minutes : float or None
        The most minutes of training.
    batch : int
        Clips of a step, shared among the devices.
    crop_s : float
        Length of a clip in seconds.
    device : {"auto", "cpu", "cuda", "mps"}
        Where it computes.
    devices, nodes : int
        Devices of a machine, and machines.
    precision : {"32-true", "bf16-mixed", "16-mixed"}
        Lightning's word for the arithmetic.
    patience : int or None
        Training stops after so many periods without a lower validation loss. None: 20, and at
        least those of ten epochs.
    min_gain : float
        By which share the validation loss must fall, for `patience`: what falls by less is on a
        plateau. Any fall counts at 0.
    period : int
        Steps from one validation to the next.
    augment : str or None
        A grid, by name or file: three quarters of the crops are changed by a point of it.
    consistency : float
        Weight of the agreement of changed crops with their originals, beside the task's loss.
    grid : str or None
        The grid that changes them.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    task: str
    features: str = "vgg"
    trial: int = 1
    seed: int = 0
    scale: str = "small"
    max_steps: int | None = None
    max_minutes: float | None = None
    batch: int = 24
    crop_s: float = 2.0
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"
    patience: int | None = None
    min_gain: float = 0.0
    period: int = 100
    augment: str | None = None
    consistency: float = 0.0
    grid: str | None = None

    def __post_init__(self) -> None:
        """Check."""
        _require_kinds(self)
        task(self.task)
        choices = {
            "features": ("vgg", "mfcc"),
            "scale": SCALES,
            "device": DEVICES,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r}: must be {' or '.join(known)}")
        least = {"trial": 1, "max_steps": 1, "batch": 2, "devices": 1, "nodes": 1}
        least |= {"patience": 1, "period": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise InputError(f"{name}={value}: must be >= {bound}")
        if not 0 <= self.min_gain < 1:
            raise InputError(f"min_gain={self.min_gain:g}: must be in [0, 1), a share of the loss")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise InputError(f"max_minutes={self.max_minutes:g}: must be > 0")
        n_devices = self.devices * self.nodes
        if self.batch % n_devices or self.batch < 2 * n_devices:
            raise InputError(
                f"batch={self.batch}: must be shared equally among {self.devices} x {self.nodes} "
                "devices, 2 clips or more for each; pass a multiple"
            )
        if not (math.isfinite(self.crop_s) and self.crop_s >= 1.5):
            raise InputError(f"crop_s={self.crop_s:g}: must be >= 1.5 s, 128 frames")
        if not (math.isfinite(self.consistency) and self.consistency >= 0):
            raise InputError(f"consistency={self.consistency:g}: must be >= 0 and finite")
        if self.consistency and self.grid is None:
            raise InputError(
                f"consistency={self.consistency:g}: needs a grid that changes clips; pass --grid"
            )
        if self.consistency and self.features == "mfcc":
            raise InputError(
                f"consistency={self.consistency:g}: nothing in the encoder mfcc is learnt; take "
                "--features vgg, or repair its embeddings (nearkin repair)"
            )

    @functools.cached_property
    def grids(self) -> dict[str, Grid]:
        """The grids in use: of ``augment``, and of ``consistency`` where its weight is not 0."""
        named = {"augment": self.augment, "consistency": self.grid if self.consistency else None}
        return {name: grid(source) for name, source in named.items() if source is not None}

    def views(self, split: str) -> Views:
        """Return how a split's crops are changed: ``"train"``, or ``"valid"``, always alike."""
        made = {
            name: Changes(
                source,
                self.seed,
                ("training", self.task, self.trial, name, split),
                unchanged=UNCHANGED if name == "augment" else 0.0,
            )
            for name, source in self.grids.items()
        }
        return Views(made.get("augment"), made.get("consistency"))

    def require_usable_grids(self) -> None:
        """Refuse a grid that crops of this length cannot be changed by.

        Raises
        ------
        InputError
        """
        views = self.views("train")
        for changes in (views.augment, views.second):
            if changes is not None:
                changes.require_usable(self.n_samples)

    def changes(self) -> dict[str, Any]:
        """Return what changed the crops, as plain values; empty where nothing did."""
        told: dict[str, Any] = {}
        if "augment" in self.grids:
            told["augment"] = {"unchanged": UNCHANGED, "grid": recorded(self.grids["augment"])}
        if "consistency" in self.grids:
            source = self.grids["consistency"]
            told["consistency"] = {"weight": self.consistency, "grid": recorded(source)}
        return told

    @property
    def n_samples(self) -> int:
        """Samples of a clip."""
        return round(self.crop_s * SAMPLE_RATE)

    def n_steps(self, what: Task, n_recordings: int) -> int:
        """Return the most steps that are trained."""
        if self.max_steps is not None:
            return self.max_steps
        if self.scale == "small":
            return SMALL_STEPS
        return math.ceil(what.epochs * n_recordings / self.batch)

    def identity(self, training_sha256: str, validation_sha256: str) -> dict[str, Any]:
        """Return what may not change while a training goes on."""
        names = ["task", "features", "trial", "seed", "batch", "crop_s", "precision", "period"]
        changes = self.changes()
        return {
            **{name: getattr(self, name) for name in names},
            **{name: changes.get(name) for name in ("augment", "consistency")},
            "training_sha256": training_sha256,
            "validation_sha256": validation_sha256,
        }


_KINDS = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "a text"),
}


def _require_kinds(settings: Settings) -> None:
    """Refuse a value that is not what its field says, before it is compared with anything."""
    for one in fields(settings):
        kind, *none = str(one.type).split(" | ")
        value = getattr(settings, one.name)
        if value is None and none:
            continue
        known, words = _KINDS[kind]
        if isinstance(value, bool) or not isinstance(value, known):  # type: ignore[arg-type]
            raise InputError(f"{one.name}={value!r}: must be {words}")


def recorded(source: Grid) -> dict[str, Any]:
    """Return a grid as plain values: its name, its points, and its chains if it has any."""
    points = [[point.code, point.magnitude] for point in source.points]
    chains = [chain.record() for chain in source.chains]
    return {"name": source.name, "points": points, **({"chains": chains} if chains else {})}


_CHANGED = {
    "parent_sha256": "another network",
    "augment": "another --augment",
    "consistency": "another --consistency, or another --grid",
    "training_sha256": "other training recordings or labels",
    "validation_sha256": "other validation recordings or labels",
}


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write a training's settings into its folder, or compare them with those that are there.

    Raises
    ------
    RunError
        If one differs, which is named.
    """
    path = folder / "settings.json"
    try:
        if path.is_file():
            _refuse_changes(folder, json.loads(path.read_text("utf-8")), identity)
            return
        text = json.dumps(identity, indent=1) + "\n"
        write_whole(path, lambda file: file.write(text.encode()))
    except (OSError, ValueError, AttributeError, RecursionError) as error:  # or JSON of others
        raise RunError(
            f"{printable(path)}: cannot be used ({error}); name another --out or pass --force"
        ) from error


def _refuse_changes(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for name, value in new.items():
        if old.get(name) != value:
            told = _CHANGED.get(name, f"{name} {old.get(name)}, not {value}")
            raise RunError(
                f"{printable(folder)}: holds a training begun with {told}; "
                "name another --out or start anew with --force"
            )
