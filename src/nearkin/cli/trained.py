"""What the commands that train share: where audio is cached, the encoder as ONNX, what is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from nearkin.cli.common import EXIT_FAILURES, note, say

if TYPE_CHECKING:
    from nearkin.cli.settings import LearningOptions
    from nearkin.networks.files import Model
    from nearkin.training.estimate import TrainingEstimate


class Told:
    """Keeps the sentences that were told on the way, and tells them."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, sentence: str) -> None:
        """Tell a sentence."""
        self.sentences.append(sentence)
        note(f"nearkin: {sentence}")


def trained(out: str, learn: Callable[[], Model]) -> Model:
    """Train, and write the encoder as ONNX beside the model."""
    from nearkin.networks.onnx import export_onnx
    from nearkin.training import is_first
    from nearkin.training.place import TrainingPlace

    model = learn()
    place = TrainingPlace(Path(out))
    if is_first() and not place.is_whole(place.onnx):
        with place.held():
            export_onnx(model, place.onnx)
            place.wrote(place.onnx)
    return model


def tell_estimate(found: TrainingEstimate, *, as_json: bool) -> None:
    """Print what a training would take."""
    for line in found.lines():
        say(line)
    if as_json:
        say(json.dumps(found.as_dict()))


def tell_model(model: Model, told: list[str], *, out: Path, quiet: bool, as_json: bool) -> NoReturn:
    """Print what became of a training, and end."""
    if not quiet:
        for line in _lines(model):
            say(line)
        say(f"model: {out}")
        say(f"its encoder as ONNX: {out.with_suffix('.onnx')}")
    code = EXIT_FAILURES if told else 0
    if as_json:
        say(json.dumps({**_summary(out, model), "left_out": told, "exit": code}))
    raise typer.Exit(code)


def written_by_hand(grids: Iterable[str | None], config: Path | None) -> list[Path]:
    """Return the files that a user wrote: the configuration, and grids."""
    named = [Path(source) for source in grids if source is not None and Path(source).suffix]
    return [*([config] if config else []), *named]


def prepared(options: LearningOptions) -> int:
    """Set this process up for a training; return how many workers decode."""
    import torch

    from nearkin.memory import keep_freed_memory
    from nearkin.workers import available_cores

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_freed_memory()
    return options.workers or available_cores()


def cache_folder() -> Path:
    """Return the folder for decoded audio, where the user names none."""
    from platformdirs import user_cache_path

    return Path(user_cache_path("nearkin", appauthor=False)) / "audio"


def _lines(model: Model) -> list[str]:
    from nearkin.networks.files import learned_from

    lines = [f"{model.label}: {model.steps} steps, {model.epochs:g} epochs"]
    if model.changes:
        lines.append(learned_from(model.changes))
    for split, score in model.scores.items():
        if score["value"] is None or score["chance"] is None:
            lines.append(f"{split}: no clip has a score")
            continue
        lines.append(
            f"{split}: {score['measure']} {score['value']:.4g} (chance {score['chance']:.4g}) "
            f"over {score['n']} clips"
        )
    return lines


def _summary(out: Path, model: Model) -> dict[str, object]:
    return {
        "model": str(out),
        "onnx": str(out.with_suffix(".onnx")),
        "task": model.task,
        "features": model.features,
        "trial": model.trial,
        "steps": model.steps,
        "epochs": model.epochs,
        "training_sha256": model.training_sha256,
        "changes": dict(model.changes),
        "scores": dict(model.scores),
    }
