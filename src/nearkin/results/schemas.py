"""What a run's tables hold: columns, types and ranges, checked when a table is read.

A table in, the same table out with plain types, or one sentence with file, place and demand: tables
come from strangers, from other versions and from damaged disks. Conventions: text is never missing
where it names something, and else missing means empty; numbers are finite or missing (NaN); whole
numbers are 0 or more. Columns that no schema knows are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from nearkin.errors import NearkinError, RunError, printable
from nearkin.tables import MEASURES, ORIGINAL
from nearkin.transforms import magnitudes

Kind = Literal["name", "text", "number", "place", "real", "whole", "flag", "rank"]

DEMANDS: dict[str, str] = {
    "name": "text that is not empty",
    "text": "text, or missing",
    "number": "a finite number, or missing",
    "place": "a finite number",
    "real": "a number, or missing",
    "whole": "a whole number, 0 or more",
    "flag": "0, 1 or missing",
    "rank": "a whole number, 0 or more, or missing",
}


class Schema(NamedTuple):
    """Columns a table must have, those it may have, and the columns that name a row."""

    columns: dict[str, Kind]
    optional: dict[str, Kind]
    key: tuple[str, ...]
    again: str
    """The command that makes the table anew."""


RUN, PERFORM, ANALYZE = "the nearkin run command", "nearkin perform", "nearkin analyze"
GALLERY, PERCEIVE, TRAJECTORIES = "nearkin gallery", "nearkin perceive", "nearkin trajectories"
_WHO: dict[str, Kind] = {"encoder": "name", "task": "text", "trial": "whole"}
_SCORE: dict[str, Kind] = {
    **_WHO,
    **{"measure": "name", "audio_distance": "text", "latent_distance": "text"},
    **{"transformation": "name", "magnitude": "number", "value": "number"},
    **{"ci_low": "number", "ci_high": "number", "n": "whole", "chance": "number"},
    "status": "text",
}
_SCORE_KEY = (
    *("encoder", "task", "trial", "measure", "audio_distance", "latent_distance"),
    *("transformation", "magnitude"),
)
_OF: dict[str, Kind] = {"measure": "name", "audio_distance": "text", "latent_distance": "text"}
_MORE: dict[str, Kind] = {"ci_method": "text", "n_failed": "whole"}

SCHEMAS = {
    "clips": Schema(
        {
            **{"clip_id": "name", "path": "text", "start_s": "number", "duration_s": "number"},
            **{"loudness_lufs": "number", "content_sha256": "text", "status": "text"},
        },
        {"group": "text"},
        ("clip_id",),
        RUN,
    ),
    "queries": Schema(
        {
            **_WHO,
            **{"space": "name", "distance": "name", "transformation": "name"},
            **{"magnitude": "place", "effective_magnitude": "number", "clip_id": "name"},
            **{"error": "flag", "rank": "rank", "margin": "number", "d_own": "number"},
            **{"d_nearest": "number", "nearest_id": "text", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "space", "distance", "transformation", "magnitude"),
            "clip_id",
        ),
        RUN,
    ),
    "consistency": Schema({**_SCORE, "side": "text"}, _MORE, (*_SCORE_KEY, "side"), RUN),
    "failures": Schema(
        {
            **_WHO,
            **{"distance": "name", "transformation": "name", "magnitude": "place"},
            **{"clip_id": "name", "nearest_id": "text", "rank": "rank", "d_own": "number"},
            **{"d_nearest": "number", "margin": "number", "query_audio": "text"},
            **{"own_audio": "text", "nearest_audio": "text"},
        },
        {},
        (),
        RUN,
    ),
    "attacks": Schema(
        {
            **_WHO,
            **{"method": "name", "space": "name", "distance": "name", "transformation": "name"},
            **{"magnitude": "number", "effective_magnitude": "number", "clip_id": "name"},
            **{"error": "flag", "rank": "rank", "margin": "number", "d_own": "number"},
            **{"d_nearest": "number", "nearest_id": "text", "asked": "whole", "status": "text"},
        },
        {"mos": "number"},
        (
            *("encoder", "task", "trial", "space", "distance", "transformation", "magnitude"),
            "clip_id",
        ),
        RUN,
    ),
    "attack_scores": Schema(
        {
            **_WHO,
            **{"method": "name", "measure": "name", "space": "name", "distance": "name"},
            **{"transformation": "name", "magnitude": "number", "value": "real"},
            **{"ci_low": "real", "ci_high": "real", "ci_method": "text", "n": "whole"},
            **{"n_failed": "whole", "chance": "number", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "measure", "space", "distance", "transformation"),
            "magnitude",
        ),
        RUN,
    ),
    "attack_sounds": Schema(
        {
            **_WHO,
            **{"method": "name", "magnitude": "place", "clip_id": "name", "nearest_id": "text"},
            **{"margin": "number", "query_audio": "text", "own_audio": "text"},
            "nearest_audio": "text",
        },
        {},
        (),
        RUN,
    ),
    "gallery": Schema(
        {
            **_WHO,
            **{"latent_distance": "name", "transformation": "name", "magnitude": "place"},
            **{"size": "whole", "kind": "name", "value": "number", "ci_low": "number"},
            **{"ci_high": "number", "ci_method": "text", "n": "whole", "n_failed": "whole"},
            **{"chance": "number", "status": "text"},
        },
        {},
        ("encoder", "task", "trial", "latent_distance", "transformation", "magnitude", "size"),
        GALLERY,
    ),
    "gallery_queries": Schema(
        {
            **_WHO,
            **{"clip_id": "name", "transformation": "name", "magnitude": "place"},
            **{"distance": "name", "rank": "whole", "n_nearer": "whole", "nearest_row": "place"},
            **{"d_nearest": "number", "status": "text"},
        },
        {},
        ("encoder", "task", "trial", "clip_id", "transformation", "magnitude", "distance"),
        GALLERY,
    ),
    "perception": Schema(
        {
            **{"clip_id": "name", "transformation": "name", "magnitude": "place"},
            **{"effective_magnitude": "number", "scale": "text", "mos": "number"},
            **{"zimtohrli": "number", "jnd": "number", "status": "text"},
        },
        {},
        ("clip_id", "transformation", "magnitude"),
        PERCEIVE,
    ),
    "audibility": Schema(
        {
            **_WHO,
            **{"measure": "name", "latent_distance": "name", "transformation": "name"},
            **{"side": "text", "scale": "name", "level": "place", "magnitude": "number"},
            **{"value": "number", "ci_low": "number", "ci_high": "number", "ci_method": "text"},
            **{"n": "whole", "n_beyond": "whole", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "measure", "latent_distance", "transformation", "side"),
            "scale",
        ),
        PERCEIVE,
    ),
    "trajectories": Schema(
        {
            **_WHO,
            **{"transformation": "name", "side": "text", "n_magnitudes": "whole", "n": "whole"},
            **{"measure": "name", "value": "number", "ci_low": "number", "ci_high": "number"},
            "status": "text",
        },
        {},
        ("encoder", "task", "trial", "transformation", "side", "measure"),
        TRAJECTORIES,
    ),
    "trajectory_agreement": Schema(
        {
            **_WHO,
            **{"transformation_a": "name", "side_a": "text", "transformation_b": "name"},
            **{"side_b": "text", "n": "whole", "cosine": "number", "ci_low": "number"},
            **{"ci_high": "number", "cosine_of_means": "number", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "transformation_a", "side_a", "transformation_b"),
            "side_b",
        ),
        TRAJECTORIES,
    ),
    "trajectory_paths": Schema(
        {
            **_WHO,
            **{"name": "name", "step": "whole", "x": "place", "y": "place"},
            "magnitude": "number",
        },
        {},
        ("encoder", "task", "trial", "name", "step"),
        TRAJECTORIES,
    ),
    "performance": Schema(
        {name: kind for name, kind in _SCORE.items() if name != "status"},
        {**_MORE, "status": "text", "side": "text"},
        _SCORE_KEY,
        PERFORM,
    ),
    "gam": Schema(
        {
            **_OF,
            **{"n": "whole", "r2": "real", "edf": "real", "residual_df": "real"},
            "residual_sd": "real",
        },
        {"k": "whole", "n_dropped": "whole", "r2_adj": "real"},
        (),
        ANALYZE,
    ),
    "anova": Schema(
        {**_OF, "term": "name", "df": "real", "F": "real", "p": "real", "status": "text"},
        {"residual_df": "real"},
        (),
        ANALYZE,
    ),
    "marginal_means": Schema(
        {
            **_OF,
            **{"factor": "name", "level": "name", "mean": "number", "se": "number"},
            **{"ci_low": "number", "ci_high": "number"},
        },
        {
            **{"clip_se": "number", "encoder": "text", "task": "text", "transformation": "text"},
            **{"clip_kind": "text", "status": "text", "at": "text", "trial_status": "text"},
            **{"trial_mean": "real", "trial_se": "real", "trials": "rank"},
            **{"trial_ci_low": "real", "trial_ci_high": "real"},
        },
        (),
        ANALYZE,
    ),
    "contrasts": Schema(
        {
            **_OF,
            **{"factor": "name", "level_a": "name", "level_b": "name", "difference": "real"},
            **{"se": "real", "ci_low": "real", "ci_high": "real", "t": "real", "p": "real"},
            "status": "text",
        },
        {"clip_se": "real", "clip_p": "real", "at": "text"},
        (),
        ANALYZE,
    ),
    "correlations": Schema(
        {
            **{"kind": "name", "measure": "text", "a": "text", "b": "text", "about": "text"},
            **{"n": "whole", "spearman": "real", "pearson": "real", "mean_difference": "real"},
        },
        {},
        (),
        ANALYZE,
    ),
}


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
