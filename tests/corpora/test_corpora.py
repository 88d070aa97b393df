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
        ("path,start_s\na.wav,-1\n", "line 2: start_s=-1"),
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
