"""What every command shares: options, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
    "refuse_taken",
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


def refuse_taken(
    option: str, file: Path | None, is_ours: Callable[[bytes], bool], *, read: Iterable[Path] = ()
) -> None:
    """Refuse to write a named file over anything but an older one of its kind.

    Parameters
    ----------
    option : str
        What names the file.
    file : Path, optional
    is_ours : callable
        Tells by its bytes whether a file is one that the option writes.
    read : iterable of Path
        Runs that are read: nothing of theirs is replaced.

    Raises
    ------
    InputError
    """
    from nearkin.errors import InputError, printable
    from nearkin.files import refuse_other_file
    from nearkin.runs.folder import CONTENT

    if file is None:
        return
    for run in read:
        inside = file.resolve().parts[len(run.resolve().parts) :]
        if file.resolve().is_relative_to(run.resolve()) and inside and inside[0] in CONTENT:
            raise InputError(
                f"{option} {printable(file)}: is part of the run that is read; name another file"
            )
    refuse_other_file(file, is_ours, told=f"{option} {printable(file)}")
