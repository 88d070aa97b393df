"""The model matrix of the additive model: sum-to-zero effects, and a smooth for each cell.

A cell is a combination of all factors' levels that has data. Conventions are those of
`nearkin.statistics.additive`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.interpolate import BSpline

from nearkin.statistics.observations import Observations

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

INTERCEPT: tuple[str, ...] = ()


@dataclass(frozen=True)
class Design:
    """How factors and a magnitude become the model matrix ``[parametric | smooth of each cell]``.

    Attributes
    ----------
    levels : dict of str to tuple
        Factor -> its levels, in the order of their codes.
    terms : dict of tuple of str to slice
        Parametric term, as the factors it multiplies (none: the intercept) -> its columns.
    cells : int[cells, factors]
        The combinations of levels that have data; with a smooth, cell j owns columns
        ``parametric + j * width ...``.
    knots : float64[k + 4]
        Of the cubic B-splines; empty without a smooth.
    curves : float64[k, k - 1]
        Orthonormal combinations of the B-splines with mean zero over the table, from the straight
        line to the most wiggly, none of whose penalties involves another.
    wiggliness : float64[k - 1]
        Penalty of each; 0 for the straight line.
    """

    levels: dict[str, tuple[Any, ...]]
    terms: dict[tuple[str, ...], slice]
    cells: IntArray
    knots: FloatArray
    curves: FloatArray
    wiggliness: FloatArray

    @classmethod
    def of(cls, seen: Observations, cells: IntArray, *, k: int) -> Design:
        """Return the design for a table: its terms and knots."""
        names = list(seen.levels)
        terms: dict[tuple[str, ...], slice] = {INTERCEPT: slice(0, 1)}
        end = 1
        for term in (*((name,) for name in names), *itertools.combinations(names, 2)):
            df = int(np.prod([len(seen.levels[name]) - 1 for name in term]))
            terms[term] = slice(end, end + df)
            end += df
        if seen.x is None:
            return cls(seen.levels, terms, cells, np.empty(0), np.empty((0, 0)), np.empty(0))
        knots = _knots(seen.x, k=k)
        mean = BSpline.design_matrix(seen.x, knots, 3).toarray().mean(axis=0)
        centred = linalg.qr(mean[:, None])[0][:, 1:]
        differences = np.diff(np.eye(k), n=2, axis=0) @ centred
        wiggliness, turn = linalg.eigh(differences.T @ differences)
        wiggliness[0] = 0  # the straight line, up to round-off
        return cls(seen.levels, terms, cells, knots, centred @ turn, wiggliness)

    @property
    def parametric(self) -> int:
        """Number of parametric columns."""
        return int(max(columns.stop for columns in self.terms.values()))

    @property
    def width(self) -> int:
        """Columns of one cell's smooth; 0 without a smooth."""
        return len(self.wiggliness)

    def cell_numbers(self, codes: IntArray) -> IntArray:
        """Return the cell of every row; -1 where the table has no such combination."""
        shape = tuple(len(levels) for levels in self.levels.values())
        number = np.full(shape, -1, dtype=np.intp)
        number[tuple(self.cells.T)] = np.arange(len(self.cells))
        return np.asarray(number[tuple(codes.T)])

    def rows(self, codes: IntArray, x: FloatArray | None) -> FloatArray:
        """Return the model matrix's rows; a cell without data has no smooth (zeros)."""
        effects = {
            name: _sum_to_zero(len(levels))[codes[:, f]]
            for f, (name, levels) in enumerate(self.levels.items())
        }
        matrix = np.zeros((len(codes), self.parametric + self.width * len(self.cells)))
        for term, columns in self.terms.items():
            block = np.ones((len(codes), 1))
            for name in term:
                block = (block[:, :, None] * effects[name][:, None, :]).reshape(len(codes), -1)
            matrix[:, columns] = block
        if x is not None and self.width:
            curve = BSpline.design_matrix(x, self.knots, 3).toarray() @ self.curves
            smooths = matrix[:, self.parametric :].reshape(len(codes), len(self.cells), self.width)
            cell = self.cell_numbers(codes)
            has_data = np.flatnonzero(cell >= 0)
            smooths[has_data, cell[has_data]] = curve[has_data]
        return matrix


def _sum_to_zero(levels: int) -> FloatArray:
    """Return R's ``contr.sum``: one row a level, the last level minus the sum of the others."""
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _knots(x: FloatArray, *, k: int) -> FloatArray:
    """Return mgcv's knots for ``bs = "ps"``: equally spaced, the range widened by a thousandth."""
    margin = 0.001 * np.ptp(x)
    low, high = x.min() - margin, x.max() + margin
    step = (high - low) / (k - 3)
    return np.linspace(low - 3 * step, high + 3 * step, k + 4)
