"""An analysis in words: which effect is largest, who stands where, and what the numbers leave out.

Tables in, sentences out; every sentence follows from the numbers it carries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nearkin.results.analysis import Analysis
from nearkin.results.systems import distance_name
from nearkin.results.trials import KEYS, PERFORMANCE, Response

NAMES = {
    "encoder": "the encoder's",
    "transformation": "the transformation's",
    "encoder:transformation": "that of their interaction",
}
NAMES_OF_TASKS = {
    "encoder": "the encoder's",
    "task": "the task's",
    "transformation": "the transformation's",
    "encoder:task": "that of the interaction of encoder and task",
    "encoder:transformation": "that of the interaction of encoder and transformation",
    "task:transformation": "that of the interaction of task and transformation",
}
SIGNIFICANT = 0.05
LISTED = 6
"""Pairs of encoders that are named."""


def sentences(analysis: Analysis) -> list[str]:
    """Return a paragraph for every measure and distance, then what holds for all of them."""
    single = [label for label, count in analysis.trials.items() if count == 1]
    few = "one trial each: these very models, not their kind" if single else ""
    if single and len(single) < len(analysis.trials):
        few = f"one trial only of {', '.join(single)}: these very models, not their kind"
    told = [
        " ".join(_about(analysis.tables, Response(*map(str, key)), few))
        for key in analysis.tables["gam"][KEYS].itertuples(index=False, name=None)
    ]
    told += _correlations(analysis.tables["correlations"])
    told.insert(0, _largest(analysis.tables["anova"]))
    return [*told, limits(analysis), *(f"{_capital(note)}." for note in analysis.notes)]


def _largest(anova: pd.DataFrame) -> str:
    """Return whose effect is the largest, by measure; by F, as the paper ranks them."""
    tested = anova[anova["F"].notna()]
    top = tested.loc[tested.groupby(KEYS, sort=False)["F"].idxmax()]
    parts = []
    for measure, rows in top.groupby("measure", sort=False):
        if measure == PERFORMANCE:
            told = [NAMES_OF_TASKS[str(term)] for term in rows["term"]]
            parts.append(f"in task performance {told[0]}")
            continue
        counts = rows["term"].value_counts()
        told = [
            f"{NAMES.get(str(term), str(term))} ({count} of {len(rows)} "
            + ("pairs of distances)" if measure != "C_W" else "distances)")
            for term, count in counts.items()
        ]
        parts.append(f"in {measure} {' and '.join(told)}")
    if not parts:
        return "No effect could be estimated."
    return f"The largest effect by F is {', '.join(parts)}."


def limits(analysis: Analysis) -> str:
    """Say what the standard errors know and what the means depend on."""
    where = "over the grid's own magnitudes" if analysis.at == "own" else "at the mean magnitude"
    text = (
        f"Marginal means are {where} and depend on the grid. Their standard errors, and the F "
        "tests, are the paper's: they measure the scatter of the scores about their curves. All "
        "scores share the same clips, and all of one trial its weights, which these errors do not "
        "know: they carry no claim about other clips or newly trained models. The standard error "
        "over clips stands beside the model's in the tables"
    )
    text += _over_clips(analysis.tables)
    single = [label for label, count in analysis.trials.items() if count == 1]
    if len(single) == len(analysis.trials):
        of_tasks = _between_trials(analysis.tables["marginal_means"])
        text += (
            " There is one trial per encoder, so nothing here tells an encoder from one lucky or "
            "unlucky training; a difference between encoders is one between these very models."
        )
        return text + (f" Task performance alone has several.{of_tasks}" if of_tasks else "")
    if single:
        text += f" One trial only: {', '.join(single)}; the others have several."
    return text + _between_trials(analysis.tables["marginal_means"])


def _over_clips(tables: Mapping[str, pd.DataFrame]) -> str:
    """Set the errors over clips beside the model's, for differences of encoders."""
    rows = tables["contrasts"]
    if "clip_se" not in rows.columns:
        return "."
    rows = rows[(rows["factor"] == "encoder") & (rows["se"] > 0)]
    ratio = (rows["clip_se"] / rows["se"]).dropna()
    if not len(ratio):
        return "."
    text = (
        f": for differences of encoders it is {ratio.min():.1f} to {ratio.max():.1f} times as large"
    )
    means = tables["marginal_means"]
    bounds = means.loc[means["clip_kind"] == "bound", "measure"].unique()
    if len(bounds):
        text += f" (of {', '.join(bounds)} an upper bound, made of the scores' intervals)"
    return f"{text}, and the words above follow the larger."


def _between_trials(means: pd.DataFrame) -> str:
    """Set the standard errors between trials beside the model's."""
    rows = means[(means["factor"] == "encoder") & means["trial_se"].notna()]
    ratio = rows["trial_se"] / rows["se"]
    if not len(ratio.dropna()):
        return ""
    return (
        " Between trials of one encoder the standard error of its marginal mean, which stands "
        f"beside the model's in the tables, is {ratio.min():.1f} to {ratio.max():.1f} times as "
        "large: it is the one to use for what newly trained models would do."
    )


def _about(tables: Mapping[str, pd.DataFrame], score: Response, few: str) -> list[str]:
    fit = _rows(tables["gam"], score).iloc[0]
    told = [
        f"{in_words(score)}: the model explains {100 * fit['r2']:.1f} % of the variance (adjusted "
        f"R² {fit['r2_adj']:.3f}; {fit['n']} scores, {fit['residual_df']:.0f} residual degrees of "
        "freedom)."
    ]
    if not fit["converged"]:
        told.append("Its fit did not settle: read it with care.")
    of_tasks = score.measure == PERFORMANCE
    anova = _rows(tables["anova"], score)
    told.append(_effects(anova, NAMES_OF_TASKS if of_tasks else NAMES))
    means = _rows(tables["marginal_means"], score)
    for factor, what in (("encoder", "encoder"), ("transformation", "transformation")):
        told.append(_means(means[means["factor"] == factor], what))
    contrasts = _rows(tables["contrasts"], score)
    among = "tasks and transformations" if of_tasks else "transformations"
    told.append(_contrasts(contrasts[contrasts["factor"] == "encoder"], among, few))
    if of_tasks:
        told.append(_apart(means[means["factor"] == "encoder:task"]))
        told.append(
            "Its scores are in standard deviations of a task's scores, MSE's sign turned, so that "
            "more is better; the tasks' own means are therefore near 0."
        )
    return [sentence for sentence in told if sentence]


def in_words(score: Response) -> str:
    """Return a score's name in running text."""
    if score.measure == PERFORMANCE:
        return "Task performance (standardised within each task)"
    names = " and ".join(distance_name(name) for name in score[1:] if name)
    return f"{score.measure} ({names})"


def _effects(anova: pd.DataFrame, names: Mapping[str, str]) -> str:
    tested = anova[anova["F"].notna()].sort_values("F", ascending=False)
    parts = []
    for place, row in enumerate(tested.to_dict("records")):
        name = names.get(str(row["term"]), f"that of {row['term']}")
        lead = "the largest effect is " if place == 0 else ""
        partly = ", partly estimable" if row["status"] != "ok" else ""
        parts.append(
            f"{lead}{name}, F({row['df']:.0f}, {row['residual_df']:.0f}) = {_figure(row['F'])}, "
            f"{p_in_words(row['p'])}{partly}"
        )
    for row in anova[anova["F"].isna()].to_dict("records"):
        parts.append(f"{names.get(str(row['term']), row['term'])} is not estimable")
    text = "; ".join(parts)
    if len(tested) and not (tested["p"] < SIGNIFICANT).any():
        text += "; none can be told from chance"
    return f"{_capital(text)}."


def _means(means: pd.DataFrame, what: str) -> str:
    known = means[means["mean"].notna()].sort_values("mean", ascending=False)
    lost = [str(level) for level in means.loc[means["mean"].isna(), "level"]]
    parts = [
        f"{row['level']} {row['mean']:.3f} ± {_error(_larger(row, 'se'))}"
        for row in known.to_dict("records")
    ]
    if lost:
        parts.append(f"not estimable: {', '.join(lost)}")
    lead = "Marginal means" if what == "encoder" else "By transformation"
    return (
        f"{lead} (± standard error, the larger of the model's and the clips'): {', '.join(parts)}."
    )


def _apart(cells: pd.DataFrame) -> str:
    """Say in which task the encoders lie furthest apart, and in which closest."""
    known = cells[cells["mean"].notna()].groupby("task", sort=False)["mean"]
    span = (known.max() - known.min())[known.count() > 1].sort_values()
    if len(span) < 2:
        return ""
    return (
        f"The encoders lie furthest apart in {span.index[-1]} ({span.iloc[-1]:.2f}), closest in "
        f"{span.index[0]} ({span.iloc[0]:.2f})."
    )


def _contrasts(contrasts: pd.DataFrame, among: str, few: str) -> str:
    known = contrasts[contrasts["p"].notna()]
    if known.empty:
        return "No two encoders can be compared."
    larger = np.array([_larger(row, "p") for row in known.to_dict("records")])
    same = known[larger >= SIGNIFICANT]
    unlike = int((known["status"] == "unlike cells").sum())
    pairs = [f"{row['level_a']} and {row['level_b']}" for row in same.to_dict("records")]
    apart = len(known) - len(pairs)
    text = (
        f"{apart} of {len(known)} pairs of encoders are told apart at 5 % (Tukey, by the larger of "
        "the model's error and the clips')"
    )
    if pairs and apart:
        more = f" and {len(pairs) - LISTED} more" if len(pairs) > LISTED else ""
        text += f"; not: {', '.join(pairs[:LISTED])}{more}"
    only = int((known.loc[same.index, "p"] < SIGNIFICANT).sum())
    if only:
        text += f" ({only} more by the model's error alone)"
    if few:
        text += f"; {few}"
    if unlike:
        text += (
            f"; {unlike} of {len(known)} pairs do not have the same {among}, so that their "
            f"differences also hold those of the {among}"
        )
    return text + "."


def _correlations(table: pd.DataFrame) -> list[str]:
    told = []
    levels = table[(table["kind"] == "task level") & table["spearman"].notna()]
    if len(levels):
        parts = [f"{row['b']} {row['spearman']:+.2f}" for row in levels.to_dict("records")]
        told.append(
            f"Rank correlation of the tasks' level (AE < VS < IR < AT) with {', '.join(parts)}."
        )
    pairs = table[(table["kind"] == "distances") & table["spearman"].notna()]
    for measure, rows in pairs.groupby("measure", sort=False):
        low, high = rows["spearman"].min(), rows["spearman"].max()
        span = f"{low:.2f}" if len(rows) == 1 else f"{low:.2f} to {high:.2f}"
        told.append(
            f"Agreement of {measure} under different distances: rank correlation {span}, largest "
            f"mean difference {rows['mean_difference'].abs().max():.3f}."
        )
    return told


def _rows(table: pd.DataFrame, score: Response) -> pd.DataFrame:
    here = pd.Series(True, index=table.index)
    for column, name in zip(KEYS, score, strict=True):
        here &= table[column] == name
    return table[here]


def p_in_words(p: float) -> str:
    """Write a p-value as papers do.

    Examples
    --------
    >>> p_in_words(0.0000123), p_in_words(0.0421)
    ('p < .001', 'p = .042')
    """
    if math.isnan(p):
        return "p undefined"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def _larger(row: Mapping[Any, Any], name: str) -> float:
    """Return the model's standard error or p, or that over clips, whichever is larger."""
    model, clips = float(row[name]), float(row.get(f"clip_{name}", math.nan))
    return model if math.isnan(clips) else max(model, clips)


def _error(se: float) -> str:
    return f"{se:.3f}" if se >= 0.0005 else "<0.001"


def _figure(F: Any) -> str:
    return f"{F:.0f}" if F >= 100 else f"{F:.1f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
