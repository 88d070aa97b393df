"""The tutorial is a script: its blocks are run in order, and what it says comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

import nearkin
from support.pages import DOCS, run_blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tutorial was followed."""
    folder = tmp_path_factory.mktemp("tutorial")
    run_blocks((DOCS / "tutorial.md").read_text("utf-8"), folder)
    return folder


def test_the_runs_are_there(folder: Path) -> None:
    mild = nearkin.load(folder / "mild").consistency
    assert {"bands:bands", "mfcc", "logmel-projection", "constant"} <= set(mild["encoder"])
    noise = nearkin.load(folder / "noise").consistency
    noisy = noise[(noise["transformation"] == "PN") & (noise["measure"] == "C_W")]
    assert set(noisy["magnitude"]) == {-10, 0, 10, 20, 30}
    assert {"bands:bands", "shape:shape"} <= set(noise["encoder"])


def test_eight_of_eight_shows_what_the_text_says(folder: Path) -> None:
    mild = nearkin.load(folder / "mild").consistency
    perfect = mild[(mild["measure"] == "C_W") & (mild["value"] == 1) & (mild["n"] == 8)]
    assert len(perfect)
    lowest = stats.beta.ppf(0.025, 8, 1)  # Clopper and Pearson
    assert lowest == pytest.approx(0.63, abs=0.005)
    assert perfect["ci_low"].to_numpy() == pytest.approx(lowest)
