"""Every claim of the paper decided by a finished study: a table in, `claims.csv` out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from nearkin.study.evidence import Evidence
from nearkin.study.paper import CLAIMS
from nearkin.study.paper.claim import Claim
from nearkin.study.rules import NOT_TESTABLE, Decision
from nearkin.study.scores import UntestableError

COLUMNS = (
    *("name", "section", "claim", "paper", "quantity", "decided_by", "verdict", "ours"),
    *("ci_low", "ci_high", "probability", "because", "resampled"),
)


def decide(evidence: Evidence, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """Decide every claim.

    Parameters
    ----------
    evidence : Evidence
        A finished study.
    claims : iterable of Claim
        Which.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`, a row a claim, none missing: what the study lacks is a verdict too.
    """
    rows = []
    resampled = evidence.resampled()
    for claim in claims:
        try:
            found = claim.rule.decide(evidence)
        except UntestableError as error:
            found = Decision(NOT_TESTABLE, because=str(error))
        rows.append(
            (
                *(claim.name, claim.section, claim.says, claim.paper, claim.quantity),
                *(claim.rule.words(), found.verdict, found.ours, found.low, found.high),
                *(found.probability, found.because, resampled),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_folder(folder: Path, *, seed: int = 0) -> Evidence:
    """Open the tables of a study: a run's folder with task scores and an analysis, or without.

    Raises
    ------
    InputError
        If it holds no run.
    RunError
        If the run is not finished, or a table cannot be read.
    """
    from nearkin.api import load

    found = load(folder)
    clips = "performance_clips"
    return Evidence(
        found.run,
        found.clips,
        found.queries,
        found.consistency,
        performance=found.performance,
        performance_clips=found.folder.read_table(clips) if found.folder.has_table(clips) else None,
        analysis=found.analysis,
        seed=seed,
    )
