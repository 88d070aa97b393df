"""Whose row is whose: the encoders of a run in page order, and the rows that speak for each.

Tidy tables in, tidy tables out. An encoder with several trials has one row a trial (``trial`` >= 1)
and rows of the mean over trials (``trial`` 0) with the crossed interval: the mean speaks, the
trials are drawn as points. References (mfcc, random, constant, and the trained ones) come after the
tested encoders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

AUDIO = "audio"

DISTANCES = {"dtw": "DTW", "simple": "SiMPle", "euclidean": "Euclidean", "cosine": "cosine"}
"""How distances are written in running text, in page order."""


class Series(NamedTuple):
    """One encoder and task; ``role`` is ``"tested"`` or ``"reference"``."""

    encoder: str
    task: str
    role: str

    @property
    def label(self) -> str:
        """The name on legends and headings: encoder, and task where it has one."""
        return f"{self.encoder} · {self.task}" if self.task else self.encoder


def series_of(run: Mapping[str, Any], consistency: pd.DataFrame) -> list[Series]:
    """Return every encoder and task that has rows, tested ones first, each in the run's order."""
    pairs = consistency.loc[consistency["encoder"] != AUDIO, ["encoder", "task"]]
    present = dict.fromkeys(pairs.fillna("").drop_duplicates().itertuples(index=False, name=None))
    found: dict[tuple[str, str], Series] = {}
    for entry in run.get("encoders", ()):
        key = (str(entry.get("name", "")), str(entry.get("task") or ""))
        if key in present:
            found.setdefault(key, Series(*key, str(entry.get("role", "tested"))))
    for key in present:
        found.setdefault(key, Series(*key, "tested"))
    return sorted(found.values(), key=lambda series: series.role != "tested")


def named(name: str, series: Iterable[Series], run: Mapping[str, Any]) -> list[Series]:
    """Return the encoders a user means: by name, name and task, or the SPEC they were run with."""
    specs = {
        (str(entry.get("name", "")), str(entry.get("task") or ""))
        for entry in run.get("encoders", ())
        if name in (entry.get("spec"), entry.get("label"))
    }
    return [
        one
        for one in series
        if name in (one.encoder, one.label) or (one.encoder, one.task) in specs
    ]


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak: the mean over trials where there is one, else the first trial."""
    keys = [rows["encoder"], rows["task"]]
    return rows[rows["trial"] == rows["trial"].groupby(keys).transform("min")]


def trial_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the single trials of encoders that have several (none where there is only one)."""
    keys = [rows["encoder"], rows["task"]]
    several = rows["trial"].groupby(keys).transform("min") == 0
    return rows[several & (rows["trial"] > 0)]


def of(rows: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Return the rows of one encoder and task."""
    return rows[(rows["encoder"] == series.encoder) & (rows["task"].fillna("") == series.task)]


def distance_name(distance: str) -> str:
    """Return how a distance is written in running text."""
    return DISTANCES.get(distance, distance)


def distance_order(distances: Iterable[str]) -> list[str]:
    """Return distances once each: the paper's in its order, others by name."""
    present = {name for name in distances if name}
    return [name for name in DISTANCES if name in present] + sorted(present - set(DISTANCES))
