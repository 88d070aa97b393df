"""``nearkin perceive``: how much is heard of every change of a run, and C_W where it is equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearkin.cli.common import (
    Json,
    Quiet,
    Workers,
    note,
    refuse_taken,
    say,
    sentences,
    tell,
)
from nearkin.cli.flags import Run

if TYPE_CHECKING:
    import pandas as pd


def perceive_command(
    run: Run,
    root: Annotated[
        Path, typer.Option(help="Where relative paths of its clips begin [this folder].")
    ] = Path(),
    mos: Annotated[
        float, typer.Option(help="Mean opinion score at which C_W is told [4.5].")
    ] = 4.5,
    jnd: Annotated[
        float, typer.Option(help="Just noticeable differences at which C_W is told [1].")
    ] = 1.0,
    grid_out: Annotated[
        Path | None,
        typer.Option("--grid-out", help="Write an equally audible grid of these clips (.yaml)."),
    ] = None,
    workers: Workers = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Measure how audible every change of a run is; compare encoders where it is equal."""
    with sentences():
        from nearkin.api import load
        from nearkin.cli.bars import show
        from nearkin.errors import InputError, printable
        from nearkin.files import finite, write_whole
        from nearkin.progress import unsaid
        from nearkin.results.answers import RunTables
        from nearkin.results.audibility import audibility, heard_of
        from nearkin.results.equal import equal_points, grid_file, is_grid_file
        from nearkin.runs.audible import asked_clips, listening
        from nearkin.runs.perceive import perceive
        from nearkin.transforms.magnitudes import mildest
        from nearkin.workers import available_cores

        if grid_out is not None and grid_out.suffix not in (".yaml", ".yml"):
            raise InputError(f"--grid-out {printable(grid_out)}: must end in .yaml; rename it")
        refuse_taken("--grid-out", grid_out, is_grid_file, read=[run])
        result = load(run)
        cores = available_cores() if workers is None else workers
        with show(quiet=bool(quiet)) as progress:
            table = perceive(
                result.folder,
                root=root,
                workers=cores,
                progress=progress,
                tell=unsaid if quiet else note,
            )
        tables = RunTables(run.name, result.run, result.clips, result.queries)
        scores = audibility(tables, table, mos=mos, jnd=jnd)
        result.folder.write_table("audibility", scores, csv=True)
        if grid_out is not None:
            asked = asked_clips(table)
            mine = table[table["clip_id"].isin(asked)]
            with (
                show(quiet=bool(quiet)) as progress,
                listening(result.folder, asked, root=root, workers=cores) as hear,
            ):
                points = equal_points(mine, hear, progress=progress)
            text = grid_file(points, n_clips=len(asked))
            write_whole(grid_out, lambda file: file.write(text))
        tried = mildest(table[["transformation", "magnitude"]].itertuples(index=False, name=None))
        told = heard_of(table, tried)
        shown = [
            *(["the mildest magnitudes: " + "; ".join(told)] if told else []),
            *_lines(scores, mos=mos, jnd=jnd),
            *([f"grid: {grid_out}"] if grid_out is not None else []),
            f"table: {run / 'audibility.csv'}",
        ]
        tell(shown, str(run / "audibility.csv"), quiet=quiet, as_json=as_json)
        if as_json:
            say(json.dumps(finite({"rows": scores.to_dict("records")})))


def _lines(scores: pd.DataFrame, *, mos: float, jnd: float) -> list[str]:
    from nearkin.results.audibility import FEWEST
    from nearkin.transforms.magnitudes import direction

    lines = []
    mine = scores[scores["latent_distance"] == "cosine"]
    for scale, title in (
        ("mos", f"C_W by cosine where the change is heard as MOS {mos:g}:"),
        ("jnd", f"C_W by cosine at {jnd:g} just noticeable difference{'' if jnd == 1 else 's'}:"),
    ):
        part = mine[mine["scale"] == scale]
        if len(part):
            lines.append(title)
        for _, rows in part.groupby(["transformation", "side"], sort=False):
            told = "; ".join(_value(row) for _, row in rows.iterrows() if row["n"] >= FEWEST)
            first = rows.iloc[0]
            name = direction(str(first["transformation"]), str(first["side"]))
            at = f"(median {first['magnitude']:.3g}, {first['n']} clips)"
            lines.append(f"  {name:4} {f'{at}: {told}' if told else first['status']}")
    return lines


def _value(row: Any) -> str:
    from nearkin.results.systems import System

    label = System(str(row["encoder"]), str(row["task"] or ""), "").label
    interval = (
        "" if row["ci_low"] != row["ci_low"] else f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    )
    return f"{label} {row['value']:.2f}{interval}"
