"""Manifests with labels: written relative to themselves, read back, and refused where they leak."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from nearkin.corpora.collect import collect
from nearkin.corpora.manifest import read_labelled, write_manifest
from nearkin.corpora.recordings import Labelled, Row
from nearkin.errors import InputError, RunError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


TABLE = pd.DataFrame(
    {
        "path": ["a/1.wav", "a/2.wav", "b/3.wav"],
        "split": ["train", "train", "test"],
        "group": ["007", "007", "NA"],
        "tags": ["rock;slow", " rock ; rock;", "jazz"],
        "instrument": ["", "", "flute"],
        "vocals_path": ["", "a/2.wav", ""],
        "start_s": [None, 1.5, 0.1],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    music = touched(tmp_path / "music", *TABLE["path"])
    manifest = tmp_path / "lists" / f"m{suffix}"
    write_manifest(manifest, TABLE, root=music)
    found = read_labelled(manifest)
    base = manifest.parent
    assert found == Labelled(
        manifest,
        (
            Row("../music/a/1.wav", base / "../music/a/1.wav", None, "train", "007")._replace(
                tags=("rock", "slow")
            ),
            Row(
                "../music/a/2.wav@1.5",
                base / "../music/a/2.wav",
                1.5,
                "train",
                "007",
                ("rock",),
                "",
                base / "../music/a/2.wav",
            ),
            Row(
                "../music/b/3.wav@0.1",
                base / "../music/b/3.wav",
                0.1,
                "test",
                "NA",
                ("jazz",),
                "flute",
            ),
        ),
    )
    assert read_labelled(manifest, split="test").rows == found.rows[2:]
    assert [r.name for r in collect([manifest], split="train")] == [r.name for r in found.rows[:2]]
    assert collect([manifest])[0].path.is_file()


def test_a_moved_folder_keeps_its_manifest(tmp_path: Path) -> None:
    music = touched(tmp_path / "music", *TABLE["path"])
    write_manifest(music / "m.csv", TABLE.assign(path=[str(music / p) for p in TABLE["path"]]))
    before = (music / "m.csv").read_bytes()
    music.rename(tmp_path / "moved")
    assert [row.path for row in read_labelled(tmp_path / "moved" / "m.csv").rows] == [
        tmp_path / "moved" / name for name in TABLE["path"]
    ]
    # vocals_path was relative to the manifest's own folder, which is the music's.
    write_manifest(tmp_path / "moved" / "n.csv", TABLE)
    assert (tmp_path / "moved" / "n.csv").read_bytes() == before


def test_links_and_strange_names(tmp_path: Path) -> None:
    names = ["tab\there.wav", 'comma, "quote".wav', "semi;colon.wav", "bj\udcf6rk.wav", "#1.wav"]
    music = touched(tmp_path / "music", *names)
    (tmp_path / "deep" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "real")
    manifest = tmp_path / "link" / "m.csv"
    write_manifest(manifest, pd.DataFrame({"path": names}, dtype=object), root=music)
    assert sorted(os.fsencode(row.path.name) for row in read_labelled(manifest).rows) == sorted(
        os.fsencode(name) for name in names
    )
    assert len(collect([manifest])) == 5
    with pytest.raises(InputError, match="Parquet cannot hold a file name that is not UTF-8"):
        write_manifest(
            tmp_path / "m.parquet", pd.DataFrame({"path": names}, dtype=object), root=music
        )
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_another_manifest_is_not_replaced(suffix: str, tmp_path: Path) -> None:
    manifest = tmp_path / f"m{suffix}"
    write_manifest(manifest, TABLE, force=False)
    write_manifest(manifest, TABLE, force=False)
    with pytest.raises(InputError, match=r"m\..*: holds another manifest; .* --force"):
        write_manifest(manifest, TABLE[:2], force=False)
    manifest.write_bytes(b"")
    with pytest.raises(InputError, match="holds another manifest"):
        write_manifest(manifest, TABLE, force=False)
    write_manifest(manifest, TABLE[:2])
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot be written"):
        write_manifest(tmp_path / "file" / "m.csv", TABLE)


def test_files_are_groups_where_there_are_none(tmp_path: Path) -> None:
    touched(tmp_path, "a.wav", "b.wav")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,start_s,split\na.wav,0,train\na.wav,2,train\nb.wav,0,test\n")
    assert [row.group for row in read_labelled(manifest).rows] == ["a.wav", "a.wav", "b.wav"]
    manifest.write_text("path,start_s,split\na.wav,0,train\na.wav,2,test\n")
    with pytest.raises(InputError, match=r"group 'a\.wav' is in train and test: must be in one"):
        read_labelled(manifest)


@pytest.mark.parametrize(
    ("text", "column", "split", "sentence"),
    [
        ("file\na.wav\n", None, None, "has no column 'path' \\(it has: file\\)"),
        ("path,split\na.wav,test\n", "tags", None, "has no column 'tags'"),
        ("path,tags\na.wav,x\n", "tags", "test", "has no column 'split'"),
        ("path,tags\na.wav,x\na.wav,\n", "tags", None, "line 3: 'tags' is empty: must be filled"),
        ("path,split\na.wav,tset\n", None, None, "line 2: split='tset': .* did you mean 'test'"),
        ("path,split\na.wav,train\na.wav,\n", None, None, "line 3: split='': must be one of"),
        ("path,split\na.wav,test\n", None, "train", "names no train clip"),
        ("path\n", None, None, "names no clip"),
        ("path,clip_id\na.wav,1\nb.wav,2\n", None, None, r"line 3: .*b\.wav: no such file"),
        ("path,vocals_path\na.wav,v.wav\n", "vocals_path", None, r"line 2: .*v\.wav: no such"),
        ("path\na.wav\na.wav\n", None, None, r"clip_id 'a\.wav': stands for two"),
        ("path,start_s\na.wav,inf\n", None, None, "line 2: start_s='inf'"),
        (
            "path,clip_id,split,group\na.wav,1,train,g\na.wav,2,valid,g\na.wav,3,test,h\n",
            None,
            "test",
            "group 'g' is in train and valid: must be in one split; split by group",
        ),
        (
            "path,clip_id,split,group\na.wav,1,train,g\na.wav,2,valid,h\n",
            None,
            None,
            "file 'a.wav' is in train and valid: must be in one split",
        ),
        ("", None, None, "cannot be read as a manifest"),
        ("path\na.wav\n", "tag", None, "column='tag': .* did you mean 'tags'"),
        ("path\na.wav\n", None, "validation", "split='validation': .* did you mean 'valid'"),
    ],
)
def test_what_training_cannot_rely_on(
    text: str, column: str | None, split: str | None, sentence: str, tmp_path: Path
) -> None:
    touched(tmp_path, "a.wav")
    manifest = tmp_path / "m.csv"
    manifest.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_labelled(manifest, column=column, split=split)


@pytest.mark.parametrize(
    ("table", "name", "sentence"),
    [
        (TABLE.assign(split=["train", "test", "test"]), "m.csv", "group '007' is in train and"),
        (TABLE.assign(split="tran"), "m.csv", "did you mean 'train'"),
        (TABLE[:0], "m.csv", "there must be one"),
        (TABLE.drop(columns="path"), "m.csv", "every row needs a 'path'"),
        (TABLE.assign(path=[None, "a", "b"]), "m.csv", "every row needs a 'path'"),
        (pd.DataFrame({"path": ["a", "a"]}), "m.csv", "stands for two"),
        (TABLE, "m.txt", r"m\.txt: a manifest must end in \.csv or \.parquet"),
    ],
)
def test_what_is_not_written(table: pd.DataFrame, name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        write_manifest(tmp_path / name, table)
    assert not list(tmp_path.iterdir())
