"""The vectors of a table of embeddings: one column of lists, or a numbered column a dimension.

Columns that merely hold numbers (a duration, a tempo) never become dimensions: those are numbered
(``v0`` to ``vN``) or named by the user. A null costs its own row, which becomes NaN.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import pool
from nearkin.errors import InputError
from nearkin.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

LIST = "embedding"
_NUMBERED = re.compile(r"(.*?)(\d+)\Z", re.DOTALL)


def vectors_of(
    table: pd.DataFrame, *, keys: Sequence[str], chosen: Any, how: str, spec: str
) -> tuple[NDArray[np.float32], str]:
    """Read the vectors of a table.

    Parameters
    ----------
    table : pandas.DataFrame
    keys : sequence of str
        Columns that are none.
    chosen : str, list of str or None
        What the user named: a column of lists, or the columns that are dimensions, in order.
    how : {"mean", "max", "meanstd", "first"}
        How a time axis inside a row is pooled.
    spec : str
        For messages.

    Returns
    -------
    float32[rows, D], str
        NaN where a row has a null; and in words what was taken and what was left out.

    Raises
    ------
    InputError
        If it is not clear which columns are meant, or what they hold is no vector of numbers.
    """
    if table.empty:
        raise InputError(f"encoder '{spec}': holds no rows; write one for each clip and change")
    others = [str(column) for column in table.columns if str(column) not in keys]
    columns = _chosen(chosen, others, spec)
    if columns is None:
        columns = _found(table, others, spec)
    if len(columns) == 1 and not _is_number(table[columns[0]]):
        vectors = _of_lists(table, columns[0], how, spec)
    else:
        vectors = _of_columns(table, columns, spec)
    if np.isnan(vectors).all():
        raise InputError(f"encoder '{spec}': every row of it has a null: it holds no vector")
    left = [name for name in others if name not in columns]
    taken = f"column {columns[0]}"
    if len(columns) > 1:
        taken = f"columns {columns[0]} to {columns[-1]}"
    return vectors, taken + (f"; not used: {', '.join(left[:6])}" if left else "")


def _chosen(chosen: Any, others: Sequence[str], spec: str) -> list[str] | None:
    if chosen is None:
        return None
    names = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(
            f"encoder '{spec}': columns={chosen!r}: must be a name, or a list of names"
        )
    if len(set(names)) < len(names):
        raise InputError(f"encoder '{spec}': columns: one is named twice; name each once")
    for name in names:
        if name not in others:
            raise InputError(f"encoder '{spec}': has no column '{name}': {suggest(name, others)}")
    return list(names)


def _found(table: pd.DataFrame, others: Sequence[str], spec: str) -> list[str]:
    """Find the one column of lists, or the one family of numbered columns."""
    if LIST in others:
        return [LIST]
    lists = [name for name in others if _holds_lists(table[name])]
    if len(lists) == 1:
        return lists
    families = _families([name for name in others if _is_number(table[name])])
    if not lists and len(families) == 1:
        return families[0]
    numeric = [name for name in others if _is_number(table[name])]
    name_them = "name them with --encoder-options '{\"columns\": [...]}'"
    if lists:
        raise InputError(
            f"encoder '{spec}': the columns {', '.join(lists[:6])} all hold lists: call the one "
            f"that counts '{LIST}', or {name_them}"
        )
    if families:
        told = " and ".join(f"{names[0]} to {names[-1]}" for names in families[:4])
        raise InputError(
            f"encoder '{spec}': {told} may all be dimensions: drop the others, or {name_them}"
        )
    _require_complete(table, others, spec)
    if numeric:
        raise InputError(
            f"encoder '{spec}': no column '{LIST}', and whether {', '.join(numeric[:6])} are "
            f"dimensions is not clear: call them v0, v1 ..., or {name_them}"
        )
    raise InputError(
        f"encoder '{spec}': no column '{LIST}' and no numbered columns v0, v1 ... beside "
        "clip_id, transformation and magnitude"
    )


def _require_complete(table: pd.DataFrame, others: Sequence[str], spec: str) -> None:
    """Refuse v0 to vN of which one is missing, or holds something else than numbers."""
    for names in _families(others):
        for name in names:
            if any(map(_is_number, (table[one] for one in names))) and not _is_number(table[name]):
                raise _no_dimension(table, name, spec)
    numbered = [_NUMBERED.match(name) for name in others if _is_number(table[name])]
    places: dict[str, set[int]] = {}
    for match in filter(None, numbered):
        places.setdefault(match[1], set()).add(int(match[2]))
    for stem, there in places.items():
        gap = set(range(min(1, *there), max(there))) - there if len(there) > 2 else set()
        if gap and len(gap) < len(there):
            raise InputError(
                f"encoder '{spec}': column '{stem}{min(gap)}' is missing among {stem}{min(there)} "
                f"to {stem}{max(there)}: number them without a gap, or name those that count with "
                "--encoder-options '{\"columns\": [...]}'"
            )


def _no_dimension(table: pd.DataFrame, name: str, spec: str) -> InputError:
    return InputError(
        f"encoder '{spec}': column {name} is {table[name].dtype}: a dimension must be numbers"
    )


def _families(names: Sequence[str]) -> list[list[str]]:
    """Return the columns that share a stem and are numbered without a gap from 0 or 1."""
    stems: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.match(name)
        if match:
            stems.setdefault(match[1], {})[int(match[2])] = name
    return [
        [numbered[number] for number in sorted(numbered)]
        for numbered in stems.values()
        if len(numbered) > 1
        and min(numbered) in (0, 1)
        and max(numbered) - min(numbered) == len(numbered) - 1
    ]


def _of_columns(table: pd.DataFrame, columns: Sequence[str], spec: str) -> NDArray[np.float32]:
    for name in columns:
        if not _is_number(table[name]):
            raise _no_dimension(table, name, spec)
    return _narrow(table[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan))


def _of_lists(table: pd.DataFrame, column: str, how: str, spec: str) -> NDArray[np.float32]:
    rows = [
        _vector(value, f"encoder '{spec}': row {number}, column {column}", how)
        for number, value in enumerate(table[column])
    ]
    sizes: dict[int, int] = {}
    for number, row in enumerate(rows):
        if row is not None:
            sizes.setdefault(len(row), number)
    if len(sizes) > 1:
        (size, first), (other, second), *_ = sizes.items()
        raise InputError(
            f"encoder '{spec}': embeddings of different sizes ({size} in row {first}, {other} in "
            f"row {second}): must be one size"
        )
    blank = np.full(next(iter(sizes), 1), np.nan)
    return _narrow(np.stack([blank if row is None else row for row in rows]))


def _vector(value: Any, where: str, how: str) -> NDArray[np.float64] | None:
    """Read one cell: None for a null, [D] of [D], of [1, D], and of [T, D] pooled."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise InputError(f"{where}: is bytes, whose numbers nothing states: write a list of floats")
    if isinstance(value, str):
        raise InputError(f"{where}: is text ({value[:20]!r}): write a list of floats, no JSON")
    if not isinstance(value, list | tuple | np.ndarray):
        if value is None or value != value or type(value).__name__ == "NAType":
            return None
        raise InputError(f"{where}: is {type(value).__name__}, must be a list of floats")
    try:
        nested = len(value) > 0 and isinstance(value[0], list | tuple | np.ndarray)
        array = np.stack([_numbers(part) for part in value]) if nested else _numbers(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: is no vector of numbers ({error})") from error
    if array.size == 0:
        return None
    if array.ndim == 2:
        return array[0] if len(array) == 1 else pool(array, how=how).astype(np.float64)
    if array.ndim != 1:
        raise InputError(f"{where}: has the shape {list(array.shape)}: must be [D] or [time, D]")
    return array


def _numbers(value: Any) -> NDArray[np.float64]:
    raw = np.asarray(value)
    if raw.dtype.kind not in "fiuO" or (
        raw.dtype.kind == "O"
        and any(isinstance(one, str | bytes | complex | dt.date) for one in raw.ravel())
    ):
        raise TypeError(f"holds {raw.dtype.name if raw.dtype.kind != 'O' else 'text'}")
    return raw.astype(np.float64)


def _narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _holds_lists(values: pd.Series[Any]) -> bool:
    known = values.dropna()
    return len(known) > 0 and isinstance(known.iloc[0], list | tuple | np.ndarray)


def _is_number(values: pd.Series[Any]) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)
