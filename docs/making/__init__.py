"""What the documentation makes when it is built: pages from the code's own tables.

`everything` is called by `docs/conf.py` before Sphinx reads a page. What it writes is listed in
.gitignore: a page is committed, or made, never both.
"""

from __future__ import annotations

from pathlib import Path

from making import commands, example, reference, transformations


def everything(docs: Path, *, run: str = "") -> None:
    """Write the pages, figures and sounds that follow from the code.

    Parameters
    ----------
    docs : Path
        The folder of the documentation.
    run : str
        A finished run whose report is shown as the example; ``nearkin demo`` where it is empty.
    """
    extra = docs / "extra"
    transformations.write(docs / "transformations", sounds=extra / "sounds")
    reference.write(docs / "api")
    commands.write(docs / "commands")
    example.write(extra / "example", run=run)
