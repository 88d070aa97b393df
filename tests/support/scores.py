"""Tables of scores for the tests of the statistics: R's reference cases and simulated studies."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from nearkin.statistics.additive import gam
from support.places import TRUTH

GAM = TRUTH / "gam"
FACTORS = ["task", "encoder", "transform"]

# The paper's grid (ends of the scales included), brought to 0..1 within each transformation.
_NOISE = [-15, -10, -6, -3, 3, 6, 9, 12, 15, 18, 21, 24, 27, 27.5, 28, 28.5, 29, 29.5, 30]
_TEMPO = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.92, 0.94, 0.96, 0.98]
_TEMPO += [1.02, 1.04, 1.06, 1.08, 1.1, 1.2, 1.3, 1.4, 1.5]
_PITCH = [0.25, 0.5, 0.75, 1, 2, 4, 6, 8, 10, 12]
_MP3 = np.log2([8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192])
GRID = {
    name: (np.array(values) - min(values)) / np.ptp(values)
    for name, values in {
        "PN": _NOISE,
        "EN": _NOISE,
        "TS": _TEMPO,
        "PS": [-m for m in reversed(_PITCH)] + _PITCH,
        "MP": _MP3,
    }.items()
}
CURVES = {
    "PN": lambda u: 1 / (1 + np.exp(-6 * (u - 0.4))),
    "EN": lambda u: 0.8 / (1 + np.exp(-6 * (u - 0.3))),
    "TS": lambda u: 1 - 2 * (u - 0.6) ** 2,
    "PS": lambda u: 1 - (2 * u - 1) ** 2,
    "MP": lambda u: 0.5 + 0.3 * u,
}


def reference(name):
    """One of R's tables (truth/gam/README.md)."""
    return pd.read_csv(GAM / f"{name}.csv", comment="#")


@cache
def table(case):
    """The scores R was given in a case."""
    data = pd.read_csv(GAM / f"{'holes' if case.startswith('holes') else 'full'}.csv.gz")
    if case == "corner":
        gone = (data["task"] == "IR") & (data["encoder"] == "DEN") & (data["transform"] == "PS")
        data = data[~gone]
    if case.startswith(("pair", "single")):
        data = data[data["task"] == "AT"]
    if case == "single":
        data = data[data["encoder"] == "VGG"]
    return data


def factors_of(case):
    return {"pair": FACTORS[1:], "single": FACTORS[2:]}.get(case.split("-")[0], FACTORS)


@cache
def model(case):
    """Our fit of a case."""
    factors = factors_of(case)
    select = case.endswith("select")
    return gam(table(case), response="y", factors=factors, smooth="mag", select=select)


def study(levels, *, trials=1, grid=GRID):
    """Every point of a grid for every level of some factors and every trial, without scores."""
    names, values = list(levels), list(levels.values())
    index = pd.MultiIndex.from_product([*values, list(grid), range(1, trials + 1)])
    rows = [(*key, u) for key in index for u in grid[key[-2]]]
    return pd.DataFrame(rows, columns=[*names, "transformation", "trial", "mag"])


def curve(rows):
    """The true curve at every row of a study."""
    return np.array(
        [CURVES[t](u) for t, u in zip(rows["transformation"], rows["mag"], strict=True)]
    )
