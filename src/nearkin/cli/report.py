"""``nearkin report``: the page and the figures again, from a run's tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import Quiet, note, sentences, tell
from nearkin.cli.flags import Run

if TYPE_CHECKING:
    from nearkin.runs.folder import RunFolder


def report_command(
    run: Run,
    sounds: Annotated[
        str,
        typer.Option(
            help="Lost clips to hear at every point: none, worst (until 2 MB are full), a size "
            "such as 10MB, or all."
        ),
    ] = "worst",
    quiet: Quiet = None,
) -> None:
    """Build report.html and figures/ again from a run's tables."""
    with sentences():
        from nearkin.api import load
        from nearkin.cli.bars import show
        from nearkin.errors import printable
        from nearkin.files import refuse_links
        from nearkin.runs.folder import CONTENT, RunFolder

        folder = RunFolder(run)
        refuse_links(folder.root, CONTENT)
        with show(quiet=bool(quiet)) as progress:
            if folder.read_run() is None and folder.has_table("performance"):
                page = _report_scores(folder)
            else:
                result = load(run)
                result.figures()
                page = result.report(sounds=sounds, progress=progress)
        gone = folder.removed()
        if gone and not quiet:
            more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
            note(
                f"nearkin: {printable(folder.root)}: {printable(gone[0])}{more} of the run is "
                "gone, and the page is without it; give the nearkin run command again, it makes "
                "it anew"
            )
        said = f"report: {page}"
        tell([said], said, quiet=quiet, as_json=False)


def _report_scores(folder: RunFolder) -> Path:
    """Write the report of a folder that holds task scores and no run; return its file."""
    from nearkin.report.page import build_scores
    from nearkin.results.schemas import read_checked

    name = "performance"
    file = folder.root / f"{name}.parquet"
    table = read_checked(lambda: folder.read_table(name), name, file)
    page = build_scores(table, folder.read_performance() or {})
    target = folder.root / "report.html"
    with folder.held():
        text = page.encode("utf-8", "backslashreplace")
        folder.write(target, lambda file: file.write(text))
    return target
