"""``nearkin report``: the page and the figures again, from a run's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Quiet, sentences, tell


def report_command(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    sounds: Annotated[
        str,
        typer.Option(
            help="Lost clips to hear at every point: none, worst (until 10 MB are full), or all."
        ),
    ] = "worst",
    quiet: Quiet = None,
) -> None:
    """Build report.html and figures/ again from a run's tables."""
    with sentences():
        from nearkin.api import load
        from nearkin.cli.bars import show

        result = load(run)
        with show(quiet=bool(quiet)) as progress:
            result.figures()
            page = result.report(sounds=sounds, progress=progress)  # type: ignore[arg-type]
        said = f"report: {page}"
        tell([said], said, quiet=quiet, as_json=False)
