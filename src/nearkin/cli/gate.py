"""``nearkin gate``: requirements a run has to meet, for the CI of a model's repository."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import EXIT_UNMET, Json, Quiet, say, sentences, tell

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.api import Result


def gate_command(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            help="Such as 'C_W[mfcc,cosine] >= 0.95 @ MP>=128, PS in -1..1' or "
            "'mean(C_B_acc[mfcc,dtw,cosine]) > 0.8 @ imperceptible'; give it again for several.",
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            help="value, or lower: the 95 % interval's end on the wrong side has to hold too."
        ),
    ] = "value",
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Hold a run to requirements: exit 0 when all are met, 1 when not, 2 when one is malformed."""
    with sentences():
        from nearkin.api import load
        from nearkin.files import finite
        from nearkin.results.gate import judge
        from nearkin.results.gate import junit as junit_xml
        from nearkin.runs.folder import RunFolder

        name = run.resolve().name
        target = None if junit is None else _writable(junit)

        def report(xml: bytes) -> None:
            if target is not None:
                RunFolder(target.parent).write(target, lambda file: file.write(xml))

        try:
            result = load(run)
            table = _with_collections(result, require or [])
            outcomes = judge(require or [], table, result.run, on=on)  # type: ignore[arg-type]
        except Exception as error:  # whatever it is: a CI that reads the file has to see it
            report(junit_xml([], run=name, problem=str(error) or type(error).__name__))
            raise
        report(junit_xml(outcomes, run=name))
        met = all(outcome.met for outcome in outcomes)
        n_met = sum(outcome.met for outcome in outcomes)
        said = (outcome.sentence() for outcome in outcomes)
        tell(said, f"{n_met} of {len(outcomes)} met", quiet=quiet, as_json=as_json)
        if as_json:
            rows = [outcome.as_dict() for outcome in outcomes]
            say(json.dumps(finite({"met": met, "requirements": rows})))
    if not met:
        raise typer.Exit(EXIT_UNMET)


def _writable(junit: Path) -> Path:
    """Return where the JUnit file is written; a link is followed to the file it names."""
    from nearkin.errors import InputError, printable

    target = junit.resolve()
    if target.exists() and not target.is_file():
        raise InputError(f"--junit {printable(junit)}: is no regular file; name a file")
    if not target.parent.is_dir():
        raise InputError(
            f"--junit {printable(junit)}: there is no folder {printable(target.parent)}; make it, "
            "or name a file elsewhere"
        )
    return target


def _with_collections(result: Result, require: list[str]) -> pd.DataFrame:
    """Return the run's table with every C_W@n that is asked for and not in it."""
    import pandas as pd

    from nearkin.errors import InputError
    from nearkin.results.answers import RunTables
    from nearkin.results.collections import collection_rows
    from nearkin.results.requirements import parse

    parts = [result.consistency]
    sizes = set()
    for text in require:
        with contextlib.suppress(InputError):  # told with all others when they are judged
            sizes.add(parse(text).size)
    present = set(result.consistency["measure"])
    for size in sorted(sizes - {0}):
        if f"C_W@{size}" not in present:
            tables = RunTables(result.path.name, result.run, result.clips, result.queries)
            parts.append(collection_rows(tables, size))
    return pd.concat(parts, ignore_index=True)
