"""``nearkin gate``: requirements a run has to meet, for the CI of a model's repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import EXIT_UNMET, Json, Quiet, note, refuse_taken, say, sentences, tell
from nearkin.cli.flags import Run


def gate_command(
    run: Run,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            help="Such as 'C_W[mfcc,cosine] >= 0.95 @ MP>=128, PS in -1..1' or "
            "'mean(C_B_acc[mfcc,dtw,cosine]) > 0.8 @ imperceptible', 'C_W[a] >= C_W[random]', "
            "'N >= 59'; give it again for several.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            help="An older run of the same clips, for 'C_W[a] >= baseline - 0.02'; without "
            "--require: fail where mean(C_W) is shown to be worse than there.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="value; lower: the 95 % interval's end on the wrong side has to hold too; shown: "
            "fail only what the interval shows to be wrong [value]."
        ),
    ] = None,
    badge: Annotated[
        Path | None, typer.Option("--badge", help="Write an SVG badge to this file.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Hold a run to requirements: exit 0 when all are met, 1 when not, 2 when one is malformed."""
    with sentences():
        from nearkin.ask import gate
        from nearkin.errors import InputError, printable
        from nearkin.files import finite
        from nearkin.results.badge import is_badge
        from nearkin.results.gate_reports import gate_badge, is_junit, markdown
        from nearkin.results.gate_reports import junit as junit_xml

        name = run.resolve().name
        read = [run, *([Path(baseline)] if baseline else [])]
        refuse_taken("--junit", junit, is_junit, read=read)
        refuse_taken("--badge", badge, is_badge, read=read)
        xml_file, svg_file = _writable("--junit", junit), _writable("--badge", badge)
        if svg_file is not None and svg_file == xml_file:
            told = f"--badge {printable(svg_file)}"
            raise InputError(f"{told}: is the file of --junit too; name another")
        try:
            asked = require or []
            outcomes = gate(run, asked, baseline=baseline, on=on)  # type: ignore[arg-type]
        except Exception as error:  # whatever it is: a CI that reads the file has to see it
            problem = str(error) or type(error).__name__
            _put(xml_file, junit_xml([], run=name, problem=problem))
            _on_the_page(markdown([], run=name, problem=problem))
            raise
        _put(xml_file, junit_xml(outcomes, run=name))
        _put(svg_file, gate_badge(outcomes).encode("utf-8", "backslashreplace"))
        _on_the_page(markdown(outcomes, run=name))
        met = all(outcome.met for outcome in outcomes)
        n_met = sum(outcome.met for outcome in outcomes)
        said = (outcome.sentence() for outcome in outcomes)
        tell(said, f"{n_met} of {len(outcomes)} met", quiet=quiet, as_json=as_json)
        if as_json:
            rows = [outcome.as_dict() for outcome in outcomes]
            say(json.dumps(finite({"met": met, "requirements": rows})))
    if not met:
        raise typer.Exit(EXIT_UNMET)


def _writable(option: str, file: Path | None) -> Path | None:
    """Return where a file is written, and refuse what has no folder."""
    from nearkin.errors import InputError, printable

    if file is None:
        return None
    target = file.resolve()
    if not target.parent.is_dir():
        raise InputError(
            f"{option} {printable(file)}: there is no folder {printable(target.parent)}; make it, "
            "or name a file elsewhere"
        )
    return target


def _put(target: Path | None, data: bytes) -> None:
    from nearkin.runs.folder import RunFolder

    if target is not None:
        RunFolder(target.parent).write(target, lambda file: file.write(data))


def _on_the_page(text: str) -> None:
    """Append to the page of a GitHub job, where the command runs in one."""
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if not page:
        return
    try:
        with Path(page).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")
    except OSError as error:
        note(f"GITHUB_STEP_SUMMARY {page}: cannot be written ({error.strerror})")
