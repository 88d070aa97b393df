"""``nearkin finetune``: a network whose changed clips are found again, without labels."""

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


def finetune_command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="FILE.safetensors of nearkin train, or vgg-ae, vgg-at, vgg-ir, vgg-vs.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Recordings with splits train and valid; labels do not count."),
    ] = None,
    audio: Annotated[
        list[Path] | None,
        typer.Option(
            "--audio",
            help="In its place: files, folders or manifests; give it again for several.",
        ),
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="What changes clips: a grid's name or FILE.yaml.")
    ] = None,
    out: ModelOut = None,
    anchor: Annotated[
        float | None, typer.Option(help="How much unchanged clips are to stay where they were [1].")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Steps at the most [300].")] = None,
    max_minutes: MaxMinutes = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds, equal weights [0].")] = None,
    batch: Batch = None,
    device: LearningDevice = None,
    devices: Devices = None,
    nodes: Nodes = None,
    precision: Precision = None,
    patience: Patience = None,
    min_gain: MinGain = None,
    threads: Threads = None,
    workers: Workers = None,
    cache: Cache = None,
    force: Anew = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Teach a network to find changed clips again, without labels; keep what it knows.

    The same command goes on where it was stopped.
    """
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.cli.settings import FinetuneOptions, laid_over
        from nearkin.optional import need

        need("torch", extra="torch")
        need("onnxscript", extra="torch")
        from nearkin.training import FineTuning, finetune, is_first
        from nearkin.training.estimate import estimate_finetuning

        known = {field.name: field.type for field in dataclasses.fields(FineTuning)}
        options = laid_over(FinetuneOptions, given(ctx), config, known=known, rest="settings")
        if "grid" not in options.settings:
            raise InputError("no grid given: name what changes clips with --grid")
        settings = FineTuning(**options.settings)
        workers = prepared(options)
        if options.dry_run:
            found = estimate_finetuning(
                settings,
                options.model,
                manifest=options.manifest,
                audio=options.audio,
                workers=workers,
            )
            tell_estimate(found, as_json=options.json_line)
            return
        told = Told()
        with show(quiet=options.quiet) as progress:
            tuned = trained(
                options.out,
                lambda: finetune(
                    settings,
                    options.model,
                    options.out,
                    manifest=options.manifest,
                    audio=options.audio,
                    cache=options.cache or cache_folder(),
                    workers=workers,
                    force=options.force,
                    made_from=written_by_hand((settings.grid,), config),
                    progress=progress,
                    tell=told,
                ),
            )
        if is_first():
            out = Path(options.out)
            tell_model(
                tuned, told.sentences, out=out, quiet=options.quiet, as_json=options.json_line
            )
