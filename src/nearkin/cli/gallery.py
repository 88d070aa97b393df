"""``nearkin gallery``: a finished run's queries among thousands or millions of other recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import Json, Quiet, Scheduler, Workers, note, say, sentences, tell
from nearkin.cli.flags import CollectionSizes, Extrapolate

if TYPE_CHECKING:
    import pandas as pd


def gallery_command(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    gallery: Annotated[
        list[str],
        typer.Argument(
            help="A folder of music to embed, or vectors of it: ENCODER=FILE.npy or .parquet, one "
            "for each encoder."
        ),
    ],
    n: CollectionSizes = None,
    extrapolate: Extrapolate = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Lay other recordings among a run's originals: C_W in collections of up to millions."""
    with sentences():
        from nearkin.api import load
        from nearkin.cli.bars import show
        from nearkin.cli.settings import place_of
        from nearkin.files import finite
        from nearkin.gallery.stage import Asked, lay_gallery
        from nearkin.progress import unsaid
        from nearkin.runs.distractors import paths_of

        asked = Asked(gallery, n or (), bool(extrapolate))
        place = place_of(workers, scheduler, None)
        result = load(run)
        result.folder.decide(paths_of(gallery))
        with result.folder.held(), show(quiet=bool(quiet)) as progress:
            table, _ = lay_gallery(
                result.folder,
                asked,
                workers=place,
                progress=progress,
                tell=unsaid if quiet else note,
            )
        lines = [*told_gallery(table), f"table: {run / 'gallery.csv'}"]
        tell(lines, str(run / "gallery.csv"), quiet=quiet, as_json=as_json)
        if as_json:
            say(json.dumps(finite({"rows": table.to_dict("records")})))


def told_gallery(table: pd.DataFrame) -> list[str]:
    """Return what the gallery shows, a line for each encoder: C_W in the smallest and in all."""
    from nearkin.gallery.scores import MEASURED

    shown = table[(table["kind"] == MEASURED) & (table["latent_distance"] == "cosine")]
    shown = shown[shown["trial"] == shown.groupby(["encoder", "task"])["trial"].transform("min")]
    lines = []
    for key, part in shown.groupby(["encoder", "task"], sort=False):
        encoder, task = map(str, key)
        means = part.groupby("size")["value"].mean()
        label = f"{encoder}-{task}" if task else str(encoder)
        curve = ", ".join(f"{size:,} {value:.3f}" for size, value in means.items())
        lines.append(f"{label}: mean C_W (cosine) among so many clips: {curve}")
    return lines
