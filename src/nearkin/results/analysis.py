"""The paper's analysis of a run's scores: what the encoder and the transformation explain.

Consistency tables in, tidy tables out. For C_W under each latent distance, and for C_B_rho and
C_B_acc under each pair of distances, an additive model is fitted to the trial-level scores:
encoder (with its task) + transformation + their interaction + a smooth curve over magnitude for
every combination. Tests, marginal means and contrasts are those of `nearkin.statistics.additive`.
Where a run has task scores, the same is done with them, standardised within each task, under the
measure "performance": encoder, task, transformation and their two-way interactions.

Conventions
-----------
Which rows enter is `nearkin.results.trials`'s business. What cannot be modelled is left out and
said so in `Analysis.notes`: undefined scores, encoders whose scores are all equal, combinations
with fewer than five magnitudes.

Standard errors are the paper's: the scatter of scores about their curves. All scores of a run
share its clips, and all of one trial its weights, which they do not know: the standard error over
clips stands beside them (`clip_se`, and `clip_p` of a contrast), and that between trials where
there are several. Words follow the larger of the model's and the clips'. A curve has at most one
basis function fewer than its cell has magnitudes; a fit that leaves fewer residual degrees of
freedom than half its scores is refused.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from nearkin import tasks
from nearkin.errors import InputError
from nearkin.progress import Progress, silent
from nearkin.registry import suggest
from nearkin.results.clip_errors import ClipErrors, ClipMeans
from nearkin.results.trials import (
    FACTORS,
    KEYS,
    MEASURES,
    TASK_SCORES,
    Response,
    RunScores,
    modelled,
    rows_of,
    scores_of,
    standardised,
)
from nearkin.statistics.additive import Gam, gam
from nearkin.statistics.marginal import reference
from nearkin.statistics.trials import trial_means

BASIS = 8
"""Basis functions of a curve where every cell has magnitudes enough."""
LEAST_ERROR = 1e-8
"""Residual variance, as a share of the scores', below which a fit is met, not estimated."""
TABLES = ("gam", "anova", "marginal_means", "contrasts", "correlations")

At = Literal["own", "mean"]


@dataclass(frozen=True)
class Analysis:
    """Everything an analysis found.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        By the names of `TABLES`; the first columns say which measure and distances.
    notes : tuple of str
        What was left out and why, one sentence each.
    encoders : tuple of str
        Labels, in page order.
    trials : dict of str to int
        Label -> number of trials.
    at : {"own", "mean"}
        Where the marginal means were taken.
    """

    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]
    encoders: tuple[str, ...]
    trials: dict[str, int]
    at: At


def analyze(
    rows: pd.DataFrame,
    performance: pd.DataFrame | None = None,
    *,
    at: At = "own",
    runs: Sequence[RunScores] = (),
    progress: Progress = silent,
) -> Analysis:
    """Fit the additive model to every measure and distance, and tabulate what it says.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `join`.
    performance : pandas.DataFrame, optional
        From `join_performance`.
    at : {"own", "mean"}
        Marginal means over every combination's own magnitudes, or at the mean magnitude.
    runs : sequence of RunScores
        The runs joined; their clips and queries give the errors over clips.
    progress : callable
        Told ``("analysis", done, total)``, a score each.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        If nothing can be modelled: the first reason.
    """
    if at not in ("own", "mean"):
        raise InputError(f"--at {at}: {suggest(str(at), ('own', 'mean'))}")
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    notes: list[str] = []
    refused: list[str] = []
    over_clips = ClipErrors(runs)
    parts = [(score, rows_of(rows, score)) for score in scores_of(rows)]
    if performance is not None:
        parts.append((TASK_SCORES, performance))
    for number, (score, mine) in enumerate(parts):
        progress("analysis", number, len(parts))
        try:
            if score == TASK_SCORES:
                fit_rows, factors, told = standardised(mine)
            else:
                fit_rows, told = modelled(mine, FACTORS)
                factors = FACTORS
            size = basis_size(fit_rows, factors)
            model = gam(fit_rows, response="value", factors=factors, smooth="x", k=size)
            _require_error(model, fit_rows)
        except InputError as error:
            refused.append(f"{score}: {error}")
            continue
        notes += [f"{score}: {note}" for note in (*told, *model.notes)]
        for name, table in _tables(
            model, fit_rows, factors, at, over_clips.means(fit_rows, score, factors), k=size
        ).items():
            found[name].append(_named(table, score))
    progress("analysis", len(parts), len(parts))
    if refused and not found["gam"]:
        raise InputError(refused[0])
    found["correlations"] = [_correlations(rows)]
    trials = rows.groupby("encoder", observed=True)["trial"].nunique()
    return Analysis(
        tables={name: pd.concat(parts, ignore_index=True) for name, parts in found.items()},
        notes=(*_merged(notes), *(f"not analysed: {reason}" for reason in refused)),
        encoders=tuple(map(str, rows["encoder"].cat.categories)),
        trials={str(label): int(count) for label, count in trials.items()},
        at=at,
    )


# -- which rows ----------------------------------------------------------------------------------


def basis_size(rows: pd.DataFrame, factors: Sequence[str]) -> int:
    """Return the basis size of the curves: less than the fewest magnitudes of a cell."""
    fewest = int(rows.groupby(list(factors), observed=True)["x"].nunique().min())
    return min(BASIS, fewest - 1)


def _require_error(model: Gam, rows: pd.DataFrame) -> None:
    """Refuse a fit that leaves next to no error: its standard errors would be round-off."""
    share = model.scale / float(np.var(rows["value"].to_numpy(float)))
    if model.residual_df < 1 or share < LEAST_ERROR:
        raise InputError(
            f"the model meets its {model.n} scores all but exactly ({model.residual_df:.2g} "
            "residual degrees of freedom): no error is left to test with; run --grid paper"
        )
    if model.residual_df < model.n / 2:
        raise InputError(
            f"{model.n} scores leave {model.residual_df:.0f} residual degrees of freedom, fewer "
            "than half: the curves follow single scores, and the errors left are no errors; run "
            "--grid paper"
        )


def _merged(notes: Sequence[str]) -> list[str]:
    """Return notes once each, with all the scores they are about."""
    about: dict[str, list[str]] = {}
    for note in notes:
        score, _, text = note.partition(": ")
        about.setdefault(text, []).append(score)
    return [f"{', '.join(scores)}: {text}" for text, scores in about.items()]


# -- tables --------------------------------------------------------------------------------------


def _tables(
    model: Gam, rows: pd.DataFrame, factors: list[str], at: At, clips: ClipMeans, *, k: int
) -> dict[str, pd.DataFrame]:
    fit = {
        "k": k,
        "n": model.n,
        "n_dropped": model.n_dropped,
        "r2": model.r2,
        "r2_adj": model.r2_adj,
        "edf": model.edf,
        "residual_df": model.residual_df,
        "residual_sd": float(np.sqrt(model.scale)),
        "converged": model.converged,
    }
    means, contrasts = [], []
    for factor in factors:
        table = model.marginal_means(factor, at=at)
        between = trial_means(
            rows,
            factor,
            response="value",
            factors=factors,
            smooth="x",
            trial_of=factors[:-1],
        )
        for name in ("mean", "se", "ci_low", "ci_high", "status"):
            table[f"trial_{name}"] = between[name].to_numpy()
        table["trials"] = between["trials"].to_numpy()
        table["clip_se"] = clips.errors([(str(level),) for level in table["level"]], [factor])
        means.append(table.assign(factor=factor, at=at))
        contrasts.append(_contrasts(model, factor, at, clips).assign(factor=factor, at=at))
    for pair in map(list, itertools.combinations(factors, 2)):
        both = model.marginal_means(pair, at=at).assign(factor=":".join(pair), at=at)
        levels = [tuple(map(str, level)) for level in zip(*(both[f] for f in pair), strict=True)]
        both["clip_se"] = clips.errors(levels, pair)
        means.append(both[both["cells"] > 0])
    joined = pd.concat(means, ignore_index=True).astype({"trials": "Int64"})
    joined["clip_kind"] = clips.kind
    return {
        "gam": pd.DataFrame([fit]),
        "anova": model.anova().assign(residual_df=model.residual_df),
        "marginal_means": _first(joined, ["factor", "level", "at"]),
        "contrasts": _first(pd.concat(contrasts, ignore_index=True), ["factor"]),
    }


def _contrasts(model: Gam, factor: str, at: At, clips: ClipMeans) -> pd.DataFrame:
    """Return the model's contrasts, and beside them the same by the error over clips."""
    from scipy.integrate import IntegrationWarning

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # scipy warns where its integral of the studentized range gets less than the 1e-11 it asks
        # for, and far out, where the model's bounds on p hold.
        warnings.simplefilter("ignore", IntegrationWarning)
        table = model.contrasts(factor, at=at)
        pairs = zip(table["level_a"].map(str), table["level_b"].map(str), strict=True)
        error = np.array(clips.contrasts(pairs, factor))
        table["clip_se"] = np.where(table["se"].isna(), np.nan, error)
        t = table["difference"].to_numpy(float) / table["clip_se"].to_numpy(float)
        levels = len(model.design.levels[factor])
        _, table["clip_p"] = reference(t, levels=levels, df=clips.df, adjust="tukey")
    return table


def _named(table: pd.DataFrame, score: Response) -> pd.DataFrame:
    return _first(table.assign(**score._asdict()), KEYS)


def _first(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[[*columns, *(name for name in table.columns if name not in columns)]]


def _correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rank correlations: of the tasks' level with C_B, and of every two pairs of distances.

    Without p: rows of one trial are no independent draws.
    """
    found: list[dict[str, Any]] = []
    level = rows["task"].map(tasks.level)
    tasked = rows[level.notna()].assign(level=level.dropna().astype(float))
    for score in scores_of(rows):
        mine = rows_of(tasked, score).dropna(subset="value")
        if score.measure == "C_W" or mine["level"].nunique() < 2:
            continue
        about = f"levels {', '.join(tasks.by_level(mine['task'].unique()))}"
        found.append(
            _correlation("task level", score.measure, "task level", str(score), about)
            | _coefficients(mine["level"], mine["value"])
        )
    keys = ["encoder", "task", "trial", "transformation", "magnitude"]
    for measure in MEASURES:
        several = [score for score in scores_of(rows) if score.measure == measure]
        for one, two in itertools.combinations(several, 2):
            both = rows_of(rows, one)[[*keys, "value"]].merge(
                rows_of(rows, two)[[*keys, "value"]], on=keys, suffixes=("_a", "_b")
            )
            both = both.dropna(subset=["value_a", "value_b"])
            found.append(
                _correlation("distances", measure, str(one), str(two), "all encoders")
                | _coefficients(both["value_a"], both["value_b"])
                | {"mean_difference": float((both["value_a"] - both["value_b"]).mean())}
            )
    columns = ["kind", "measure", "a", "b", "about", "n", "spearman", "pearson", "mean_difference"]
    return pd.DataFrame(found, columns=columns)


def _correlation(kind: str, measure: str, a: str, b: str, about: str) -> dict[str, Any]:
    return {"kind": kind, "measure": measure, "a": a, "b": b, "about": about}


def _coefficients(a: pd.Series[float], b: pd.Series[float]) -> dict[str, Any]:
    from scipy import stats

    known = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return {
        "n": len(a),
        "spearman": float(stats.spearmanr(a, b)[0]) if known else float("nan"),
        "pearson": float(stats.pearsonr(a, b)[0]) if known else float("nan"),
    }
