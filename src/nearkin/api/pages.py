"""What a result shows and hands on: the paper's figures, verdicts in a notebook, sounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.errors import RunError, printable
from nearkin.ownership import OwnFolder

if TYPE_CHECKING:
    from nearkin.results.verdicts import Verdict
    from nearkin.runs.folder import RunFolder


def write_figures(
    of_run: RunFolder,
    folder: str | os.PathLike[str] | None,
    draw: Callable[[Path], list[Path]],
) -> list[Path]:
    """Write the paper's figures, which `draw` puts into a folder; see `Result.figures`."""
    from nearkin.report.figures import PICTURES
    from nearkin.report.figures.files import is_drawn

    own = of_run.root / "figures"
    if folder is None or Path(folder).resolve() == own.resolve():
        with of_run.held():
            target = of_run.open_folder("figures")
            of_run.owned.expect(target / name for name in PICTURES)
            written = draw(target)
            of_run.owned.wrote(*written)
            return written
    target = Path(folder)
    owned = OwnFolder(target, "figures", PICTURES, option="folder", shared=True)
    # drawn before folders of figures were marked
    there = [path for path in map(target.joinpath, PICTURES) if os.path.lexists(path)]
    older = [path for path in there if not owned.owns(path) and is_drawn(path)]
    if owned.is_own():
        owned.own(*older)
    elif older:
        others = [path.name for path in there if path not in older]
        OwnFolder(target, "figures", others, option="folder", shared=True).decide()
        owned.adopt(*older)
    owned.claim()
    owned.expect(target / name for name in PICTURES)
    written = draw(target)
    owned.wrote(*written)
    return written


def as_html(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a notebook shows them."""

    def cell(text: str) -> str:
        return f"<td style='text-align:left'>{escape(text)}</td>"

    rows = "".join(
        f"<tr>{cell(one.label)}{cell(one.near.line or one.near.word)}"
        f"{cell(one.further.line or one.further.word)}</tr>"
        for one in verdicts
        if one.role != "audio"
    )
    heads = ("encoder", "small changes stay near", "more severe changes move further")
    return (
        f"<p>nearkin: {run['n']} clips, grid {escape(str(run['grid']['name']))}</p>"
        f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def read_mp3(path: Path) -> bytes:
    """Return an MP3 file's bytes: what is none, a hard link to a private file say, is not shown."""
    data = path.read_bytes()
    if data[:3] != b"ID3" and (data[:1] != b"\xff" or data[1:2] < b"\xe0"):
        raise RunError(
            f"{printable(path)}: is no MP3, and the page would hold it; remove it, or give the "
            "nearkin run command again"
        )
    return data
