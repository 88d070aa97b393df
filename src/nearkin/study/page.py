"""The study's page: every finding of the paper with its verdict, in one self-contained file.

Equal tables give an equal page: no clock and no path stands in it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from nearkin.errors import printable
from nearkin.study.evidence import NETWORKS, Evidence
from nearkin.study.paper.claim import MEANS
from nearkin.study.plan import StudyPlan
from nearkin.study.rules import COMES_OUT, DOES_NOT, NOT_SETTLED, NOT_TESTABLE, SURE, VERDICTS
from nearkin.study.scores import UntestableError

FIGURES = (
    (
        "figure_4",
        "Task scores over magnitude, every task and transformation (the paper's Figure 4).",
    ),
    ("figure_5", "Marginal means of the task scores (Figure 5)."),
    ("figure_6", "C_W in the audio space (Figure 6)."),
    ("figure_7", "C_W in the latent spaces (Figure 7)."),
    ("figure_8", "Marginal means of C_W (Figure 8)."),
    ("figure_9", "Originals and their mildest changes on a map, by t-SNE (Figure 9)."),
    ("figure_10", "C_B_acc and C_B_rho over magnitude (Figure 10)."),
    ("figure_11", "Marginal means of C_B_acc and C_B_rho (Figure 11)."),
    ("figure_12", "The mildest changes (Figure 12)."),
    ("figure_13", "C_B_rho on the unchanged clips (Figure 13)."),
    (
        "figure_14",
        "Mixtures as the singing-voice encoder hears them, coloured by how loud the voice is alone "
        "and by song (Figure 14).",
    ),
)
MEANINGS = {
    COMES_OUT: f"it holds in {SURE:.0%} of the joint resamples, or by its interval",
    DOES_NOT: "the opposite holds so surely",
    NOT_SETTLED: "these clips and trials do not decide it",
    NOT_TESTABLE: "the reason stands beside it",
}


def build(
    decided: pd.DataFrame, evidence: Evidence, plan: StudyPlan, folders: Sequence[Path] = ()
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    decided : pandas.DataFrame
        Of `nearkin.study.claims.decide`.
    evidence : Evidence
        The study it was decided by.
    plan : StudyPlan
        What the study was made with.
    folders : sequence of Path
        Where figures are; those that are there are shown.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nearkin.study", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = printable
    counts = decided["verdict"].value_counts()
    return environment.get_template("study.html.j2").render(
        lead=lead(evidence, plan),
        counts=[(word, int(counts.get(word, 0)), MEANINGS[word]) for word in VERDICTS],
        n=len(decided),
        means=_means(evidence),
        claims=[_row(dict(row)) for row in decided.to_dict("records")],
        figures=_figures(folders),
    )


def lead(evidence: Evidence, plan: StudyPlan) -> str:
    """Say in a paragraph what the study was made with."""
    steps = f", at most {plan.max_steps} steps" if plan.max_steps else ""
    heads = plan.head_trials or plan.trials
    points = evidence.run.get("grid", {}).get("points") or []
    data = ", ".join(
        f"{task}: {'a manifest' if plan.manifest_of(task) else 'rendered music'}"
        for task in NETWORKS
    )
    clips = "recordings that were named" if plan.audio else "the test split of AT's corpus"
    return (
        f"Scale {plan.scale} ({plan.of_scale.words}{steps}), {plan.trials} "
        f"trial{'s' if plan.trials != 1 else ''} of each network, {heads} of each "
        f"head on MFCC; trained on {data}. Consistency "
        f"over {evidence.resampled()}, the clips from {clips}; {len(points)} points of the grid; "
        f"samples kept as {plan.storage}; seed {plan.seed}."
    )


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    low, high, share = row["ci_low"], row["ci_high"], row["probability"]
    sure = []
    if not math.isnan(low):
        sure.append(f"95 %: {low:.3f} to {high:.3f}")
    if not math.isnan(share):
        sure.append(f"holds in {share:.1%} of resamples")
    return {**row, "sure": "; ".join(sure), "slug": str(row["verdict"]).replace(" ", "-")}


def _means(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the paper's table of marginal means, and ours beside it."""
    rows = []
    for title, score, paper in MEANS:
        cells = []
        for who, theirs in paper.items():
            try:
                found = evidence.scores(score, who).emm()
                low, high = found.limits()
                ours = f"{found.value:.3f} ({low:.3f} to {high:.3f})"
            except UntestableError:
                ours = "–"
            cells.append({"who": who, "paper": theirs, "ours": ours})
        rows.append({"title": title, "cells": cells})
    return rows


def _figures(folders: Sequence[Path]) -> list[dict[str, str]]:
    found = []
    for name, caption in FIGURES:
        there = [folder / f"{name}.svg" for folder in folders]
        for path in [path for path in there if path.is_file()][:1]:
            coded = base64.b64encode(path.read_bytes()).decode("ascii")
            found.append({"name": name, "caption": caption, "data": coded})
    return found
