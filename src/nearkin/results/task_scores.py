"""Scores of encoders in their tasks, brought to one scale: standardised within each task.

Conventions
-----------
Measures differ by task (an error, a share, decibels), so that scores of two tasks can only be set
side by side in units of their own spread. MSE's sign is turned first: more is better everywhere.
Single trials (``trial`` >= 1) of changed clips are standardised, over all encoders, trials and
magnitudes of a task at once (Kim et al. 2019, section 5.1).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.tasks import by_measure
from nearkin.transforms.magnitudes import ORIGINAL

ENDS = ["ci_low", "ci_high"]
COLUMNS = ("encoder", "task", "trial", "measure", "transformation", "magnitude", "value")


def signs() -> dict[str, int]:
    """Return the measures of the tasks: 1 where more is better, -1 where less is."""
    return {name: 1 if one.more_is_better else -1 for name, one in by_measure().items()}


def of_trials(performance: pd.DataFrame) -> pd.DataFrame:
    """Return single trials' scores of changed clips, more being better; infinite ones undefined.

    Parameters
    ----------
    performance : pandas.DataFrame
        With at least the columns `COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        Its columns; a new table.

    Raises
    ------
    InputError
        If a column is missing, a measure unknown, a task unnamed or measured in two ways.
    """
    gone = [name for name in COLUMNS if name not in performance.columns]
    if gone:
        raise InputError(
            f"performance.parquet has no column {', '.join(gone)}: task scores need it; give "
            "nearkin perform again"
        )
    for name in ("trial", "magnitude", "value"):
        if not pd.api.types.is_numeric_dtype(performance[name]):
            raise InputError(
                f"performance.parquet: '{name}' holds {performance[name].dtype}: must be numbers; "
                "give nearkin perform again"
            )
    rows = performance[
        (performance["trial"] >= 1) & (performance["transformation"] != ORIGINAL)
    ].copy()
    sign = signs()
    for measure in rows["measure"].unique():
        if measure not in sign:
            raise InputError(f"unknown task measure '{measure}': {suggest(str(measure), sign)}")
    if rows["task"].isna().any() or (rows["task"] == "").any():
        raise InputError("a row of task scores names no task: every score needs one; name it")
    for task, part in rows.groupby("task"):
        names = " and ".join(sorted(part["measure"].unique())[:2])
        if names not in sign:
            raise InputError(
                f"task '{task}' is measured in {names}: their scores have no common scale; keep one"
            )
    turned = rows["measure"].map(sign).astype(float)
    value = rows["value"].astype(float) * turned
    rows["value"] = value.where(np.isfinite(value))
    if {*ENDS} <= {*rows.columns}:
        ends = rows[ENDS].astype(float).mul(turned, axis=0)
        rows[ENDS[0]], rows[ENDS[1]] = ends.min(axis=1), ends.max(axis=1)
    return rows


def standardised(rows: pd.DataFrame) -> pd.DataFrame:
    """Return scores, and their intervals, less the task's mean, in units of its spread (n - 1).

    Parameters
    ----------
    rows : pandas.DataFrame
        With the columns `task` and `value`, more being better.

    Returns
    -------
    pandas.DataFrame
        The same rows; NaN where all scores of a task are equal.

    Examples
    --------
    >>> table = pd.DataFrame({"task": ["at"] * 3 + ["vs"] * 3, "value": [1.0, 2, 3, 10, 20, 30]})
    >>> standardised(table)["value"].tolist()
    [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]
    """
    by_task = rows.groupby("task", observed=True)["value"]
    mean, spread = by_task.transform("mean"), by_task.transform("std")
    scaled = ["value", *(name for name in ENDS if name in rows.columns)]
    return rows.assign(**{name: (rows[name] - mean) / spread.where(spread > 0) for name in scaled})
