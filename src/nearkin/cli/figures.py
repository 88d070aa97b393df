"""``nearkin figures``: the run's figures at the width and font size of a journal, a file each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearkin.cli.common import Quiet, say, sentences
from nearkin.cli.flags import Encoders, Run

FORMATS = ("pdf", "svg", "png")
UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}


def figures_command(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("figures"),
    width: Annotated[str, typer.Option(help="Such as 6.9in, 87mm, 252pt.")] = "6.9in",
    font_size: Annotated[float, typer.Option(help="Of all text, in points.")] = 8.0,
    form: Annotated[
        str, typer.Option("--format", help="pdf, svg, png, or several: pdf,svg.")
    ] = "pdf,svg",
    figure: Annotated[
        list[str] | None, typer.Option("--figure", help="Such as 7; all by default.")
    ] = None,
    encoder: Encoders = None,
    no_references: Annotated[
        bool, typer.Option("--no-references", help="Leave the reference lines out.")
    ] = False,
    distance: Annotated[
        str | None, typer.Option(help="Only this latent distance, such as cosine.")
    ] = None,
    quiet: Quiet = None,
) -> None:
    """Write figures for a paper: laid out at the given width, text at the given size."""
    with sentences():
        from nearkin.api import load
        from nearkin.errors import InputError
        from nearkin.ownership import OwnFolder
        from nearkin.registry import suggest
        from nearkin.report.figures.files import write_spec
        from nearkin.report.figures.fitting import TooNarrowError, fitted
        from nearkin.report.figures.table import FIGURES
        from nearkin.results.systems import only

        wide = inches(width)
        forms = [part.strip() for part in form.split(",")]
        for part in forms:
            if part not in FORMATS:
                raise InputError(f"--format {part}: {suggest(part, FORMATS)}")
        known = {name.removeprefix("figure_"): name for name in FIGURES}
        wanted = [name.removeprefix("figure_") for name in figure or known]
        for name in wanted:
            if name not in known:
                raise InputError(f"--figure {name}: {suggest(name, known)}")
        result = load(run)
        rows = only(
            result.consistency,
            result.run,
            encoders=encoder or None,
            references=not no_references,
            distance=distance,
        )
        specs, left_out = {}, []
        for name in wanted:
            draw: Any = FIGURES[known[name]]
            try:
                specs[name] = fitted(draw(rows, run=result.run), width_in=wide, font_pt=font_size)
            except TooNarrowError as error:
                told = f"figure {name}: {error}"
                if figure:
                    raise InputError(told) from error
                left_out.append(told)
        if not specs:
            raise InputError(left_out[0])
        files = [f"{known[name]}.{part}" for name in specs for part in forms]
        owned = OwnFolder(out, "figures", files, shared=True)
        owned.claim([run])
        owned.expect(out / file for file in files)
        for name, spec in specs.items():
            for path in write_spec(spec, out / known[name], forms):
                owned.wrote(path)
                if not quiet:
                    say(str(path))
        for told in left_out:
            say(f"left out: {told}")


def inches(text: str) -> float:
    """Read a length.

    Examples
    --------
    >>> inches("6.9in"), round(inches("87mm"), 3), inches("72pt")
    (6.9, 3.425, 1.0)
    """
    from nearkin.errors import InputError

    number, unit = text.strip()[:-2], text.strip()[-2:]
    try:
        return float(number) * UNITS[unit]
    except (ValueError, KeyError):
        raise InputError(
            f"--width {text}: must be a number and a unit of {', '.join(UNITS)}; such as 6.9in"
        ) from None
