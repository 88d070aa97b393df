"""The paper's analysis of a run's scores: what the encoder and the transformation explain.

Consistency tables in, tidy tables out. For C_W under each latent distance, and for C_B_rho and
C_B_acc under each pair of distances, an additive model is fitted to the trial-level scores:
encoder (with its task) + transformation + their interaction + a smooth curve over magnitude for
every combination. Tests, marginal means and contrasts are those of `nearkin.statistics.additive`.
Where a run has task scores, the same is done with them, standardised within each task, under the
measure "performance": encoder, task, transformation and their two-way interactions.

Conventions
-----------
Rows are single trials (``trial`` >= 1); the means over trials, OG and the audio space's own C_W are
left out. Magnitudes run from 0 to 1 within each transformation, MP in log2 of its bit rate; both
sides of TS and PS lie on one axis, as in the paper. What cannot be modelled is left out and said
so in `Analysis.notes`: undefined scores, encoders whose scores are all equal, combinations with
fewer than three magnitudes.

Standard errors are the paper's: the scatter of scores about their curves. All scores of a run
share its clips, and all of one trial its weights, which they do not know; between-trial standard
errors stand beside them where there are several trials.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results import task_scores
from nearkin.results.series import AUDIO, Series, distance_order, named, series_of
from nearkin.statistics.additive import MIN_MAGNITUDES, Gam, gam
from nearkin.statistics.marginal import trial_means
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

MEASURES = ("C_W", "C_B_rho", "C_B_acc")
FACTORS = ["encoder", "transformation"]
PERFORMANCE = "performance"
PERFORMANCE_FACTORS = ["encoder", "task", "transformation"]
TASK_LEVELS = {"ae": 1, "vs": 2, "ir": 3, "at": 4}
"""The paper's order of the tasks, from the signal's level to the listener's."""
LEAST_ERROR = 1e-8
"""Residual variance, as a share of the scores', below which a fit is met, not estimated."""
KEYS = ["measure", "audio_distance", "latent_distance"]
TABLES = ("gam", "anova", "marginal_means", "contrasts", "correlations")

At = Literal["own", "mean"]


class Score(NamedTuple):
    """What is analysed: a measure and its distances."""

    measure: str
    audio_distance: str
    latent_distance: str

    def __str__(self) -> str:
        """Name it as requirements do: ``C_B_acc[dtw,cosine]``."""
        names = ",".join(name for name in self[1:] if name)
        return f"{self.measure}[{names}]" if names else self.measure


TASK_SCORES = Score(PERFORMANCE, "", "")


class RunScores(NamedTuple):
    """A run's name, its record (run.json), its consistency table and its task scores, if any."""

    name: str
    record: Mapping[str, Any]
    consistency: pd.DataFrame
    performance: pd.DataFrame | None = None


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


def join(runs: Sequence[RunScores], *, encoders: Sequence[str] = ()) -> pd.DataFrame:
    """Join runs' trial-level scores into one table.

    Parameters
    ----------
    runs : sequence of RunScores
        Of equal N, because C_W falls as a collection grows.
    encoders : sequence of str
        Which, by name or "name · task"; all by default.

    Returns
    -------
    pandas.DataFrame
        Columns of the consistency table; `encoder` is categorical with the labels, in page order,
        `task` its task, and `x` the magnitude from 0 to 1.

    Raises
    ------
    InputError
        If the runs do not fit together, an encoder is unknown, or fewer than two are left.
    """
    if not runs:
        raise InputError("no run: an analysis needs one or more; name their folders")
    sizes = {run.name: int(run.record["n"]) for run in runs}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name}: {n}" for name, n in sizes.items())
        raise InputError(
            f"the runs have different numbers of clips ({told}): C_W depends on N; analyse runs of "
            "the same clips together"
        )
    order: dict[Series, None] = {}
    parts = []
    for run in runs:
        order |= dict.fromkeys(series_of(run.record, run.consistency))
        parts.append(run.consistency.assign(run=run.name))
    rows = pd.concat(parts, ignore_index=True)
    rows["task"] = rows["task"].fillna("")
    rows = rows[
        rows["measure"].isin(MEASURES)
        & (rows["trial"] >= 1)
        & (rows["encoder"] != AUDIO)
        & (rows["transformation"] != ORIGINAL)
    ]
    rows = _without_repeats(rows)
    record = {"encoders": [entry for run in runs for entry in run.record["encoders"]]}
    wanted = _wanted(list(order), encoders, record)
    labels = {(one.encoder, one.task): one.label for one in wanted}
    pairs = list(zip(rows["encoder"], rows["task"], strict=True))
    rows = rows[[pair in labels for pair in pairs]].copy()
    names = [labels[pair] for pair in zip(rows["encoder"], rows["task"], strict=True)]
    levels = list(dict.fromkeys(labels[(one.encoder, one.task)] for one in wanted))
    rows["encoder"] = pd.Categorical(names, levels)
    if len(levels) < 2:
        raise InputError(
            f"one encoder only ('{levels[0]}'): its effect needs another to be told from; add a "
            "run or leave out --encoder"
        )
    codes = magnitudes.code_order(rows["transformation"].unique())
    rows["transformation"] = pd.Categorical(rows["transformation"], codes)
    rows["x"] = _unit_magnitudes(rows)
    return rows


def join_performance(
    runs: Sequence[RunScores], *, encoders: Sequence[str] = ()
) -> pd.DataFrame | None:
    """Join runs' task scores, trial by trial, into one table; None where no run has any.

    Parameters
    ----------
    runs : sequence of RunScores
        Those without task scores are passed over.
    encoders : sequence of str
        Which, by name or "name · task"; all by default.

    Returns
    -------
    pandas.DataFrame or None
        Columns of the task scores, more being better in `value`; `encoder`, `task` and
        `transformation` are categorical, in page order, and `x` is the magnitude from 0 to 1.

    Raises
    ------
    InputError
        If a table is malformed, or two runs contradict each other.
    """
    order: dict[Series, None] = {}
    parts = []
    for run in runs:
        if run.performance is not None:
            part = task_scores.of_trials(run.performance)
            order |= dict.fromkeys(series_of(run.record, part))
            parts.append(part.assign(run=run.name, audio_distance="", latent_distance=""))
    if not parts:
        return None
    rows = _without_repeats(pd.concat(parts, ignore_index=True))
    record = {"encoders": [entry for run in runs for entry in run.record["encoders"]]}
    if encoders:
        asked = {one for name in encoders for one in _asked(name, list(order), runs, record)}
        pairs = {(one.encoder, one.task) for one in asked}
        mine = [pair in pairs for pair in zip(rows["encoder"], rows["task"], strict=True)]
        rows = rows[mine].copy()
    kept = set(rows["encoder"])
    names = list(dict.fromkeys(one.encoder for one in order if one.encoder in kept))
    rows["encoder"] = pd.Categorical(rows["encoder"], names)
    rows["task"] = pd.Categorical(rows["task"], task_order(rows["task"].unique()))
    codes = magnitudes.code_order(rows["transformation"].unique())
    rows["transformation"] = pd.Categorical(rows["transformation"], codes)
    rows["x"] = _unit_magnitudes(rows)
    return rows


def _asked(
    name: str, scored: Sequence[Series], runs: Sequence[RunScores], record: Mapping[str, Any]
) -> list[Series]:
    """Return the scored encoders and tasks that a name means, here or in the consistency tables.

    An encoder that was run once, without a task (MFCC), stands for its scores in every task.
    """
    found = named(name, scored, record)
    for run in runs:
        for one in named(name, series_of(run.record, run.consistency), record):
            found += [s for s in scored if s.encoder == one.encoder and one.task in ("", s.task)]
    return found


def task_order(tasks: Iterable[str]) -> list[str]:
    """Return tasks in the paper's order of their level, others after them by name."""
    return sorted(
        tasks, key=lambda task: (TASK_LEVELS.get(task.lower(), len(TASK_LEVELS) + 1), task)
    )


def analyze(
    rows: pd.DataFrame, performance: pd.DataFrame | None = None, *, at: At = "own"
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
    parts = [(score, _of(rows, score)) for score in scores_of(rows)]
    if performance is not None:
        parts.append((TASK_SCORES, performance))
    for score, mine in parts:
        try:
            if score == TASK_SCORES:
                fit_rows, factors, told = _standardised(mine)
            else:
                fit_rows, told = _modelled(mine, FACTORS)
                factors = FACTORS
            model = gam(fit_rows, response="value", factors=factors, smooth="x")
            _require_error(model, fit_rows)
        except InputError as error:
            refused.append(f"{score}: {error}")
            continue
        notes += [f"{score}: {note}" for note in (*told, *model.notes)]
        for name, table in _tables(model, fit_rows, factors, at).items():
            found[name].append(_named(table, score))
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


def scores_of(rows: pd.DataFrame) -> list[Score]:
    """Return the measures and distances there are, in page order."""
    audio, latent = (distance_order(rows[name]) for name in ("audio_distance", "latent_distance"))
    present = set(rows[KEYS].drop_duplicates().itertuples(index=False, name=None))
    every = [Score("C_W", "", one) for one in latent]
    every += [Score(m, a, z) for m in MEASURES[1:] for a in audio for z in latent]
    return [score for score in every if tuple(score) in present]


def _of(rows: pd.DataFrame, score: Score) -> pd.DataFrame:
    return rows[_where(rows, KEYS, score)]


def _where(rows: pd.DataFrame, columns: Sequence[str], key: Iterable[Any]) -> pd.Series[bool]:
    here = pd.Series(True, index=rows.index)
    for column, value in zip(columns, key, strict=True):
        here &= rows[column] == value
    return here


# -- which rows ----------------------------------------------------------------------------------


def _without_repeats(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop what two runs share to the last digit (references); refuse what they contradict."""
    keys = ["encoder", "task", "trial", *KEYS, "transformation", "magnitude"]
    rows = rows.drop_duplicates([*keys, "value"])
    twice = rows[rows.duplicated(keys, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        label = Series(first["encoder"], first["task"], "").label
        names = " and ".join(twice["run"].unique()[:2])
        raise InputError(
            f"'{label}' trial {first['trial']} has different scores in {names}: one encoder and "
            "trial must be one model on the same clips; rename it, number its trials or leave one "
            "run out"
        )
    return rows


def _wanted(
    series: Sequence[Series], encoders: Sequence[str], record: Mapping[str, Any]
) -> list[Series]:
    if not encoders:
        return list(series)
    chosen: dict[Series, None] = {}
    for name in encoders:
        found = named(name, series, record)
        if not found:
            known = suggest(name, {one.label for one in series})
            raise InputError(f"no run has an encoder '{name}': {known}")
        chosen |= dict.fromkeys(found)
    return [one for one in series if one in chosen]


def _unit_magnitudes(rows: pd.DataFrame) -> pd.Series[float]:
    """Return magnitudes from 0 to 1 within each transformation; NaN where it has only one."""
    x = rows["magnitude"].astype(float).copy()
    for code, part in rows.groupby("transformation", observed=True):
        values = part["magnitude"].to_numpy(float)
        if magnitudes.axis(str(code)).scale == "log":
            values = np.log2(values)
        span = np.ptp(values)
        x.loc[part.index] = (values - values.min()) / span if span > 0 else np.nan
    return x


def _standardised(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the task scores a model can hold, standardised; its factors; notes on what it cannot.

    With one task, the task is no factor.
    """
    known = rows["encoder"].unique()
    if len(known) < 2:
        only = f"one encoder only ('{known[0]}')" if len(known) else "no encoder"
        raise InputError(
            f"{only} has task scores: its effect needs another to be told from; add a run or leave "
            "out --encoder"
        )
    rows, notes = _modelled(rows, PERFORMANCE_FACTORS)
    factors = list(PERFORMANCE_FACTORS)
    if rows["task"].nunique() < 2:
        factors.remove("task")
        notes.append(
            f"one task only ({rows['task'].iloc[0]}): the model holds encoder, transformation and "
            "their interaction"
        )
    return task_scores.standardised(rows), factors, notes


def _modelled(rows: pd.DataFrame, factors: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows a model can hold, and a note on each kind that it cannot.

    `factors` end in the transformation; those before it name what is scored.
    """
    models = factors[:-1]
    notes = []
    undefined = rows["value"].isna()
    for key, part in rows[undefined].groupby(models, observed=True):
        notes.append(f"{len(part)} undefined scores of {_label(key)} are left out")
    rows = rows[~undefined]
    few = _too_few(rows, ["transformation"])
    if few:
        codes = ", ".join(str(code) for (code,) in few)
        notes.append(f"{codes} left out: fewer than {MIN_MAGNITUDES} magnitudes")
        rows = rows[~rows["transformation"].isin([code for (code,) in few])]
        if rows.empty:
            raise InputError(
                f"no transformation has {MIN_MAGNITUDES} magnitudes: a curve needs them; run a "
                "larger --grid"
            )
    for cell in _too_few(rows, factors):
        gone = _where(rows, factors, cell)
        notes.append(
            f"{_label(cell[:-1])} under {cell[-1]} left out: {rows.loc[gone, 'x'].nunique()} "
            f"magnitudes, a curve needs {MIN_MAGNITUDES}"
        )
        rows = rows[~gone]
    for key, part in rows.groupby(models, observed=True):
        if np.ptp(part["value"].to_numpy(float)) == 0:
            notes.append(
                f"{_label(key)} left out: its {len(part)} scores are all "
                f"{part['value'].iloc[0]:g}, "
                "which leaves nothing to model and would make every standard error too small"
            )
            rows = rows[~_where(rows, models, key)]
    there = rows["encoder"].unique()
    if len(there) < 2:
        reasons = f" ({'; '.join(notes)})" if notes else ""
        only = f"only '{there[0]}' has scores" if len(there) else "no encoder has scores"
        raise InputError(f"{only} that can be modelled{reasons}: an effect needs two encoders")
    if rows["transformation"].nunique() < 2:
        raise InputError(
            f"only {rows['transformation'].iloc[0]} is there: the model needs two transformations; "
            "run a larger --grid"
        )
    return rows, notes


def _label(key: Iterable[Any]) -> str:
    return " · ".join(map(str, key))


def _require_error(model: Gam, rows: pd.DataFrame) -> None:
    """Refuse a fit that leaves next to no error: its standard errors would be round-off."""
    share = model.scale / float(np.var(rows["value"].to_numpy(float)))
    if model.residual_df < 1 or share < LEAST_ERROR:
        raise InputError(
            f"the model meets its {model.n} scores all but exactly ({model.residual_df:.2g} "
            "residual degrees of freedom): no error is left to test with; run a larger --grid"
        )


def _too_few(rows: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    counts = rows.groupby(keys, observed=True)["x"].nunique()
    short = counts[counts < MIN_MAGNITUDES].index
    return [key if isinstance(key, tuple) else (key,) for key in short]


def _merged(notes: Sequence[str]) -> list[str]:
    """Return notes once each, with all the scores they are about."""
    about: dict[str, list[str]] = {}
    for note in notes:
        score, _, text = note.partition(": ")
        about.setdefault(text, []).append(score)
    return [f"{', '.join(scores)}: {text}" for text, scores in about.items()]


# -- tables --------------------------------------------------------------------------------------


def _tables(model: Gam, rows: pd.DataFrame, factors: list[str], at: At) -> dict[str, pd.DataFrame]:
    fit = {
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
        means.append(table.assign(factor=factor, at=at))
        contrasts.append(_contrasts(model, factor, at).assign(factor=factor, at=at))
    for pair in map(list, itertools.combinations(factors, 2)):
        both = model.marginal_means(pair, at=at).assign(factor=":".join(pair), at=at)
        means.append(both[both["cells"] > 0])
    joined = pd.concat(means, ignore_index=True).astype({"trials": "Int64"})
    return {
        "gam": pd.DataFrame([fit]),
        "anova": model.anova().assign(residual_df=model.residual_df),
        "marginal_means": _first(joined, ["factor", "level", "at"]),
        "contrasts": _first(pd.concat(contrasts, ignore_index=True), ["factor"]),
    }


def _contrasts(model: Gam, factor: str, at: At) -> pd.DataFrame:
    from scipy.integrate import IntegrationWarning

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # scipy warns where its integral of the studentized range gets less than the 1e-11 it asks
        # for, and far out, where the model's bounds on p hold.
        warnings.simplefilter("ignore", IntegrationWarning)
        return model.contrasts(factor, at=at)


def _named(table: pd.DataFrame, score: Score) -> pd.DataFrame:
    return _first(table.assign(**score._asdict()), KEYS)


def _first(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[[*columns, *(name for name in table.columns if name not in columns)]]


def _correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rank correlations: of the tasks' level with C_B, and of every two pairs of distances.

    Without p: rows of one trial are no independent draws.
    """
    found: list[dict[str, Any]] = []
    level = rows["task"].str.lower().map(TASK_LEVELS)
    tasked = rows[level.notna()].assign(level=level.dropna().astype(float))
    for score in scores_of(rows):
        mine = _of(tasked, score).dropna(subset="value")
        if score.measure == "C_W" or mine["level"].nunique() < 2:
            continue
        about = f"levels {', '.join(sorted(mine['task'].unique(), key=_level))}"
        found.append(
            _correlation("task level", score.measure, "task level", str(score), about)
            | _coefficients(mine["level"], mine["value"])
        )
    keys = ["encoder", "task", "trial", "transformation", "magnitude"]
    for measure in MEASURES:
        several = [score for score in scores_of(rows) if score.measure == measure]
        for one, two in itertools.combinations(several, 2):
            both = _of(rows, one)[[*keys, "value"]].merge(
                _of(rows, two)[[*keys, "value"]], on=keys, suffixes=("_a", "_b")
            )
            both = both.dropna(subset=["value_a", "value_b"])
            found.append(
                _correlation("distances", measure, str(one), str(two), "all encoders")
                | _coefficients(both["value_a"], both["value_b"])
                | {"mean_difference": float((both["value_a"] - both["value_b"]).mean())}
            )
    columns = ["kind", "measure", "a", "b", "about", "n", "spearman", "pearson", "mean_difference"]
    return pd.DataFrame(found, columns=columns)


def _level(task: str) -> int:
    return TASK_LEVELS[task.lower()]


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
