"""``nearkin analyze``: the paper's additive model on the scores of one run or several."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from nearkin.cli.common import Json, Quiet, say, sentences, tell


def analyze_command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs' folders, one or more.")],
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
        import pandas as pd

        from nearkin.api import load
        from nearkin.ask import analyze, scores_of
        from nearkin.cli.bars import show
        from nearkin.errors import InputError
        from nearkin.files import finite
        from nearkin.lease import leased
        from nearkin.ownership import OwnFolder
        from nearkin.report.figures import PICTURES, holds_performance, write_means
        from nearkin.results.analysis_words import sentences as in_words
        from nearkin.runs.folder import RunFolder

        if out is None and len(runs) > 1:
            raise InputError(f"{len(runs)} runs: their analysis belongs to none; pass --out DIR")
        results = [load(folder) for folder in runs]
        scores = scores_of(results)
        with show(quiet=bool(quiet)) as progress:
            found = analyze(
                *results,
                encoders=encoder or (),
                at=at,  # type: ignore[arg-type]
                progress=progress,
            )
        told = in_words(found)
        home = RunFolder(runs[0])
        if out is None:
            owned, tables, pictures = home.owned, home.root / "analysis", home.root / "figures"
        else:
            files = [*(f"{name}.csv" for name in found.tables), "summary.txt", *PICTURES]
            owned, tables, pictures = OwnFolder(out, "analysis", files), out, out
            owned.claim(runs)
        rows = pd.concat([score.consistency for score in scores], ignore_index=True)
        record = {"encoders": [row for score in scores for row in score.record["encoders"]]}
        means = found.tables["marginal_means"]
        with leased(owned.root):
            if out is None:
                home.open_folder("analysis")
                home.open_folder("figures")
            owned.delete([tables / "summary.txt"])  # it marks an analysis as whole: last written
            for name, table in found.tables.items():
                text = table.to_csv(index=False, lineterminator="\n")
                owned.write(tables / f"{name}.csv", functools.partial(_put, text))
            owned.write(tables / "summary.txt", functools.partial(_put, "\n\n".join(told) + "\n"))
            owned.expect(pictures / name for name in PICTURES)
            write_means(means, rows, record, pictures)
        drawn = "figures 5, 8 and 11" if holds_performance(means) else "figures 8 and 11"
        where = f"tables: {tables}; {drawn}: {pictures}"
        more = [f"nearkin report {runs[0]} shows them in the report"] if out is None else []
        tell([*told, where, *more], where, quiet=quiet, as_json=as_json)
        if as_json:
            by_name = {name: table.to_dict("records") for name, table in found.tables.items()}
            say(json.dumps(finite({"out": str(tables), "words": told, **by_name})))


def _put(text: str, file: BinaryIO) -> None:
    file.write(text.encode("utf-8", "backslashreplace"))
