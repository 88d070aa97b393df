"""``nearkin train``: from a manifest to a trained network."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nearkin.cli.common import (
    EXIT_FAILURES,
    Config,
    Json,
    Quiet,
    Workers,
    given,
    note,
    say,
    sentences,
)
from nearkin.cli.flags import DryRun
from nearkin.errors import InputError

if TYPE_CHECKING:
    from nearkin.cli.settings import TrainOptions
    from nearkin.networks.files import Model
    from nearkin.training import Settings


def train_command(
    ctx: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(help="ae (autoencoder), at (tags), ir (instruments), vs (voice)."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Recordings with labels and splits; see nearkin corpus.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The model to write, FILE.safetensors.")] = None,
    features: Annotated[str | None, typer.Option(help="vgg or mfcc: the encoder [vgg].")] = None,
    trial: Annotated[
        int | None, typer.Option(help="From 1: other first weights and crops [1].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Equal seeds, equal weights on the CPU [0].")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="small (300 steps) or paper (its epochs) [small].")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Steps at the most, whatever the scale.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Minutes of training at the most.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Clips of a step, shared among devices [24].")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps [auto].")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices of each machine [1].")] = None,
    nodes: Annotated[int | None, typer.Option(help="Machines [1].")] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, bf16-mixed (twice as fast on recent CPUs), 16-mixed [32-true]."
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Validations (every 100 steps) without progress before it stops [20]."),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="Change crops at random by this grid, a name or FILE.yaml."),
    ] = None,
    consistency: Annotated[
        float | None,
        typer.Option(help="Weight of the agreement of changed crops with their originals [0]."),
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="The grid that changes them, a name or FILE.yaml.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads [all cores].")] = None,
    workers: Workers = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for decoded audio [the user's cache folder].")
    ] = None,
    force: Annotated[
        bool | None, typer.Option("--force", help="Start anew, whatever is there.")
    ] = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Train a network for a task; the same command goes on where it was stopped.

    Beside FILE.safetensors stands FILE.onnx: its encoder alone, for any tool.
    """
    with sentences():
        from nearkin.cli.settings import TrainOptions, laid_over
        from nearkin.optional import need

        torch = need("torch", extra="torch")
        need("onnxscript", extra="torch")
        from nearkin.training import Settings, is_first

        known = {field.name: field.type for field in dataclasses.fields(Settings)}
        options = laid_over(TrainOptions, given(ctx), config, known=known, rest="settings")
        if "task" not in options.settings:
            raise InputError("no task given: name ae, at, ir or vs")
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        keep_freed_memory()
        settings = Settings(**options.settings)
        if options.dry_run:
            _estimate(options, settings)
            return
        model, told = _trained(options, settings, config)
        if is_first():
            _tell(options, model, told)


def _estimate(options: TrainOptions, settings: Settings) -> None:
    from nearkin.training.estimate import estimate
    from nearkin.workers import available_cores

    workers = options.workers or available_cores()
    found = estimate(settings, Path(options.manifest), workers=workers)
    for line in found.lines():
        say(line)
    if options.json_line:
        say(json.dumps(found.as_dict()))


def _trained(
    options: TrainOptions, settings: Settings, config: Path | None
) -> tuple[Model, list[str]]:
    """Train, and write the encoder as ONNX; return the model and what was left out."""
    from nearkin.cli.bars import show
    from nearkin.networks.onnx import export_onnx
    from nearkin.training import is_first, train
    from nearkin.training.place import TrainingPlace
    from nearkin.workers import available_cores

    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        note(f"nearkin: {sentence}")

    with show(quiet=options.quiet) as progress:
        model = train(
            settings,
            options.manifest,
            options.out,
            cache=options.cache or _cache(),
            workers=options.workers or available_cores(),
            force=options.force,
            made_from=_written(settings, config),
            progress=progress,
            tell=tell,
        )
    place = TrainingPlace(Path(options.out))
    if is_first() and not place.is_whole(place.onnx):
        with place.held():
            export_onnx(model, place.onnx)
            place.wrote(place.onnx)
    return model, told


def _written(settings: Settings, config: Path | None) -> list[Path]:
    """Return the files that a user wrote: the configuration, and grids."""
    grids = [source for source in (settings.augment, settings.grid) if source is not None]
    return [*([config] if config else []), *(Path(one) for one in grids if Path(one).suffix)]


def _tell(options: TrainOptions, model: Model, told: list[str]) -> NoReturn:
    out = Path(options.out)
    if not options.quiet:
        for line in _lines(model):
            say(line)
        say(f"model: {out}")
        say(f"its encoder as ONNX: {out.with_suffix('.onnx')}")
    code = EXIT_FAILURES if told else 0
    if options.json_line:
        say(json.dumps({**_summary(out, model), "left_out": told, "exit": code}))
    raise typer.Exit(code)


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors for the next ones.

    Otherwise it goes back to the system at every step and is fetched anew: a third and more of a
    step's time on the CPU. This process does nothing but train, so that it may.
    """
    import ctypes

    m_mmap_max, m_trim_threshold = -4, -1
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def _cache() -> Path:
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
