"""C_W in a smaller collection, C_W@n, from the ranks that a run's queries hold; for any n.

Tables in, a table out, in the consistency table's form and with the intervals the run would have
given: the same resamples of clips, trials crossed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.consistency import within_space_at_by_clip
from nearkin.errors import InputError
from nearkin.results.answers import Place, RunTables, count_originals, cube, places_of, used_clips
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import (
    crossed_replicates,
    mean_replicates,
    percentile_interval,
    resamples,
)
from nearkin.transforms import magnitudes

Floats = NDArray[np.float64]


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
        Rows with the intervals the run would have given them: the same resamples of clips, trials
        crossed.

    Raises
    ------
    InputError
        If n is not a size the run's clips can be drawn to.
    """
    plan = run.record.get("plan", {})
    clips = [str(clip) for clip in used_clips(run).index]
    if not 2 <= n <= len(clips):
        raise InputError(f"C_W@{n}: must be in 2..{len(clips)}, the clips of the run")
    n_resamples, seed = int(plan.get("resamples", 1000)), int(plan.get("seed", 0))
    counts = resamples(
        len(clips), n_resamples=n_resamples, rng=stream(seed, "bootstrap", len(clips))
    )
    places = [Place(magnitudes.ORIGINAL, 0.0), *places_of(run)]
    rows: list[dict[str, Any]] = []
    keys = ["encoder", "task", "space", "distance"]
    for key, part in run.queries.fillna({"task": ""}).groupby(keys, sort=False):
        encoder, task, space, distance = map(str, key)
        rank = np.nan_to_num(cube(part, "rank", places, clips)).astype(np.int64)
        by_clip = within_space_at_by_clip(rank, n=n, n_clips=count_originals(run, part))
        replicates = np.stack([mean_replicates(trial, counts) for trial in by_clip])
        there = (~np.isnan(by_clip)).sum(axis=2)
        totals = np.where(np.isnan(by_clip), 0, by_clip).sum(axis=2)
        values = np.where(there > 0, totals / np.maximum(there, 1), np.nan)
        numbers = sorted(int(trial) for trial in part["trial"].unique())
        lost = len(clips) - there
        found = list(zip(numbers, values, replicates, lost, strict=True))
        if len(numbers) > 1:
            rng = stream(seed, "trials", encoder, task, len(numbers))
            drawn = resamples(len(numbers), n_resamples=n_resamples, rng=rng).T
            crossed = np.stack(
                [crossed_replicates(replicates[:, place], drawn) for place in range(len(places))]
            )
            found.append((0, values.mean(axis=0), crossed, lost.max(axis=0)))
        for trial, value, spread, failed in found:
            interval = percentile_interval(spread)
            for index, place in enumerate(places):
                rows.append(
                    {
                        "encoder": encoder,
                        "task": task,
                        "trial": trial,
                        "measure": f"C_W@{n}",
                        "audio_distance": distance if space == "audio" else "",
                        "latent_distance": "" if space == "audio" else distance,
                        "transformation": place.code,
                        "magnitude": place.magnitude,
                        "value": value[index],
                        "ci_low": interval.low[index],
                        "ci_high": interval.high[index],
                        "n": len(clips),
                        "chance": 1 / n,
                        "status": _status(int(failed[index]), len(clips)),
                        "side": "",
                    }
                )
    return pd.DataFrame(rows)


def _status(failed: int, n: int) -> str:
    return f"{failed} of {n} queries failed" if failed else "ok"
