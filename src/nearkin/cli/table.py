"""``nearkin table``: one measure, encoders by transformations, for a paper or a page."""

from __future__ import annotations

from typing import Annotated

import typer

from nearkin.cli.common import say, sentences
from nearkin.cli.flags import Encoders, Run


def table_command(
    run: Run,
    measure: Annotated[
        str, typer.Option(help="C_W, C_W@100, C_B_rho, C_B_acc, kappa, monotonicity.")
    ] = "C_W",
    distance: Annotated[
        str | None,
        typer.Option(help="Such as cosine; between spaces both, such as dtw,cosine [cosine]."),
    ] = None,
    at: Annotated[
        str, typer.Option(help="mildest, most-severe, or points such as 'TS=1.1, PN=30'.")
    ] = "mildest",
    encoder: Encoders = None,
    form: Annotated[str, typer.Option("--format", help="markdown, latex or csv.")] = "markdown",
    digits: Annotated[int, typer.Option(min=0, max=6, help="Decimals.")] = 2,
) -> None:
    """Print a table with 95 % intervals: encoders by transformations, ready to paste."""
    with sentences():
        from nearkin.api import load
        from nearkin.results.crosstab import crosstab, render

        result = load(run)
        found = crosstab(
            result.consistency,
            result.run,
            measure=measure,
            distance=distance,
            at=at,
            encoders=encoder or None,
        )
        say(render(found, form, digits=digits).rstrip("\n"))
