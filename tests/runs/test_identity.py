"""A run goes on only as what it was: other audio, starts, encoders and shards are told by name."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import RATE, tune, write_tunes
from nearkin.errors import InputError, RunError
from nearkin.performance.units import TaskSession
from nearkin.runs import run as runs_run
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import make_plan
from nearkin.runs.session import Session
from nearkin.runs.shards import Shards
from support.runs import files_of, small_run, write_record
from support.signals import write_float


class Bands:
    """Eight bands of the spectrum, weighted."""

    sample_rate = 22_050
    embedding_size = 8

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def embed(self, audio: Any) -> Any:
        bands = np.abs(np.fft.rfft(audio))[:, :20_000].reshape(len(audio), 8, 2500).sum(axis=2)
        return np.log1p(bands * self.weight ** np.arange(8))


def unfinished(folder: Path) -> None:
    """Take a run back to where its tables are not yet written."""
    record = json.loads((folder / "run.json").read_text())
    write_record(folder / "run.json", {**record, "finished": None})


def test_a_finished_run_says_so_and_computes_nothing(tmp_path: Path, music: Path) -> None:
    out = tmp_path / "run"
    small_run(music, out)
    before = files_of(out)
    finished = json.loads(before["run.json"])["finished"]
    assert f"{out}: finished on {finished}, nothing was computed" in small_run(music, out)
    assert files_of(out) == before


def test_audio_of_the_same_size_and_time_is_told_by_its_content(tmp_path: Path) -> None:
    folder, out = write_tunes(tmp_path / "music", 4), tmp_path / "run"
    small_run(folder, out)
    path = folder / "tune02.wav"
    before = path.stat()
    write_float(path, tune(9), 22_050)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(InputError, match=r"audio \(1 with other content such as 'tune02.wav'\)"):
        small_run(folder, out)
    unfinished(out)
    with pytest.raises(InputError, match=r"1 with other content such as 'tune02.wav'"):
        small_run(folder, out)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("start_s", "1.0", r"audio \(1 with another start_s such as 'b'\)"),
        ("path", "tune03.wav", r"audio \(1 with other content such as 'b'\)"),
        ("clip_id", "c", r"audio \(1 added such as 'c', 1 gone such as 'b'\)"),
    ],
)
def test_a_manifest_that_names_other_audio(
    column: str, value: str, told: str, tmp_path: Path, music: Path
) -> None:
    manifest, out = tmp_path / "m.csv", tmp_path / "run"
    rows = [
        {"clip_id": "a", "path": f"{music}/tune00.wav", "start_s": "0"},
        {"clip_id": "b", "path": f"{music}/tune01.wav", "start_s": "0.5"},
    ]

    def write() -> None:
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        manifest.write_text("\n".join(lines) + "\n")

    write()
    small_run(manifest, out)
    before = files_of(out)
    rows[1][column] = f"{music}/{value}" if column == "path" else value
    write()
    with pytest.raises(InputError, match=told):
        small_run(manifest, out)
    assert files_of(out) == before


def test_an_object_that_was_redefined(tmp_path: Path, music: Path) -> None:
    out = tmp_path / "run"
    small_run(music, out, encoders=(Bands(1.0),))
    assert any("nothing was computed" in t for t in small_run(music, out, encoders=(Bands(1.0),)))
    with pytest.raises(InputError, match=r"encoder 'Bands' \(answers the test clips differently"):
        small_run(music, out, encoders=(Bands(0.5),))


def test_a_helper_module_that_was_changed(tmp_path: Path, music: Path) -> None:
    """It answers loud clips otherwise; the test clips of the quick check are not among them."""
    out, helper = tmp_path / "run", tmp_path / "helper_of_a_run.py"
    helper.write_text("def gain(level):\n    return 1.0\n")
    (tmp_path / "enc.py").write_text(
        "import numpy as np\n"
        "from helper_of_a_run import gain\n"
        "def enc(audio, sample_rate):\n"
        "    bands = np.abs(np.fft.rfft(audio))[:16_000].reshape(8, 2_000).sum(axis=1)\n"
        "    return np.log1p(bands) * gain(np.abs(audio).max())\n"
    )
    spec = f"{tmp_path / 'enc.py'}:enc"
    small_run(music, out, encoders=(spec,))
    helper.write_text("def gain(level):\n    return 2.0 if level > 1e6 else 1.0\n")
    with pytest.raises(InputError, match="encoder files"):
        small_run(music, out, encoders=(spec,))


def test_a_file_that_an_encoder_reads_was_changed(tmp_path: Path, music: Path) -> None:
    out, helper = tmp_path / "run", tmp_path / "weights_of_test.npy"
    np.save(helper, np.ones(8, np.float32))
    (tmp_path / "enc.py").write_text(
        "import numpy as np\n"
        f"weights = np.load({str(helper)!r})\n"
        "def enc(audio, sample_rate):\n"
        f"    weights = np.load({str(helper)!r})\n"
        "    bands = np.abs(np.fft.rfft(audio))[:16_000].reshape(8, 2_000).sum(axis=1)\n"
        "    return np.log1p(bands) * weights\n"
    )
    spec = f"{tmp_path / 'enc.py'}:enc"
    small_run(music, out, encoders=(spec,))
    np.save(helper, np.arange(8, dtype=np.float32))
    with pytest.raises(InputError, match="answers the test clips differently than before"):
        small_run(music, out, encoders=(spec,))


def test_shards_of_another_plan_count_for_nothing(
    tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work folder of seed 1 with the shards of seed 0 in it gives the tables of seed 1."""
    out = tmp_path / "run"
    small_run(music, tmp_path / "truth", seed=1)
    stop_before_the_end(monkeypatch)
    with pytest.raises(RunError, match="stopped"):
        small_run(music, out, seed=0)
    strangers = files_of(out / "work")
    with pytest.raises(RunError, match="stopped"):
        small_run(music, out, seed=1, force=True)
    monkeypatch.undo()
    shared = [name for name in strangers if name in files_of(out / "work")]
    assert any(name.startswith("queries/") for name in shared)
    assert any(name.startswith("points/") for name in shared)
    for name in shared:
        (out / "work" / name).write_bytes(strangers[name])
    small_run(music, out, seed=1)
    truth, found = files_of(tmp_path / "truth"), files_of(out)
    for name in ("queries.parquet", "consistency.parquet", "clips.parquet"):
        assert truth[name] == found[name]


def stop_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise RunError("stopped")

    monkeypatch.setattr(runs_run, "write_tables", stop)


def test_a_file_that_failed_once_is_tried_again(tmp_path: Path) -> None:
    folder, out = write_tunes(tmp_path / "music", 4), tmp_path / "run"
    lost = folder / "tune03.wav"
    content = lost.read_bytes()
    lost.write_bytes(b"not there yet")
    small_run(folder, out)
    clips = RunFolder(out).read_table("clips")
    assert (clips["status"] == "ok").sum() == 3
    assert any("nothing was computed" in told for told in small_run(folder, out))
    lost.write_bytes(content)
    told = small_run(folder, out)
    assert any("1 recordings that could not be used can be now" in sentence for sentence in told)
    small_run(folder, tmp_path / "truth")
    truth, found = files_of(tmp_path / "truth"), files_of(out)
    for name in ("queries.parquet", "consistency.parquet", "clips.parquet"):
        assert truth[name] == found[name]


def test_ids_that_two_clips_would_bear(tmp_path: Path, music: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        f"clip_id,path\na,{music}/tune00.wav\na#1,{music}/tune01.wav\nb,{music}/tune02.wav\n"
    )
    with pytest.raises(InputError, match="'a' and 'a#1'"):
        small_run(manifest, tmp_path / "run", excerpts_per_file=2)
    small_run(manifest, tmp_path / "run")


def test_an_encoder_called_audio_is_refused(tmp_path: Path, music: Path) -> None:
    def audio(y: Any, sample_rate: int) -> Any:
        return y[:8]

    with pytest.raises(InputError, match="encoder 'audio': the tables call the audio space so"):
        small_run(music, tmp_path / "run", encoders=(audio,))
    assert not (tmp_path / "run").exists()


def test_shards_know_what_they_are_of(tmp_path: Path) -> None:
    one, other = Shards(tmp_path, "one"), Shards(tmp_path, "other")
    one.write(tmp_path / "a.npz", {"x": 1}, {"y": np.arange(3)})
    assert other.read(tmp_path / "a.npz", "a") is None
    assert other.told() == []
    found = one.read(tmp_path / "a.npz", "a")
    assert found is not None
    assert found[1]["y"].tolist() == [0, 1, 2]


def test_a_wrong_path_is_told_before_an_encoder_is_opened(tmp_path: Path) -> None:
    """Opening a model, and the references' quick check, may take minutes."""
    mark, file = tmp_path / "opened", tmp_path / "enc.py"
    file.write_text(
        f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
        "def enc(audio, sample_rate):\n    return audio[:8]\n"
    )
    with pytest.raises(InputError, match="no such file or folder"):
        small_run(tmp_path / "nothing", tmp_path / "run", encoders=(f"{file}:enc",))
    assert not mark.exists()
    assert not (tmp_path / "run").exists()


def test_noise_that_changed_is_seen_within_one_process(tmp_path: Path, music: Path) -> None:
    """A notebook that replaces its noise has the new one, alone or in a folder, by any path."""
    grid = tmp_path / "noise.yaml"
    grid.write_text("{EN: [0]}")
    out, folder = tmp_path / "run", tmp_path / "noise"
    folder.mkdir()
    write_float(folder / "one.wav", tune(7, seconds=3), RATE)
    settings: dict[str, Any] = {"grid": str(grid), "noise": str(folder)}
    small_run(music, out, **settings)
    table = (out / "queries.parquet").read_bytes()
    write_float(folder / "one.wav", tune(8, seconds=3), RATE)
    with pytest.raises(InputError, match=r"holds a run with other settings: noise file \(was "):
        small_run(music, out, **settings)
    small_run(music, out, force=True, **settings)
    assert (out / "queries.parquet").read_bytes() != table
    write_float(folder / "two.wav", tune(9, seconds=3), RATE)
    with pytest.raises(InputError, match=r"holds a run with other settings: noise file \(was "):
        small_run(music, out, **settings)


def test_a_worker_that_lives_longer_than_a_run_reads_the_noise_again(tmp_path: Path) -> None:
    write_float(tmp_path / "noise.wav", tune(7, seconds=3), RATE)
    noise = str(tmp_path / "noise.wav")
    plan = make_plan({"encoders": ["mfcc"], "grid": "quick", "noise": noise})
    sessions = (
        Session(plan, tmp_path, ()),
        TaskSession(plan, RunFolder(tmp_path), {}),
    )
    before = [pickle.loads(pickle.dumps(one)).noise.sha256 for one in sessions]
    write_float(tmp_path / "noise.wav", tune(8, seconds=3), RATE)
    after = [pickle.loads(pickle.dumps(one)).noise.sha256 for one in sessions]
    assert len(set(before)) == len(set(after)) == 1
    assert before != after


def test_the_points_that_a_grid_gained_and_lost_are_named(tmp_path: Path, music: Path) -> None:
    grid = tmp_path / "mine.yaml"
    grid.write_text("{PN: [0, 10]}")
    small_run(music, tmp_path / "run", grid=str(grid))
    grid.write_text("{PN: [0, 20], MP: [64]}")
    told = r"grid \(was mine with 2 points, now .* 3 points: PN 20, MP 64 added, PN 10 gone\)"
    with pytest.raises(InputError, match=told):
        small_run(music, tmp_path / "run", grid=str(grid))
