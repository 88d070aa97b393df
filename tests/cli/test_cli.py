"""The command line as a user meets it: what runs, and what bad input gets.

Every bad input ends in one sentence on stderr and an exit code, or in a row with its reason;
nothing is lost and no traceback is shown.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

import nearkin
from conftest import RATE, tune, write_tunes
from nearkin.audio import encode_mp3
from nearkin.encoders import REFERENCES, TRAINED
from nearkin.report.page import build
from support.commands import command, refused
from support.signals import write_float

SMALL_GRID = "{PN: [30], TS: [1.1], MP: [64]}\n"


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_GRID)
    return path


# -- what works ----------------------------------------------------------------------------------


def test_a_run_ends_in_tables_figures_and_a_report(music: Path, grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["--grid", grid, "--out", out, "--workers", "1", "--references", "all", "--json"]
    done = command("run", music, *words)
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    last = json.loads(done.stdout.strip().splitlines()[-1])
    assert last["n"] == 5
    assert last["exit"] == 0
    assert [row["name"] for row in last["encoders"]] == [*REFERENCES, *TRAINED]
    assert (out / "report.html").is_file()
    assert sorted(path.suffix for path in (out / "figures").iterdir()).count(".svg") >= 6
    assert not (out / "work").exists()
    result = nearkin.load(out)
    og = result.consistency.query("transformation == 'OG' and measure == 'C_W'")
    by_encoder = og.groupby("encoder")["value"].min()
    assert by_encoder["mfcc"] == by_encoder["audio"] == 1.0
    assert by_encoder["constant"] == 0.0
    assert "1/1" not in done.stdout


def test_a_finished_run_is_not_computed_again(music: Path, grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("run", music, "--grid", grid, "--out", out, "--workers", "1", "--quiet")
    assert command(*words).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert command(*words).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    sentence = refused(*words, "--seed", "1")
    assert "seed (was 0, now 1)" in sentence
    assert "--force" in sentence
    other = tmp_path / "other.yaml"
    other.write_text("{PN: [30]}")
    assert "grid (was small with 3 points, now other with 1 points)" in refused(
        "run", music, "--grid", other, "--out", out
    )
    assert command(*words, "--seed", "1", "--force").exit_code == 0
    assert nearkin.load(out).run["plan"]["seed"] == 1


def test_audio_that_changed_is_refused_by_name(grid: Path, tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "music", 3)
    words = ("run", folder, "--grid", grid, "--out", tmp_path / "run", "--workers", "1", "--quiet")
    assert command(*words).exit_code == 0
    write_tunes(folder, 1, first=7)
    assert "audio (1 added such as 'tune07.wav')" in refused(*words)


def test_report_is_rebuilt_from_tables(music: Path, grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command("run", music, "--grid", grid, "--out", out, "--workers", "1", "--quiet")
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    shutil.rmtree(out / "figures")
    done = command("report", out)
    assert done.exit_code == 0
    assert (out / "report.html").read_bytes() == before
    assert "holds no run" in refused("report", tmp_path)


def test_dry_run_writes_nothing(music: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("run", music, "--dry-run", "--grid", "imperceptible", "--json")
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["recordings"] == 5
    assert told["points"] == 7
    assert 0 < told["seconds"] < 3600
    assert list(tmp_path.iterdir()) == []


def test_config_file_has_a_key_for_every_flag(music: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"audio: {music}\nencoder: [random]\ngrid: imperceptible\nclips: 3\nseed: 5\n"
        f"out: {tmp_path / 'run'}\nworkers: 1\nquiet: true\nexcerpts-per-file: 1\n"
    )
    done = command("run", "--config", config, "--seed", "6")
    assert done.exit_code == 0, (done.stderr, done.exception)
    run = nearkin.load(tmp_path / "run").run
    assert run["plan"]["seed"] == 6
    assert run["n"] == 3
    config.write_text("gird: paper\nsede: 1\n")
    sentence = refused("run", music, "--config", config)
    assert "unknown key 'gird': did you mean 'grid'?" in sentence
    assert "unknown key 'sede': did you mean 'seed'?" in sentence
    config.write_text("[1, 2]")
    assert "must map options to values" in refused("run", music, "--config", config)
    config.write_text("a: [")
    assert "is not YAML" in refused("run", music, "--config", config)
    assert "cannot be read" in refused("run", music, "--config", tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("encoders", "mfcc"),
        ("transformations", "PN"),
        ("grids", "paper"),
        ("distances", "dtw"),
        ("tasks", "AUC_C"),
    ],
)
def test_list(what: str, word: str) -> None:
    done = command("list", what)
    assert done.exit_code == 0
    assert word in done.stdout


def test_list_knows_what_it_does_not_know() -> None:
    assert "did you mean 'encoders'?" in refused("list", "encoder")


# -- bad usage -----------------------------------------------------------------------------------


def test_folders_without_audio(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no audio file" in refused("run", empty, "--out", tmp_path / "run")
    (empty / "notes.txt").write_text("no audio")
    assert "holds no audio file" in refused("run", empty, "--out", tmp_path / "run")
    assert "no such file or folder" in refused("run", tmp_path / "nothing")
    assert "no audio given" in refused("run")
    assert not (tmp_path / "run").exists()


def test_one_clip_only(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "music", 1)
    sentence = refused("run", folder, "--out", tmp_path / "run", "--workers", "1")
    assert "one usable clip" in sentence
    assert "nothing to compare with" in sentence


def test_no_usable_clip_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    sentence = refused("run", tmp_path / "a.wav", "--out", tmp_path / "run", "--workers", "1")
    assert "no usable clip among 1 ('a.wav' failed: " in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--encoder", "mfc"], "unknown encoder 'mfc': did you mean 'mfcc'?"),
        (["--grid", "papr"], "unknown grid 'papr': did you mean 'paper'?"),
        (["--grid", "missing.yaml"], "cannot be read"),
        (["--encoder", "no.such.module:f"], "no module 'no'"),
        (["--encoder", "./nowhere.py:f"], "no file nowhere.py"),
        (["--encoder", "json:dmups"], "did you mean 'dumps'?"),
        (["--encoder", "json:__name__"], "is no encoder"),
        (["--encoder", "mfcc", "--encoder", "mfcc"], "asked for twice"),
        (["--encoder-options", "{"], "is no JSON"),
        (["--encoder-options", "[1]"], "must be a JSON object"),
        (["--encoder-options", "{}", "--encoder-options", "{}"], "2 encoder options for 1"),
        (["--encoder", "embeddings:missing.parquet"], "no file missing.parquet"),
        (["--clips", "1"], "clips=1"),
        (["--clip-seconds", "0.7"], "clip_seconds >= 1.16"),
        (["--seed", "-1"], "seed=-1"),
        (["--engine", "magic"], "engine='magic'"),
        (["--pool", "maen"], "did you mean 'mean'?"),
        (["--noise", "missing.wav"], "missing.wav"),
        (["--split", "train"], ""),
    ],
)
def test_bad_settings(
    arguments: list[str], sentence: str, music: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "--split":
        manifest = tmp_path / "m.csv"
        manifest.write_text(f"path\n{music / 'tune00.wav'}\n")
        assert "has no column 'split'" in refused("run", manifest, *arguments)
        return
    assert sentence in refused("run", music, *arguments)
    assert not (tmp_path / "nearkin-run").exists()


def test_grid_files_tell_all_problems(music: Path, tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text("{PM: [30], TS: [-1]}")
    sentence = refused("run", music, "--grid", path)
    known = sentence.partition("unknown transformation 'PM': known: ")[2].partition(" | ")[0]
    assert {"EN", "LP", "MP", "OG", "PN", "PS", "TS"} <= set(known.split(", "))
    assert "TS: ratio=-1" in sentence


def test_modules_that_cannot_be_encoders(music: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('weights are missing')\n")
    sentence = refused("run", music, "--encoder", f"{broken}:f", "--out", tmp_path / "run")
    assert "RuntimeError while importing it: weights are missing" in sentence
    half = tmp_path / "half.py"
    half.write_text("class E:\n    sample_rate = 16000\n    def embed(self, audio): ...\n")
    assert "has embed() but no embedding_size" in refused("run", music, "--encoder", f"{half}:E")
    needy = tmp_path / "needy.py"
    needy.write_text("import surely_not_installed\n")
    sentence = refused("run", music, "--encoder", f"{needy}:f")
    assert "surely_not_installed" in sentence


def test_out_that_cannot_be_used(music: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.tex").write_text("years of work")
    assert "holds something that is no nearkin run" in refused("run", music, "--out", taken)
    assert (taken / "thesis.tex").read_text() == "years of work"
    assert "is a file" in refused("run", music, "--out", taken / "thesis.tex")
    assert "cannot be written" in refused("run", music, "--out", "/proc/nearkin")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; only where mounting is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or os.name != "posix":
        pytest.skip("no mount here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_then_a_larger_one(music: Path, small_disk: Path) -> None:
    words = ("run", music, "--grid", "imperceptible", "--out", small_disk / "run",
             "--workers", "1", "--quiet")  # fmt: skip
    sentence = refused(*words)
    assert "the disk is full" in sentence
    done = list((small_disk / "run").rglob("*.npz"))
    assert done
    assert not list(small_disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    kept = {path: path.stat().st_mtime_ns for path in done}
    work = small_disk / "run" / "work"
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.npz")} == kept
    assert command(*words).exit_code == 0


# -- bad audio: one run, a row for each file ------------------------------------------------------


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of everything that is wrong, or merely unusual, with audio files."""
    folder = write_tunes(tmp_path_factory.mktemp("strange"), 2)
    y = tune(50)

    def put(name: str, samples: np.ndarray, rate: int = RATE, **options: Any) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, rate, **options)

    (folder / "text.wav").write_text("this is no audio")
    (folder / "empty.wav").write_bytes(b"")
    put("whole.ogg", tune(51, seconds=8))
    whole = (folder / "whole.ogg").read_bytes()
    (folder / "whole.ogg").unlink()
    (folder / "cut long.ogg").write_bytes(whole[: int(len(whole) * 0.8)])
    (folder / "cut short.ogg").write_bytes(whole[: int(len(whole) * 0.2)])
    mp3 = encode_mp3(tune(52, seconds=8), sr=RATE, kbps=64)
    (folder / "cut long.mp3").write_bytes(mp3[: int(len(mp3) * 0.8) + 7])
    (folder / "cut short.mp3").write_bytes(mp3[: int(len(mp3) * 0.2) + 7])
    (folder / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(30_000))
    put("short.wav", y[: int(2.5 * RATE)])
    put("three seconds.wav", y[: 3 * RATE])
    put("silence.wav", np.zeros(5 * RATE, np.float32))
    write_float(folder / "dc.wav", np.full(5 * RATE, 0.3, np.float32), RATE)
    write_float(folder / "faint.wav", y * np.float32(1e-5), RATE)
    bad = y.copy()
    bad[::1000] = np.nan
    write_float(folder / "nan.wav", bad, RATE)
    bad[::1000] = np.inf
    write_float(folder / "inf.wav", bad, RATE)
    put("8k.wav", tune(53, rate=8_000), 8_000)
    put("192k.wav", tune(54, rate=192_000), 192_000)
    six = np.stack([tune(60 + channel) for channel in range(6)], axis=1)
    put("surround.wav", six)
    put("8bit.wav", tune(55), subtype="PCM_U8")
    put("24bit.flac", tune(56), subtype="PCM_24")
    put("one/same name.wav", tune(57))
    put("two/same name.wav", tune(58))
    put("twin a.wav", tune(59))
    put("twin b.wav", tune(59))
    put('it\'s "quoted" & <script>alert(1)</script>.wav'.replace("/", "∕"), tune(70))
    put("new\nline.wav", tune(71))
    put("plain.wav", tune(73))
    (folder / "plain.wav").rename(folder / os.fsdecode(b"not utf-8 \xff\xfe.wav"))
    put(".hidden.wav", tune(72))
    return folder


@pytest.fixture(scope="module")
def strange_run(strange: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("out")
    grid = folder / "small.yaml"
    grid.write_text(SMALL_GRID)
    out = folder / "run"
    done = command("run", strange, "--grid", grid, "--out", out, "--workers", "1", "--json")
    return done, out


@pytest.mark.parametrize(
    ("clip_id", "status"),
    [
        ("text.wav", "failed: "),
        ("empty.wav", "failed: "),
        ("noise.mp3", "failed: "),
        ("nan.wav", "failed: has NaN or infinite samples"),
        ("inf.wav", "failed: has NaN or infinite samples"),
        ("cut short.ogg", "skipped: too short: 0."),
        ("cut short.mp3", "skipped: too short: 1."),
        ("short.wav", "skipped: too short: 2.50 s, needs 3 s"),
        ("silence.wav", "skipped: silent or constant"),
        ("dc.wav", "skipped: silent or constant"),
        ("faint.wav", "skipped: silent or constant"),
        ("cut long.ogg", "ok"),
        ("cut long.mp3", "ok"),
        ("three seconds.wav", "ok"),
        ("8k.wav", "ok"),
        ("192k.wav", "ok"),
        ("surround.wav", "ok"),
        ("8bit.wav", "ok"),
        ("24bit.flac", "ok"),
        ("one/same name.wav", "ok"),
        ("two/same name.wav", "ok"),
        ("twin a.wav", "ok"),
        ("twin b.wav", "skipped: sounds the same as 'twin a.wav'"),
        ('it\'s "quoted" & <script>alert(1)<∕script>.wav', "ok"),
        ("new\\nline.wav", "ok"),
        ("not utf-8 \\xff\\xfe.wav", "ok"),
    ],
)
def test_every_strange_file_is_a_row(
    clip_id: str, status: str, strange_run: tuple[Any, Path]
) -> None:
    clips = nearkin.load(strange_run[1]).clips.set_index("clip_id")
    found = clips.loc[clip_id, "status"]
    assert found == status if status == "ok" else found.startswith(status)


def test_a_run_with_unreadable_files_finishes_and_says_so(strange_run: tuple[Any, Path]) -> None:
    done, out = strange_run
    assert done.exit_code == 3, (done.stderr, done.exception)
    result = nearkin.load(out)
    assert len(result.clips) == 28
    assert result.run["clips"]["failed"] == 5
    assert "text.wav: failed" in done.stdout
    ids = set(result.clips["clip_id"])
    assert ".hidden.wav" not in ids
    short = result.clips.set_index("clip_id").loc["three seconds.wav"]
    assert short["duration_s"] == pytest.approx(3.0)
    assert result.queries["clip_id"].nunique() == result.run["n"]
    assert not np.isinf(result.queries[["d_own", "d_nearest", "margin"]].to_numpy(float)).any()


def test_identical_clips_are_reported_and_tie(strange: Path, tmp_path: Path) -> None:
    grid = tmp_path / "small.yaml"
    grid.write_text(SMALL_GRID)
    names = ("twin a.wav", "twin b.wav", "8k.wav", "8bit.wav")
    files = [strange / name for name in names]
    out = tmp_path / "run"
    done = command("run", *files, "--grid", grid, "--out", out, "--duplicates", "all")
    assert done.exit_code == 0, (done.stderr, done.exception)
    result = nearkin.load(out)
    assert result.run["clips"]["identical"] == [["twin a.wav", "twin b.wav"]]
    assert "identical clips, which tie: twin a.wav, twin b.wav" in done.stdout
    og = result.queries.query("transformation == 'OG' and encoder == 'mfcc'").set_index("clip_id")
    assert (og.loc[["twin a.wav", "twin b.wav"], "error"] == 1).all()
    assert (og.loc[["8k.wav", "8bit.wav"], "error"] == 0).all()


def test_hostile_names_stay_text_in_the_report(strange_run: tuple[Any, Path]) -> None:
    result = nearkin.load(strange_run[1])
    assert "<script>alert(1)" not in (result.path / "report.html").read_text("utf-8")
    data = result.report_data()
    named = data.clips["path"].str.contains("alert(1)", regex=False)
    assert named.sum() == 1
    clips = data.clips.assign(status=data.clips["status"].mask(named, "skipped: for this test"))
    page = build(dataclasses.replace(data, clips=clips))  # what is skipped is listed by name
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


# -- bad encoders: one run, a sentence for each ----------------------------------------------------

ENCODERS = '''
import numpy as np

class Good:
    """float64 is taken and becomes float32."""
    sample_rate = 16_000
    embedding_size = 30
    def embed(self, audio):
        return np.abs(np.fft.rfft(audio[:, :58].astype(np.float64)))

def raises(audio, sample_rate):
    raise RuntimeError("weights\\nare missing")

def nan(audio, sample_rate):
    return np.full(8, np.nan)

class WrongShape(Good):
    def embed(self, audio):
        return np.ones((len(audio), 3, 3, 3))

class OtherSize(Good):
    embedding_size = 31

class Text(Good):
    def embed(self, audio):
        return [["a"] * 30] * len(audio)

class Nothing(Good):
    def embed(self, audio):
        return None

def grows(audio, sample_rate):
    grows.calls = getattr(grows, "calls", 9) + 1
    return np.ones(grows.calls)

def sometimes(audio, sample_rate):
    """Fails on what is louder than its own threshold: a query, not an original."""
    if np.abs(audio).max() > 0.0 and abs(audio[0]) > np.abs(audio).max() * 0.5:
        raise ValueError("too loud at the start")
    return np.abs(np.fft.rfft(audio[:64]))

class Tensor:
    """What torch returns, as far as numpy is concerned."""
    def __init__(self, values):
        self.values = values
    def detach(self):
        return self
    def cpu(self):
        return self
    def numpy(self):
        return self.values

def tensor(audio, sample_rate):
    return Tensor(np.abs(np.fft.rfft(audio[:64])).astype(np.float32))

def frames(audio, sample_rate):
    return np.abs(np.fft.rfft(audio[:44032].reshape(-1, 1024)))
'''


@pytest.fixture(scope="module")
def encoder_run(music: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    code = folder / "zoo.py"
    code.write_text(ENCODERS)
    grid = folder / "small.yaml"
    grid.write_text(SMALL_GRID)
    names = ["Good", "raises", "nan", "WrongShape", "OtherSize", "Text", "Nothing", "grows",
             "tensor", "frames"]  # fmt: skip
    words = [word for name in names for word in ("--encoder", f"{code}:{name}")]
    out = folder / "run"
    done = command("run", music, *words, "--grid", grid, "--out", out, "--workers", "1")
    return done, out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("raises", "raised RuntimeError: weights are missing"),
        ("nan", "returned NaN or infinite values"),
        ("WrongShape", "returned shape [1, 3, 3, 3] for a batch of 1"),
        ("OtherSize", "returned 30 values but declares embedding_size=31"),
        ("Text", "returned dtype <U1"),
        ("Nothing", "returned nothing (None)"),
        ("grows", "for 'tune01.wav': must be one embedding_size for all"),
    ],
)
def test_every_broken_encoder_gets_its_sentence(
    name: str, sentence: str, encoder_run: tuple[Any, Path]
) -> None:
    done, out = encoder_run
    assert done.exit_code == 3, (done.stderr, done.exception)
    result = nearkin.load(out)
    status = {row["name"]: row["status"] for row in result.run["encoders"]}[f"zoo:{name}"]
    assert sentence in status
    assert f"encoder zoo:{name} failed: " in done.stdout
    rows = result.consistency.query(f"encoder == 'zoo:{name}' and measure == 'C_W'")
    assert len(rows) == 4 * 2
    assert rows["value"].isna().all()
    assert (rows["status"] == status).all()


@pytest.mark.parametrize("name", ["Good", "tensor", "frames"])
def test_the_others_finish(name: str, encoder_run: tuple[Any, Path]) -> None:
    result = nearkin.load(encoder_run[1])
    rows = result.consistency.query(f"encoder == 'zoo:{name}' and transformation == 'OG'")
    assert (rows.query("measure == 'C_W'")["value"] == 1.0).all()
    assert np.load(encoder_run[1] / "embeddings" / "mfcc.npy").dtype == np.float32


def test_an_encoder_that_fails_on_some_queries_keeps_their_rows(
    music: Path, tmp_path: Path
) -> None:
    code = tmp_path / "moody.py"
    code.write_text(
        "import numpy as np\n"
        "def moody(audio, sample_rate):\n"
        "    spectrum = np.abs(np.fft.rfft(audio))\n"
        "    if spectrum[-len(spectrum) // 4 :].sum() > 0.1 * spectrum.sum():\n"
        "        raise ValueError('too bright')\n"
        "    return spectrum[:64]\n"
    )
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [-15, 30]}")
    words = ("run", music, "--encoder", f"{code}:moody", "--encoder", "mfcc", "--grid", grid)
    done = command(*words, "--out", tmp_path / "run", "--workers", "1")
    assert done.exit_code == 3, (done.stdout, done.stderr, done.exception)
    result = nearkin.load(tmp_path / "run")
    rows = result.queries.query("encoder == 'moody:moody'")
    failed = rows[rows["status"] != "ok"]
    assert set(failed["status"]) == {"raised ValueError: too bright"}
    assert (failed["error"] == 1).all()  # it was asked and did not answer
    assert len(rows) == 5 * 3 * 2
    score = result.consistency.query(
        "encoder == 'moody:moody' and measure == 'C_W' and transformation == 'PN' "
        "and magnitude == -15 and latent_distance == 'cosine'"
    ).iloc[0]
    assert "of 5 queries failed" in score["status"]


# -- embeddings made elsewhere ---------------------------------------------------------------------


def test_embeddings_from_a_file_give_the_same_tables(
    music: Path, grid: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    words = ("run", music, "--grid", grid, "--workers", "1", "--quiet")
    assert command(*words, "--encoder", "mfcc", "--out", first).exit_code == 0
    ids = json.loads((first / "embeddings" / "ids.json").read_text())
    vectors = np.load(first / "embeddings" / "mfcc.npy")
    rows = [
        (clip_id, code, magnitude, vectors[i, j].tolist())
        for i, clip_id in enumerate(ids["clip_id"])
        for j, (code, magnitude) in enumerate(ids["points"])
    ]
    table = pd.DataFrame(rows, columns=["clip_id", "transformation", "magnitude", "embedding"])
    table.to_parquet(tmp_path / "copied.parquet")
    spec = f"embeddings:{tmp_path / 'copied.parquet'}"
    assert command(*words, "--encoder", spec, "--out", tmp_path / "second").exit_code == 0
    one = nearkin.load(first).consistency.query("encoder == 'mfcc'").reset_index(drop=True)
    two = nearkin.load(tmp_path / "second").consistency
    two = two.query("encoder == 'copied'").reset_index(drop=True)
    columns = ["measure", "transformation", "magnitude", "value", "ci_low", "ci_high"]
    pd.testing.assert_frame_equal(one[columns], two[columns])

    table.iloc[1:].to_parquet(tmp_path / "gap.parquet")
    done = command(*words, "--encoder", f"embeddings:{tmp_path / 'gap.parquet'}",
                   "--out", tmp_path / "third")  # fmt: skip
    assert done.exit_code == 3
    wide = table.drop(columns="embedding")
    wide.to_parquet(tmp_path / "none.parquet")
    assert "no column 'embedding'" in refused(
        *words, "--encoder", f"embeddings:{tmp_path / 'none.parquet'}"
    )
    twice = pd.concat([table, table.iloc[:1]])
    twice.to_parquet(tmp_path / "twice.parquet")
    assert "has two rows" in refused(
        *words, "--encoder", f"embeddings:{tmp_path / 'twice.parquet'}"
    )


# -- as a process ----------------------------------------------------------------------------------


def test_as_a_process_on_an_ascii_terminal(music: Path, tmp_path: Path) -> None:
    """The real entry point: exit code, nothing but the sentence on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "nearkin", "run", str(music), "--grid", "papr"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == "nearkin: unknown grid 'papr': did you mean 'paper'? (or name a .yaml file)\n"
    )
