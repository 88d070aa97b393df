"""``nearkin perceive``: a finished run's changes heard, resumed, refused, and held to by a gate."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nearkin
from nearkin.audio.perception import heard
from nearkin.cli import app
from nearkin.runs import perceive as module
from nearkin.runs.folder import RunFolder
from nearkin.tables import AUDIBILITY, PERCEPTION
from support.runs import small_run
from support.signals import write_float


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    pytest.importorskip("zimtohrli")


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heard")
    for seed in range(3):
        t = np.arange(5 * 22_050) / 22_050
        rng = np.random.default_rng(seed)
        y = sum(
            np.sin(2 * np.pi * f * t) * np.exp(-2 * (t % 0.5)) for f in rng.uniform(100, 2e3, 5)
        )
        write_float(folder / f"song{seed}.wav", (0.05 * y).astype(np.float32), 22_050)
    return folder


@pytest.fixture(scope="module")
def run(recordings: Path) -> Path:
    """A finished run; copied where it is written to."""
    grid = recordings.parent / "perceived.yaml"
    grid.write_text("{PN: [0, 20, 60], MP: [16], PS: [0.25], RE: 1, GN: [-20], OP: [24]}")
    out = recordings.parent / "run"
    small_run(recordings, out, encoders=("mfcc",), grid=str(grid))
    return out


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_tables(copied: Path) -> None:
    done = command("perceive", copied, "--workers", "1", "--grid-out", copied.parent / "equal.yaml")
    assert done.exit_code == 0, done.output
    table = pd.read_parquet(copied / "perception.parquet")
    assert tuple(table.columns) == PERCEPTION
    assert len(table) == 3 * 9
    by = table.set_index(["transformation", "magnitude"]).sort_index()
    assert (by.loc["OG", "mos"] == 5).all()
    noise = table[table["transformation"] == "PN"].pivot_table(
        index="clip_id", columns="magnitude", values="mos"
    )
    assert (noise[0.0] < noise[20.0]).all()
    assert (noise[20.0] < noise[60.0]).all()
    # Quality and just noticeable differences are never one axis.
    steps = by.loc["PS"]
    assert steps["mos"].isna().all()
    assert steps["jnd"].to_list() == pytest.approx([2.5] * 3)
    assert by.loc["PN", "jnd"].isna().all()
    for code in ("RE", "GN"):
        assert (by.loc[code, "status"] == module.UNHEARD).all()
        assert by.loc[code, ["mos", "jnd"]].isna().all(axis=None)
    scores = pd.read_parquet(copied / "audibility.parquet")
    assert tuple(scores.columns) == AUDIBILITY
    assert (copied / "audibility.csv").is_file()
    assert "PN" in (copied.parent / "equal.yaml").read_text()


def test_a_row_is_what_the_face_says_of_the_clips_that_were_heard(run: Path) -> None:
    folder = RunFolder(run)
    record = folder.read_run()
    assert record is not None
    plan = module.plan_of(record["plan"], ())
    clip = folder.read_table("clips").iloc[0].to_dict()
    work = module.Work(
        plan, module.Shards(run / "x", ""), {clip["clip_id"]: clip},
        module.noise_library(plan), Path(),
    )  # fmt: skip
    original = module.read_again(plan, Path(), clip)
    assert original.content_sha256 == clip["content_sha256"]
    version = module.transformed(plan, original, plan.points[1], noise=work.noise)
    before = module.centre(original.context, plan.clip_samples)
    assert before is not None
    score = heard(before, version.heard, sr=plan.working_rate)
    row = module.perceived(work, clip["clip_id"])[1]
    assert (row["mos"], row["zimtohrli"]) == (score.mos, score.distance)


def test_the_same_bytes_for_any_workers_and_after_an_interruption(
    run: Path, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    module.perceive(RunFolder(copied), workers=1)
    calls = []
    unit = module._unit

    def dying(work: Any, clip_id: str) -> None:
        calls.append(clip_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        unit(work, clip_id)

    monkeypatch.setattr(module, "_unit", dying)
    with pytest.raises(KeyboardInterrupt):
        module.perceive(RunFolder(other), workers=1)
    monkeypatch.setattr(module, "_unit", unit)
    assert not (other / "perception.parquet").exists()
    stages: list[tuple[str, int, int]] = []
    module.perceive(RunFolder(other), workers=2, progress=lambda *told: stages.append(told))
    assert stages[0] == ("perception", 1, 3), "what was done is not done again"
    name = "perception.parquet"
    assert (other / name).read_bytes() == (copied / name).read_bytes()
    assert not list(other.rglob("*.npz"))


def perceiving(folder: Path) -> subprocess.Popen[bytes]:
    words = ["perceive", str(folder), "--workers", "2", "--quiet"]
    with (folder.parent / f"{folder.name}.stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "nearkin", *words], start_new_session=True, stderr=stderr
        )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_kill_9_at_four_random_moments(run: Path, tmp_path: Path) -> None:
    straight = Path(shutil.copytree(run, tmp_path / "straight"))
    begun = time.monotonic()
    assert perceiving(straight).wait() == 0
    whole = time.monotonic() - begun
    rng = random.Random(0)
    killed, number = 0, 0
    broken = Path(shutil.copytree(run, tmp_path / "broken0"))

    def the_same() -> None:
        for name in ("perception.parquet", "audibility.parquet", "audibility.csv"):
            assert (broken / name).read_bytes() == (straight / name).read_bytes(), name
        assert not list(broken.rglob("*.npz"))

    while killed < 4:
        process = perceiving(broken)
        try:
            assert process.wait(timeout=rng.uniform(0.3, 0.95) * whole) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        else:
            the_same()
            number += 1
            broken = Path(shutil.copytree(run, tmp_path / f"broken{number}"))
    assert perceiving(broken).wait() == 0
    the_same()


def test_a_gate_on_what_is_heard(copied: Path) -> None:
    text = "C_W[mfcc,cosine] >= 0 @ MOS>=4.5"
    refused = command("gate", copied, "--require", text)
    assert refused.exit_code == 2
    assert "give nearkin perceive RUN first" in refused.stderr
    module.perceive(RunFolder(copied))
    table = pd.read_parquet(copied / "perception.parquet")
    medians = (
        table[table["scale"] == "mos"].groupby(["transformation", "magnitude"])["mos"].median()
    )
    clean = medians.drop("OG")
    asked = {
        f"C_W[mfcc,cosine] >= 0 @ MOS>={level}": int((clean >= level).sum()) for level in (4.5, 1)
    }
    asked["C_W[mfcc,cosine] >= 0 @ PN and MOS>=1"] = 3
    asked["C_W[mfcc,cosine] >= 0 @ JND<=3"] = 1
    asked["C_W[mfcc,cosine] >= 0 @ JND<=3, MP"] = 2
    outcomes = nearkin.gate(copied, list(asked))
    assert [outcome.places for outcome in outcomes] == list(asked.values())
    for bad, message in (("MOS", "needs a number"), ("MOS>=4.9999 and MP", "names no point")):
        with pytest.raises(nearkin.InputError, match=message):
            nearkin.gate(copied, f"C_W[mfcc,cosine] >= 0 @ {bad}")


def test_what_cannot_be_heard_again_is_told(copied: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        t = np.arange(5 * 22_050) / 22_050
        y = 0.1 * np.sin(2 * np.pi * rng.uniform(200, 900) * t) * (1 + np.sin(t * 9))
        write_float(music / f"{seed}.wav", y.astype(np.float32), 22_050)
    out = tmp_path / "two"
    small_run(music, out)
    (music / "1.wav").unlink()
    done = command("perceive", out, "--workers", "1")
    assert done.exit_code == 0, done.output
    assert "clip 1.wav: failed: " in done.stderr
    table = pd.read_parquet(out / "perception.parquet")
    assert set(table.loc[table["clip_id"] == "0.wav", "status"]) == {"ok"}
    shutil.copy(music / "0.wav", music / "2.wav")
    (music / "0.wav").unlink()
    done = command("perceive", out, "--workers", "1")
    assert done.exit_code == 2
    assert "can be read again" in done.stderr


def test_other_folders_are_refused(tmp_path: Path) -> None:
    done = command("perceive", tmp_path / "nothing")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
