"""From inputs to recordings: names that are unique, printable, and free of where the music lies."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from conftest import write_tunes
from nearkin.corpora.collect import collect
from nearkin.errors import InputError, printable


def names(*inputs: Path, **options: str) -> list[str]:
    return [recording.name for recording in collect(inputs, **options)]


def test_folders_files_and_both(tmp_path: Path) -> None:
    write_tunes(tmp_path / "a", 2)
    write_tunes(tmp_path / "b" / "deep", 1)
    (tmp_path / "a" / "cover.jpg").write_bytes(b"x")
    (tmp_path / "a" / ".hidden.wav").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.wav").write_bytes(b"x")
    assert names(tmp_path) == ["a/tune00.wav", "a/tune01.wav", "b/deep/tune00.wav"]
    assert names(tmp_path / "a") == ["tune00.wav", "tune01.wav"]
    assert names(tmp_path / "a", tmp_path / "b") == names(tmp_path)
    file = tmp_path / "a" / "tune01.wav"
    assert names(file) == ["tune01.wav"]
    assert names(file, file, tmp_path / "a") == ["tune00.wav", "tune01.wav"]


def test_what_a_run_wrote_is_not_its_music(tmp_path: Path) -> None:
    """``cd music; nearkin run .`` twice: the first run's sounds are no recordings."""
    write_tunes(tmp_path, 2)
    write_tunes(tmp_path / "out" / "audio", 1)
    write_tunes(tmp_path / "before" / "audio", 1)
    (tmp_path / "before" / "run.json").write_text('{"nearkin": "0.1.0"}')
    (tmp_path / "._tune00.wav").write_bytes(b"x")
    found = collect([tmp_path], out=tmp_path / "out")
    assert [recording.name for recording in found] == ["tune00.wav", "tune01.wav"]
    assert found.left_out == (
        f"{tmp_path}/before: was written by nearkin",
        f"{tmp_path}/out: is the folder that is written to",
        f"{tmp_path}/._tune00.wav: is hidden (macOS keeps what is no sound in such files)",
    )
    assert found.told(1) == [
        f"left out: {tmp_path}/before: was written by nearkin",
        "left out: 2 more; run.json names them all",
    ]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "score.mid").write_bytes(b"x")
    with pytest.raises(InputError, match=r"holds no audio file \(left out: .*score\.mid: \.mid is"):
        collect([tmp_path / "empty"])


def test_order_and_names_do_not_depend_on_the_place(tmp_path: Path, monkeypatch: object) -> None:
    write_tunes(tmp_path / "x" / "music", 3)
    (tmp_path / "y").mkdir()
    (tmp_path / "x" / "music").rename(tmp_path / "y" / "music")
    assert names(tmp_path / "y" / "music") == ["tune00.wav", "tune01.wav", "tune02.wav"]


def test_strange_bytes_become_printable() -> None:
    assert printable(os.fsdecode(b"a\xffb")) == "a\\xffb"
    assert printable("tab\tnew\nline") == "tab\\tnew\\nline"
    assert printable("Björk – Jóga.flac") == "Björk – Jóga.flac"


def test_manifest(tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 2)
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "path,clip_id,start_s,split\nmusic/tune00.wav,first,1.5,test\nmusic/tune01.wav,,,train\n"
    )
    found = collect([manifest])
    assert [(r.name, r.start_s) for r in found] == [("first", 1.5), ("music/tune01.wav", None)]
    assert found[0].path == tmp_path / "music" / "tune00.wav"
    assert names(manifest, split="test") == ["first"]
    pd.read_csv(manifest).to_parquet(tmp_path / "m.parquet")
    assert collect([tmp_path / "m.parquet"]) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file\na.wav\n", "has no column 'path'"),
        ("path\n", "names no recording"),
        ("path,start_s\na.wav,soon\n", "line 2: start_s='soon'"),
        ("path,start_s\na.wav,-1\n", "line 2: start_s='-1'"),
        ("path,clip_id\na.wav,x\nb.wav,x\n", "clip_id 'x': stands for two recordings"),
        ("", "cannot be read as a manifest"),
    ],
)
def test_malformed_manifests(text: str, sentence: str, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(text)
    with pytest.raises(InputError, match=sentence):
        collect([manifest])


def test_no_such_split(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,split\na.wav,test\n")
    with pytest.raises(InputError, match="names no recording"):
        collect([manifest], split="train")
