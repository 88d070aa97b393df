"""The paper's additive model (section 5): which factors move a score, its curves set aside.

``score = mean + main effects + two-way interactions + s_cell(magnitude) + error``, where a cell is
one combination of all factors (encoder x task x transformation) and every cell has a smooth of its
own. Gaussian errors; fitted by penalised least squares, the smoothness chosen by restricted
maximum likelihood.

Conventions
-----------
Effects are coded to sum to zero over a factor's levels, so a main effect is a departure from the
unweighted mean of the levels, and its test does not depend on how many rows a level has. Smooths
are cubic B-splines on equally spaced knots with a penalty on second differences of their
coefficients (Eilers and Marx 1996), centred over the whole table. Standard errors come from the
Bayesian covariance of the coefficients given the smoothing parameters; effective degrees of
freedom, residual degrees of freedom and tests are those of R's ``mgcv`` (Wood 2017, sections 5.3,
6.6 and 6.12) for ``gam(y ~ (a + b + c)^2 + s(x, by = cell, bs = "ps", k = k), method = "REML")``.
Magnitudes are taken as they come: bring them to a common scale per transformation (0 to 1) first,
because all cells share one set of knots.

Rows of one trial share weights and clips, which this model does not know: its standard errors are
too small for claims about new trials. :func:`nearkin.statistics.trials.trial_means` has the
between-trial ones.

References
----------
Wood, S. N. (2017), Generalized Additive Models, 2nd ed. Wood and Fasiolo (2017), Biometrics 73(4)
(the smoothing parameters' update). Marra and Wood (2011), CSDA 55(7) (null-space shrinkage).
Eilers and Marx (1996), Statistical Science 11(2) (P-splines).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg, stats

from nearkin.errors import InputError
from nearkin.statistics import marginal
from nearkin.statistics.design import INTERCEPT, Design
from nearkin.statistics.observations import Observations, observations
from nearkin.statistics.penalised import Fit, fit_reml

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

NOT_ESTIMABLE = marginal.NOT_ESTIMABLE
PARTLY_ESTIMABLE = "partly estimable"

# A cell's level and slope are not penalised: two magnitudes would be met exactly.
MIN_MAGNITUDES = 3


@dataclass(frozen=True)
class Gam:
    """A fitted additive model; made by :func:`gam`.

    Attributes
    ----------
    r2 : float
        Share of the scores' variance the model explains (mgcv's deviance explained).
    r2_adj : float
        The same, adjusted for the effective degrees of freedom (mgcv's R-sq.(adj)).
    edf : float
        Effective degrees of freedom of the whole model.
    residual_df : float
        Rows less `edf`: the denominator of every test.
    scale : float
        Residual variance, in squared units of the score.
    n, n_dropped : int
        Rows fitted; rows left out because a value was missing.
    converged : bool
        Whether the fitted scores settled.
    iterations : int
        Rounds it took.
    notes : tuple of str
        What a reader must know beside the numbers, one sentence each: rows and levels left out,
        combinations without data.
    fitted : pandas.Series
        Fitted scores, by the table's own index (rows left out are absent).
    """

    r2: float
    r2_adj: float
    edf: float
    residual_df: float
    scale: float
    n: int
    n_dropped: int
    converged: bool
    iterations: int
    notes: tuple[str, ...]
    fitted: pd.Series[float] = field(repr=False)
    design: Design = field(repr=False)
    fit: Fit = field(repr=False)
    own_rows: FloatArray = field(repr=False)  # [cells, P]: a cell's mean row, own magnitudes
    mean_magnitude: float | None = field(repr=False)

    def anova(self) -> pd.DataFrame:
        """Return the Wald F test of every parametric term, given all the others.

        Returns
        -------
        pandas.DataFrame
            ``term df F p status``. Where combinations are empty, only what the data can tell about
            a term is tested: `df` is what is left of its degrees of freedom and `status` says
            "partly estimable", or "not estimable" (df 0, F and p missing).
        """
        rows = []
        for term, columns in self.design.terms.items():
            if term == INTERCEPT:
                continue
            # Combinations of the term's coefficients that no empty direction can change.
            directions, reach, _ = linalg.svd(self.fit.unidentified[columns])
            testable = directions[:, np.sum(reach > marginal.ESTIMABLE_TOLERANCE) :]
            df = testable.shape[1]
            full = columns.stop - columns.start
            name = ":".join(term)
            if df == 0:
                rows.append((name, 0, np.nan, np.nan, NOT_ESTIMABLE))
                continue
            effect = testable.T @ self.fit.coefficients[columns]
            covariance = testable.T @ self.fit.covariance[columns, columns] @ testable
            F = float(effect @ np.linalg.solve(covariance, effect)) / df
            p = float(stats.f.sf(F, df, self.residual_df))
            rows.append((name, df, F, p, "ok" if df == full else PARTLY_ESTIMABLE))
        return pd.DataFrame(rows, columns=["term", "df", "F", "p", "status"])

    def smooths(self) -> pd.DataFrame:
        """Return every cell's smooth: its levels and its effective degrees of freedom.

        Returns
        -------
        pandas.DataFrame
            One column a factor, then ``edf`` (1: a straight line). Without p-values: those of
            smooths rest on approximations that were not checked here.
        """
        table = pd.DataFrame(
            {
                name: [levels[code] for code in self.design.cells[:, f]]
                for f, (name, levels) in enumerate(self.design.levels.items())
            }
        )
        if not self.design.width:
            return table.iloc[:0].assign(edf=pd.Series(dtype=float))
        edf = self.fit.edf[self.design.parametric :].reshape(-1, self.design.width).sum(axis=1)
        return table.assign(edf=edf)

    def marginal_means(
        self, factor: str | Sequence[str], *, at: Literal["own", "mean"] = "own"
    ) -> pd.DataFrame:
        """Return estimated marginal means; see :func:`nearkin.statistics.marginal.means`."""
        return marginal.means(self, factor, at=at)

    def contrasts(
        self,
        factor: str | Sequence[str],
        *,
        at: Literal["own", "mean"] = "own",
        adjust: Literal["tukey", "none"] = "tukey",
    ) -> pd.DataFrame:
        """Return pairwise differences; see :func:`nearkin.statistics.marginal.contrasts`."""
        return marginal.contrasts(self, factor, at=at, adjust=adjust)


def gam(
    table: pd.DataFrame,
    *,
    response: str,
    factors: str | Sequence[str],
    smooth: str | None,
    k: int = 8,
    select: bool = False,
) -> Gam:
    """Fit the additive model to a tidy table.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a score.
    response : str
        Column of scores, any unit.
    factors : str or sequence of str
        Columns of levels; main effects and all two-way interactions enter the model.
    smooth : str or None
        Column of magnitudes, on one common scale (0 to 1 within each transformation); every
        combination of the factors gets its own curve over it. None: no curves, an analysis of
        variance.
    k : int, optional
        Basis functions of a curve, 4 or more; 7 of the default 8 are left after centring.
    select : bool, optional
        Also shrink the straight-line part of a curve, so that a cell without any trend costs no
        degrees of freedom (mgcv's ``select = TRUE``).

    Returns
    -------
    Gam
        Tests, marginal means and contrasts are its methods.

    Raises
    ------
    InputError
        If a column is unknown or not numeric, a factor has one level, the scores are constant or
        met exactly, there is one magnitude only, a cell has fewer than three magnitudes, or there
        are fewer rows than coefficients. Rows with a missing value are left out and counted.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(
    ...     [(e, t, m) for e in "ab" for t in ("PN", "TS") for m in np.linspace(0, 1, 20)],
    ...     columns=["encoder", "transformation", "mag"],
    ... )
    >>> table["score"] = (table.encoder == "a") + table.mag**2 + rng.normal(0, 0.1, len(table))
    >>> model = gam(table, response="score", factors=["encoder", "transformation"], smooth="mag")
    >>> model.marginal_means("encoder")[["level", "mean", "se"]].round(2)
      level  mean    se
    0     a  1.34  0.01
    1     b  0.37  0.01
    """
    if k < 4:
        raise InputError(f"k={k}: a cubic spline needs 4 basis functions or more; pass k=8")
    factors = [factors] if isinstance(factors, str) else list(factors)
    seen = observations(table, response=response, factors=factors, smooth=smooth)
    cells, cell = np.unique(seen.codes, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    if seen.x is not None and smooth is not None:
        _check_magnitudes(seen, seen.x, cells, cell, smooth=smooth)
    design = Design.of(seen, cells, k=k)
    y, n = seen.y, len(seen.y)
    X = design.rows(seen.codes, seen.x)
    penalties = design.wiggliness[None]
    if select and design.width:
        penalties = np.stack([design.wiggliness, (design.wiggliness == 0).astype(float)])
    free = min(design.parametric, len(design.cells)) + (len(design.cells) if design.width else 0)
    if n <= free:
        raise InputError(
            f"{n} rows for {free} coefficients that no penalty holds: nothing is left to judge "
            "them by; add rows or leave out a factor"
        )
    # Scores are centred for the arithmetic: only their spread should decide what is round-off.
    centre = y.mean()
    fit = fit_reml(X, y - centre, parametric=design.parametric, penalties=penalties)
    fitted = X @ fit.coefficients
    residuals = y - centre - fitted
    if np.var(residuals) <= 1e-20 * np.var(y):
        raise InputError(f"the model meets all {n} scores exactly: no error is left to test with")
    edf = float(fit.edf.sum())
    own = np.zeros((len(design.cells), X.shape[1]))
    np.add.at(own, cell, X)
    own /= np.bincount(cell)[:, None]
    notes = list(seen.notes)
    absent = int(np.prod([len(levels) for levels in seen.levels.values()])) - len(design.cells)
    if absent:
        notes.append(f"{absent} of {absent + len(design.cells)} combinations have no rows")
    if not fit.converged:
        notes.append(f"the fit had not settled after {fit.iterations} rounds")
    return Gam(
        r2=1 - float(residuals @ residuals) / float(np.sum((y - centre) ** 2)),
        r2_adj=1 - float(np.var(residuals) / np.var(y)) * (n - 1) / (n - edf),
        edf=edf,
        residual_df=n - edf,
        scale=fit.scale,
        n=n,
        n_dropped=len(table) - n,
        converged=fit.converged,
        iterations=fit.iterations,
        notes=tuple(notes),
        fitted=pd.Series(fitted + centre, index=table.index[seen.kept], name=response),
        design=design,
        fit=fit._replace(coefficients=fit.coefficients + centre * (np.arange(X.shape[1]) == 0)),
        own_rows=own,
        mean_magnitude=None if seen.x is None else float(seen.x.mean()),
    )


def _check_magnitudes(
    seen: Observations, x: FloatArray, cells: IntArray, cell: IntArray, *, smooth: str
) -> None:
    """Refuse magnitudes that show no curve, naming the first cell that has too few."""
    if np.ptp(x) == 0:
        raise InputError(
            f"'{smooth}' is {x[0]:g} in every row: a curve needs {MIN_MAGNITUDES} magnitudes; "
            "pass smooth=None"
        )
    for number, codes in enumerate(cells):
        count = len(np.unique(x[cell == number]))
        if count < MIN_MAGNITUDES:
            levels = zip(seen.levels.items(), codes, strict=True)
            name = ", ".join(f"{factor} {values[code]}" for (factor, values), code in levels)
            raise InputError(
                f"{name}: {count} different '{smooth}', a curve needs {MIN_MAGNITUDES}; "
                "drop these rows or pass smooth=None"
            )
