"""What every command shares: options, and what they are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nearkin.cli.endings import EXIT_FAILURES, EXIT_UNMET, sentences
from nearkin.cli.telling import fail, note, say

__all__ = [
    "EXIT_FAILURES",
    "EXIT_UNMET",
    "Array",
    "Json",
    "Out",
    "Quiet",
    "Scheduler",
    "Workers",
    "fail",
    "given",
    "note",
    "refuse_file_of",
    "refuse_others",
    "say",
    "sentences",
    "tell",
    "written_files",
]

Out = Annotated[Path | None, typer.Option("--out", help="The run's folder [nearkin-run].")]
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML with any of these options; flags override it.")
]
Quiet = Annotated[bool | None, typer.Option("--quiet", help="Print the result only.")]
Json = Annotated[bool | None, typer.Option("--json", help="Make the last line machine-readable.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="A Dask cluster instead: tcp://HOST:PORT, or file:scheduler.json.", metavar="WHERE"
    ),
]
Array = Annotated[
    str | None,
    typer.Option(
        "--array", metavar="K/N", help="This is job K of N that share the work through --out."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes [one for every core].")
]


def given(ctx: typer.Context, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the options and arguments of a command that were given, by name.

    ``--config`` is none of them: it names a file of others.
    """
    named = {("json" if name == "as_json" else name): value for name, value in ctx.params.items()}
    return {
        name: value
        for name, value in named.items()
        if value not in (None, [], ()) and name != "config" and name not in without
    }


def tell(lines: Iterable[str], result: str, *, quiet: bool | None, as_json: bool | None) -> None:
    """Print what a command found; with --quiet its result alone, which --json prints itself."""
    if not quiet:
        for line in lines:
            say(line)
    elif not as_json:
        say(result)


def written_files(settings: Mapping[str, Any], config: Path | None) -> list[Path]:
    """Return the files that a user wrote and a command read: its configuration, and its grid."""
    grid = settings.get("grid")
    named = [Path(grid)] if isinstance(grid, str) and Path(grid).suffix else []
    return [*([config] if config else []), *named]


def refuse_file_of(runs: Iterable[Path], option: str, file: Path) -> None:
    """Refuse to write a file over what a run consists of."""
    from nearkin.errors import InputError, printable
    from nearkin.runs.folder import CONTENT

    for run in runs:
        inside = file.resolve().parts[len(run.resolve().parts) :]
        if file.resolve().is_relative_to(run.resolve()) and inside and inside[0] in CONTENT:
            raise InputError(
                f"{option} {printable(file)}: is part of the run that is read; name another file"
            )


def refuse_others(file: Path, option: str, mark: bytes) -> None:
    """Refuse to write over a file that nearkin did not write: one without a mark at its head."""
    from nearkin.errors import InputError, printable

    if not file.exists() and not file.is_symlink():
        return
    try:
        ours = file.is_file() and mark in file.read_bytes()[:4096]
    except OSError:
        ours = False
    if not ours:
        raise InputError(
            f"{option} {printable(file)}: is there and was not written by nearkin; name another "
            "file"
        )
