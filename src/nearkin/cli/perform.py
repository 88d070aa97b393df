"""``nearkin perform``: task scores of trained models while the music degrades."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nearkin.cli.common import (
    EXIT_FAILURES,
    Config,
    Json,
    Out,
    Quiet,
    Scheduler,
    Workers,
    given,
    note,
    say,
    sentences,
    written_files,
)
from nearkin.cli.flags import (
    ClipSeconds,
    Device,
    DryRun,
    Engine,
    Grid,
    LoudnessWindow,
    Mp3Rate,
    Noise,
    OtherMusic,
    Seed,
    Storage,
)

if TYPE_CHECKING:
    from nearkin.cli.settings import PerformOptions
    from nearkin.performance.scored import TrainedModel
    from nearkin.progress import Progress
    from nearkin.runs.folder import RunFolder
    from nearkin.runs.plan import Plan
    from nearkin.workers import Scheduler as Cluster


def perform_command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None, typer.Argument(help="Model files that nearkin train wrote.")
    ] = None,
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            "--manifest",
            help="Labelled clips; give it again for several: each task takes the first that has "
            "the column it needs (tags, instrument, vocals_path; autoencoders need none).",
        ),
    ] = None,
    grid: Grid = None,
    split: Annotated[
        str | None, typer.Option(help="train, valid, test, or all rows [test].")
    ] = None,
    clips: Annotated[int | None, typer.Option(help="Use at most this many clips a task.")] = None,
    clip_seconds: ClipSeconds = None,
    seed: Seed = None,
    noise: Noise = None,
    other_music: OtherMusic = None,
    engine: Engine = None,
    mp3_rate: Mp3Rate = None,
    storage: Storage = None,
    loudness_window: LoudnessWindow = None,
    device: Device = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    force: Annotated[
        bool | None, typer.Option("--force", help="Score anew where --out holds other task scores.")
    ] = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Score trained models in their tasks under every transformation."""
    with sentences():
        from nearkin.cli.settings import PerformOptions, laid_over, of_plan
        from nearkin.performance.run import SETTINGS, make_performance_plan
        from nearkin.performance.scored import TrainedModel
        from nearkin.workers import workers_at

        known = of_plan(SETTINGS)
        options = laid_over(PerformOptions, given(ctx), config, known=known, rest="plan")
        plan = make_performance_plan({"grid": "quick", **options.plan})
        trained = [TrainedModel(path, device=options.device) for path in options.models]
        place = options.place()
        if options.dry_run:
            _estimate(options, trained, plan, workers_at(place, else_=1))
        else:
            _perform(options, trained, plan, place, config)


def _estimate(
    options: PerformOptions, models: Sequence[TrainedModel], plan: Plan, workers: int
) -> None:
    from nearkin.performance.estimate import estimate

    found = estimate(
        models, _paths(options.manifest), plan=plan, split=options.split, workers=workers
    )
    for line in found.lines():
        say(line)
    if options.json_line:
        say(json.dumps(found.as_dict()))


def _perform(
    options: PerformOptions,
    models: Sequence[TrainedModel],
    plan: Plan,
    place: int | Cluster,
    config: Path | None,
) -> NoReturn:
    from nearkin.cli.bars import show
    from nearkin.performance.run import perform
    from nearkin.progress import unsaid

    with show(quiet=options.quiet) as progress:
        folder = perform(
            models,
            _paths(options.manifest),
            Path(options.out),
            plan=plan,
            split=options.split,
            workers=place,
            force=options.force,
            made_from=[*_paths(options.models), *written_files(options.plan, config)],
            progress=progress,
            tell=unsaid if options.quiet else note,
        )
        report = _shown(folder, progress)
    _tell(folder, report, quiet=options.quiet, as_json=options.json_line)


def _paths(texts: Sequence[str]) -> list[Path]:
    return [Path(text) for text in texts]


def _shown(folder: RunFolder, progress: Progress) -> Path | None:
    """Draw the figures, and build the report anew where the folder holds a finished run."""
    run = folder.read_run()
    progress("report", 0, 1)
    if run is None or not run.get("finished"):
        from nearkin.report.figures import PICTURES, write_performance

        with folder.held():
            pictures = folder.open_folder("figures")
            folder.owned.expect(pictures / name for name in PICTURES)
            write_performance(folder.read_table("performance"), {}, pictures)
        report = None
    else:
        from nearkin.api import Result

        result = Result(folder)
        result.figures()
        report = result.report()
    progress("report", 1, 1)
    return report


def _tell(folder: RunFolder, report: Path | None, *, quiet: bool, as_json: bool) -> NoReturn:
    from nearkin.cli.perform_summary import summary

    record = folder.read_performance() or {}
    told = summary(folder.read_table("performance"), record, out=folder.root, report=report)
    if not quiet:
        for line in told.lines():
            say(line)
    code = EXIT_FAILURES if told.failed else 0
    if as_json:
        say(json.dumps({**told.as_dict(), "exit": code}))
    raise typer.Exit(code)
