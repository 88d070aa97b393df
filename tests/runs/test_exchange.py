"""Clips out, embeddings in: the tables must be those of a run with the encoder itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

import nearkin
from nearkin.cli import app

GRID = "{PN: [-15, 30], TS: [1.1], MP: [64]}"
N_POINTS = 5
RATE = 16_000


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class Spectrum:
    """What stands for a foreign encoder: 40 bands of the spectrum at 16 kHz."""

    sample_rate = RATE
    embedding_size = 40

    def embed(self, audio: Any) -> Any:
        bands = np.abs(np.fft.rfft(audio))[:, :16_000].reshape(len(audio), 40, 400)
        return np.log1p(bands.sum(axis=2)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exchange")
    (path / "g.yaml").write_text(GRID)
    return path


@pytest.fixture(scope="module")
def manifest(folder: Path, music: Path) -> Path:
    done = command("export", music, "--grid", folder / "g.yaml", "--out", folder / "clips",
                   "--sample-rate", str(RATE), "--workers", "1", "--json")  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["files"] == told["rows"] == 5 * N_POINTS
    return Path(told["manifest"])


@pytest.fixture(scope="module")
def vectors(manifest: Path) -> Any:
    """Embed the files as anybody would who has never heard of nearkin."""
    table = pd.read_csv(manifest)
    sounds = [soundfile.read(manifest.parent / path, dtype="float32") for path in table["path"]]
    assert {rate for _, rate in sounds} == {RATE}
    assert {len(y) for y, _ in sounds} == {2 * RATE}
    return np.concatenate([Spectrum().embed(y[None]) for y, _ in sounds])


@pytest.fixture(scope="module")
def truth(folder: Path, music: Path) -> Any:
    return nearkin.evaluate([Spectrum()], music, grid=str(folder / "g.yaml"))


@pytest.mark.parametrize("form", ["npy", "npz", "keys.parquet", "paths.parquet"])
def test_the_same_tables(
    form: str, folder: Path, manifest: Path, vectors: Any, truth: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"spectra.{form}"
    table = pd.read_csv(manifest)
    if form == "npy":
        np.save(path, vectors)
    elif form == "npz":
        np.savez(path, embeddings=vectors, note=np.zeros(1))
    else:
        columns = (
            ["path"] if form.startswith("paths") else ["clip_id", "transformation", "magnitude"]
        )
        told = table[columns].assign(embedding=list(vectors))
        told.sample(frac=1, random_state=0).to_parquet(path)
    done = command("score", "--manifest", manifest, "--embeddings", path, "--name", "spectra",
                   "--out", tmp_path / "run", "--workers", "1")  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    scored = nearkin.load(tmp_path / "run")
    for name in ("queries", "consistency"):
        one = getattr(truth, name).copy()
        one["encoder"] = one["encoder"].replace("Spectrum", "spectra")
        pd.testing.assert_frame_equal(one, getattr(scored, name))
    assert (tmp_path / "run" / "report.html").is_file()


def test_an_exported_file_does_not_hold_the_clock(manifest: Path) -> None:
    """Same seed, same bytes: libsndfile's PEAK chunk would carry the second of writing."""
    for path in pd.read_csv(manifest)["path"]:
        content = (manifest.parent / path).read_bytes()
        assert content[:4] == b"RIFF"
        assert b"PEAK" not in content[:100]
        assert soundfile.info(manifest.parent / path).subtype == "FLOAT"


def test_an_export_is_not_done_twice(folder: Path, manifest: Path, music: Path) -> None:
    words = ("export", music, "--out", manifest.parent, "--sample-rate", str(RATE), "--grid")
    before = {path: path.stat().st_mtime_ns for path in manifest.parent.rglob("*")}
    assert command(*words, folder / "g.yaml").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in manifest.parent.rglob("*")} == before
    done = command(*words, "imperceptible")
    assert done.exit_code == 2
    assert "holds an export with other settings: grid (was g with 4 points" in done.stderr
    done = command("export", music, "--out", folder)
    assert "holds something that is no nearkin export" in done.stderr


@pytest.mark.parametrize("name", ["manifest.csv", "audio"])
def test_a_damaged_file_is_told_and_made_again(
    name: str, folder: Path, manifest: Path, music: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clips"
    shutil.copytree(manifest.parent, out)
    path = next((out / name).rglob("*.wav")) if name == "audio" else out / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    words = ("export", music, "--grid", folder / "g.yaml", "--sample-rate", str(RATE))
    done = command(*words, "--out", out, "--workers", "1")
    assert done.exit_code == 0, done.stderr
    assert "1 files were changed or damaged after they were written, such as " in done.stderr
    assert path.read_bytes() == whole


def refused(*words: str | Path) -> str:
    done = command("score", *words, "--workers", "1")
    assert done.exit_code == 2, (done.stdout, done.stderr, done.exception)
    return str(done.stderr)


def test_what_cannot_be_scored(manifest: Path, vectors: Any, tmp_path: Path, music: Path) -> None:
    words = ("--manifest", manifest, "--out", tmp_path / "run", "--embeddings")
    np.save(tmp_path / "short.npy", vectors[1:])
    assert "must be numbers [25, D]" in refused(*words, tmp_path / "short.npy")
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    assert "is no plain array of numbers" in refused(*words, tmp_path / "objects.npy")
    (tmp_path / "text.npz").write_text("no")
    assert "is no plain array of numbers" in refused(*words, tmp_path / "text.npz")
    np.savez(tmp_path / "two.npz", a=vectors, b=vectors)
    assert "call the one that counts 'embeddings'" in refused(*words, tmp_path / "two.npz")
    assert "no file" in refused(*words, tmp_path / "none.npy")
    strange = pd.DataFrame({"path": ["audio/x.wav"], "embedding": [vectors[0]]})
    strange.to_parquet(tmp_path / "strange.parquet")
    assert "path 'audio/x.wav' is not in" in refused(*words, tmp_path / "strange.parquet")
    np.save(tmp_path / "whole.npy", vectors)
    other = tmp_path / "manifest.csv"
    other.write_bytes(manifest.read_bytes())
    told = refused("--manifest", other, "--embeddings", tmp_path / "whole.npy")
    assert "no export.json lies beside it" in told
    done = command("run", music, "--encoder", f"embeddings:{tmp_path / 'whole.npy'}")
    assert "use nearkin score" in done.stderr


def test_music_that_went_away(music: Path, folder: Path, tmp_path: Path, vectors: Any) -> None:
    place = tmp_path / "music"
    place.mkdir()
    for path in sorted(music.iterdir()):
        (place / path.name).write_bytes(path.read_bytes())
    done = command("export", place, "--grid", folder / "g.yaml", "--out", tmp_path / "clips",
                   "--workers", "2", "--quiet")  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    np.save(tmp_path / "z.npy", vectors)
    words = ("--manifest", tmp_path / "clips" / "manifest.csv", "--embeddings", tmp_path / "z.npy")
    moved = next(iter(sorted(place.iterdir())))
    moved.rename(place / "other.wav")
    assert "the music it was made from has changed (2 files" in refused(*words)
    place.rename(tmp_path / "gone")
    assert "the music it was made from is not where it was" in refused(*words)
