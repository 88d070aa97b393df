"""What other clips would change: the standard error over clips of an analysis's means.

Tables in, tables out. The model's standard errors know the scatter of scores about their curves;
all scores share their clips, which these errors do not know. Here a marginal mean is taken clip by
clip, over its own magnitudes, and its standard error is the spread of these over clips (of files or
groups, where clips share one): what a bootstrap over clips gives. Differences are paired.

C_W and C_B_acc are known clip by clip. C_B_rho and task scores are not: their standard error is
made of the table's own intervals, as if all scores of a mean moved together, and a difference's as
if its two means moved apart. That is an upper bound (column `clip_kind`: "bound", else "clips").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.results.answers import (
    Answers,
    Question,
    RunTables,
    SystemOfRun,
    answers_of,
    unit_shares,
    units_of,
    used_clips,
)
from nearkin.results.systems import systems_of
from nearkin.results.trials import Response, RunScores

Floats = NDArray[np.float64]

BY_CLIP = "clips"
BOUND = "bound"
NORMAL = 1.959964
"""Standard errors from the middle of a 95 % interval to its ends."""

Found = dict[tuple[str, str], dict[Question, tuple[Answers, NDArray[np.intp]]]]


class ClipErrors:
    """Standard errors over clips, for every mean and contrast of an analysis.

    Parameters
    ----------
    runs : sequence of RunScores
        Those with tables of clips and queries know their clips; of the others every error is a
        bound.
    """

    def __init__(self, runs: Sequence[RunScores]) -> None:
        self._found: Found = {}
        clips = [run.clips for run in runs if run.clips is not None]
        together = all(set(one["clip_id"]) == set(clips[0]["clip_id"]) for one in clips)
        for run in runs:
            if run.clips is None or run.queries is None or not together:
                continue
            tables = RunTables(run.name, run.record, run.clips, run.queries)
            shared = sorted(used_clips(tables).index)
            if len(shared) < 2:
                continue
            units = units_of(tables, shared)
            for system in systems_of(run.record, run.queries):
                answers = answers_of(
                    SystemOfRun(tables, system), shared, n=None, same_clips=True, ladders=False
                )
                mine = {question: (answer, units) for question, answer in answers.items()}
                self._found.setdefault((run.name, system.label), mine)

    def means(self, rows: pd.DataFrame, score: Response, factors: Sequence[str]) -> ClipMeans:
        """Return the means of some factors' levels, clip by clip where that is known.

        Parameters
        ----------
        rows : pandas.DataFrame
            The scores of the model, of one measure and pair of distances.
        score : Response
            Which.
        factors : sequence of str
            The model's factors.
        """
        cells: dict[tuple[str, ...], Floats | None] = {}
        bounds: dict[tuple[str, ...], float] = {}
        for key, part in rows.groupby(list(factors), observed=True):
            names = tuple(map(str, key))
            cells[names] = self._cell(part, score)
            bounds[names] = float("nan")
            if {"ci_low", "ci_high"} <= {*part.columns}:
                widths = part["ci_high"].astype(float) - part["ci_low"].astype(float)
                bounds[names] = float(widths.mean()) / (2 * NORMAL)
        return ClipMeans(list(factors), cells, bounds)

    def _cell(self, part: pd.DataFrame, score: Response) -> Floats | None:
        first = part.iloc[0]
        mine = self._found.get((str(first["run"]), str(first["encoder"])), {})
        known = mine.get(Question(*score))
        if known is None:
            return None
        answers, units = known
        code, magnitudes = str(first["transformation"]), set(part["magnitude"])
        where = [
            index
            for index, place in enumerate(answers.places)
            if place.code == code and place.magnitude in magnitudes
        ]
        value = answers.value[:, where]
        there = ~np.asarray(np.isnan(value).any(axis=0), bool)
        return np.asarray(unit_shares(value, there, units).mean(axis=0))


class ClipMeans:
    """Marginal means of one score, clip by clip or bounded."""

    def __init__(
        self,
        factors: list[str],
        cells: dict[tuple[str, ...], Floats | None],
        bounds: dict[tuple[str, ...], float],
    ) -> None:
        self.factors, self._cells, self._bounds = factors, cells, bounds
        sizes = {len(one) for one in cells.values() if one is not None}
        known = all(one is not None for one in cells.values()) and len(sizes) == 1
        self.kind = BY_CLIP if known else BOUND
        self.df = next(iter(sizes)) - 1 if known else float("inf")
        """Degrees of freedom of the errors."""

    def errors(self, levels: Iterable[tuple[str, ...]], names: Sequence[str]) -> list[float]:
        """Return the standard error of the mean of every level of some factors."""
        return [self._error(self._mean(level, names)) for level in levels]

    def contrasts(self, pairs: Iterable[tuple[str, str]], name: str) -> list[float]:
        """Return the standard error of the difference of every pair of one factor's levels."""
        found = []
        for pair in pairs:
            one, two = (self._mean((level,), [name]) for level in pair)
            if isinstance(one, float) or isinstance(two, float):
                found.append(float(np.hypot(self._error(one), self._error(two))))
            else:
                found.append(self._error(one - two))
        return found

    def _mean(self, level: tuple[str, ...], names: Sequence[str]) -> Floats | float:
        """Return the mean over a level's cells: by unit, or its bound as a number."""
        places = [self.factors.index(name) for name in names]
        cells = [key for key in self._cells if tuple(key[place] for place in places) == level]
        if not cells:
            return float("nan")
        if self.kind == BOUND:
            return float(np.mean([self._bounds[key] for key in cells]))
        known = [one for one in map(self._cells.get, cells) if one is not None]
        return np.asarray(np.mean(known, axis=0))

    @staticmethod
    def _error(mean: Floats | float) -> float:
        if isinstance(mean, float):
            return mean
        return float(mean.std(ddof=1) / np.sqrt(len(mean)))
