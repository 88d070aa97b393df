"""Packages that add to nearkin by entry points, seen as installed: by a fresh interpreter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearkin
from support.places import ROOT

EXAMPLE = ROOT / "examples" / "nearkin-example"


def install(place: Path, *, group_lines: str | None = None) -> Path:
    """Lay a package as pip lays it: the modules, and a dist-info with its entry points."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    package = EXAMPLE / "src" / "nearkin_example" / "__init__.py"
    (place / "nearkin_example").mkdir(parents=True)
    (place / "nearkin_example" / "__init__.py").write_text(package.read_text())
    info = place / f"nearkin_example-{project['version']}.dist-info"
    info.mkdir()
    named = f"Name: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{named}")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in rows.items())
        for group, rows in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text(group_lines or "".join(lines))
    return place


def call(place: Path, *words: str | Path) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "nearkin", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_adds_one_of_each(music: Path, tmp_path: Path) -> None:
    place = install(tmp_path / "site")
    for what, line in (
        ("encoders", "bands Mean level of 32 bands of the spectrum, in decibels., of "),
        ("transformations", "MU Mu-law bits (bits), of "),
        ("distances", "manhattan Manhattan (latent space), of "),
    ):
        shown = re.sub(" +", " ", call(place, "list", what).stdout)
        assert f"{line}nearkin-example 0.1.0\n" in shown
    grid = tmp_path / "g.yaml"
    grid.write_text("{MU: [3, 8], PN: [30]}")
    done = call(place, "run", music, "--encoder", "bands", "--distance", "manhattan", "--grid",
                grid, "--out", tmp_path / "run", "--workers", "2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (
        "encoder bands: a class with embed(): 16000 Hz, 32 values (of nearkin-example 0.1.0)\n"
        in done.stderr
    )
    result = nearkin.load(tmp_path / "run")
    assert result.run["versions"]["nearkin-example"] == "0.1.0"
    bands = result.queries.query("encoder == 'bands'")
    assert set(bands["distance"]) == {"euclidean", "cosine", "manhattan"}
    # held to the definition, from the embeddings that were kept
    z = np.load(tmp_path / "run" / "embeddings" / "bands.npy").astype(float)
    x = np.load(tmp_path / "run" / "embeddings" / "bands.originals.npy").astype(float)
    row = bands.query("distance == 'manhattan' and transformation == 'MU' and magnitude == 3")
    points = [["OG", 0.0], *result.run["grid"]["points"]]
    place_of = points.index(["MU", 3.0])
    assert row["d_own"].to_numpy() == pytest.approx(np.abs(z[:, place_of] - x).sum(axis=1))
    ladder = result.consistency.query("measure == 'monotonicity' and transformation == 'MU'")
    assert set(ladder["side"]) == {""}
    mean = ladder.query("latent_distance == 'euclidean' and encoder == 'bands'")["value"]
    assert mean.item() == 1.0, "fewer bits are the more severe"
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "Mu-law bits" in page
    assert "Latent space: C_W, Manhattan distance" in page, "a distance's title is in its row"


def test_an_installed_distance_changes_nobodys_run(music: Path, tmp_path: Path) -> None:
    place = install(tmp_path / "site")
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [30]}")
    done = call(place, "run", music, "--grid", grid, "--out", tmp_path / "run", "--workers", "1")
    assert done.returncode == 0, done.stderr
    told = set(nearkin.load(tmp_path / "run").queries["distance"])
    assert told == {"dtw", "simple", "euclidean", "cosine"}


def test_a_package_that_cannot_be_imported(music: Path, tmp_path: Path) -> None:
    lines = (
        "[nearkin.encoders]\nbroken = no_such_module:thing\nmfcc = nearkin_example:Bands\n"
        "leaves = leaving:thing\n"
        "[nearkin.distances]\nmoved = nearkin_example:manhattan\n"
        "[nearkin.transformations]\nXX = nearkin_example:Bands\n"
    )
    place = install(tmp_path / "site", group_lines=lines)
    done = call(place, "run", music, "--encoder", "broken", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr == (
        "nearkin: encoder 'broken' of nearkin-example 0.1.0: no_such_module:thing cannot be "
        "imported (ModuleNotFoundError: No module named 'no_such_module'); mend or remove that "
        "package\n"
    )
    (place / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    for words in (("check", "leaves"), ("run", music, "--encoder", "leaves")):
        done = call(place, *words)
        assert done.returncode == 2
        assert "leaving:thing cannot be imported (SystemExit: 0)" in done.stderr
    done = call(place, "run", music, "--distance", "moved", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "must be a nearkin.distances.Distance of that name" in done.stderr
    grid = tmp_path / "g.yaml"
    grid.write_text("XX: [1]")
    done = call(place, "run", music, "--grid", grid, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "must be a subclass of nearkin.transforms.Transformation" in done.stderr
    done = call(place, "check", "mfcc")
    assert "mfcc: built in: 22050 Hz" in done.stdout, "a built-in name cannot be taken"
