"""``nearkin reproduce``: the paper's study from audio to a page that answers its findings."""

from __future__ import annotations

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
from nearkin.cli.flags import DryRun, Seed, Storage
from nearkin.errors import InputError, printable

if TYPE_CHECKING:
    from nearkin.cli.settings import ReproduceOptions
    from nearkin.study.places import StudyFolder
    from nearkin.study.plan import StudyPlan


def reproduce_command(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="The study's folder [nearkin-study].")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="small (300 steps, 100 clips), medium (until validation stops to fall, 300 "
            "clips) or paper (its epochs, 1,000 clips) [small]."
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Of each network and head [5].")] = None,
    head_trials: Annotated[
        int | None, typer.Option(help="Of each head on MFCC [as of the networks].")
    ] = None,
    manifest: Annotated[
        list[str] | None,
        typer.Option(
            "--manifest",
            help="TASK=FILE, such as ir=irmas.csv; give it again for several. What is not given "
            "is rendered; ae takes at's.",
        ),
    ] = None,
    clips_from: Annotated[
        list[Path] | None,
        typer.Option(
            "--clips-from",
            help="Files, folders or manifests whose clips no network was trained on; give it "
            "again for several [the test split of at].",
        ),
    ] = None,
    clips: Annotated[int | None, typer.Option(help="Test clips [the scale's].")] = None,
    task_clips: Annotated[
        int | None, typer.Option(help="Test clips of each task's scores [as --clips].")
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="paper, authors, quick, or FILE.yaml [paper].")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="Of each corpus that is rendered [the scale's].")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Steps of a training at the most [the scale's].")
    ] = None,
    seed: Seed = None,
    storage: Storage = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, or bf16-mixed (twice as fast where the CPU computes in it) [32-true]."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps [cpu].")] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads of a training; 1: side by side [all cores]."),
    ] = None,
    workers: Workers = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Do the whole study: train what is missing, run, analyse, set beside the paper.

    The same command goes on where it was stopped.
    """
    with sentences():
        from nearkin.cli.settings import ReproduceOptions, laid_over
        from nearkin.workers import available_cores

        options = laid_over(ReproduceOptions, given(ctx), config)
        plan = plan_of(options)
        workers = options.workers or available_cores()
        if options.dry_run:
            _estimate(options, plan, workers)
        else:
            _reproduce(options, plan, workers)


def plan_of(options: ReproduceOptions) -> StudyPlan:
    """Return the plan of a study from its options."""
    from nearkin.study.plan import StudyPlan

    manifests: dict[str, Path] = {}
    for text in options.manifest:
        task, equals, path = text.partition("=")
        if not equals or not path:
            raise InputError(
                f"--manifest {printable(text)}: names no task; write TASK=FILE, as in ir=irmas.csv"
            )
        if task in manifests:
            raise InputError(f"--manifest {printable(text)}: {task} has one already; name one")
        manifests[task] = Path(path)
    return StudyPlan(
        **options.study(), manifests=manifests, audio=tuple(map(Path, options.clips_from))
    )


def _estimate(options: ReproduceOptions, plan: StudyPlan, workers: int) -> None:
    from nearkin.memory import keep_freed_memory
    from nearkin.optional import need
    from nearkin.study.estimate import estimate
    from nearkin.study.places import StudyFolder
    from nearkin.study.study import require_possible

    folder = StudyFolder(Path(options.out))
    require_possible(plan, folder)
    torch = need("torch", extra="torch")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_freed_memory()
    found = estimate(plan, folder, workers=workers)
    for line in found.lines():
        say(line)
    if options.json_line:
        say(json.dumps(found.as_dict()))


def _reproduce(options: ReproduceOptions, plan: StudyPlan, workers: int) -> NoReturn:
    from nearkin.cli.bars import show
    from nearkin.memory import keep_freed_memory
    from nearkin.optional import need
    from nearkin.study.study import reproduce

    torch = need("torch", extra="torch")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_freed_memory()
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        if not options.quiet:
            note(f"nearkin: {sentence}")

    with show(quiet=options.quiet) as progress:
        folder = reproduce(plan, Path(options.out), workers=workers, progress=progress, tell=tell)
    _tell(options, folder, told)


def _tell(options: ReproduceOptions, folder: StudyFolder, told: list[str]) -> NoReturn:
    import pandas as pd

    from nearkin.study.rules import VERDICTS

    decided = pd.read_csv(folder.root / "claims.csv")
    counts = {str(word): int(n) for word, n in decided["verdict"].value_counts().items()}
    words = ", ".join(f"{word} {counts[word]}" for word in VERDICTS if word in counts)
    page = folder.root / "report.html"
    if not options.quiet:
        say(f"of {len(decided)} findings of the paper: {words}")
        say(f"claims: {folder.root / 'claims.csv'}")
    say(f"report: {page}")
    code = EXIT_FAILURES if any("left out" in sentence for sentence in told) else 0
    if options.json_line:
        found = {"out": str(folder.root), "report": str(page), "verdicts": counts}
        say(json.dumps({**found, "told": told, "exit": code}))
    raise typer.Exit(code)
