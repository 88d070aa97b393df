"""``nearkin run``: from sound files to tables, figures and a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nearkin.cli.common import (
    EXIT_FAILURES,
    Array,
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
    tell,
    written_files,
)
from nearkin.cli.flags import (
    Clips,
    ClipSeconds,
    CollectionSizes,
    Device,
    DryRun,
    Engine,
    ExcerptsPerFile,
    Extrapolate,
    Grid,
    LoudnessWindow,
    Mp3Rate,
    Noise,
    OtherMusic,
    Seed,
    Split,
    Storage,
)

if TYPE_CHECKING:
    from nearkin.api import Result
    from nearkin.cli.settings import RunOptions
    from nearkin.gallery.stage import Asked
    from nearkin.progress import Progress, Tell
    from nearkin.runs.folder import RunFolder
    from nearkin.runs.plan import Plan
    from nearkin.runs.run import Fits
    from nearkin.runs.sources import EncoderSource
    from nearkin.workers import Place


def run_command(
    ctx: typer.Context,
    audio: Annotated[
        list[str] | None,
        typer.Argument(help="Audio files, folders, or manifests (.csv, .parquet)."),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            help="mfcc, logmel-projection, constant, vgg-ae, vgg-at, vgg-ir, vgg-vs, "
            "package.module:attribute, ./file.py:attribute, hear:package.module[@weights], "
            "FILE.onnx, FILE.safetensors, torchscript:FILE.pt, hf:PATH_OR_NAME, "
            "embeddings:FILE.parquet, map:FILE+SPEC; give it again for several. [mfcc]",
        ),
    ] = None,
    encoder_options: Annotated[
        list[str] | None,
        typer.Option("--encoder-options", help="JSON options, one for each --encoder."),
    ] = None,
    out: Out = None,
    grid: Grid = None,
    clips: Clips = None,
    excerpts_per_file: ExcerptsPerFile = None,
    clip_seconds: ClipSeconds = None,
    split: Split = None,
    seed: Seed = None,
    noise: Noise = None,
    other_music: OtherMusic = None,
    engine: Engine = None,
    mp3_rate: Mp3Rate = None,
    audio_window: Annotated[str | None, typer.Option(help="clip or full [clip].")] = None,
    storage: Storage = None,
    loudness_window: LoudnessWindow = None,
    dtw: Annotated[
        str | None, typer.Option(help="exact, or fast: the fastdtw package, slow [exact].")
    ] = None,
    rho: Annotated[str | None, typer.Option(help="pooled, clips or own [pooled].")] = None,
    duplicates: Annotated[
        str | None,
        typer.Option(help="one or all: which of the recordings that sound the same [one]."),
    ] = None,
    others: Annotated[
        str | None,
        typer.Option(help="all, or group: leave clips of the own file or group out [all]."),
    ] = None,
    references: Annotated[
        str | None,
        typer.Option(help="all, or untrained: leave out vgg-ae, vgg-at, vgg-ir, vgg-vs [all]."),
    ] = None,
    working_rate: Annotated[
        int | None,
        typer.Option(help="Hz at which audio is read and changed; raise it for encoders above."),
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz at which a plain callable takes audio [22050].")
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(help="How a time axis is pooled: mean, max, meanstd, first [mean]."),
    ] = None,
    distances: Annotated[
        list[str] | None,
        typer.Option("--distance", help="A distance that an installed package adds; repeatable."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="A hidden state's number, or all: a line for each.")
    ] = None,
    pad: Annotated[
        str | None, typer.Option(help="zero or loop: lengthen clips for fixed-length models.")
    ] = None,
    device: Device = None,
    trust: Annotated[
        bool | None,
        typer.Option("--trust", help="Run code that models' files bring along: TorchScript, hf:."),
    ] = None,
    allow_stochastic: Annotated[
        bool | None,
        typer.Option("--allow-stochastic", help="Average an encoder that is random by the call."),
    ] = None,
    calls: Annotated[
        int | None, typer.Option(help="Calls averaged of such an encoder [8].")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    array: Array = None,
    gallery: Annotated[
        list[str] | None,
        typer.Option(
            "--gallery",
            help="Recordings that lie among the originals, unchanged: a folder of music, or "
            "ENCODER=FILE.npy or .parquet of vectors, once for each encoder.",
        ),
    ] = None,
    n: CollectionSizes = None,
    extrapolate: Extrapolate = None,
    keep_distances: Annotated[
        bool | None, typer.Option("--keep-distances", help="Keep the audio space's distances.")
    ] = None,
    attack: Annotated[
        bool | None,
        typer.Option(
            "--attack", help="Also search the worst change of every clip at 60 to 30 dB SNR."
        ),
    ] = None,
    keep_attacks: Annotated[
        bool | None, typer.Option("--keep-attacks", help="Keep the attacked clips as WAV files.")
    ] = None,
    no_report: Annotated[
        bool | None,
        typer.Option("--no-report", help="Tables only; nearkin report makes page and figures."),
    ] = None,
    force: Annotated[
        bool | None, typer.Option("--force", help="Start anew where --out holds another run.")
    ] = None,
    dry_run: DryRun = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Test encoders on your music: from files to tables, figures and a report."""
    with sentences():
        from nearkin.cli.settings import merged

        run_settings(merged(given(ctx), config), config)


def run_settings(settings: RunOptions, config: Path | None = None) -> None:
    """Do what settings ask for: a run, or an estimate of one."""
    plan, sources, place = settings.resolved()
    if settings.dry_run:
        from nearkin.runs.estimate import estimate
        from nearkin.workers import workers_at

        _fitting(plan, settings)  # a size that none can have is told here, too
        expected = estimate(
            plan, settings.audio, encoders=sources, workers=workers_at(place, else_=1)
        )
        for line in expected.lines():
            say(line)
        if settings.json_line:
            say(json.dumps(expected.as_dict()))
        return
    inputs = written_files(settings.plan, config)
    run_and_tell(settings, plan, sources, place, inputs)


def run_and_tell(
    settings: RunOptions,
    plan: Plan,
    sources: Sequence[EncoderSource],
    place: Place,
    inputs: Sequence[Path] = (),
) -> NoReturn:
    """Do a run, write its report, tell what came of it, and leave with its exit code."""
    from nearkin.api import Result
    from nearkin.cli.bars import show
    from nearkin.progress import unsaid
    from nearkin.runs.run import one_at_a_time, run

    with show(quiet=settings.quiet) as progress:
        folder = run(
            plan,
            settings.audio,
            Path(settings.out),
            encoders=sources,
            workers=place,
            keep_distances=settings.keep_distances,
            keep_attacks=settings.keep_attacks,
            force=settings.force,
            made_from=inputs,
            fits=_fitting(plan, settings),
            progress=progress,
            tell=unsaid if settings.quiet else note,
        )
        result = Result(folder)
        with one_at_a_time(folder.root, place):
            anew = bool(plan.gallery) and _laid(result, plan, settings, place, progress)
            lost = lost_drawings(
                folder, unsaid if settings.quiet else note, again=not settings.no_report
            )
            there = (folder.root / "report.html").is_file() and not anew and not lost
            if not settings.no_report and not there:
                progress("report", 0, 2)
                result.figures()
                progress("report", 1, 2)
                result.report(progress=progress)
                progress("report", 2, 2)
    _tell(result, quiet=settings.quiet, as_json=settings.json_line)


def _fitting(plan: Plan, settings: RunOptions) -> Fits | None:
    """Return what asks before the work whether the run's gallery fits."""
    if not plan.gallery:
        return None
    from nearkin.gallery.stage import Fitting

    return Fitting(_asked_of(plan, settings), Path(settings.out))


def _asked_of(plan: Plan, settings: RunOptions) -> Asked:
    from nearkin.gallery.stage import Asked

    return Asked(plan.gallery or (), settings.n, settings.extrapolate)


def _laid(
    result: Result, plan: Plan, settings: RunOptions, place: Place, progress: Progress
) -> bool:
    """Lay the run's gallery among its originals; tell whether it was not there yet."""
    from nearkin.gallery.stage import lay_gallery
    from nearkin.progress import unsaid
    from nearkin.workers import ArrayJob

    with result.folder.held():
        laid = lay_gallery(
            result.folder,
            _asked_of(plan, settings),
            workers=1 if isinstance(place, ArrayJob) else place,
            progress=progress,
            tell=unsaid if settings.quiet else note,
        )
    return laid.anew


def lost_drawings(folder: RunFolder, say_so: Tell, *, again: bool) -> bool:
    """Look at what a finished run holds beside its tables; tell what was changed or damaged.

    Parameters
    ----------
    folder : RunFolder
    say_so : callable
    again : bool
        Whether the caller draws pages, figures and sounds again: what was damaged is removed then.

    Returns
    -------
    bool
        Whether some are to be drawn again.
    """
    from nearkin.errors import printable
    from nearkin.runs.folder import made_by

    damaged = folder.damaged_beside()
    if not damaged:
        return False
    by_command: dict[str, list[str]] = {}
    for name in damaged:
        by_command.setdefault(made_by(name), []).append(name)
    drawn = by_command.get("nearkin report", []) if again else []
    for command, names in by_command.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        remedy = "it is drawn again" if names is drawn else f"give the {command} command again"
        say_so(
            f"{printable(folder.root)}: {printable(names[0])}{more} was changed, damaged or "
            f"removed after it was written; {remedy}"
        )
    gone = [name for name in damaged if name in drawn or not (folder.root / name).exists()]
    with folder.held():
        folder.owned.delete(folder.root / name for name in gone)
    return bool(drawn)


def _tell(result: Result, *, quiet: bool, as_json: bool) -> NoReturn:
    from nearkin.cli.summary import summary

    told = summary(result)
    tell(told.lines(), told.result(), quiet=quiet, as_json=as_json)
    code = 0 if told.is_whole else EXIT_FAILURES
    if as_json:
        say(json.dumps({**told.as_dict(), "exit": code}))
    raise typer.Exit(code)
