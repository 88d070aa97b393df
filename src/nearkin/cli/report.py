"""``nearkin report``: the page and the figures again, from a run's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Quiet, sentences, tell


def report_command(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    quiet: Quiet = None,
) -> None:
    """Build report.html and figures/ again from a run's tables."""
    with sentences():
        from nearkin.api import load

        result = load(run)
        result.figures()
        page = result.report()
        said = f"report: {page}"
        tell([said], said, quiet=quiet, as_json=False)
