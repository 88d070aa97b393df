"""C_W in a smaller collection, C_W@n, from the ranks that a run's queries hold; for any n.

Tables in, a table out, in the consistency table's form and with the intervals the run would have
given.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.results.answers import (
    Place,
    RunTables,
    cube,
    in_collections,
    places_of,
    units_of,
    used_clips,
)
from nearkin.statistics.scores import Score, over_trials
from nearkin.tables import AUDIO, CONSISTENCY, OK
from nearkin.transforms import magnitudes


def collection_rows(run: RunTables, n: int) -> pd.DataFrame:
    """Return C_W@n at every point, in the consistency table's form, for any n.

    Parameters
    ----------
    run : RunTables
        The run; its queries hold the ranks.
    n : int
        Size of the collection, 2 up to the run's N.

    Returns
    -------
    pandas.DataFrame
        Rows with the intervals the run would have given them; means over trials at the end.

    Raises
    ------
    InputError
        If n is not a size the run's clips can be drawn to.
    """
    clips = [str(clip) for clip in used_clips(run).index]
    if not 2 <= n <= len(clips):
        more = "; nearkin gallery measures larger collections" if n > len(clips) else ""
        raise InputError(f"C_W@{n}: must be in 2..{len(clips)}, the clips of the run{more}")
    places = [Place(magnitudes.ORIGINAL, 0.0), *places_of(run)]
    clusters = units_of(run, clips)
    scores: list[Score] = []
    keys = ["encoder", "task", "space", "distance"]
    for key, part in run.queries.fillna({"task": ""}).groupby(keys, sort=False):
        encoder, task, space, distance = map(str, key)
        terms = in_collections(run, part, places, clips, n=n)
        failed = ~np.isnan(terms) & np.isnan(cube(part, "rank", places, clips))
        numbers = sorted(int(trial) for trial in part["trial"].unique())
        for trial, of_trial, lost in zip(numbers, terms, failed, strict=True):
            for place, by_clip, here in zip(places, of_trial, lost, strict=True):
                there = by_clip[~np.isnan(by_clip)]
                asked, n_failed = len(there), int(here.sum())
                scores.append(
                    Score(
                        encoder=encoder,
                        task=task,
                        trial=trial,
                        measure=f"C_W@{n}",
                        value=float(there.mean()) if asked else float("nan"),
                        replicates=np.zeros(0),
                        n=asked,
                        n_failed=n_failed,
                        chance=1 / n,
                        status=f"{n_failed} of {asked} queries failed" if n_failed else OK,
                        audio_distance=distance if space == AUDIO else "",
                        latent_distance="" if space == AUDIO else distance,
                        transformation=place.code,
                        magnitude=place.magnitude,
                        shares=by_clip,
                        clusters=clusters,
                    )
                )
    scores += over_trials(scores)
    return pd.DataFrame([score.row() for score in scores], columns=CONSISTENCY)
