"""Two encoders under attack, clip by clip: only where both were searched in the same way.

Reads attacks.parquet; one table of it in, arrays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nearkin.results.answers import Answers, Place, Question, SystemOfRun

ATTACKED = "AD"


class Attacked(NamedTuple):
    """What one encoder answered about its attacked clips, and how they were searched."""

    question: Question
    method: str
    answers: Answers


def attacked(one: SystemOfRun, clips: Sequence[str]) -> Attacked | None:
    """Return which clips an encoder still knows at every SNR; None where it was not attacked.

    Parameters
    ----------
    one : SystemOfRun
    clips : sequence of str
        The clips that are compared, in order.
    """
    table = one.run.attacks
    if table is None:
        return None
    mine = table[
        (table["encoder"] == one.encoder)
        & (table["task"].fillna("") == one.task)
        & (table["transformation"] == ATTACKED)
        & (table["space"] == "latent")
    ]
    if mine.empty:
        return None
    snrs = sorted({float(snr) for snr in mine["magnitude"]}, reverse=True)
    trials = sorted(set(mine["trial"]))
    value = np.full((len(trials), len(snrs), len(clips)), np.nan)
    for number, trial in enumerate(trials):
        for place, snr in enumerate(snrs):
            there = mine[(mine["trial"] == trial) & (mine["magnitude"] == snr)]
            error = there.set_index("clip_id")["error"].reindex(list(clips)).astype("Float64")
            value[number, place] = 1.0 - error.to_numpy(np.float64, na_value=np.nan)
    first = mine.iloc[0]
    question = Question("C_W", "", str(first["distance"]))
    return Attacked(
        question, str(first["method"]), Answers([Place(ATTACKED, snr) for snr in snrs], value)
    )
