"""Maps of embeddings: the same clips for everybody, changes beside their originals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import nearkin
from nearkin.report.figures import figure_9
from nearkin.results.projection import MOST, Embedded, about, projected
from nearkin.results.systems import System
from nearkin.transforms.magnitudes import Point

POINTS = [Point("OG", 0.0), Point("PN", 6.0), Point("PN", 30.0), Point("PS", 0.25), Point("PS", -1)]


def embedded(name: str, *, far: float, n: int = 60) -> Embedded:
    rng = np.random.default_rng(3)
    originals = 5 * rng.standard_normal((n, 8))
    moved = far * rng.standard_normal((n, len(POINTS), 8))
    return Embedded(System(name, "", "tested"), originals, originals[:, None] + moved)


def test_only_the_mildest_changes_of_the_drawn_clips_are_there() -> None:
    ids = [f"c{i}" for i in range(60)]
    blind = Embedded(System("constant", "", "reference"), np.ones((60, 3)), np.ones((60, 5, 3)))
    table = projected([embedded("a", far=0.01), embedded("b", far=9), blind], ids, POINTS)
    counts = table.groupby(["encoder", "transformation", "magnitude"]).size()
    assert set(counts) == {MOST}
    assert set(counts["a"].index) == {("OG", 0.0), ("PN", 30.0), ("PS", 0.25), ("PS", -1.0)}
    assert "constant" not in set(table["encoder"])
    assert set(table.query("encoder == 'a'")["clip_id"]) == set(
        table.query("encoder == 'b'")["clip_id"]
    )
    assert "48 of 60 clips" in about(60, 0)
    assert "perplexity 30, seed 0" in about(60, 0)


def own_nearest(table: pd.DataFrame) -> float:
    still = table[table["transformation"] == "OG"]
    changed = table[table["transformation"] == "PN"]
    apart = np.hypot(
        *(changed[axis].to_numpy()[:, None] - still[axis].to_numpy()[None] for axis in ("x", "y"))
    )
    found = still["clip_id"].to_numpy()[apart.argmin(axis=1)]
    return float((found == changed["clip_id"].to_numpy()).mean())


def test_what_hardly_moves_lies_beside_its_original_and_what_moves_far_does_not() -> None:
    ids = [f"c{i}" for i in range(60)]
    table = projected([embedded("a", far=0.01), embedded("b", far=9)], ids, POINTS)
    assert own_nearest(table[table["encoder"] == "a"]) > 0.9
    assert own_nearest(table[table["encoder"] == "b"]) < 0.5


def test_answers_that_failed_are_left_out() -> None:
    one = embedded("a", far=0.01, n=10)
    one.queries[2, 2] = np.nan
    table = projected([one], [f"c{i}" for i in range(10)], POINTS)
    at = table[(table["clip_id"] == "c2") & (table["transformation"] == "PN")]
    assert len(at) == 0
    assert len(table) == 39


def test_a_run_has_its_map_and_figure(small_run: Path, tmp_path: Path) -> None:
    result = nearkin.load(small_run)
    table = result.projection
    assert table is not None
    assert set(table["encoder"]) == {"mfcc", "logmel-projection"} | {
        one["name"] for one in result.run["encoders"] if one["name"] in ("random", "vgg")
    }
    spec = figure_9(table, run=result.run).to_dict()
    panels = spec["vconcat"][0]["concat"]
    assert sum(len(panel["data"]["values"]) for panel in panels) == len(table)
    names = {path.name for path in result.figures(tmp_path)}
    assert {"figure_9.svg", "figure_9.pdf"} <= names
