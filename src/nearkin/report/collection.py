"""What is lost in larger collections: the report's section, where a run has a gallery."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from nearkin.report.data import ReportData
from nearkin.report.figures.gallery import MEASURED
from nearkin.results.systems import at_point, headline, mildest_points, of, systems_of
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

DISTANCE = "cosine"


class Collection(NamedTuple):
    """What the section says: of the collection, and of every tested encoder."""

    lead: str
    sentences: tuple[str, ...]


def collection_section(data: ReportData) -> Collection | None:
    """Return what becomes of C_W among originals and gallery; None where there is no gallery."""
    table = data.gallery
    if table is None or table.empty:
        return None
    measured = table[table["kind"] == MEASURED]
    n, most = int(data.run.get("n") or 0), int(measured["size"].max())
    lead = (
        f"{most - n:,} other recordings lay among the {n} originals, unchanged, only in the way. "
        f"C_W in a collection of n clips is counted from the ranks among all {most:,}."
    )
    farthest = int(table["size"].max())
    if farthest > most:
        lead += (
            f" Dashed values, up to {farthest:,} clips, are extrapolated from the spread of the "
            "ranks; no gate and no verdict takes them."
        )
    here = table[table["latent_distance"] == DISTANCE]
    points, told = mildest_points(data.consistency), []
    for system in systems_of(data.run, data.consistency):
        rows = headline(of(here, system))
        if system.role == "tested" and not rows.empty:
            told.append(f"{system.label}: {_sentence(rows, points, n, most)}")
    return Collection(lead, tuple(told))


def _sentence(rows: pd.DataFrame, points: list[Point], n: int, most: int) -> str:
    """Say how C_W falls from the run's own clips to all, over the grid and at its mildest."""
    measured = rows[rows["kind"] == MEASURED]
    at = {size: measured[measured["size"] == size] for size in (n, most)}
    words = (
        f"over the whole grid mean C_W ({DISTANCE}) is {at[n]['value'].mean():.2f} among the run's "
        f"{n} clips and {at[most]['value'].mean():.2f} among {most:,}"
    )
    falls = []
    for point in points:
        before, after = (at_point(one, point) for one in (at[n], at[most]))
        if len(before) == len(after) == 1:
            falls.append((float(before["value"].iloc[0]), after.iloc[0], point))
    if not falls:
        return f"{words}."
    start, end, point = max(falls, key=lambda one: one[0] - float(one[1]["value"]))
    if start - float(end["value"]) < 0.005:
        return f"{words}; at the mildest change of each kind it loses nothing."
    return (
        f"{words}; of the mildest changes {magnitudes.in_words(*point)} loses most, from "
        f"{start:.2f} to {end['value']:.2f} [{end['ci_low']:.2f}, {end['ci_high']:.2f}]."
    )
