"""A run's tables held to their schemas (`nearkin.results.columns`) when they are read.

A table in, the same table out with plain types, or one sentence with file, place and demand: tables
come from strangers, from other versions and from damaged disks. Columns that no schema knows are
kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nearkin.errors import NearkinError, RunError, printable
from nearkin.results.columns import DEMANDS, SCHEMAS, Kind
from nearkin.tables import MEASURES, ORIGINAL
from nearkin.transforms import magnitudes


def read_checked(read: Callable[[], pd.DataFrame], name: str, file: Path) -> pd.DataFrame:
    """Read a table and check it.

    Parameters
    ----------
    read : callable
        Returns the table.
    name : str
        One of `SCHEMAS`.
    file : Path
        What sentences call it.

    Returns
    -------
    pandas.DataFrame
        As `checked` returns it.

    Raises
    ------
    RunError
        If it cannot be read or is no such table.
    """
    try:
        table = read()
    except NearkinError:
        raise
    except (
        *(OSError, ValueError, TypeError, LookupError, ArithmeticError),
        *(NotImplementedError, RuntimeError, AttributeError, MemoryError),
    ) as error:
        why = " ".join(str(error).split())[:200]
        raise RunError(
            f"{file}: cannot be read ({printable(why)}); give {SCHEMAS[name].again} again"
        ) from error
    return checked(table, name, file)


def checked(table: pd.DataFrame, name: str, file: Path | str) -> pd.DataFrame:
    """Return a table with plain types, or say what is wrong with it.

    Parameters
    ----------
    table : pandas.DataFrame
        As read.
    name : str
        One of `SCHEMAS`.
    file : path
        What sentences call it.

    Returns
    -------
    pandas.DataFrame
        Text as str ("" where missing), numbers as float64, whole numbers as int64 (Int64 where
        some may be missing); rows and order as they were.

    Raises
    ------
    RunError
        If a column is missing, named twice or of another type, a value is out of range, or two rows
        are about the same thing.
    """
    import pyarrow as pa

    schema = SCHEMAS[name]

    def refuse(what: str) -> RunError:
        return RunError(f"{file}: {what}; give {schema.again} again")

    columns: list[Any] = list(table.columns)
    if isinstance(table.columns, pd.MultiIndex) or not all(isinstance(one, str) for one in columns):
        raise refuse("its columns must have plain names")
    inside = [one for one in table.index.names if one in schema.columns and one not in columns]
    table = table.reset_index(level=inside) if inside else table
    table = table.reset_index(drop=True)
    twice = [one for one in schema.columns if list(table.columns).count(one) > 1]
    if twice:
        raise refuse(f"has two columns {twice[0]}: must be one")
    gone = [one for one in schema.columns if one not in table.columns]
    if gone:
        raise refuse(f"has no column {', '.join(gone)}: a table of {name} needs it")
    plain = dict(schema.columns)
    plain |= {one: kind for one, kind in schema.optional.items() if one in table.columns}
    made = table.copy()
    for column, kind in plain.items():
        try:
            values = _PLAIN[kind](table[column])
        except (pa.ArrowException, UnicodeError) as error:
            raise refuse(f"column {column}: holds bytes that are no text in UTF-8") from error
        if isinstance(values, int):
            value = table[column].iloc[values]
            plainly = value.item() if isinstance(value, np.generic) else value
            shown = printable(repr(plainly)[:60])
            raise refuse(f"row {values + 1}, column {column}: {shown}: must be {DEMANDS[kind]}")
        made[column] = values
    if name == "clips" and "group" not in made.columns:
        made["group"] = ""
    wrong = _out_of_range(made, name)
    if wrong is not None:
        raise refuse(f"row {wrong[0] + 1}, {wrong[1]}")
    if schema.key:
        twice_told = made.duplicated(list(schema.key))
        if twice_told.any():
            row = int(twice_told.to_numpy().argmax())
            raise refuse(
                f"row {row + 1} repeats the {' '.join(schema.key)} of another: must be one"
            )
    return made


_HALVES = frozenset(map(chr, range(0xD800, 0xE000)))


# -- columns: each returns plain values, or the number of the first row that is wrong --------------


def _texts(values: pd.Series[Any], *, empty: bool) -> Any:
    missing = values.isna().to_numpy(bool)
    found = values.astype(object).where(~missing, "").to_list()
    if {type(value) for value in found} - {str}:
        return next(row for row, value in enumerate(found) if type(value) is not str)
    if not empty and "" in found:
        return found.index("")
    try:
        return pd.Series(found, index=values.index, dtype=str)
    except UnicodeEncodeError:  # half a character
        return next(row for row, text in enumerate(found) if set(text) & _HALVES)


def _numbers(values: pd.Series[Any], *, missing: bool, infinite: bool = False) -> Any:
    if pd.api.types.is_bool_dtype(values.dtype) or not (
        pd.api.types.is_numeric_dtype(values.dtype) or values.isna().all()
    ):
        known = values[values.notna()]
        return 0 if known.empty else int(known.index[0])
    if pd.api.types.is_complex_dtype(values.dtype):
        return 0
    if values.isna().all():  # whatever they would be: dates, say, are no numbers
        found = np.full(len(values), np.nan)
    else:
        found = values.astype("Float64").to_numpy(np.float64, na_value=np.nan)
    wrong = np.isinf(found) & (not infinite) if missing else ~np.isfinite(found)
    if wrong.any():
        return int(wrong.argmax())
    return pd.Series(found, index=values.index)


def _wholes(values: pd.Series[Any], *, missing: bool, most: float = 2.0**53) -> Any:
    if pd.api.types.is_bool_dtype(values.dtype):
        return 0
    found = _numbers(values, missing=missing)
    if isinstance(found, int):
        return found
    with np.errstate(invalid="ignore"):
        wrong = (found < 0) | (found > most) | (found != np.floor(found))
    wrong &= found.notna()
    if wrong.any():
        return int(wrong.to_numpy().argmax())
    return found.astype("Int64") if missing else found.astype(np.int64)


_PLAIN: dict[Kind, Callable[[pd.Series[Any]], Any]] = {
    "name": lambda values: _texts(values, empty=False),
    "text": lambda values: _texts(values, empty=True),
    "number": lambda values: _numbers(values, missing=True),
    "place": lambda values: _numbers(values, missing=False),
    "real": lambda values: _numbers(values, missing=True, infinite=True),
    "whole": lambda values: _wholes(values, missing=False),
    "flag": lambda values: _wholes(values, missing=True, most=1),
    "rank": lambda values: _wholes(values, missing=True),
}


def _out_of_range(table: pd.DataFrame, name: str) -> tuple[int, str] | None:
    """Return the first row whose value or magnitude cannot be, and what is wrong there."""
    if not {"magnitude", "transformation"} <= set(SCHEMAS[name].columns):
        return None
    if name.startswith("attack"):
        return None  # an attack's magnitude is an SNR, whatever its transformation
    if name == "audibility":
        return None  # its magnitude is a median, which no axis need have
    if name == "consistency":
        measures = table["measure"].str.split("@").str[0]
        low, high = (
            measures.map({name: getattr(known, end) for name, known in MEASURES.items()})
            for end in ("low", "high")
        )
        bad = (table["value"] < low - 1e-9) | (table["value"] > high + 1e-9)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            told = f"must be in {low[row]:g}..{high[row]:g}"
            return row, f"value {table['value'][row]:g} of {measures[row]}: {told}"
    pairs = table[["transformation", "magnitude"]].drop_duplicates().dropna()
    for row, code, magnitude in pairs.itertuples(name=None):
        if code == ORIGINAL:
            continue
        try:
            severity = magnitudes.severity(code, magnitude)
            scale = magnitudes.axis(code).scale
        except (NearkinError, ValueError, ArithmeticError):
            return int(row), f"magnitude {magnitude:g}: is none that {code} can have"
        if not np.isfinite(severity) or (scale == "log" and magnitude <= 0):
            return int(row), f"magnitude {magnitude:g}: is none that {code} can have"
    return None
