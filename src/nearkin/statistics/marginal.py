"""Marginal means: the level of a score for each level of a factor, all else weighted equally.

Two definitions, which differ more than any two programs do; say which beside the number.

- ``at="own"``: over every cell's own magnitudes. A cell's row is the average of its rows of the
  model matrix; a level's mean is the unweighted average over the cells it has. It depends on the
  grid of magnitudes and, where cells are missing, on which are there.
- ``at="mean"``: over every combination of the other factors, at the table's mean magnitude (the
  default of R's ``emmeans``). Where a combination has no rows it is not estimable, and says so.

Conventions
-----------
A marginal mean is a linear function ``L b`` of the coefficients with variance ``L V L'``. It is
estimable when `L` is orthogonal to every direction the data leave open (Searle 1971, section 5.4)
and puts no weight on the curve of a cell nobody has seen. Intervals are ``t`` intervals on the
model's residual degrees of freedom; pairwise contrasts are adjusted by Tukey's studentised range
over all levels of the margin, their intervals jointly. Intervals at one magnitude are those of a
smooth, right on average over a curve and somewhat short where it bends most (Nychka 1988, JASA
83(404)); those over own magnitudes do not depend on the smoothing in a balanced table. Tables are
tidy, one row a level or a pair, in the order of the levels. All of it is the paper's analysis (its
figures 5, 8 and 11) but for the errors between trials: see
`nearkin.statistics.trials`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.statistics.design import Design
from nearkin.statistics.penalised import Fit
from nearkin.statistics.trials import CONFIDENCE

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NOT_ESTIMABLE = "not estimable"
UNLIKE_CELLS = "unlike cells"
# Part of a function along a direction without data, relative to its length, that is round-off.
ESTIMABLE_TOLERANCE = 1e-6


class FittedModel(Protocol):
    """What marginal means need of a fitted model, such as `nearkin.statistics.additive.Gam`."""

    @property
    def design(self) -> Design:
        """Return the model matrix."""

    @property
    def fit(self) -> Fit:
        """Return coefficients and their covariance."""

    @property
    def own_rows(self) -> FloatArray:
        """Return the mean row of every cell, over its own magnitudes."""

    @property
    def mean_magnitude(self) -> float | None:
        """Return the mean magnitude of the table; None without a smooth."""

    @property
    def residual_df(self) -> float:
        """Return the degrees of freedom of the residuals."""


class Margin(NamedTuple):
    """Linear functions of the coefficients, one for each of the margin's m levels."""

    names: list[str]  # the factors that span it
    levels: list[tuple[object, ...]]  # m of them, one value a factor
    L: FloatArray  # [m, P]
    unseen: FloatArray  # [m, combinations]: weight on every combination that has no rows
    present: BoolArray  # [m, contexts]: which combinations of the other factors have rows


def means(
    model: FittedModel, factor: str | Sequence[str], *, at: Literal["own", "mean"] = "own"
) -> pd.DataFrame:
    """Return estimated marginal means with standard errors and 95 % intervals.

    Parameters
    ----------
    model : FittedModel
        A fitted additive model.
    factor : str or sequence of str
        One factor of the model, or several for every combination of their levels.
    at : {"own", "mean"}, optional
        Over each cell's own magnitudes, or at the mean magnitude (see the module's heading).

    Returns
    -------
    pandas.DataFrame
        ``level mean se ci_low ci_high cells cells_absent status``; for several factors a column
        for each comes first and `level` joins them with commas. `cells` of the combinations with
        the other factors have rows, `cells_absent` have none. `status` is "ok" or "not estimable"
        (then the numbers are missing).

    Raises
    ------
    InputError
        If `factor` is no factor of the model, or `at` is unknown.
    """
    margin = _margin(model, factor, at=at)
    mean, se = _estimate(model, margin.L, margin.unseen)
    reach = stats.t.ppf(0.5 + CONFIDENCE / 2, model.residual_df) * se
    return pd.DataFrame(
        {
            **_level_columns(margin),
            "mean": mean,
            "se": se,
            "ci_low": mean - reach,
            "ci_high": mean + reach,
            "cells": margin.present.sum(axis=1),
            "cells_absent": (~margin.present).sum(axis=1),
            "status": np.where(np.isnan(se), NOT_ESTIMABLE, "ok"),
        }
    )


def contrasts(
    model: FittedModel,
    factor: str | Sequence[str],
    *,
    at: Literal["own", "mean"] = "own",
    adjust: Literal["tukey", "none"] = "tukey",
) -> pd.DataFrame:
    """Return all pairwise differences of marginal means.

    Parameters
    ----------
    model : FittedModel
        A fitted additive model.
    factor : str or sequence of str
        One factor of the model, or several for every combination of their levels.
    at : {"own", "mean"}, optional
        As for :func:`means`.
    adjust : {"tukey", "none"}, optional
        Tukey's adjustment of p-values and intervals for all pairs of levels (also of those that
        are not estimable, as R's ``emmeans`` has it), or none.

    Returns
    -------
    pandas.DataFrame
        ``level_a level_b difference se ci_low ci_high t p status``; the difference is a less b.
        `status` is "ok", "not estimable" (then the numbers are missing), or, over own magnitudes,
        "unlike cells": the two levels do not occur with the same levels of the other factors, so
        that the difference also holds theirs.

    Raises
    ------
    InputError
        If `factor` is no factor of the model, or `at` or `adjust` is unknown.
    """
    if adjust not in ("tukey", "none"):
        raise InputError(f"adjust='{adjust}': {suggest(adjust, ('tukey', 'none'))}")
    margin = _margin(model, factor, at=at)
    pairs = list(itertools.combinations(range(len(margin.levels)), 2))
    a, b = np.array(pairs).T
    difference, se = _estimate(
        model, margin.L[a] - margin.L[b], margin.unseen[a] - margin.unseen[b]
    )
    with np.errstate(invalid="ignore"):
        t = difference / se
    critical, p = reference(t, levels=len(margin.levels), df=model.residual_df, adjust=adjust)
    status = np.full(len(pairs), "ok", dtype=object)
    if at == "own":
        status[(margin.present[a] != margin.present[b]).any(axis=1)] = UNLIKE_CELLS
    status[np.isnan(se)] = NOT_ESTIMABLE
    labels = _level_columns(margin)["level"]
    return pd.DataFrame(
        {
            "level_a": [labels[i] for i in a],
            "level_b": [labels[i] for i in b],
            "difference": difference,
            "se": se,
            "ci_low": difference - critical * se,
            "ci_high": difference + critical * se,
            "t": t,
            "p": p,
            "status": status,
        }
    )


def reference(t: FloatArray, *, levels: int, df: float, adjust: str) -> tuple[float, FloatArray]:
    """Return the interval's critical value and the two-sided p-values of t statistics."""
    alone = 2 * stats.t.sf(np.abs(t), df)
    if adjust == "none" or levels == 2:
        return float(stats.t.ppf(0.5 + CONFIDENCE / 2, df)), alone
    # Tukey: the range of k means, in units of one mean's standard error, exceeds sqrt(2) |t|.
    critical = float(stats.studentized_range.ppf(CONFIDENCE, levels, df)) / np.sqrt(2)
    p = np.full(len(t), np.nan)
    known = ~np.isnan(t)
    if known.any():
        p[known] = stats.studentized_range.sf(np.sqrt(2) * np.abs(t[known]), levels, df)
    # Far out the integral is round-off; there the pair alone and Bonferroni's bound hold it.
    pairs = levels * (levels - 1) // 2
    return critical, np.clip(p, alone, np.minimum(pairs * alone, 1))


def _margin(model: FittedModel, factor: str | Sequence[str], *, at: str) -> Margin:
    """Return the linear functions that are the marginal means of one factor, or several."""
    design = model.design
    all_names = list(design.levels)
    names = [factor] if isinstance(factor, str) else list(factor)
    for name in names:
        if name not in all_names:
            raise InputError(f"unknown factor '{name}': {suggest(str(name), map(str, all_names))}")
    if not names or len(set(names)) < len(names):
        raise InputError(f"factor={names}: must name factors, each once; known: {all_names}")
    if at not in ("own", "mean"):
        raise InputError(f"at='{at}': {suggest(str(at), ('own', 'mean'))}")

    shape = [len(design.levels[name]) for name in all_names]
    combinations = np.indices(shape).reshape(len(shape), -1).T
    if at == "own":
        codes, rows = design.cells, model.own_rows
        unseen = np.zeros((len(codes), 1))
    else:
        codes = combinations
        magnitude = None
        if model.mean_magnitude is not None:
            magnitude = np.full(len(codes), model.mean_magnitude)
        rows = design.rows(codes, magnitude)
        # Without curves an empty combination may still follow from the others' main effects.
        no_rows = (design.cell_numbers(codes) < 0) & (design.width > 0)
        unseen = np.diag(no_rows.astype(float))

    inside = [all_names.index(name) for name in names]
    outside = [f for f in range(len(shape)) if f not in inside]
    inner = [shape[f] for f in inside]
    m = int(np.prod(inner))
    average = np.zeros((m, len(codes)))
    average[_number(codes, inside, shape), np.arange(len(codes))] = 1
    count = average.sum(axis=1, keepdims=True)
    average = np.divide(average, count, out=np.zeros_like(average), where=count > 0)
    present = np.zeros((m, int(np.prod([shape[f] for f in outside]))), dtype=bool)
    present[_number(design.cells, inside, shape), _number(design.cells, outside, shape)] = True
    unseen = np.hstack([average @ unseen, count == 0])
    levels = list(itertools.product(*(design.levels[name] for name in names)))
    return Margin(names, levels, average @ rows, unseen, present)


def _number(
    codes: npt.NDArray[np.intp], factors: list[int], shape: list[int]
) -> npt.NDArray[np.intp]:
    """Return one number for the levels of some factors, counted as itertools.product does."""
    number = np.zeros(len(codes), dtype=np.intp)
    for f in factors:
        number = number * shape[f] + codes[:, f]
    return number


def _estimate(
    model: FittedModel, L: FloatArray, unseen: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the values of linear functions and their standard errors, NaN where not estimable."""
    value = L @ model.fit.coefficients
    se = np.sqrt(np.einsum("ij,jk,ik->i", L, model.fit.covariance, L))
    astray = np.linalg.norm(L @ model.fit.unidentified, axis=1)
    open_ = astray > ESTIMABLE_TOLERANCE * np.linalg.norm(L, axis=1)
    open_ |= (np.abs(unseen) > 0).any(axis=1)
    return np.where(open_, np.nan, value), np.where(open_, np.nan, se)


def _level_columns(margin: Margin) -> dict[str, list[object]]:
    """Return the columns that name a margin's levels."""
    if len(margin.names) == 1:
        return {"level": [level for (level,) in margin.levels]}
    columns: dict[str, list[object]] = {
        name: [level[f] for level in margin.levels] for f, name in enumerate(margin.names)
    }
    columns["level"] = [", ".join(map(str, level)) for level in margin.levels]
    return columns
