"""What a run with ``--attack`` says: where half of the clips can be led astray, encoder by encoder.

Reads attack_scores.parquet. Transformations there: AD the attacked clip, AD+MP the same as an MP3,
PN pink noise of the same SNR, MP the unattacked clip as an MP3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nearkin.results.systems import System
from nearkin.tables import CONSISTENCY, OK

HOW = {
    "pgd": "along its gradient",
    "nes": "by questions alone, which finds less than a gradient does",
}
BESIDE = {
    "AD": "attacked",
    "AD+MP": "attacked, then MP3 at 128 kb/s",
    "PN": "pink noise",
}


@dataclass(frozen=True)
class WorstCase:
    """The worst case of one encoder.

    Attributes
    ----------
    label : str
    method : str
        ``"pgd"`` or ``"nes"``: never compared with one another.
    sentence : str
    snrs : tuple of float
        In dB, from the highest to the lowest.
    rows : tuple of (str, tuple of str)
        What stands beside it, and C_W with its interval at every SNR.
    """

    label: str
    method: str
    sentence: str
    snrs: tuple[float, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def attack_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of attacked clips as rows of a consistency table, for a gate.

    C_W of the attacked clip is C_W of the transformation AD. Where half of the clips can be led
    astray is a measure of its own, AD_snr; beyond the SNRs that were searched it is infinite. In
    tables of older versions what is infinite is missing: an end is then the widest it can be.

    Parameters
    ----------
    scores : pandas.DataFrame
        attack_scores.parquet.
    """
    attacked = (scores["transformation"] == "AD") & (scores["space"] == "latent")
    rows = scores[attacked & scores["measure"].isin(["C_W", "half_astray"])]
    half = (rows["measure"] == "half_astray").to_numpy()
    status = rows["status"].astype(str)
    infinite = np.select([status.str.startswith("above"), status.str.startswith("below")],
                         [math.inf, -math.inf], math.nan)  # fmt: skip
    value = rows["value"].to_numpy(np.float64)
    value = np.where(half & np.isnan(value), infinite, value)
    ends = [
        np.where(half & np.isnan(rows[end]) & ~np.isnan(value), beyond, rows[end])
        for end, beyond in (("ci_low", -math.inf), ("ci_high", math.inf))
    ]
    asked = rows["method"] == "nes"
    how = status.where(~asked, (status + "; searched " + HOW["nes"]).str.removeprefix(f"{OK}; "))
    return rows.assign(
        measure=rows["measure"].where(~half, "AD_snr"),
        audio_distance="",
        latent_distance=rows["distance"],
        value=value,
        ci_low=ends[0].astype(np.float64),
        ci_high=ends[1].astype(np.float64),
        side="",
        status=how,
        trial=1,  # every trial has to hold: none of them speaks for the others
    )[list(CONSISTENCY)].reset_index(drop=True)


def worst_cases(scores: pd.DataFrame | None) -> list[WorstCase]:
    """Read the worst case of every encoder that was attacked.

    Parameters
    ----------
    scores : pandas.DataFrame or None
        attack_scores.parquet; None where nothing was attacked.
    """
    if scores is None or scores.empty:
        return []
    found = []
    for who, mine in scores.groupby(["encoder", "task", "trial", "method"], sort=False):
        encoder, task, trial, method = (str(part) for part in who)
        name = System(encoder, task, "tested").label
        label = name if trial in ("0", "1") else f"{name}, trial {trial}"
        latent = mine[(mine["measure"] == "C_W") & (mine["space"] == "latent")]
        attacked = latent[latent["transformation"] == "AD"]
        snrs = tuple(sorted((float(snr) for snr in attacked["magnitude"]), reverse=True))
        rows = [(what, _cells(latent, code, snrs)) for code, what in BESIDE.items()]
        opinions = mine[mine["measure"] == "MOS"]
        if len(opinions):
            heard = "what is heard of it: median opinion (5: nothing)"
            rows.append((heard, _cells(opinions, "AD", snrs)))
        audio = mine[(mine["measure"] == "C_W") & (mine["space"] == "audio")]
        for distance in dict.fromkeys(audio["distance"]):
            part = audio[audio["distance"] == distance]
            rows.append((f"attacked, in the audio space ({distance})", _cells(part, "AD", snrs)))
        half = mine[mine["measure"] == "half_astray"]
        if len(half) and snrs:
            sentence = _sentence(half.iloc[0].to_dict(), attacked, method, snrs)
            found.append(WorstCase(label, method, sentence, snrs, tuple(rows)))
    return found


def _sentence(
    half: dict[Any, Any], attacked: pd.DataFrame, method: str, snrs: tuple[float, ...]
) -> str:
    n, status = int(half["n"]), str(half["status"])
    kept = float(attacked.loc[attacked["magnitude"] == snrs[0], "value"].iloc[0])
    share = f"at {snrs[0]:g} dB {1 - kept:.0%} are"
    how = f"searched {HOW.get(method, method)}; N = {n}"
    if status.startswith("undefined"):
        return f"{status}."
    if status.startswith("above"):
        return (
            f"More than half of the clips can be led astray by a change of {snrs[0]:g} dB SNR "
            f"({share}; {how})."
        )
    if status.startswith("below"):
        return f"Not half of the clips are led astray down to {snrs[-1]:g} dB SNR ({share}; {how})."
    low, high = float(half["ci_low"]), float(half["ci_high"])
    ends = [
        f"{low:.1f}" if math.isfinite(low) else f"below {snrs[-1]:g}",
        f"{high:.1f}" if math.isfinite(high) else f"above {snrs[0]:g}",
    ]
    told = "" if status == OK else f" ({status})"
    return (
        f"Half of the clips can be led astray at {float(half['value']):.1f} dB SNR "
        f"[{' to '.join(ends)}]; {share} ({how}){told}."
    )


def _cells(rows: pd.DataFrame, code: str, snrs: tuple[float, ...]) -> tuple[str, ...]:
    mine = rows[rows["transformation"] == code]
    by_snr = {float(row["magnitude"]): row for row in mine.to_dict("records")}
    cells = []
    for snr in snrs:
        row = by_snr.get(snr)
        if row is None or math.isnan(float(row["value"])):
            cells.append("–")
            continue
        ends = f"[{float(row['ci_low']):.2f}, {float(row['ci_high']):.2f}]"
        cells.append(f"{float(row['value']):.2f} {ends}")
    return tuple(cells)
