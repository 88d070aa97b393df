"""``nearkin corpus``: a data set becomes a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import Config, Json, Quiet, Workers, given, say, sentences, tell
from nearkin.corpora import CORPORA
from nearkin.errors import InputError

if TYPE_CHECKING:
    from nearkin.corpora.index import Contents

_SHOWN_LABELS = 11
_TITLES = "\n".join(f"  {name:20} {row.title}" for name, row in CORPORA.items())
DATA_SETS = f"\b\nData sets:\n{_TITLES}"


def corpus_command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help=f"{', '.join(CORPORA)}.")] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(help="Where the data set lies; a rendered one is written there."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The manifest to write, .csv or .parquet.")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="About how many hours [all].")] = None,
    test_soundfont: Annotated[
        str | None,
        typer.Option(
            help="What plays the test split of a rendered data set: a General MIDI .sf2 or .sf3 "
            "file, or none [fluidr3mono-gm-soundfont, if installed]."
        ),
    ] = None,
    voices: Annotated[
        str | None,
        typer.Option(
            help="Who sings in rendered-vocals: choir, festival (Festival with a diphone voice), "
            "or found: festival if installed, else choir [choir]."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds, equal manifests [0].")] = None,
    workers: Workers = None,
    force: Annotated[
        bool | None, typer.Option("--force", help="Replace another manifest that is there.")
    ] = None,
    config: Config = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Index a data set into a manifest, or render one."""
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.cli.settings import CorpusOptions, laid_over
        from nearkin.corpora.index import index
        from nearkin.workers import available_cores

        if root and len(root) > 1:
            raise InputError(
                f"--root is given {len(root)} times: a data set lies in one folder; name the "
                "folder that holds them all, or make a manifest of each"
            )
        flags = given(ctx) | ({"root": root[0]} if root else {})
        options = laid_over(CorpusOptions, flags, config)
        written = Path(options.out)
        with show(quiet=options.quiet) as progress:
            found = index(
                options.name,
                Path(options.root),
                written,
                hours=options.hours,
                seed=options.seed,
                workers=options.workers or available_cores(),
                progress=progress,
                force=options.force,
                **options.further(),
            )
        where = f"manifest: {written}"
        tell([*_lines(found), where], where, quiet=options.quiet, as_json=options.json_line)
        if options.json_line:
            say(json.dumps(_summary(written, found)))


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
    lines += found.notes
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
        "notes": list(found.notes),
    }
