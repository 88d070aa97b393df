"""A run among a gallery is the run that had those recordings among its originals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nearkin
from conftest import write_tunes
from nearkin.distances import cosine
from nearkin.gallery.scores import EXTRAPOLATED, MEASURED
from nearkin.results.embeddings import read_embeddings
from support.commands import command, refused

GRID = "{PN: [-10, 6], TS: [0.6]}"
KEY = ["clip_id", "transformation", "magnitude", "distance"]


@pytest.fixture(scope="module")
def runs(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the five tunes, and one on those and four others, which are a folder too."""
    place = tmp_path_factory.mktemp("gallery")
    (place / "g.yaml").write_text(GRID)
    others = write_tunes(place / "others", 4, first=20)
    everything = place / "all"
    everything.mkdir()
    for path in [*music.iterdir(), *others.iterdir()]:
        shutil.copy(path, everything / path.name)
    settings: dict[str, Any] = {"grid": str(place / "g.yaml"), "references": "untrained"}
    nearkin.evaluate(["mfcc"], music, out=place / "few", **settings)
    nearkin.evaluate(["mfcc"], everything, out=place / "many", **settings)
    return place


def ranks(table: pd.DataFrame) -> pd.Series:
    return table[table["encoder"] == "mfcc"].set_index(KEY)["rank"].sort_index()


def test_ranks_are_those_of_one_run_on_everything(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(runs / "few", out)
    done = command("gallery", out, runs / "all", "--workers", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert "5 recordings of the gallery are the run's own; they are left out" in done.stderr
    many = pd.read_parquet(runs / "many" / "queries.parquet")
    mine = pd.read_parquet(out / "gallery_queries.parquet")
    own = many[(many["space"] == "latent") & many["clip_id"].isin(mine["clip_id"])]
    found, wanted = ranks(mine), ranks(own)
    assert len(found) == len(wanted) == 5 * 4 * 2
    assert (found == wanted).all()
    assert (wanted > 1).any()
    table = pd.DataFrame(json.loads(done.stdout.splitlines()[-1])["rows"])
    assert set(table["size"]) == {5, 9}
    assert set(table["kind"]) == {MEASURED}
    # C_W among all nine is the share of ranks of 1; with 5 clips each counts .2
    all_nine = table[(table["size"] == 9) & (table["encoder"] == "mfcc")]
    for row in all_nine.itertuples():
        at = wanted.xs((row.transformation, row.magnitude, row.latent_distance),
                       level=("transformation", "magnitude", "distance"))  # fmt: skip
        assert row.value == pytest.approx((at == 1).mean())
        assert row.ci_low <= row.value <= row.ci_high


def test_vectors_of_a_file_are_a_gallery(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(runs / "few", out)
    embedded = read_embeddings(out, "mfcc")
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 5, (3_000, 2))
    noise = rng.standard_normal((3_000, embedded.originals.shape[1]))
    vectors = embedded.originals[pairs].mean(axis=1) + 0.2 * embedded.originals.std(0) * noise
    np.save(tmp_path / "mfcc.npy", vectors.astype(np.float32))
    done = command("gallery", out, f"mfcc={tmp_path / 'mfcc.npy'}", "--extrapolate", "--quiet")
    assert done.exit_code == 0, done.stderr
    found = pd.read_parquet(out / "gallery_queries.parquet")
    stored = np.load(tmp_path / "mfcc.npy")
    for row in found[found["distance"] == "cosine"].itertuples():
        clip = embedded.clip_ids.index(row.clip_id)
        point = embedded.points.index((row.transformation, row.magnitude))
        query = embedded.changed[clip, point][None]
        d = cosine(query, stored)[0]
        assert row.n_nearer == (d <= cosine(query, embedded.originals[clip][None])[0, 0]).sum()
        assert row.nearest_row == d.argmin()
    table = pd.read_parquet(out / "gallery.parquet")
    assert set(table["size"]) == {5, 10, 100, 1_000, 3_005, 10_000}
    assert set(table.loc[table["size"] == 10_000, "kind"]) == {EXTRAPOLATED}
    for _, part in table.groupby(["transformation", "magnitude", "latent_distance"]):
        curve = part.sort_values("size")["value"].to_numpy()
        assert (np.diff(curve) <= 1e-9).all()


def test_an_encoder_that_failed_the_run_does_not_empty_the_gallery(
    runs: Path, music: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text("def embed(audio, sample_rate):\n    raise ValueError('no')\n")
    encoders = ["mfcc", f"{tmp_path / 'bad.py'}:embed"]
    settings: dict[str, Any] = {"grid": str(runs / "g.yaml"), "references": "untrained"}
    with pytest.warns(UserWarning, match="encoder bad:embed: raised ValueError"):
        nearkin.evaluate(encoders, music, out=tmp_path / "run", **settings)
    done = command("gallery", tmp_path / "run", runs / "others", "--workers", "1", "--quiet")
    assert done.exit_code == 0, done.stderr
    found = pd.read_parquet(tmp_path / "run" / "gallery_queries.parquet")
    assert {"mfcc", "logmel-projection"} <= set(found["encoder"])
    assert "bad:embed" not in set(found["encoder"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["mfc=v.npy"], "the run has no such encoder; did you mean 'mfcc'?"),
        (["mfcc=nowhere.npy"], "there is no such file"),
        (["mfcc=v.npy", "mfcc=v.npy"], "is given twice"),
        (["mfcc=v.npy"], "vectors of 3 dimensions"),
        (["mfcc=text.npy"], "is no array of numbers"),
        (["mfcc=pickled.npy"], "is no array of numbers"),
        (["v.npy"], "must be ENCODER=FILE"),
    ],
)
def test_galleries_that_cannot_be_used(
    given: list[str], said: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.ones((2, 3)))
    Path("text.npy").write_text("no array")
    np.save("pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert said in refused("gallery", runs / "few", *given)
