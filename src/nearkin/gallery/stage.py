"""The gallery of a finished run: vectors read or music embedded, queries ranked, tables written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from nearkin.corpora.collect import collect
from nearkin.errors import InputError
from nearkin.files import is_whole, sealed
from nearkin.gallery.music import embed_music
from nearkin.gallery.scores import require_sizes, scores
from nearkin.gallery.vectors import Gallery, read_vectors
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.results.answers import RunTables
from nearkin.results.embeddings import read_embeddings
from nearkin.runs.distractors import content_of_gallery, music_of
from nearkin.runs.folder import GALLERY_TABLES, RunFolder
from nearkin.runs.record import Clock, now
from nearkin.runs.sources import EncoderSource
from nearkin.workers import Place

RECORD = "gallery.json"


@dataclass(frozen=True)
class Asked:
    """What is asked of a gallery.

    Attributes
    ----------
    given : sequence of str
        A folder of music, or ``ENCODER=FILE`` for each encoder.
    sizes : collection of int
        Collections that are tabulated beside 10, 100, 1,000 ..., N and N + G.
    extrapolate : bool
        Add sizes beyond N + G, by a model of the ranks.
    """

    given: Sequence[str]
    sizes: Collection[int] = ()
    extrapolate: bool = False

    def __post_init__(self) -> None:
        for size in self.sizes:
            if size < 2:
                raise InputError(f"--n {size}: must be 2 clips or more")

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        sizes = sorted(set(self.sizes))
        return {"given": list(self.given), "sizes": sizes, "extrapolate": self.extrapolate}


@dataclass
class Fitting:
    """Asks before a run works whether its gallery can be had, and fits; see `nearkin.runs.run`.

    Attributes
    ----------
    asked : Asked
    out : Path
        The run's folder, which is not searched.
    """

    asked: Asked
    out: Path
    _n_gallery: int | None = None

    def __call__(self, sizes: Mapping[str, int | None], n: int) -> None:
        """Look at it once, and hold the sizes asked for to it and at most `n` clips.

        Parameters
        ----------
        sizes : mapping of str to int or None
            The encoders' dimensions by label, where they are known.
        n : int

        Raises
        ------
        InputError
            If it cannot be had or does not fit, or a size is too large.
        """
        if self._n_gallery is None:
            music = music_of(self.asked.given)
            self._n_gallery = (
                len(next(iter(read_vectors(self.asked.given, sizes).values())))
                if music is None
                else len(collect([music], out=self.out))
            )
        most = n + self._n_gallery
        require_sizes(self.asked.sizes, most, extrapolate=self.asked.extrapolate)


class Laid(NamedTuple):
    """gallery.parquet, and whether it was made anew."""

    table: pd.DataFrame
    anew: bool


def lay_gallery(
    folder: RunFolder,
    asked: Asked,
    *,
    encoders: Sequence[EncoderSource] = (),
    workers: Place = 1,
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> Laid:
    """Rank a finished run's queries among a gallery, and write its tables and its record.

    What was begun before goes on; what is there already is not done again.

    Parameters
    ----------
    folder : RunFolder
        Of a finished run; its lease is held.
    asked : Asked
    encoders : sequence of EncoderSource
        What the run's encoders were made from, where they are at hand: objects cannot be made
        again.
    workers : int, Scheduler or ArrayJob
        Where music is embedded.
    progress, tell : callable

    Returns
    -------
    Laid
        Its table has the columns `nearkin.tables.GALLERY`.

    Raises
    ------
    InputError
        If the gallery cannot be had, or does not fit the run.
    """
    record = folder.read_run() or {}
    sizes = {
        str(row.get("label") or row["name"]): int(row["embedding_size"])
        for row in record["encoders"]
        if row.get("embedding_size") is not None
    }
    content = content_of_gallery(asked.given, sizes, out=folder.root)
    told = {**asked.record(), "content": content, "run": [record["created"], record["finished"]]}
    if _is_laid(folder, told):
        tell("gallery: its tables are there, nothing was computed")
        folder.finish()
        return Laid(folder.read_table("gallery"), anew=False)
    timings: dict[str, float] = {}
    clock = Clock(timings)
    clips = folder.read_table("clips")
    with clock("vectors"):
        vectors = _vectors(
            folder, record, clips, asked.given, sizes,
            encoders=encoders, workers=workers, progress=progress, tell=tell,
        )  # fmt: skip
    for label in vectors:
        folder.require_embeddings(label)
    with clock("ranks"):
        found = scores(
            RunTables(folder.root.name, record, clips, folder.read_table("queries")),
            {label: read_embeddings(folder.root, label) for label in vectors},
            vectors,
            sizes=asked.sizes,
            extrapolate=asked.extrapolate,
            progress=progress,
        )
    folder.write_table("gallery", found.table, csv=True)
    folder.write_table("gallery_queries", found.queries)
    n_gallery = len(next(iter(vectors.values())))
    told |= {
        "nearkin": metadata.version("nearkin"),
        "finished": now(),
        "n": int(record["n"]),
        "n_gallery": n_gallery,
        "timings_s": timings,
        "files": folder.digests(of=GALLERY_TABLES),
    }
    text = json.dumps(sealed(told), indent=1).encode()
    folder.write(folder.root / RECORD, lambda file: file.write(text))
    folder.finish()
    return Laid(found.table, anew=True)


def _is_laid(folder: RunFolder, told: Mapping[str, Any]) -> bool:
    """Tell whether the tables are those of this run and this gallery, as they were written."""
    try:
        before = json.loads((folder.root / RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    same = isinstance(before, dict) and all(before.get(n) == told[n] for n in told)
    same = same and is_whole(before)
    return same and before.get("files") == folder.digests(of=GALLERY_TABLES) != {}


def _vectors(
    folder: RunFolder,
    record: Mapping[str, Any],
    clips: pd.DataFrame,
    given: Sequence[str],
    sizes: dict[str, int],
    *,
    encoders: Sequence[EncoderSource],
    workers: Place,
    progress: Progress,
    tell: Tell,
) -> Gallery:
    """Read the gallery's vectors, or embed its music."""
    music = music_of(given)
    if music is None:
        return read_vectors(given, sizes)
    return embed_music(
        folder, record, clips, music, sizes,
        encoders=encoders, workers=workers, progress=progress, tell=tell,
    )  # fmt: skip
