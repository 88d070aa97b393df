"""``nearkin compare``: encoders or runs side by side, tested clip by clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Json, Quiet, say, sentences, tell
from nearkin.cli.flags import Runs


def compare_command(
    runs: Runs,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            help="Compare these; give it again for several. [of one run the tested ones with the "
            "references, of several the tested ones]",
        ),
    ] = None,
    against: Annotated[
        str,
        typer.Option(help="Compare everything with this encoder only, such as random."),
    ] = "",
    n: Annotated[
        int | None,
        typer.Option(
            "--n", help="Also compare C_W in collections of this many clips (runs of different N)."
        ),
    ] = None,
    points: Annotated[
        bool, typer.Option("--points", help="Also a row for every single magnitude.")
    ] = False,
    resamples: Annotated[int, typer.Option(help="Resamples of the clips.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Equal seeds, equal results.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write comparison.parquet and comparison.csv to this folder."),
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Compare encoders of one run or of several: paired bootstrap over the clips they share.

    Of two runs the difference is the younger less the older, whatever their order here.
    """
    with sentences():
        from nearkin.ask import compare
        from nearkin.cli.compare_summary import lines
        from nearkin.files import finite
        from nearkin.ownership import OwnFolder
        from nearkin.runs.folder import COMPARISON_FILES, RunFolder

        found = compare(
            *runs,
            encoders=encoder or (),
            against=against,
            n=n,
            points=points,
            resamples=resamples,
            seed=seed,
        )
        if out is not None:
            target = RunFolder(out)
            if not target.is_run():  # in a run's own folder the comparison is one of its tables
                target.owned = OwnFolder(out, "comparison", COMPARISON_FILES)
                target.owned.claim(runs)
            with target.held():
                target.write_table("comparison", found.table, csv=True)
        said = lines(found, several_runs=len(runs) > 1)
        if out is None:  # nothing but the lines is the result
            tell(said, "\n".join(said), quiet=quiet, as_json=as_json)
        else:
            table = f"table: {out / 'comparison.csv'}"
            tell([*said, table], table, quiet=quiet, as_json=as_json)
        if as_json:
            rows = found.table.to_dict("records")
            told = {"n": found.n, "resamples": found.resamples, "notes": found.notes, "rows": rows}
            say(json.dumps(finite(told)))
