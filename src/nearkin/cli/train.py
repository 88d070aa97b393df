"""``nearkin train``: from a manifest to a trained network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Config, Json, Quiet, Workers, given, sentences
from nearkin.cli.flags import (
    Anew,
    Batch,
    Cache,
    Devices,
    DryRun,
    LearningDevice,
    MaxMinutes,
    MinGain,
    ModelOut,
    Nodes,
    Patience,
    Precision,
    Threads,
)
from nearkin.cli.trained import (
    Told,
    cache_folder,
    prepared,
    tell_estimate,
    tell_model,
    trained,
    written_by_hand,
)
from nearkin.errors import InputError


def train_command(
    ctx: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(help="ae (autoencoder), at (tags), ir (instruments), vs (voice)."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Recordings with labels and splits; see nearkin corpus.")
    ] = None,
    out: ModelOut = None,
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
    max_minutes: MaxMinutes = None,
    batch: Batch = None,
    device: LearningDevice = None,
    devices: Devices = None,
    nodes: Nodes = None,
    precision: Precision = None,
    patience: Patience = None,
    min_gain: MinGain = None,
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
    threads: Threads = None,
    workers: Workers = None,
    cache: Cache = None,
    force: Anew = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Train a network for a task; the same command goes on where it was stopped.

    Beside FILE.safetensors stands FILE.onnx: its encoder alone, for any tool.
    """
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.cli.settings import TrainOptions, laid_over
        from nearkin.optional import need

        need("torch", extra="torch")
        need("onnxscript", extra="torch")
        from nearkin.training import Settings, is_first, train
        from nearkin.training.estimate import estimate

        known = {field.name: field.type for field in dataclasses.fields(Settings)}
        options = laid_over(TrainOptions, given(ctx), config, known=known, rest="settings")
        if "task" not in options.settings:
            raise InputError("no task given: name ae, at, ir or vs")
        settings = Settings(**options.settings)
        workers = prepared(options)
        if options.dry_run:
            found = estimate(settings, Path(options.manifest), workers=workers)
            tell_estimate(found, as_json=options.json_line)
            return
        told = Told()
        with show(quiet=options.quiet) as progress:
            model = trained(
                options.out,
                lambda: train(
                    settings,
                    options.manifest,
                    options.out,
                    cache=options.cache or cache_folder(),
                    workers=workers,
                    force=options.force,
                    made_from=written_by_hand((settings.augment, settings.grid), config),
                    progress=progress,
                    tell=told,
                ),
            )
        if is_first():
            out = Path(options.out)
            tell_model(
                model, told.sentences, out=out, quiet=options.quiet, as_json=options.json_line
            )
