"""What is heard of the changes: the report's section, where ``nearkin perceive`` was given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from nearkin.report.data import ReportData
from nearkin.report.listings import Table
from nearkin.results.audibility import heard_of
from nearkin.results.systems import systems_of
from nearkin.tables import OK, ORIGINAL
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

DISTANCE = "cosine"


class Heard(NamedTuple):
    """What the section shows."""

    sentence: str
    tables: tuple[Table, ...]


def heard_section(data: ReportData) -> Heard | None:
    """Return what is heard of the mildest changes, and C_W where changes are heard alike.

    None where the run's changes were not perceived. The two scales stand in two tables.
    """
    if data.perception is None or data.audibility is None:
        return None
    rows = data.perception[data.perception["transformation"] != ORIGINAL]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    points = [
        Point(str(code), float(magnitude))
        for code, magnitude in pairs.itertuples(index=False, name=None)
    ]
    told = heard_of(data.perception, magnitudes.mildest(points))
    sentence = f"The median clip hears of the mildest changes: {'; '.join(told)}." if told else ""
    tables = [_table(data, scale) for scale in ("mos", "jnd")]
    return Heard(sentence, tuple(table for table in tables if table is not None))


def _table(data: ReportData, scale: str) -> Table | None:
    scores = data.audibility
    if scores is None:
        return None
    mine = scores[(scores["scale"] == scale) & (scores["latent_distance"] == DISTANCE)]
    if mine.empty:
        return None
    level = float(mine["level"].iloc[0])
    caption = (
        f"C_W ({DISTANCE}) where each clip hears its change as MOS {level:g}, with 95 % intervals"
        if scale == "mos"
        else f"C_W ({DISTANCE}) at {level:g} just noticeable difference"
        f"{'' if level == 1 else 's'}, with 95 % intervals"
    )
    columns = mine[["transformation", "side"]].fillna("").drop_duplicates()
    heads, places = [], []
    for code, side in columns.itertuples(index=False, name=None):
        part = mine[(mine["transformation"] == code) & (mine["side"].fillna("") == side)]
        row = part.iloc[0]
        heads.append(f"{magnitudes.direction(str(code), str(side))} at {_magnitude(row)}")
        places.append((str(code), str(side)))
    body = []
    for system in systems_of(data.run, data.consistency):
        own = mine[(mine["encoder"] == system.encoder) & (mine["task"].fillna("") == system.task)]
        by_place: dict[tuple[str, str], Mapping[Any, Any]] = {
            (str(row["transformation"]), str(row["side"] or "")): row
            for row in own.fillna({"side": ""}).to_dict("records")
        }
        if by_place:
            body.append((system.label, *(_cell(by_place.get(place)) for place in places)))
    return Table(caption, ("encoder", *heads), tuple(body))


def _magnitude(row: pd.Series[Any]) -> str:
    value = float(row["magnitude"])
    if not math.isfinite(value):
        return "–"
    return magnitudes.axis(str(row["transformation"])).words(float(f"{value:.3g}"))


def _cell(row: Mapping[Any, Any] | None) -> str:
    if row is None or not math.isfinite(row["value"]):
        return "–" if row is None or row["status"] == OK else str(row["status"])
    if not math.isfinite(row["ci_low"]):
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
