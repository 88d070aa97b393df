"""How far the levels of a score would move with newly trained models: errors between trials.

A tidy table in, a tidy table out, one row a level in the order of the levels. No model is fitted:
a trial's marginal mean is the average of its scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.statistics.observations import observations

CONFIDENCE = 0.95


def trial_means(
    table: pd.DataFrame,
    factor: str,
    *,
    response: str,
    factors: str | Sequence[str],
    smooth: str | None,
    trial: str = "trial",
    trial_of: str | Sequence[str],
) -> pd.DataFrame:
    """Return marginal means with the standard error between trials.

    The rows of one trial share weights and clips; what a newly trained model would score varies as
    the trials do. Each trial of a model (one combination of the levels of `trial_of`) gives one
    marginal mean over its cells' own magnitudes; the spread of these is the standard error, and
    trials of different models are independent. Degrees of freedom are Satterthwaite's.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a score.
    factor : str
        The factor whose levels are wanted.
    response, smooth : str
        Columns of scores and of magnitudes (None: trials are compared by their number of rows).
    factors : str or sequence of str
        All factors, as given to :func:`nearkin.statistics.additive.gam`.
    trial : str, optional
        Column that tells the trials of one model apart.
    trial_of : str or sequence of str
        The factors that name one model, of which there are several trials: "encoder", "task".

    Returns
    -------
    pandas.DataFrame
        ``level mean se ci_low ci_high trials status``. Means are averages of scores, without a
        curve; in a balanced table they equal :func:`means` over own magnitudes. A trial that lacks
        a cell or a magnitude which other trials of its model have is left out. `status` is "ok";
        "one trial" (no standard error); "k of m models have one trial", which count as fixed;
        "no complete trial".

    Raises
    ------
    InputError
        As :func:`nearkin.statistics.additive.gam`, or if `factor` or `trial_of` is no factor.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"encoder": [*"aaabbb"], "trial": [1, 2, 3, 1, 2, 3], "score": [1.0, 2, 3, 5, 5, 8]}
    ... )
    >>> trial_means(
    ...     table, "encoder", response="score", factors="encoder", smooth=None, trial_of="encoder"
    ... )[["level", "mean", "se", "trials"]].round(3)
      level  mean     se  trials
    0     a   2.0  0.577       3
    1     b   6.0  1.000       3
    """
    factors = [factors] if isinstance(factors, str) else list(factors)
    trial_of = [trial_of] if isinstance(trial_of, str) else list(trial_of)
    for name in (factor, *trial_of):
        if name not in factors:
            raise InputError(f"unknown factor '{name}': {suggest(str(name), map(str, factors))}")
    if trial not in table.columns:
        raise InputError(f"unknown column '{trial}': {suggest(trial, map(str, table.columns))}")
    seen = observations(table, response=response, factors=factors, smooth=smooth)
    if table.loc[seen.kept, trial].isna().any():
        raise InputError(f"'{trial}' is missing in some rows: must name a trial; number them")
    scores = pd.DataFrame(
        {
            "level": seen.codes[:, factors.index(factor)],
            "model": _numbers(seen.codes[:, [factors.index(name) for name in trial_of]]),
            "cell": _numbers(seen.codes),
            "trial": table.loc[seen.kept, trial].to_numpy(),
            "score": seen.y,
        }
    )
    scores["point"] = (
        scores.groupby(["cell", "trial"]).cumcount() if seen.x is None else pd.Series(seen.x)
    )
    # One row a cell and trial; a cell lies in one level of the factor and in one model.
    keys = ["level", "model", "cell", "trial"]
    cells = scores.groupby(keys).agg(score=("score", "mean"), points=("point", "nunique"))
    cells = cells.reset_index()
    cells["complete"] = cells["points"] == cells["cell"].map(
        scores.groupby("cell")["point"].nunique()
    )
    rows = [
        (level, *_between_trials(cells[cells["level"] == code]))
        for code, level in enumerate(seen.levels[factor])
    ]
    columns = ["level", "mean", "se", "ci_low", "ci_high", "trials", "status"]
    return pd.DataFrame(rows, columns=columns)


def _numbers(codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return one number for each different row."""
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1]).reshape(-1)


def _between_trials(cells: pd.DataFrame) -> tuple[float, float, float, float, int, str]:
    """Return a level's mean, its standard error between trials, interval, trials and status."""
    everything = cells["cell"].nunique()
    mean = 0.0
    trials = 0
    variances: list[float] = []  # of the models' shares in the mean, where trials show one
    freedoms: list[int] = []
    single = 0
    models = cells.groupby("model")
    for _, model in models:
        own = model["cell"].nunique()
        by_trial = model[model["complete"]].groupby("trial")["score"].agg(["mean", "count"])
        of_trial = by_trial.loc[by_trial["count"] == own, "mean"]
        n = len(of_trial)
        if n == 0:
            return np.nan, np.nan, np.nan, np.nan, 0, "no complete trial"
        share = own / everything
        mean += share * float(of_trial.mean())
        trials += n
        if n == 1:
            single += 1
        else:
            variances.append(share**2 * float(of_trial.var(ddof=1)) / n)
            freedoms.append(n - 1)
    if not variances:
        return mean, np.nan, np.nan, np.nan, trials, "one trial"
    status = f"{single} of {len(models)} models have one trial" if single else "ok"
    v = np.array(variances)
    se = float(np.sqrt(v.sum()))
    if se == 0:
        return mean, se, mean, mean, trials, status
    df = v.sum() ** 2 / np.sum(v**2 / np.array(freedoms))
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, df)) * se
    return mean, se, mean - reach, mean + reach, trials, status
