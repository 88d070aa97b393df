"""What task scores are made from, and what becomes of their files when that is not as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

import nearkin
from conftest import RATE, tune
from nearkin.errors import InputError, RunError
from nearkin.performance import perform
from nearkin.performance.run import make_performance_plan
from nearkin.performance.scored import ClipScore
from nearkin.transforms.grids import Grid, Point
from support.runs import files_of

TABLES = ("performance.parquet", "performance.csv", "performance_clips.parquet")


class Loudest:
    """A model whose score is the clip's peak; it counts what it is asked."""

    encoder, task, trial, measure, column = "vgg", "ae", 1, "MSE", None
    sample_rate, minimum_samples, device = RATE, 32_512, "cpu"
    file, sha256 = "loudest.safetensors", "ab" * 32

    def __init__(self) -> None:
        self.asked = 0

    def check(self, rows: Any) -> None:
        pass

    def score(self, heard: Any, vocals: Any, row: Any) -> ClipScore:
        self.asked += 1
        return ClipScore(float(np.abs(heard).max()), 0.5, "ok")

    def record(self) -> dict[str, Any]:
        return {"scale": "small"}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for seed in range(3):
        soundfile.write(folder / f"{seed}.wav", tune(seed), RATE, subtype="PCM_16")
    rows = "".join(f"{seed}.wav,test\n" for seed in range(3))
    (folder / "m.csv").write_text(f"path,split\n{rows}")
    return folder / "m.csv"


def scored(manifest: Path, out: Path, **more: Any) -> tuple[list[str], Loudest]:
    told: list[str] = []
    model = Loudest()
    plan = make_performance_plan({"grid": Grid("one", (Point("PN", 0.0),))})
    perform([model], [manifest], out, plan=plan, tell=told.append, **more)
    return told, model


def stopped(manifest: Path, out: Path) -> None:
    """Stop when all clips are scored and no table is written."""

    def stop(stage: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(manifest, out, progress=stop)


def test_a_finished_one_is_told_and_nothing_is_computed(manifest: Path, tmp_path: Path) -> None:
    scored(manifest, tmp_path / "out")
    told, model = scored(manifest, tmp_path / "out")
    assert len(told) == 1
    assert "scored on 20" in told[0]
    assert "nothing was computed" in told[0]
    assert model.asked == 0


@pytest.mark.parametrize("finished", [True, False])
def test_a_recording_with_other_content_or_another_start_is_refused(
    finished: bool, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scored(manifest, out) if finished else stopped(manifest, out)
    one = manifest.parent / "0.wav"
    before = one.read_bytes()
    one.write_bytes(before[:-2] + b"\x01\x00")  # the same size
    with pytest.raises(InputError, match=r"audio \(1 with other content such as 'ae 0.wav'\)"):
        scored(manifest, out)
    one.write_bytes(before)
    _, model = scored(manifest, out)
    assert model.asked == 0
    text = manifest.read_text()
    manifest.write_text(text.replace("path,split", "path,split,start_s").replace("test", "test,.5"))
    with pytest.raises(InputError, match=r"3 added such as 'ae 0.wav@0.5', 3 gone"):
        scored(manifest, out)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("how", ["emptied", "flipped", "removed"])
def test_a_damaged_table_is_told_and_made_again(
    name: str, how: str, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scored(manifest, out)
    path = out / name
    whole = path.read_bytes()
    if how == "removed":
        path.unlink()
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes(b"" if how == "emptied" else flipped)
    told, _ = scored(manifest, out)
    assert "1 files were changed or damaged" in told[0]
    assert name in told[0]
    assert path.read_bytes() == whole


def test_a_second_command_is_refused(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scored(manifest, out)
    hold = (
        "import sys, time; from pathlib import Path; from nearkin.lease import leased\n"
        "with leased(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", hold, str(out)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = files_of(out)
        with pytest.raises(InputError, match="another nearkin command is at work there"):
            scored(manifest, out, force=True)
        assert files_of(out) == before
    finally:
        holder.kill()
        holder.communicate()


def test_force_deletes_what_is_its_own(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scored(manifest, out)
    (out / "mine.txt").write_text("mine")
    (out / "work" / "performance").mkdir(parents=True)
    (out / "work" / "performance" / "mine.npz").write_text("mine")
    _, model = scored(manifest, out, force=True)
    assert model.asked == 6
    left = files_of(out)
    assert left["mine.txt"] == left["work/performance/mine.npz"] == b"mine"


@pytest.mark.parametrize("name", ["work/performance/a.npz", "performance.csv", "notes.md"])
def test_a_folder_of_the_user_stays_as_it_is(name: str, manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "proj" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for force in (False, True):
        with pytest.raises(InputError, match="is no nearkin run; name another folder"):
            scored(manifest, tmp_path / "proj", force=force)
        assert files_of(tmp_path / "proj") == {name: b"mine"}


def test_an_out_that_holds_an_input(manifest: Path, tmp_path: Path) -> None:
    for out in (manifest.parent, tmp_path):
        with pytest.raises(InputError, match="which is an input"):
            scored(manifest, out)
    config = tmp_path / "settings" / "c.yaml"
    with pytest.raises(InputError, match=r"holds .*c.yaml, which is an input"):
        scored(manifest, config.parent, made_from=[config])


def test_of_clips_that_sound_the_same_one_counts(manifest: Path, tmp_path: Path) -> None:
    shutil.copy(manifest.parent / "0.wav", manifest.parent / "copy.wav")
    y, rate = soundfile.read(manifest.parent / "1.wav", dtype="int16")
    soundfile.write(manifest.parent / "lossless.flac", y, rate, subtype="PCM_16")
    with manifest.open("a") as file:
        file.write("copy.wav,test\nlossless.flac,test\n")
    scored(manifest, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "performance.parquet")
    assert (table["n"] == 3).all()
    clips = pd.read_parquet(tmp_path / "out" / "performance_clips.parquet")
    status = clips.groupby("clip_id")["status"].first()
    assert status["copy.wav"] == "skipped: sounds the same as '0.wav'"
    assert status["lossless.flac"] == "skipped: sounds the same as '1.wav'"
    sets = json.loads((tmp_path / "out" / "performance.json").read_text())["test_sets"]
    assert sets["ae"]["skipped"] == 2


def test_a_clip_that_failed_once_is_tried_again(manifest: Path, tmp_path: Path) -> None:
    lost = manifest.parent / "2.wav"
    whole = lost.read_bytes()
    lost.write_bytes(b"RIFF")
    scored(manifest, tmp_path / "out")
    clips = pd.read_parquet(tmp_path / "out" / "performance_clips.parquet")
    assert clips["status"].str.startswith("failed").sum() == 2  # the original and a point
    lost.write_bytes(whole)
    told, model = scored(manifest, tmp_path / "out")
    assert "1 clips that could not be used can be now, such as '2.wav'" in told[0]
    assert model.asked == 6
    scored(manifest, tmp_path / "straight")
    for name in TABLES:
        assert files_of(tmp_path / "out")[name] == files_of(tmp_path / "straight")[name]


def test_scores_beside_a_run_that_were_damaged_are_refused_where_they_are_read(
    manifest: Path, small_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    scored(manifest, run)
    assert nearkin.load(run).performance is not None
    path = run / "performance.parquet"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(RunError, match=r"performance.json holds its checksum.*nearkin perform"):
        _ = nearkin.load(run).performance
