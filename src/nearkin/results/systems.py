"""Whose row is whose: the encoders of a run in page order, and the rows that speak for each.

Tidy tables in, tidy tables out. An encoder with several trials has one row a trial (``trial`` >= 1)
and rows of the mean over trials (``trial`` 0) with the crossed interval: the mean speaks, the
trials are drawn as points. References (mfcc, logmel-projection, constant, and the trained ones)
come after the tested encoders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from nearkin.distances import DISTANCES, distance_title
from nearkin.encoders import ALIASES
from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

AUDIO = "audio"


class System(NamedTuple):
    """One encoder and task; ``role`` is ``"tested"`` or ``"reference"``.

    ``shown`` is a label of its own, for the rare one whose encoder and task read like the name of
    another.
    """

    encoder: str
    task: str
    role: str
    shown: str = ""

    @property
    def label(self) -> str:
        """The one name of it everywhere: encoder, and task where it has one (``vgg-ae``)."""
        return self.shown or (f"{self.encoder}-{self.task}" if self.task else self.encoder)


def systems_of(run: Mapping[str, Any], consistency: pd.DataFrame) -> list[System]:
    """Return every encoder and task that has rows, tested ones first, each in the run's order."""
    pairs = consistency.loc[consistency["encoder"] != AUDIO, ["encoder", "task"]]
    present = dict.fromkeys(pairs.fillna("").drop_duplicates().itertuples(index=False, name=None))
    found: dict[tuple[str, str], System] = {}
    for entry in run.get("encoders", ()):
        key = (str(entry.get("name", "")), str(entry.get("task") or ""))
        if key in present:
            found.setdefault(key, System(*key, str(entry.get("role", "tested"))))
    for key in present:
        found.setdefault(key, System(*key, "tested"))
    return sorted(_told_apart(found.values()), key=lambda system: system.role != "tested")


def _told_apart(systems: Iterable[System]) -> list[System]:
    """Give every system a label of its own.

    Examples
    --------
    >>> one, two = System("vgg-ae", "", "tested"), System("vgg", "ae", "reference")
    >>> [system.label for system in _told_apart([one, two])]
    ['vgg-ae', 'vgg-ae (ae)']
    """
    systems = list(systems)
    taken = {one.label for one in systems if not one.task}
    apart = []
    for one in systems:
        label = one.label
        while one.task and label in taken:
            label += f" ({one.task})"
        taken.add(label)
        apart.append(one._replace(shown=label) if label != one.label else one)
    return apart


def named(name: str, systems: Iterable[System], run: Mapping[str, Any]) -> list[System]:
    """Return the encoders a user means: by name, name and task, or the SPEC they were run with.

    The name that an encoder had before means it too ("vgg · ae" for vgg-ae), and today's name one
    of an older run.
    """
    names = {name, *(pair[0] for pair in ALIASES.items() if pair[1] == name)}
    names |= {ALIASES.get(name, name)}
    specs = {
        (str(entry.get("name", "")), str(entry.get("task") or ""))
        for entry in run.get("encoders", ())
        if names & {entry.get("spec"), entry.get("label")}
    }
    return [
        one
        for one in systems
        if names & {one.encoder, one.label, f"{one.encoder} · {one.task}"}
        or (one.encoder, one.task) in specs
    ]


def only(
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    *,
    encoders: Sequence[str] | None = None,
    references: bool = True,
    distance: str | None = None,
) -> pd.DataFrame:
    """Return the rows of some encoders, and of one latent distance; the audio space stays.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's table.
    run : mapping
        The run's record: roles and SPECs of the encoders.
    encoders : sequence of str, optional
        Names, labels or SPECs; all by default.
    references : bool
        Keep the reference lines; one that `encoders` names is kept in any case.
    distance : str, optional
        The latent distance to keep; all by default.

    Raises
    ------
    InputError
        If the run has no such encoder or distance, or nothing is left.
    """
    systems = systems_of(run, consistency)
    if encoders is not None:
        chosen = []
        for name in encoders:
            match = named(name, systems, run)
            if not match:
                raise InputError(
                    f"encoder '{name}': {suggest(name, dict.fromkeys(s.label for s in systems))}"
                )
            chosen += match
        systems = [one for one in systems if one in chosen]
    elif not references:
        systems = [one for one in systems if one.role == "tested"]
        if not systems:
            raise InputError("no encoder was tested, only references: name some with --encoder")
    keep = consistency["encoder"] == AUDIO
    for system in systems:
        keep |= consistency.index.isin(of(consistency, system).index)
    rows = consistency[keep]
    if distance is not None:
        known = distance_order(rows["latent_distance"].fillna(""))
        if distance not in known:
            raise InputError(f"distance '{distance}': {suggest(distance, known)}")
        rows = rows[rows["latent_distance"].fillna("").isin(["", distance])]
    return rows


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak: the mean over trials where there is one, else the first trial."""
    if rows["trial"].nunique() < 2:  # most tables, and the grouping is what takes the time
        return rows
    keys = [rows["encoder"], rows["task"]]
    return rows[rows["trial"] == rows["trial"].groupby(keys).transform("min")]


def trial_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the single trials of encoders that have several (none where there is only one)."""
    if not (rows["trial"] == 0).any():
        return rows[:0]
    keys = [rows["encoder"], rows["task"]]
    several = rows["trial"].groupby(keys).transform("min") == 0
    return rows[several & (rows["trial"] > 0)]


def of(rows: pd.DataFrame, system: System) -> pd.DataFrame:
    """Return the rows of one encoder and task."""
    return rows[(rows["encoder"] == system.encoder) & (rows["task"].fillna("") == system.task)]


def distance_name(distance: str) -> str:
    """Return how a distance is written in running text: the title in its row, if it is known."""
    return distance_title(distance)


def distance_order(distances: Iterable[str]) -> list[str]:
    """Return distances once each: those of the table in its order, others by name."""
    present = {name for name in distances if name}
    return [name for name in DISTANCES if name in present] + sorted(present - set(DISTANCES))


def mildest_points(consistency: pd.DataFrame) -> list[Point]:
    """Return the mildest point of every transformation and side that was measured."""
    return magnitudes.mildest(points_of(consistency))


def points_of(consistency: pd.DataFrame) -> list[Point]:
    """Return the points that were measured."""
    rows = consistency[(consistency["measure"] == "C_W") & consistency["magnitude"].notna()]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    return [Point(str(code), float(value)) for code, value in pairs.itertuples(index=False)]


def at_point(rows: pd.DataFrame, point: Point) -> pd.DataFrame:
    """Return the rows of one transformation at one magnitude."""
    return rows[(rows["transformation"] == point.code) & (rows["magnitude"] == point.magnitude)]


def by_distance(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return rows in the order of the distances in one of the two distance columns."""
    places = {name: place for place, name in enumerate(distance_order(rows[column]))}
    return rows.iloc[rows[column].map(places).argsort(kind="stable")]
