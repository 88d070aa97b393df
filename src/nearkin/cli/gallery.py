"""``nearkin gallery``: a finished run's queries among thousands or millions of other recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import Json, Quiet, Workers, note, say, sentences, tell

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.api import Result
    from nearkin.gallery.vectors import Gallery
    from nearkin.progress import Progress, Tell


def gallery_command(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    gallery: Annotated[
        list[str],
        typer.Argument(
            help="A folder of music to embed, or vectors of it: ENCODER=FILE.npy or .parquet, one "
            "for each encoder."
        ),
    ],
    extrapolate: Annotated[
        bool,
        typer.Option("--extrapolate", help="Add larger collections, by a model of the ranks."),
    ] = False,
    workers: Workers = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Lay other recordings among a run's originals: C_W in collections of up to millions."""
    with sentences():
        from nearkin.api import load
        from nearkin.cli.bars import show
        from nearkin.files import finite
        from nearkin.lease import leased
        from nearkin.progress import unsaid

        result = load(run)
        with leased(result.folder.root), show(quiet=bool(quiet)) as progress:
            vectors = _vectors(result, gallery, workers, progress, unsaid if quiet else note)
            table = write_gallery(result, vectors, extrapolate=extrapolate, progress=progress)
        lines = [*_told(table), f"table: {run / 'gallery.csv'}"]
        tell(lines, str(run / "gallery.csv"), quiet=quiet, as_json=as_json)
        if as_json:
            say(json.dumps(finite({"rows": table.to_dict("records")})))


def write_gallery(
    result: Result, vectors: Gallery, *, extrapolate: bool, progress: Progress
) -> pd.DataFrame:
    """Rank a run's queries among a gallery, and write both tables into the run's folder."""
    from nearkin.gallery.scores import scores
    from nearkin.results.answers import RunTables
    from nearkin.results.embeddings import read_embeddings

    folder = result.folder
    found = scores(
        RunTables(folder.root.name, result.run, result.clips, result.queries),
        {label: read_embeddings(folder.root, label) for label in vectors},
        vectors,
        extrapolate=extrapolate,
        progress=progress,
    )
    folder.write_table("gallery", found.table, csv=True)
    folder.write_table("gallery_queries", found.queries)
    return found.table


def _vectors(
    result: Result, given: list[str], workers: int | None, progress: Progress, told: Tell
) -> Gallery:
    """Read the gallery's vectors, or embed its music."""
    from nearkin.errors import InputError
    from nearkin.gallery.vectors import read_vectors
    from nearkin.workers import available_cores

    sizes = {
        str(row.get("label") or row["name"]): int(row["embedding_size"])
        for row in result.run["encoders"]
        if row.get("embedding_size") is not None
    }
    folders = [Path(text) for text in given if Path(text).is_dir()]
    if not folders:
        return read_vectors(given, sizes)
    if len(given) > 1:
        raise InputError("gallery: give one folder of music, or vectors of each encoder")
    from nearkin.gallery.music import embed_music

    return embed_music(
        result.folder,
        result.run,
        result.clips,
        folders[0],
        sizes,
        workers=workers or available_cores(),
        progress=progress,
        tell=told,
    )


def _told(table: pd.DataFrame) -> list[str]:
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
