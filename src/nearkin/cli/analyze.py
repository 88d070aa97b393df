"""``nearkin analyze``: the paper's additive model on the scores of one run or several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Json, Quiet, say, sentences, tell
from nearkin.cli.flags import Runs


def analyze_command(
    runs: Runs,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", help="Analyse these; give it again for several. [all]"),
    ] = None,
    at: Annotated[
        str,
        typer.Option(help="Marginal means over each cell's own magnitudes, or at the mean one."),
    ] = "own",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the tables [analysis/ in the only run's folder]."),
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Fit the paper's additive model: tests, marginal means and contrasts of encoders."""
    with sentences():
        from nearkin.api import load
        from nearkin.ask import analyze, write_analysis
        from nearkin.cli.bars import show
        from nearkin.errors import InputError
        from nearkin.files import finite
        from nearkin.report.figures import holds_performance

        if out is None and len(runs) > 1:
            raise InputError(f"{len(runs)} runs: their analysis belongs to none; pass --out DIR")
        results = [load(folder) for folder in runs]
        with show(quiet=bool(quiet)) as progress:
            found = analyze(
                *results,
                encoders=encoder or (),
                at=at,  # type: ignore[arg-type]
                progress=progress,
            )
        told, tables, pictures = write_analysis(found, results, out)
        means = found.tables["marginal_means"]
        drawn = "figures 5, 8 and 11" if holds_performance(means) else "figures 8 and 11"
        where = f"tables: {tables}; {drawn}: {pictures}"
        more = [f"nearkin report {runs[0]} shows them in the report"] if out is None else []
        tell([*told, where, *more], where, quiet=quiet, as_json=as_json)
        if as_json:
            by_name = {name: table.to_dict("records") for name, table in found.tables.items()}
            say(json.dumps(finite({"out": str(tables), "words": told, **by_name})))
