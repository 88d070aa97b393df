"""Trajectories of a run: tables from embeddings whose truth is known, and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nearkin
from nearkin.cli import app
from nearkin.errors import InputError, RunError
from nearkin.report import page
from nearkin.results.embeddings import RunEmbeddings, read_embeddings
from nearkin.results.trajectories import MEASURES, moves, sentences, trajectories
from nearkin.tables import TRAJECTORIES, TRAJECTORY_AGREEMENT, TRAJECTORY_PATHS
from nearkin.transforms.magnitudes import Point
from support.fabricated import fabricate
from support.shown import Page, specs_of

N, D = 40, 24
POINTS = (
    Point("OG", 0.0),
    *(Point("PN", snr) for snr in (0.0, 10.0, 20.0, 30.0)),
    *(Point("PS", s) for s in (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)),
    *(Point("MP", kbps) for kbps in (8.0, 64.0)),
)
SIXTY_DEGREES = 0.5


@pytest.fixture(scope="module")
def found() -> RunEmbeddings:
    """PN moves all clips along one axis, PS+ at 60 degrees to it, PS- each along its own."""
    g = np.random.default_rng(0)
    originals = np.zeros((N, D))
    originals[:, 12:] = g.standard_normal((N, 12))
    noise = np.eye(D)[0]
    up = SIXTY_DEGREES * np.eye(D)[0] + np.sqrt(1 - SIXTY_DEGREES**2) * np.eye(D)[1]
    down = np.zeros((N, D))
    down[:, :6] = g.standard_normal((N, 6))
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    changed = np.repeat(originals[:, None], len(POINTS), axis=1)
    for place, (code, magnitude) in enumerate(POINTS):
        if code == "PN":
            changed[:, place] += (40 - magnitude) / 10 * noise
        elif code == "PS" and magnitude > 0:
            changed[:, place] += magnitude * up
        elif code == "PS":
            changed[:, place] += -magnitude * down
    return RunEmbeddings(tuple(f"c{k}" for k in range(N)), POINTS, originals, changed)


@pytest.fixture(scope="module")
def done(found: RunEmbeddings) -> Any:
    return trajectories(found, np.arange(N), encoder="mine", n_resamples=200)


def value(done: Any, code: str, side: str, measure: str) -> Any:
    rows = done.table.set_index(["transformation", "side", "measure"])
    return rows.loc[(code, side, measure)]


def test_sides_with_three_magnitudes(found: RunEmbeddings) -> None:
    ways = list(moves(found))
    assert [way.name for way in ways] == ["PN", "PS−", "PS+"]
    assert [point.magnitude for point in ways[0].points] == [
        30.0,
        20.0,
        10.0,
        0.0,
    ]  # mild to severe
    assert [point.magnitude for point in ways[1].points] == [-1.0, -2.0, -3.0]


def test_the_truth_is_found(done: Any) -> None:
    assert tuple(done.table.columns) == TRAJECTORIES
    assert set(done.table["measure"]) == set(MEASURES)
    assert value(done, "PN", "", "R2_global")["value"] > 0.999
    assert value(done, "PN", "", "rank_moved")["value"] == pytest.approx(1)
    assert value(done, "PN", "", "R2_moved")["value"] > 0.999
    assert value(done, "PN", "", "dimension")["value"] == pytest.approx(1)
    assert value(done, "PN", "", "curvature")["value"] == pytest.approx(1)
    assert value(done, "PS", "down", "R2_global")["value"] < 0.3
    assert value(done, "PS", "down", "R2_moved")["value"] < 0.3
    assert value(done, "PS", "down", "R2_clip")["value"] > 0.999
    # Forty directions drawn from six dimensions.
    assert value(done, "PS", "down", "dimension")["value"] == pytest.approx(6, abs=0.8)
    row = value(done, "PS", "down", "R2_clip")
    assert row["ci_low"] <= row["value"] <= row["ci_high"]
    assert (done.table["n"] == N).all()


def test_clips_that_begin_far_apart_still_move_along_one_direction(found: RunEmbeddings) -> None:
    # They begin a hundred times further apart along the direction than they move: where a clip
    # lies tells nothing, how far it moved tells all.
    start = 300 * np.random.default_rng(5).standard_normal((N, 1)) * np.eye(D)[0]
    shifted = RunEmbeddings(
        found.clip_ids, POINTS, found.originals + start, found.changed + start[:, None]
    )
    done = trajectories(shifted, np.arange(N), encoder="mine", n_resamples=100)
    assert value(done, "PN", "", "R2_global")["value"] < 0.1
    assert value(done, "PN", "", "R2_moved")["value"] > 0.999
    assert value(done, "PN", "", "rank_moved")["value"] == pytest.approx(1)


def test_transformations_that_move_alike(done: Any) -> None:
    assert tuple(done.agreement.columns) == TRAJECTORY_AGREEMENT
    assert tuple(done.paths.columns) == TRAJECTORY_PATHS
    pairs = done.agreement.set_index(["transformation_a", "transformation_b", "side_b"])
    assert pairs.loc[("PN", "PS", "up"), "cosine"] == pytest.approx(SIXTY_DEGREES)
    assert pairs.loc[("PN", "PS", "up"), "cosine_of_means"] == pytest.approx(SIXTY_DEGREES)
    down = pairs.loc[("PN", "PS", "down")]
    assert down["ci_low"] < 0 < down["ci_high"]


def test_the_mean_path(done: Any) -> None:
    noise = done.paths[done.paths["name"] == "PN"]
    assert noise[["x", "y"]].iloc[0].to_list() == [0, 0]
    steps = np.linalg.norm(np.diff(noise[["x", "y"]].to_numpy(), axis=0), axis=1)
    np.testing.assert_allclose(steps, 1, atol=0.02)


def test_the_report_shows_them_where_they_were_asked_for(done: Any) -> None:
    made = fabricate(n=12, grid={"PN": [12, 30], "MP": [64]})
    asked = replace(
        made,
        trajectories=done.table,
        trajectory_agreement=done.agreement,
        trajectory_paths=done.paths,
    )
    html = page.build(asked, stills=False)
    assert Page(html).open == []
    section = html[html.index('<section id="moved"') : html.index('<section id="originals"')]
    for told in sentences(done.table, done.agreement):
        assert told.split("(")[0] in section
    assert 'href="#moved"' in html
    shown = json.dumps(json.loads(specs_of(section)["trajectories-0-spec"]))
    for name in ("PN", "PS+", "PS\\u2212"):
        assert f'"series": "{name}"' in shown
    assert 'id="moved"' not in page.build(made, stills=False)


def test_words(done: Any) -> None:
    told = sentences(done.table, done.agreement)
    assert told[0].startswith("PN: clips move in order along one direction (rank correlation 1.00")
    assert "where a clip lies tells how severe its change is" in told[0]
    assert told[1].startswith("PS−: clips move in order along no one direction")
    assert "does not tell" in told[1]
    assert "nearly straight" in told[0]
    assert "most alike under PN and PS+ (cosine +0.50)" in told[-1]


def test_failed_clips_are_left_out_where_they_failed(found: RunEmbeddings) -> None:
    changed = found.changed.copy()
    changed[:3, 1] = np.nan
    done = trajectories(
        RunEmbeddings(found.clip_ids, found.points, found.originals, changed),
        np.arange(N), encoder="mine", n_resamples=100,
    )  # fmt: skip
    assert value(done, "PN", "", "curvature")["n"] == N - 3
    assert value(done, "PS", "up", "curvature")["n"] == N


def test_what_does_not_move_or_is_too_little_has_a_status(found: RunEmbeddings) -> None:
    still = np.repeat(found.originals[:, None], len(POINTS), axis=1)
    done = trajectories(
        RunEmbeddings(found.clip_ids, found.points, found.originals, still),
        np.arange(N), encoder="mine", n_resamples=100,
    )  # fmt: skip
    assert set(done.table["status"]) == {"no embedding moves"}
    assert sentences(done.table, done.agreement)[0] == "PN: no embedding moves."
    few = RunEmbeddings(("a", "b"), POINTS, found.originals[:2], found.changed[:2])
    table = trajectories(few, np.arange(2), encoder="mine", n_resamples=100).table
    assert set(table["status"]) == {"2 clips are too few"}
    short = RunEmbeddings(found.clip_ids, POINTS[:2], found.originals, found.changed[:, :2])
    with pytest.raises(InputError, match="has 3 magnitudes on one side"):
        trajectories(short, np.arange(N), encoder="mine")


def test_the_command(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    runner = CliRunner()
    done = runner.invoke(app, ["trajectories", str(run), "--encoder", "mfcc", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    table = pd.read_parquet(run / "trajectories.parquet")
    assert len(told["rows"]) == len(table) > 0
    assert set(table["encoder"]) == {"mfcc"}
    assert (run / "trajectories.csv").is_file()
    assert (run / "trajectory_agreement.parquet").is_file()
    result = nearkin.load(run)
    assert result.trajectories is not None
    assert result.trajectories.equals(table)
    assert result.report_data().trajectory_paths is not None
    first = (run / "figures" / "trajectories-mfcc.svg").read_bytes()
    again = runner.invoke(app, ["trajectories", str(run), "--encoder", "mfcc", "--quiet"])
    assert again.exit_code == 0
    assert (run / "figures" / "trajectories-mfcc.svg").read_bytes() == first
    assert pd.read_parquet(run / "trajectories.parquet").equals(table)
    wrong = runner.invoke(app, ["trajectories", str(run), "--encoder", "mfc"])
    assert wrong.exit_code == 2
    assert "did you mean 'mfcc'" in wrong.stderr
    np.save(run / "embeddings" / "mfcc.npy", np.zeros((2, 2, 2), np.float32))
    with pytest.raises(RunError, match="do not fit"):
        read_embeddings(run, "mfcc")
    (run / "embeddings" / "mfcc.npy").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        read_embeddings(run, "mfcc")
