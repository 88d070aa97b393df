"""How much change an encoder survives: along each transformation, from mild to severe.

Tables in, rows and sentences out; the first screen of the report. An encoder survives a magnitude
where C_W is at least `NEAR` there and at every milder magnitude of the same transformation and
direction. All values are of one latent distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from nearkin.results.answers import RunTables
from nearkin.results.comparison import compare
from nearkin.results.remarks import as_float
from nearkin.results.systems import AUDIO, System, distance_order, headline, of, systems_of
from nearkin.results.verdicts import NEAR
from nearkin.statistics.settling import clips_for_share
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

DISTANCE = "cosine"
"""The latent distance of the first screen, where the run has it."""
YARDSTICKS = ("logmel-projection", "random")
"""Names of the untrained reference that a trained encoder should beat."""
RESAMPLES = 2000


class Survival(NamedTuple):
    """How far one encoder survives in one direction of one transformation.

    Attributes
    ----------
    code, side : str
        The transformation and its direction.
    kept : Point or None
        The most severe magnitude survived; None where not even the mildest is.
    value, ci_low, ci_high : float
        C_W there with its 95 % interval; at the mildest magnitude where none is survived.
    lost : Point or None
        The first magnitude that is not survived; None where all are.
    stay, n : int
        Clips that stay with their original at `lost`, of how many asked.
    """

    code: str
    side: str
    kept: Point | None
    value: float
    ci_low: float
    ci_high: float
    lost: Point | None
    stay: int
    n: int

    def cell(self) -> str:
        """Return the magnitude survived as a table's cell: ``"12 dB"``, ``"all"``, ``"none"``."""
        if self.kept is None:
            return "none"
        words = magnitudes.axis(self.code).words(self.kept.magnitude)
        return words if self.lost else f"{words} (all)"


def survival(rows: pd.DataFrame) -> list[Survival]:
    """Return how far one encoder survives, for every transformation and direction.

    Parameters
    ----------
    rows : pandas.DataFrame
        C_W of one encoder under one distance: a row a point.

    Returns
    -------
    list of Survival
        In page order; directions without a value are left out.
    """
    rows = rows[(rows["transformation"] != ORIGINAL) & rows["value"].notna()]
    by_direction: dict[tuple[str, str], list[Any]] = {}
    for row in rows.itertuples():
        point = Point(str(row.transformation), as_float(row.magnitude))
        by_direction.setdefault((point.code, point.side), []).append((point, row))
    codes = magnitudes.code_order(code for code, _ in by_direction)
    found = []
    for code, side in sorted(by_direction, key=lambda key: (codes.index(key[0]), key[1] == "up")):
        path = by_direction[code, side]
        path.sort(key=lambda pair: magnitudes.severity(code, pair[0].magnitude))
        passed = 0
        while passed < len(path) and path[passed][1].value >= NEAR:
            passed += 1
        _, at = path[max(passed - 1, 0)]
        lost = path[passed] if passed < len(path) else None
        n = int(at.n)
        found.append(
            Survival(
                code,
                side,
                path[passed - 1][0] if passed else None,
                float(at.value),
                float(at.ci_low),
                float(at.ci_high),
                lost[0] if lost else None,
                round(lost[1].value * lost[1].n) if lost else n,
                int(lost[1].n) if lost else n,
            )
        )
    return found


def of_run(
    consistency: pd.DataFrame, run: Mapping[str, Any]
) -> tuple[str, list[tuple[System, list[Survival]]]]:
    """Return the latent distance, and how far every encoder of a run survives under it."""
    within = headline(consistency[consistency["measure"] == "C_W"])
    within = within[within["encoder"] != AUDIO]
    known = distance_order(within["latent_distance"].fillna(""))
    if not known:
        return "", []
    distance = DISTANCE if DISTANCE in known else known[0]
    rows = within[within["latent_distance"] == distance]
    return distance, [(one, survival(of(rows, one))) for one in systems_of(run, rows)]


def yardstick_of(systems: Iterable[System]) -> System | None:
    """Return the untrained reference that a trained encoder should beat, if the run has it."""
    return next((one for one in systems if one.encoder in YARDSTICKS), None)


def answer(
    system: System,
    found: list[Survival],
    consistency: pd.DataFrame,
    distance: str,
    against: str = "",
) -> str:
    """Return the answer about one encoder, in a few sentences.

    Parameters
    ----------
    system : System
        The encoder.
    found : list of Survival
        How far it survives.
    consistency : pandas.DataFrame
        The run's table.
    distance : str
        The latent distance, of `of_run`.
    against : str
        A sentence on the difference from a reference, of `difference`.

    Returns
    -------
    str
        Empty where nothing was measured.
    """
    if not found:
        return ""
    within = headline(consistency[consistency["measure"] == "C_W"])
    mine = of(within[within["latent_distance"].fillna("") == distance], system)
    mildest = [mine[_at(mine, point)] for point in magnitudes.mildest(_points(mine))]
    cells = [row.iloc[0] for row in mildest if len(row) and not math.isnan(row.iloc[0]["value"])]
    worst = min(cells, key=lambda row: float(row["value"]))
    n = int(worst["n"])
    kept = round(float(worst["value"]) * n)
    if kept == n:
        sentences = [f"Keeps {n} of {n} clips through the mildest change of every kind."]
    else:
        where = magnitudes.in_words(worst["transformation"], worst["magnitude"])
        sentences = [f"Of {n} clips {kept} stay with their original at the worst of the mildest"]
        sentences[0] += f" changes ({where})."
    if float(worst["ci_low"]) < NEAR <= float(worst["ci_high"]):
        enough = clips_for_share(float(worst["value"]), NEAR)
        if enough is not None and enough > n:
            sentences.append(f"{enough} clips, as these, would settle whether that is {NEAR:g}.")
    lost = [one for one in found if one.lost is not None]
    if lost:
        listed = ", ".join(
            f"{magnitudes.in_words(*one.lost)} ({one.stay} of {one.n} stay)"
            for one in lost
            if one.lost is not None
        )
        sentences.append(f"C_W first falls below {NEAR:g} with {listed}.")
    never = [magnitudes.direction(one.code, one.side) for one in found if one.lost is None]
    if never:
        sentences.append(f"Never below {NEAR:g} in this grid: {', '.join(never)}.")
    return " ".join([*sentences, *([against] if against else [])])


def difference(
    system: System,
    yardstick: System,
    distance: str,
    queries: pd.DataFrame,
    clips: pd.DataFrame,
    run: Mapping[str, Any],
) -> str:
    """Say how an encoder differs from the untrained projection over the whole grid.

    Parameters
    ----------
    system, yardstick : System
        The encoder, and the reference of `yardstick_of`.
    distance : str
        The latent distance, of `of_run`.
    queries, clips : pandas.DataFrame
        The run's tables.
    run : mapping
        The run's record.

    Returns
    -------
    str
        A sentence with the paired difference of C_W and its 95 % interval; empty where they cannot
        be compared, or the encoder is the reference.
    """
    if yardstick == system or len(clips) < 2 or "grid" not in run:
        return ""
    tables = RunTables("run", run, clips, queries)
    table = compare(
        [tables],
        encoders=[system.label, yardstick.label],
        measure="C_W",
        distance=distance,
        n_resamples=RESAMPLES,
    ).table
    row = table[table["level"] == "overall"]
    if row.empty or not math.isfinite(row["ci_low"].iloc[0]):
        return ""
    value, low, high = (float(row[name].iloc[0]) for name in ("difference", "ci_low", "ci_high"))
    if (row["encoder_a"].iloc[0], row["task_a"].iloc[0] or "") != (system.encoder, system.task):
        value, low, high = -value, -high, -low
    word = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return (
        f"Against {yardstick.label}, over the whole grid: {word} ({value:+.2f} [{low:+.2f}, "
        f"{high:+.2f}])."
    )


def _points(rows: pd.DataFrame) -> list[tuple[str, float]]:
    pairs = rows[["transformation", "magnitude"]].itertuples(index=False)
    return [(str(a), float(b)) for a, b in pairs if a != ORIGINAL]


def _at(rows: pd.DataFrame, point: Point) -> Any:
    return (rows["transformation"] == point.code) & (rows["magnitude"] == point.magnitude)
