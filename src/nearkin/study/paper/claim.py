"""What a claim is, and the paper's marginal means, of which several claims speak."""

from __future__ import annotations

from dataclasses import dataclass

from nearkin.study.evidence import MFCC, NETWORKS, Question3
from nearkin.study.quantities import (
    ACC,
    CW_E,
    RHO,
    emm,
)
from nearkin.study.rules import Rule, Value


@dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes
    ----------
    name : str
        Names it in tables, never another.
    section : str
        Where the paper says it.
    says : str
        The finding, in our words.
    paper : str
        The paper's numbers, where it gives any.
    quantity : str
        What of ours is set beside it.
    rule : Rule
        What decides.
    """

    name: str
    section: str
    says: str
    paper: str
    quantity: str
    rule: Rule


MEANS: tuple[tuple[str, Question3, dict[str, str]], ...] = (
    (
        "C_W, Euclidean",
        CW_E,
        {"mfcc": ".741", "at": ".671", "ir": ".539", "vs": ".331", "ae": ".170"},
    ),
    (
        "C_B_acc, SiMPle and cosine",
        ACC,
        {"mfcc": ".796", "at": ".731", "ir": "between", "vs": "between", "ae": ".273"},
    ),
    (
        "C_B_rho, DTW and Euclidean",
        RHO,
        {"mfcc": ".881", "at": ".080", "ir": ".184", "vs": ".181", "ae": ".209"},
    ),
)
"""The paper's marginal means."""


def marginal_mean(
    score: Question3, who: str, paper: float, se: float | None, *, name: str, section: str
) -> Claim:
    """Return the claim that a marginal mean is the paper's."""
    names = ",".join(filter(None, score[1:]))
    titles = {MFCC: "MFCC"} | {task: f"the network trained for {task.upper()}" for task in NETWORKS}
    told = f"{paper:g}" + (f" ± {se:g}" if se is not None else "")
    says = f"{score[0]}[{names}] of {titles[who]} is {told} on average"
    quantity = f"marginal mean of {score[0]}[{names}]"
    return Claim(name, section, says, told, quantity, Value(lambda e: emm(e, score, who), paper))
