"""What is heard of magnitudes that a finished run did not try: asked of some of its clips anew."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nearkin.audio.perception import heard
from nearkin.errors import NearkinError
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, stored
from nearkin.runs.exchange import plan_of
from nearkin.runs.folder import RunFolder
from nearkin.runs.perceive import read_again
from nearkin.runs.plan import Plan
from nearkin.runs.queries import noise_library, transformed
from nearkin.tables import OK
from nearkin.transforms import NoiseLibrary
from nearkin.transforms.grids import Point
from nearkin.workers import open_workers

if TYPE_CHECKING:
    import pandas as pd

MOST_CLIPS = 32
"""Clips that are asked at the most, spread evenly over all: a median of more moves little."""


class Listeners(NamedTuple):
    """What every unit is given: the clips, read once."""

    plan: Plan
    noise: NoiseLibrary
    originals: tuple[Original, ...]


def asked_clips(perception: pd.DataFrame, *, most: int = MOST_CLIPS) -> list[str]:
    """Return the clips that are asked: all that could be heard, or so many spread among them."""
    there = perception.loc[~perception["status"].str.startswith("failed"), "clip_id"]
    ids = sorted(there.unique())
    places = np.linspace(0, len(ids) - 1, min(most, len(ids))).round().astype(int)
    return [ids[place] for place in places]


@contextlib.contextmanager
def listening(
    folder: RunFolder, clip_ids: list[str], *, root: Path = Path(), workers: int = 1
) -> Iterator[Callable[[str, float], float]]:
    """Read clips of a finished run; yield what tells the median MOS of any change of them.

    Parameters
    ----------
    folder : RunFolder
        A finished run.
    clip_ids : list of str
        See `asked_clips`.
    root : Path
        The folder that relative paths of its clips begin in.
    workers : int
        Processes; their number changes no result.

    Yields
    ------
    callable
        ``hear(code, magnitude)``; NaN where no clip can be changed so, or heard.
    """
    record = folder.read_run() or {}
    plan = plan_of(record["plan"], ())
    clips = folder.read_table("clips")
    rows = clips[(clips["status"] == OK) & clips["clip_id"].isin(clip_ids)].sort_values("clip_id")
    told = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    originals = tuple(read_again(plan, root, row) for row in told)
    session = Listeners(plan, noise_library(plan), originals)
    with open_workers(session, workers=min(workers, len(originals))) as pool:

        def hear(code: str, magnitude: float) -> float:
            items = [(number, code, magnitude) for number in range(len(originals))]
            scores = np.array([mos for _, mos in pool.map(_mos, items)])
            return math.nan if np.isnan(scores).all() else float(np.nanmedian(scores))

        yield hear


def _mos(session: Listeners, item: tuple[int, str, float]) -> float:
    number, code, magnitude = item
    plan, original = session.plan, session.originals[number]
    clip = centre(original.context, plan.clip_samples)
    try:
        version = transformed(plan, original, Point(code, magnitude), noise=session.noise)
        return math.nan if clip is None else heard(stored(plan, clip), version.heard,
                                                   sr=plan.working_rate).mos  # fmt: skip
    except NearkinError:
        return math.nan
