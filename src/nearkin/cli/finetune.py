"""``nearkin finetune``: a network whose changed clips are found again, without labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Config, Json, Quiet, Workers, given, sentences
from nearkin.cli.flags import DryRun
from nearkin.cli.trained import (
    Told,
    cache_folder,
    keep_freed_memory,
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
    clips_from: Annotated[
        list[Path] | None,
        typer.Option(
            "--clips-from",
            help="In its place: files, folders or manifests; give it again for several.",
        ),
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="What changes clips: a grid's name or FILE.yaml.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The model to write, FILE.safetensors.")] = None,
    anchor: Annotated[
        float | None, typer.Option(help="How much unchanged clips are to stay where they were [1].")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Steps at the most [300].")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Minutes at the most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds, equal weights [0].")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Clips of a step, shared among devices [24].")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps [auto].")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices of each machine [1].")] = None,
    nodes: Annotated[int | None, typer.Option(help="Machines [1].")] = None,
    precision: Annotated[
        str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed [32-true].")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Validations (every 100 steps) without progress before it stops [20]."),
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
    """Teach a network to find changed clips again, without labels; keep what it knows.

    The same command goes on where it was stopped.
    """
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.cli.settings import FinetuneOptions, laid_over
        from nearkin.optional import need

        torch = need("torch", extra="torch")
        need("onnxscript", extra="torch")
        from nearkin.training import FineTuning, finetune, is_first
        from nearkin.training.estimate import estimate_finetuning
        from nearkin.workers import available_cores

        known = {field.name: field.type for field in dataclasses.fields(FineTuning)}
        options = laid_over(FinetuneOptions, given(ctx), config, known=known, rest="settings")
        if "grid" not in options.settings:
            raise InputError("no grid given: name what changes clips with --grid")
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        keep_freed_memory()
        settings = FineTuning(**options.settings)
        workers = options.workers or available_cores()
        if options.dry_run:
            found = estimate_finetuning(
                settings,
                options.model,
                manifest=options.manifest,
                clips_from=options.clips_from,
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
                    clips_from=options.clips_from,
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
