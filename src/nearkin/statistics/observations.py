"""A tidy table of scores, checked once and turned into arrays for the models of this package.

Columns have one role each: scores (float64, any unit), factors (levels become numbers from 0) and
a magnitude. Rows keep the table's order; those with a missing value in any of the columns are left
out and counted, as every statistics program does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class Observations(NamedTuple):
    """A checked table as arrays; ``codes[i, f]`` is the level number of row i in factor f."""

    y: FloatArray
    x: FloatArray | None
    codes: IntArray
    levels: dict[str, tuple[Any, ...]]
    kept: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def observations(
    table: pd.DataFrame, *, response: str, factors: Sequence[str], smooth: str | None
) -> Observations:
    """Check a tidy table and turn it into arrays; rows with a missing value are left out.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a score.
    response : str
        Column of scores, any unit.
    factors : sequence of str
        Columns of levels; any values that can be told apart.
    smooth : str or None
        Column of magnitudes, already on the scale in which a curve is to be smooth.

    Returns
    -------
    Observations
        Levels are sorted, or in the order of their categories; `notes` says what was left out.

    Raises
    ------
    InputError
        If a column is unknown, not numeric or infinite, a factor has one level, the scores are
        constant, or nothing is left.
    """
    if not factors:
        raise InputError("factors=[]: at least one is needed; name a column of levels")
    numbers = [response] if smooth is None else [response, smooth]
    columns = [*numbers, *factors]
    for column in columns:
        if column not in table.columns:
            hint = suggest(str(column), map(str, table.columns))
            raise InputError(f"unknown column '{column}': {hint}")
        if columns.count(column) > 1:
            raise InputError(f"'{column}' is named twice: every column has one role; drop one")
    for column in numbers:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"'{column}' holds {table[column].dtype}: must be numbers; convert it")

    kept = table[columns].notna().all(axis=1).to_numpy(dtype=bool)
    left = table.loc[kept, columns]
    if left.empty:
        raise InputError(f"0 of {len(table)} rows have every value of {columns}: nothing to fit")
    y = left[response].to_numpy(dtype=float)
    x = None if smooth is None else left[smooth].to_numpy(dtype=float)
    for column in numbers:
        count = int(np.isinf(left[column].to_numpy(dtype=float)).sum())
        if count:
            raise InputError(f"'{column}' is infinite in {count} rows: must be finite; drop them")

    notes = []
    if len(left) < len(table):
        lost = len(table) - len(left)
        notes.append(f"{lost} of {len(table)} rows have a missing value and are left out")
    levels: dict[str, tuple[Any, ...]] = {}
    codes = np.empty((len(left), len(factors)), dtype=np.intp)
    for f, name in enumerate(factors):
        levels[name], codes[:, f] = _levels(left[name])
        gone = sorted(set(map(str, table[name].dropna())) - set(map(str, levels[name])))
        if gone:
            notes.append(f"{name} {', '.join(gone)}: no complete row, left out")
        if len(levels[name]) < 2:
            (only,) = levels[name]
            raise InputError(
                f"{name} has one level ('{only}'): a factor needs two; leave it out of the factors"
            )
    if np.ptp(y) == 0:
        raise InputError(f"all {len(y)} scores of '{response}' are {y[0]:g}: nothing to explain")
    return Observations(y, x, codes, levels, kept, tuple(notes))


def _levels(column: pd.Series[Any]) -> tuple[tuple[Any, ...], IntArray]:
    """Return a factor's levels in R's order (sorted, or the categories' own) and their codes."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return tuple(column.cat.categories), np.asarray(column.cat.codes, dtype=np.intp)
    codes, values = pd.factorize(column, sort=len({type(value) for value in column}) == 1)
    return tuple(values), np.asarray(codes, dtype=np.intp)
