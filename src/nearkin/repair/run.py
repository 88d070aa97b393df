"""``nearkin repair``: from a finished run to a map, and the table of what it does.

Only the run's tables and embeddings are read: no audio, no encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError, RunError, printable
from nearkin.maps.linear import LinearMap, Origin
from nearkin.registry import suggest
from nearkin.repair.choosing import Choice
from nearkin.repair.held_out import held_out
from nearkin.repair.pairs import Embeddings, Folds, Without
from nearkin.repair.table import rows_of
from nearkin.results.embeddings import AGAIN, read_embeddings
from nearkin.runs.folder import RunFolder
from nearkin.statistics.bootstrap import clusters_of
from nearkin.tables import OK
from nearkin.transforms.grids import Point

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Repair:
    """A map learned from all clips and transformations of a run, and how such maps do held out.

    Attributes
    ----------
    found : LinearMap
    table : pandas.DataFrame
        See `nearkin.repair.table.rows_of`.
    """

    found: LinearMap
    table: pd.DataFrame = field(repr=False)


def repair(
    folder: RunFolder,
    run: Mapping[str, Any],
    clips: pd.DataFrame,
    queries: pd.DataFrame,
    *,
    encoder: str = "",
) -> Repair:
    """Learn a map for one encoder of a run.

    Parameters
    ----------
    folder : RunFolder
        A finished run's.
    run, clips, queries
        Its record and tables.
    encoder : str
        The encoder's label; may be left out where one was tested.

    Raises
    ------
    InputError
        If there is no such encoder, or too little to learn from.
    RunError
        If the run's embeddings are missing or damaged.
    """
    row = _encoder(run, encoder)
    found = _embeddings(folder, row, clips, queries)
    seed = int(run["plan"].get("seed") or 0)
    folds = Folds(found, seed=seed)
    choice = Choice(folds)
    apart = found.groups if run["plan"].get("others") == "group" else None
    scores = held_out(
        folds,
        choice,
        distances=("euclidean", "cosine"),
        audio=_audio(folder, len(found.groups)),
        apart=apart,
    )
    shrinkage = choice.shrinkage(Without())
    learned = folds.learned(Without())
    origin = Origin(
        encoder=_label(row),
        spec=row["spec"],
        sha256=row.get("sha256", ""),
        sample_rate=row["sample_rate"],
        transformations=found.codes,
        shrinkage=shrinkage,
        n_clips=len(found.groups),
        n_groups=found.n_groups,
        seed=seed,
        created=run["created"],
        digest=(row.get("check") or {}).get("digest"),
        seconds=float(run["plan"].get("clip_seconds") or 2.0),
    )
    whole = LinearMap(learned.centre, learned.spectrum.matrix(shrinkage), origin)
    return Repair(whole, rows_of(found, scores, seed=seed))


def _label(row: Mapping[str, Any]) -> str:
    return str(row.get("label") or row["name"])


def _encoder(run: Mapping[str, Any], asked: str) -> Mapping[str, Any]:
    rows = {_label(row): row for row in run["encoders"]}
    if not asked:
        tested = [label for label, row in rows.items() if row["role"] == "tested"]
        if len(tested) != 1:
            raise InputError(
                f"{len(tested)} encoders were tested ({', '.join(tested)}): name one with --encoder"
            )
        asked = tested[0]
    if asked not in rows:
        raise InputError(f"encoder '{asked}': {suggest(asked, rows)}")
    row: Mapping[str, Any] = rows[asked]
    if row.get("embedding_size") is None:
        raise InputError(f"encoder '{asked}': failed in this run ({row['status']}); name another")
    return row


def _embeddings(
    folder: RunFolder, row: Mapping[str, Any], clips: pd.DataFrame, queries: pd.DataFrame
) -> Embeddings:
    label = _label(row)
    folder.require_embeddings(label)
    found = read_embeddings(folder.root, label)
    names, points = list(found.clip_ids), list(found.points)
    used = clips[clips["status"] == OK].set_index("clip_id")
    missing = [name for name in names if name not in used.index]
    if missing:
        place = printable(folder.root / "embeddings")
        raise RunError(f"{place}: holds clip '{missing[0]}', clips.parquet not; {AGAIN}")
    groups = clusters_of([str(group) for group in used.loc[names, "group"]])
    return Embeddings(
        originals=found.originals,
        queries=found.changed,
        points=points,
        asked=_asked(queries, row, names, points),
        groups=np.arange(len(names)) if groups is None else groups,
    )


def _asked(
    queries: pd.DataFrame, row: Mapping[str, Any], names: list[str], points: list[Point]
) -> NDArray[np.bool_]:
    """Return which queries were asked of an encoder, bool[N, P]."""
    mine = queries[
        (queries["encoder"] == row["name"])
        & (queries["task"] == row["task"])
        & (queries["trial"] == row["trial"])
        & (queries["distance"] == "euclidean")
        & queries["error"].notna()
    ]
    place = {name: index for index, name in enumerate(names)}
    at = {point: index for index, point in enumerate(points)}
    asked = np.zeros((len(names), len(points)), bool)
    for clip, code, magnitude in zip(
        mine["clip_id"], mine["transformation"], mine["magnitude"], strict=True
    ):
        if clip in place and (code, magnitude) in at:
            asked[place[clip], at[Point(code, magnitude)]] = True
    return asked


def _audio(folder: RunFolder, n: int) -> dict[str, NDArray[np.float32]]:
    """Return the audio distances of a run that kept them; else nothing."""
    found = {}
    for path in sorted((folder.root / "distances").glob("*.npy")):
        folder.require_whole(path)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, OverflowError) as error:
            told = " ".join(str(error).split())
            raise RunError(f"{printable(path)}: cannot be read ({told}); {AGAIN}") from error
        if array.ndim == 3 and array.shape[0] == array.shape[2] == n:
            found[Path(path).stem] = array
    return found
