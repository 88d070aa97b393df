"""What `nearkin perform` says on a terminal: a line a model, what failed, where the tables are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.results.task_scores import signs
from nearkin.tables import OK
from nearkin.tasks import by_measure
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

LISTED = 10


@dataclass(frozen=True)
class Summary:
    """A short account of task scores.

    Attributes
    ----------
    out, report : str
        Paths of the folder and of the page; the latter empty where there is no run.
    models : list of dict
        Encoder, task, trial, measure; score, interval, n and chance on the unchanged clips; the
        worst score of all points and where it was.
    test_sets : dict
        By task: clips found, used, skipped, failed.
    notes : list of str
        What was left out, in sentences.
    failed : bool
        Whether a clip could not be read or scored (one that is skipped did not fail).
    """

    out: str
    report: str
    models: list[dict[str, Any]]
    test_sets: dict[str, Any]
    notes: list[str]
    failed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        from nearkin.files import finite

        plain: dict[str, Any] = finite(vars(self))
        return plain

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        rows = []
        for row in self.models:
            trial = "mean of trials" if row["trial"] == 0 else f"trial {row['trial']}"
            rows.append(
                (
                    f"{row['encoder']}-{row['task']}, {trial}",
                    _measured(row["measure"]),
                    f"{_number(row['value'])} [{_number(row['ci_low'])}, "
                    f"{_number(row['ci_high'])}]",
                    _number(row["chance"]),
                    str(row["n"]),
                    f"{_number(row['worst'])} {row['worst_at']}",
                )
            )
        head = ("model", "measure", "unchanged clips", "chance", "clips", "worst")
        widths = [max(len(cells[i]) for cells in (head, *rows)) for i in range(len(head))]
        told = [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in (head, *rows)
        ]
        where = f"report: {self.report}" if self.report else f"tables: {self.out}"
        return [*told, *self.notes, where]


def summary(
    table: pd.DataFrame, record: Mapping[str, Any], *, out: Path, report: Path | None
) -> Summary:
    """Sum up performance.parquet and performance.json.

    Of an encoder with several trials the mean over them is told.
    """
    models = []
    for _, mine in table.groupby(["encoder", "task"], sort=False):
        models.append(_model(mine[mine["trial"] == mine["trial"].min()]))
    sets = {str(task): dict(counts) for task, counts in record["test_sets"].items()}
    return Summary(
        out=str(out),
        report="" if report is None else str(report),
        models=models,
        test_sets=sets,
        notes=_notes(table, sets),
        failed=bool(table["status"].str.contains("failed").any())
        or any(counts.get("failed") for counts in sets.values()),
    )


def _model(rows: pd.DataFrame) -> dict[str, Any]:
    original = rows[rows["transformation"] == ORIGINAL].iloc[0]
    names = ("encoder", "task", "trial", "measure", "value", "ci_low", "ci_high", "n", "chance")
    found = {name: _plain(original[name]) for name in names}
    changed = rows[(rows["transformation"] != ORIGINAL) & rows["value"].notna()]
    if changed.empty:
        return {**found, "worst": math.nan, "worst_at": ""}
    signed = changed["value"] * signs()[str(original["measure"])]
    worst = changed.iloc[int(signed.to_numpy().argmin())]
    at = magnitudes.in_words(str(worst["transformation"]), float(worst["magnitude"]))
    return {**found, "worst": float(worst["value"]), "worst_at": at}


def _notes(table: pd.DataFrame, sets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    notes = []
    for task, counts in sets.items():
        for word in ("skipped", "failed"):
            if counts.get(word):
                notes.append(f"task {task}: {counts[word]} of {counts['found']} clips {word}")
    single = table[(table["trial"] >= 1) & (table["status"] != OK)]
    keys = single[["encoder", "task", "status"]].itertuples(index=False, name=None)
    reasons = Counter(keys)
    for (encoder, task, status), n_rows in list(reasons.items())[:LISTED]:
        points = "point" if n_rows == 1 else "points"
        notes.append(f"{encoder}-{task}, at {n_rows} {points}: {status}")
    if len(reasons) > LISTED:
        notes.append(f"and {len(reasons) - LISTED} more reasons: see performance.csv")
    return notes


def _measured(measure: str) -> str:
    task = by_measure()[measure]
    told = f"{measure}, {task.unit}" if task.unit else measure
    return told if task.more_is_better else f"{told} (less is better)"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _number(value: float) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
