"""Runs of chains, of what keeps its loudness, and of what does not fill a clip."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nearkin
from conftest import RATE
from nearkin import audio
from nearkin.cli import app
from nearkin.corpora.collect import collect
from nearkin.progress import silent
from nearkin.runs.exchange import export
from nearkin.runs.originals import originals
from nearkin.runs.plan import make_plan
from nearkin.runs.queries import noise_library, transformed
from nearkin.transforms import NoiseLibrary, OtherMusic
from nearkin.transforms.grids import Point
from support.runs import files_of
from support.signals import write_float

FILE = """
points: {GN: [-20], PO: 1, TO: [100, 1500], PL: [10], RV: [0.3], OP: [16]}
chains:
  AIR: {steps: [MP, TI, PN], levels: {1: [128, 1, 40], 2: [32, 6, 10]}}
"""


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("further") / "further.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def run(music: Path, grid_file: Path) -> nearkin.Result:
    return nearkin.evaluate(
        ["mfcc"], music, grid=str(grid_file), references="untrained", resamples=100,
        out=grid_file.parent / "run", workers=1,
    )  # fmt: skip


def test_tables_know_every_point(run: nearkin.Result) -> None:
    rows = run.consistency.query(
        "encoder == 'mfcc' and measure == 'C_W' and latent_distance == 'cosine'"
    ).set_index(["transformation", "magnitude"])
    assert rows.loc[("PO", 1.0), "value"] == 1.0
    assert rows.loc[("AIR", 2.0), "status"] == "ok"
    # An offset of 1.5 s needs 1.5 s beside the clip; there is one second.
    told = rows.loc[("TO", 1500.0), "status"]
    assert re.search(r"queries could not be made \(the transformed .* must fill 2 s\)$", told)
    asked = run.queries.query("transformation == 'TO' and magnitude == 1500")
    assert asked["status"].str.contains("must fill 2 s").all()
    assert run.run["grid"]["chains"] == [
        {"code": "AIR", "steps": ["MP", "TI", "PN"],
         "levels": [[1.0, [128.0, 1.0, 40.0]], [2.0, [32.0, 6.0, 10.0]]]}
    ]  # fmt: skip


def test_the_report_takes_chains(run: nearkin.Result, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    run.report(page)
    text = page.read_text("utf-8")
    assert "AIR is MP then TI then PN" in text
    assert "Every transformed clip but those of GN, PL was scaled" in text


def test_the_same_bytes_with_two_workers(
    run: nearkin.Result, music: Path, grid_file: Path, tmp_path: Path
) -> None:
    nearkin.evaluate(
        ["mfcc"], music, grid=str(grid_file), references="untrained", resamples=100,
        out=tmp_path / "run", workers=2,
    )  # fmt: skip
    one, two = files_of(grid_file.parent / "run"), files_of(tmp_path / "run")
    tables = [name for name in one if name.endswith((".parquet", ".npy"))]
    assert len(tables) > 4
    assert [name for name in tables if one[name] != two[name]] == []


def test_another_chain_is_another_run(music: Path, grid_file: Path, run: nearkin.Result) -> None:
    other = grid_file.parent / "other" / grid_file.name
    other.parent.mkdir()
    other.write_text(FILE.replace("[32, 6, 10]", "[32, 6, 12]"))
    with pytest.raises(nearkin.InputError, match="grid"):
        nearkin.evaluate(
            ["mfcc"], music, grid=str(other), references="untrained", resamples=100,
            out=grid_file.parent / "run", workers=1,
        )  # fmt: skip


def test_music_of_the_users_own_is_mixed_in(music: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    tone = np.sin(2 * np.pi * 3_000 * np.arange(6 * RATE) / RATE)
    write_float(others / "tone.wav", 0.3 * tone, RATE)
    grid = tmp_path / "mx.yaml"
    grid.write_text("points: {MX: [0]}\nchains: {AIR: {steps: [MX], levels: {1: [0]}}}")
    result = nearkin.evaluate(
        ["mfcc"], music, grid=str(grid), other_music=str(others), references="untrained",
        resamples=100, clips=3, out=tmp_path / "run", workers=1,
    )  # fmt: skip
    library = NoiseLibrary.from_path(others)
    assert result.run["other_music"]["sha256"] == library.sha256
    assert result.run["inputs"]["other music"] == library.sha256
    assert OtherMusic.method(result.run).startswith("The other music was drawn from 'others'")
    plan = make_plan({"encoders": ["mfcc"], "grid": str(grid), "other_music": str(others)})
    [original] = originals(plan, collect([music])[0], [])
    for code, level in (("MX", 0.0), ("AIR", 1.0)):
        heard = transformed(plan, original, Point(code, level), noise=noise_library(plan)).heard
        spectrum = np.abs(np.fft.rfft(heard))  # bins of half a hertz: the tone's is the 6,000th
        assert spectrum.argmax() == 6_000
    with pytest.raises(nearkin.InputError, match="other_music"):
        nearkin.evaluate(
            ["mfcc"], music, grid=str(grid), references="untrained", resamples=100, clips=3,
            out=tmp_path / "run", workers=1,
        )  # fmt: skip


def test_loudness_is_matched_or_kept(music: Path, grid_file: Path) -> None:
    plan = make_plan({"encoders": ["mfcc"], "grid": str(grid_file)})
    [original] = originals(plan, collect([music])[0], [])
    version = functools.partial(transformed, plan, original, noise=noise_library(plan))
    loudness = functools.partial(audio.loudness_lufs, sr=plan.working_rate)
    soft = version(Point("GN", -20.0))
    assert soft.gain_db == 0.0
    assert loudness(soft.heard) == pytest.approx(original.loudness_lufs - 20, abs=0.1)
    for code, magnitude in (("RV", 0.3), ("OP", 16.0), ("AIR", 2.0)):
        same = version(Point(code, magnitude))
        assert loudness(same.heard) == pytest.approx(original.loudness_lufs, abs=0.1)
    # A voice in a mixture is made softer with it, and moved with it.
    voice = 0.5 * original.context[None]
    for point, factor in ((Point("GN", -20.0), 0.1), (Point("PO", 1.0), -1.0)):
        with_voice = version(point, companions=voice)
        np.testing.assert_allclose(with_voice.companions[0], 0.5 * with_voice.heard, rtol=1e-5)
        centre = original.context[plan.clip_samples // 2 :][: plan.clip_samples]
        np.testing.assert_allclose(with_voice.heard, factor * centre, rtol=1e-4, atol=1e-7)
    late = version(Point("TO", 100.0), companions=voice)
    np.testing.assert_allclose(late.companions[0], 0.5 * late.heard, rtol=1e-5)


def test_clips_of_a_chain_go_out_and_their_embeddings_come_back(
    music: Path, tmp_path: Path
) -> None:
    grid = tmp_path / "chain.yaml"
    grid.write_text("chains: {AIR: {steps: [MP, PN], levels: {1: [128, 40], 1.0000001: [32, 10]}}}")
    plan = make_plan({"encoders": ["mfcc"], "grid": str(grid), "clips": 3})
    out = tmp_path / "clips"
    export(plan, [music], out, sample_rate=22_050, workers=1, progress=silent)
    table = pd.read_csv(out / "manifest.csv")
    assert table["path"].is_unique, "names tell magnitudes apart that differ by little"
    rng = np.random.default_rng(0)
    vectors = {clip: rng.standard_normal(8) for clip in sorted(set(table["clip_id"]))}
    np.save(
        tmp_path / "vectors.npy",
        np.stack([vectors[clip] for clip in table["clip_id"]]).astype(np.float32),
    )
    done = CliRunner().invoke(
        app,
        ["score", "--manifest", str(out / "manifest.csv"), "--embeddings",
         str(tmp_path / "vectors.npy"), "--out", str(tmp_path / "scored"), "--workers", "1"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    back = nearkin.load(tmp_path / "scored")
    assert set(back.consistency["transformation"]) == {"OG", "AIR"}
