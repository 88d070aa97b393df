"""``nearkin corpus``: a data set becomes a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import Json, Quiet, Workers, say, sentences, tell
from nearkin.corpora import CORPORA

if TYPE_CHECKING:
    from nearkin.corpora.index import Contents

_SHOWN_LABELS = 11
_TITLES = "\n".join(f"  {name:20} {row.title}" for name, row in CORPORA.items())
DATA_SETS = f"\b\nData sets:\n{_TITLES}"


def corpus_command(
    name: Annotated[str, typer.Argument(help=f"{', '.join(CORPORA)}.")],
    root: Annotated[
        Path, typer.Option(help="Where the data set lies; a rendered one is written there.")
    ],
    out: Annotated[Path, typer.Option(help="The manifest to write, .csv or .parquet.")],
    hours: Annotated[float | None, typer.Option(help="About how many hours [all].")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds, equal manifests.")] = 0,
    workers: Workers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another manifest that is there.")
    ] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Index a data set into a manifest, or render one."""
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.corpora.index import index
        from nearkin.workers import available_cores

        with show(quiet=bool(quiet)) as progress:
            found = index(
                name,
                root,
                out,
                hours=hours,
                seed=seed,
                workers=workers or available_cores(),
                progress=progress,
                force=force,
            )
        where = f"manifest: {out}"
        tell([*_lines(found), where], where, quiet=quiet, as_json=as_json)
        if as_json:
            say(json.dumps(_summary(out, found)))


def _lines(found: Contents) -> list[str]:
    lines = [f"{'split':6} {'clips':>7} {'hours':>8} {'groups':>7}"]
    lines += [
        f"{split:6} {part.clips:7} {part.hours:8.2f} {part.groups:7}"
        for split, part in found.splits.items()
    ]
    for column, counts in found.labels.items():
        if column == "vocals_path":
            lines.append(f"vocals: {counts['vocals']} clips")
            continue
        shown = ", ".join(f"{label} {n}" for label, n in list(counts.items())[:_SHOWN_LABELS])
        more = len(counts) - _SHOWN_LABELS
        kind = "tags" if column == "tags" else "instruments"
        lines.append(f"{len(counts)} {kind}: {shown}" + (f", and {more} more" if more > 0 else ""))
    if found.left_out:
        lines.append(f"left out: {len(found.left_out)} files; the first: {found.left_out[0]}")
    return lines


def _summary(out: Path, found: Contents) -> dict[str, object]:
    return {
        "manifest": str(out),
        "clips": sum(part.clips for part in found.splits.values()),
        "splits": {split: part._asdict() for split, part in found.splits.items()},
        "labels": found.labels,
        "left_out": len(found.left_out),
    }
