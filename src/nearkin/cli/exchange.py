"""``nearkin export`` and ``nearkin score``: clips out, embeddings in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import (
    Json,
    Out,
    Quiet,
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
    Engine,
    ExcerptsPerFile,
    Mp3Rate,
    Noise,
    OtherMusic,
    Split,
)
from nearkin.cli.run import run_and_tell


def export_command(
    ctx: typer.Context,
    audio: Annotated[
        list[str], typer.Argument(help="Audio files, folders, or manifests (.csv, .parquet).")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the clips and manifest.csv.")],
    grid: Annotated[
        str, typer.Option(help="quick, paper, everyday ... (nearkin list grids), or FILE.yaml.")
    ] = "quick",
    sample_rate: Annotated[int, typer.Option(help="Rate of the files in Hz.")] = 22_050,
    clips: Clips = None,
    excerpts_per_file: ExcerptsPerFile = None,
    clip_seconds: ClipSeconds = None,
    split: Split = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds, equal clips [0].")] = None,
    noise: Noise = None,
    other_music: OtherMusic = None,
    engine: Engine = None,
    mp3_rate: Mp3Rate = None,
    workers: Workers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Start anew where --out holds another export.")
    ] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Write transformed clips and a manifest, to embed anywhere and to score afterwards."""
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.errors import InputError
        from nearkin.progress import unsaid
        from nearkin.runs.exchange import MANIFEST, export
        from nearkin.runs.plan import Plan, make_plan
        from nearkin.workers import available_cores

        if not 1_000 <= sample_rate <= 192_000:
            raise InputError(f"sample_rate={sample_rate}: must be from 1000 to 192000 Hz")
        named = given(ctx, without=("sample_rate",)).items()
        settings = {name: value for name, value in named if name in Plan.model_fields}
        plan = make_plan({**settings, "encoders": []})
        with show(quiet=bool(quiet)) as progress:
            table = export(
                plan,
                audio,
                out,
                sample_rate=sample_rate,
                workers=workers or available_cores(),
                progress=progress,
                force=force,
                made_from=written_files({"grid": grid}, None),
                tell=unsaid if quiet else note,
            )
        files = int((table["status"] == "ok").sum())
        made = f"{files} files at {sample_rate} Hz, {len(table) - files} that could not be made"
        where = f"manifest: {out / MANIFEST}"
        tell([made, where], where, quiet=quiet, as_json=as_json)
        if as_json:
            say(json.dumps({"manifest": str(out / MANIFEST), "files": files, "rows": len(table)}))


def score_command(
    manifest: Annotated[Path, typer.Option(help="The manifest.csv that nearkin export wrote.")],
    embeddings: Annotated[
        list[Path],
        typer.Option(help=".npy or .npz (a row a row of the manifest), or .parquet; repeatable."),
    ],
    name: Annotated[
        list[str] | None, typer.Option(help="What the tables call it [the file's name].")
    ] = None,
    out: Out = None,
    workers: Workers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Start anew where --out holds another run.")
    ] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Score embeddings of exported clips: the tables and the report that a run would give."""
    with sentences():
        from nearkin.cli.settings import RunOptions
        from nearkin.runs.exchange import imported
        from nearkin.workers import available_cores

        plan, audio, sources = imported(manifest, embeddings, names=name or ())
        settings = RunOptions(
            audio=audio,
            out="nearkin-run" if out is None else str(out),
            force=force,
            quiet=bool(quiet),
            json=bool(as_json),
        )
        run_and_tell(settings, plan, sources, workers or available_cores(), [manifest, *embeddings])
