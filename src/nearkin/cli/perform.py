"""``nearkin perform``: task scores of trained models while the music degrades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nearkin.cli.common import EXIT_FAILURES, Json, Out, Quiet, Workers, say, sentences


def perform_command(
    models: Annotated[list[str], typer.Argument(help="Model files that nearkin train wrote.")],
    manifest: Annotated[
        list[Path],
        typer.Option(
            "--manifest",
            help="Labelled clips; give it again for several: each task takes the first that has "
            "the column it needs (tags, instrument, vocals_path; autoencoders need none).",
        ),
    ],
    grid: Annotated[
        str | None,
        typer.Option(help="quick, paper, authors, imperceptible, or FILE.yaml [quick]."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid, test, or all rows.")] = "test",
    clips: Annotated[int | None, typer.Option(help="Use at most this many clips a task.")] = None,
    clip_seconds: Annotated[float | None, typer.Option(help="Length of a clip [2].")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds, equal results [0].")] = None,
    noise: Annotated[
        str | None, typer.Option(help="A recording, or a folder of them, for EN [babble].")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="signalsmith, rubberband, rubberband-r3 [signalsmith].")
    ] = None,
    mp3_rate: Annotated[str | None, typer.Option(help="paper or true [paper].")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    out: Out = None,
    workers: Workers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Score anew where --out holds other task scores.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and estimate the time; write nothing.")
    ] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Score trained models in their tasks under every transformation."""
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.performance.run import make_performance_plan, perform
        from nearkin.performance.scored import TrainedModel
        from nearkin.workers import available_cores

        given = {
            "clips": clips,
            "clip_seconds": clip_seconds,
            "seed": seed,
            "noise": noise,
            "engine": engine,
            "mp3_rate": mp3_rate,
        }
        settings = {name: value for name, value in given.items() if value is not None}
        plan = make_performance_plan({**settings, "grid": grid or "quick"})
        trained = [TrainedModel(path, device=device) for path in models]
        processes = available_cores() if workers is None else workers
        if dry_run:
            from nearkin.performance.estimate import outlook

            seen = outlook(trained, manifest, plan=plan, split=split, workers=processes)
            for line in seen.lines():
                say(line)
            if as_json:
                say(json.dumps(seen.as_dict()))
            return
        with show(quiet=bool(quiet)) as progress:
            folder = perform(
                trained,
                manifest,
                Path("nearkin-run") if out is None else out,
                plan=plan,
                split=split,
                workers=processes,
                force=force,
                progress=progress,
            )
            report = _shown(folder, progress)
        _tell(folder, report, quiet=bool(quiet), as_json=bool(as_json))


def _shown(folder: Any, progress: Any) -> Path | None:
    """Draw the figures, and build the report anew where the folder holds a finished run."""
    run = folder.read_run()
    progress("report", 0, 1)
    if run is None or not run.get("finished"):
        from nearkin.report.figures import write_performance

        write_performance(folder.read_table("performance"), {}, folder.root / "figures")
        report = None
    else:
        from nearkin.api import Result

        result = Result(folder)
        result.figures()
        report = result.report()
    progress("report", 1, 1)
    return report


def _tell(folder: Any, report: Path | None, *, quiet: bool, as_json: bool) -> None:
    from nearkin.cli.perform_summary import essence

    record = folder.read_performance() or {}
    told = essence(folder.read_table("performance"), record, out=folder.root, report=report)
    if not quiet:
        for line in told.lines():
            say(line)
    code = EXIT_FAILURES if told.failed else 0
    if as_json:
        say(json.dumps({**told.as_dict(), "exit": code}))
    raise typer.Exit(code)
