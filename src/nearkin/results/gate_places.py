"""Which rows of a run a requirement's places mean; what it does not have is refused, never passed.

Tables in, masks out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results.audibility import SCALES
from nearkin.results.requirement import ATTACKED, IMPERCEPTIBLE, Condition, Requirement
from nearkin.results.systems import System
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

Mask = Any


def refused(required: Requirement, problem: str) -> InputError:
    """Return the error of a requirement that a run cannot be held to."""
    return InputError(f"requirement '{required}': {problem}")


def require_all_tested(
    required: Requirement, systems: Sequence[System], rows: pd.DataFrame, remedy: str
) -> None:
    """Refuse a requirement of every tested encoder where one was not measured.

    Parameters
    ----------
    required : Requirement
    systems : sequence of System
        The encoders of the run.
    rows : pandas.DataFrame
        What was measured.
    remedy : str
        How an encoder is measured.

    Raises
    ------
    InputError
        If a tested encoder has no row.
    """
    there = set(zip(rows["encoder"], rows["task"].fillna(""), strict=True))
    lacking = [
        one.label
        for one in systems
        if one.role == "tested" and (one.encoder, one.task) not in there
    ]
    if lacking:
        what = "attack" if required.is_attack else required.column
        raise refused(
            required,
            f"means every tested encoder, and the run has no {what} of {', '.join(lacking)}: name "
            f"the encoders that it is for, as in {required.column}[NAME], or {remedy}",
        )


def meant_rows(
    required: Requirement, rows: pd.DataFrame, heard: pd.DataFrame | None = None
) -> Mask:
    """Return which rows are meant; every condition must find some.

    Parameters
    ----------
    required : Requirement
    rows : pandas.DataFrame
        Of a consistency table.
    heard : pandas.DataFrame, optional
        What the median clip hears at every point (`nearkin.results.audibility.medians`).

    Returns
    -------
    bool[len(rows)]

    Raises
    ------
    InputError
        If a condition names no point of the run, or needs what the run does not hold.
    """
    if not required.places:
        anywhere = (rows["transformation"] != ORIGINAL).to_numpy()
        if not anywhere.any():
            raise refused(required, "the run has no transformation but OG: add '@ OG'")
        return anywhere
    meant = np.zeros(len(rows), bool)
    for group in required.places:
        audible = [condition for condition in group if condition.code in SCALES]
        if audible:
            meant |= _audible(required, group, audible, rows, heard)
            continue
        for code in dict.fromkeys(condition.code for condition in group):
            here = np.ones(len(rows), bool)
            told = " and ".join(str(one) for one in group if one.code == code)
            for condition in group:
                if condition.code == code:
                    here &= _meets(required, condition, rows)
            if not here.any():
                raise refused(required, f"'{told}' names no point of the run: {_known(code, rows)}")
            meant |= here
    return meant


def _audible(
    required: Requirement,
    group: Sequence[Condition],
    audible: Sequence[Condition],
    rows: pd.DataFrame,
    heard: pd.DataFrame | None,
) -> Mask:
    """Return the rows at which the median clip hears as much as is said, of the codes beside it."""
    told = " and ".join(str(condition) for condition in group)
    if heard is None:
        raise refused(
            required, f"'{told}' needs perception.parquet: give nearkin perceive RUN first"
        )
    if any(not condition.comparison for condition in audible):
        raise refused(required, f"'{told}' needs a number: write for instance 'MOS>=4.5'")
    others = [condition for condition in group if condition.code not in SCALES]
    here = np.array(rows["transformation"] != ORIGINAL)
    if others:
        here &= np.any([_meets(required, condition, rows) for condition in others], axis=0)
    places = pd.MultiIndex.from_frame(rows[["transformation", "magnitude"]])
    there = heard.reindex(places)
    for condition in audible:
        column = SCALES[condition.code]
        mine = (there["scale"] == column).to_numpy()
        values = there[column].to_numpy(np.float64)
        here &= mine & [condition.holds(float(value)) for value in values]
    if not here.any():
        raise refused(required, f"'{told}' names no point of the run")
    return here


def _meets(required: Requirement, condition: Condition, rows: pd.DataFrame) -> Mask:
    pairs = list(zip(rows["transformation"], rows["magnitude"], strict=True))
    if condition.code == IMPERCEPTIBLE:
        return np.array([_imperceptible(str(code), float(value)) for code, value in pairs])
    codes = rows["transformation"].unique()
    if condition.code not in codes:
        known = suggest(condition.code, [*codes, IMPERCEPTIBLE])
        raise refused(required, f"the run has no transformation '{condition.code}': {known}")
    return np.array(
        [code == condition.code and condition.holds(float(value)) for code, value in pairs]
    )


def _imperceptible(code: str, magnitude: float) -> bool:
    if code in (ORIGINAL, ATTACKED) or math.isnan(magnitude):
        return False
    return magnitudes.is_imperceptible(magnitudes.Point(code, magnitude))


def _known(code: str, rows: pd.DataFrame) -> str:
    if code == IMPERCEPTIBLE:
        return "its mildest magnitudes are more severe than the paper's; run --grid imperceptible"
    values = sorted(rows.loc[rows["transformation"] == code, "magnitude"].unique())
    told = ", ".join(f"{value:g}" for value in values[:6])
    return f"{code} has {told}" + (f" ... {values[-1]:g}" if len(values) > 6 else "")
