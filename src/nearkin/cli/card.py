"""``nearkin card``: a block for a model's page, and a badge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import note, refuse_taken, say, sentences
from nearkin.cli.flags import Run


def card_command(
    run: Run,
    encoder: Annotated[str | None, typer.Option(help="Whose card [the only tested one].")] = None,
    distance: Annotated[str | None, typer.Option(help="The latent distance [cosine].")] = None,
    badge_file: Annotated[
        Path | None, typer.Option("--badge", help="Also write an SVG badge to this file.")
    ] = None,
) -> None:
    """Print a block for a Hugging Face model card: metadata, verdicts, a table with intervals."""
    with sentences():
        from nearkin.api import load
        from nearkin.files import write_whole
        from nearkin.results.badge import is_badge
        from nearkin.results.card import badge, card, of_encoder
        from nearkin.results.verdicts import verdict

        refuse_taken("--badge", badge_file, is_badge, read=[run])
        result = load(run)
        system = of_encoder(result.run, result.consistency, encoder)
        tables = result.consistency, result.queries, result.run
        text = card(*tables, system, distance=distance)
        if badge_file is not None:
            found = verdict(*tables, system.encoder, task=system.task)
            data = badge(found).encode("utf-8", "backslashreplace")
            write_whole(badge_file, lambda file: file.write(data))
            note(f"badge: {badge_file}")
        say(text.rstrip("\n"))
