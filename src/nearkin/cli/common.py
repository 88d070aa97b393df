"""What every command shares: options, sentences instead of tracebacks, printing."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from nearkin.errors import InputError, NearkinError

EXIT_UNMET, EXIT_INPUT, EXIT_FAILURES, EXIT_INTERRUPTED = 1, 2, 3, 130

Out = Annotated[Path | None, typer.Option("--out", help="The run's folder [nearkin-run].")]
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML with any of these options; flags override it.")
]
Quiet = Annotated[bool | None, typer.Option("--quiet", help="Print the result only.")]
Json = Annotated[bool | None, typer.Option("--json", help="Make the last line machine-readable.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes [one for every core].")
]


def say(text: str) -> None:
    """Print a line whatever the terminal's encoding."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


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


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors made on purpose into one sentence on stderr and an exit code."""
    try:
        yield
    except NearkinError as error:
        fail(" ".join(str(error).split()), EXIT_INPUT)
    except KeyboardInterrupt:
        told = "interrupted: give the same command again, it goes on where it stopped"
        fail(told, EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(EXIT_INPUT) from None


def note(text: str) -> None:
    """Write a line to stderr whatever its encoding."""
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stderr.flush()


def fail(sentence: str, code: int) -> NoReturn:
    """Write one sentence to stderr and leave with an exit code."""
    encoding = sys.stderr.encoding or "utf-8"
    sentence = sentence.encode(encoding, "backslashreplace").decode(encoding)
    sys.stderr.write(f"nearkin: {sentence}\n")
    raise typer.Exit(code)


def run_names(folders: list[Path]) -> list[str]:
    """Return short names of runs: the folders' own, whole paths where these are not enough."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice}: is named twice; name each run once")
    return names
