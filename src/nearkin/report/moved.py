"""How embeddings move: the report's section, where ``nearkin trajectories`` was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from nearkin.report.data import ReportData
from nearkin.results.systems import System
from nearkin.results.trajectories import sentences

WHO = ["encoder", "task", "trial"]


class Moved(NamedTuple):
    """What one encoder's part of the section is made of."""

    label: str
    figure: str
    """The id of its figure."""
    paths: pd.DataFrame
    """Rows of trajectory_paths.parquet."""
    sentences: tuple[str, ...]


def moved_of(data: ReportData) -> Iterator[Moved]:
    """Yield what is known of every encoder, in the order of the table."""
    table, agreement, paths = data.trajectories, data.trajectory_agreement, data.trajectory_paths
    if table is None or agreement is None or paths is None:
        return
    for number, (who, mine) in enumerate(table.groupby(WHO, sort=False)):
        encoder, task, trial = (str(part) for part in who)  # type: ignore[attr-defined]
        name = System(encoder, task, "tested").label
        told = sentences(mine, _of(agreement, mine))
        label = name if trial in ("0", "1") else f"{name}, trial {trial}"
        yield Moved(label, f"trajectories-{number}", _of(paths, mine), tuple(told))


def moved_section(data: ReportData) -> list[Moved]:
    """Return what the section shows; nothing where there are no trajectories."""
    return list(moved_of(data))


def _of(table: pd.DataFrame, mine: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the same encoder."""
    keys = pd.MultiIndex.from_frame(table[WHO])
    return table.loc[keys.isin(pd.MultiIndex.from_frame(mine[WHO]))]
