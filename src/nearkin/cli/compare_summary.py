"""What a comparison says on a terminal: overall differences, then where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nearkin.results.comparison import Comparison
from nearkin.results.systems import System


def lines(found: Comparison, *, several_runs: bool) -> list[str]:
    """Return what a terminal shows: overall differences, then where they lie."""
    head = (
        f"{found.n} clips, {found.resamples} resamples; difference a - b with its 95 % interval, p "
        "corrected by Holm over each measure's rows"
    )
    told = [head]
    table = found.table
    keys = ["run_a", "encoder_a", "task_a", "run_b", "encoder_b", "task_b"]
    for key, pair in table.groupby(keys, sort=False):
        a, b = _pair_labels([str(part) for part in key], several_runs=several_runs)
        told += ["", f"{a} - {b}"]
        columns = ["measure", "audio_distance", "latent_distance"]
        for question, rows in pair.groupby(columns, sort=False):
            name = f"{question[0]}[{','.join(str(part) for part in question[1:] if part)}]"
            under_attack = rows[rows["level"] == "attack"]
            overall = rows[rows["level"] == "overall"].iloc[0]
            told.append(f"  {name:30} {_difference(overall)}")
            parts = rows[rows["level"] == "transformation"]
            apart = [
                f"{row['transformation']} {row['difference']:+.3f}"
                + ("*" if row["p_holm"] < 0.05 else "")
                for _, row in parts.iterrows()
                if not math.isnan(row["difference"])
            ]
            if apart:
                told.append(f"  {'':30} {'  '.join(apart)}")
            attacked = [
                f"{row['magnitude']:g} dB {row['difference']:+.3f}"
                + ("*" if row["p_holm"] < 0.05 else "")
                for _, row in under_attack.iterrows()
            ]
            if attacked:
                told.append(f"  {'  attacked clips':30} {'  '.join(attacked)}")
    told += ["", "* p < 0.05 after correction", *found.notes]
    return told


def _pair_labels(key: Sequence[str], *, several_runs: bool) -> tuple[str, str]:
    labels = []
    for run, encoder, task in (key[:3], key[3:]):
        label = System(encoder, task, "").label
        labels.append(f"{label} ({run})" if several_runs else label)
    return labels[0], labels[1]


def _difference(row: pd.Series[Any]) -> str:
    if math.isnan(row["difference"]):
        return "undefined for one of the two"
    told = f"{row['value_a']:.3f} - {row['value_b']:.3f} = {row['difference']:+.3f}"
    if math.isnan(row["p"]):
        return told
    return (
        f"{told} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]  p {_p(row['p'])}, "
        f"corrected {_p(row['p_holm'])}"
    )


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"
