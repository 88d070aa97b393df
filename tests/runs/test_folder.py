"""The run's folder: whole files or none, names that cannot collide, finite JSON."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearkin.errors import InputError, RunError
from nearkin.files import file_name, finite, key
from nearkin.runs.folder import RunFolder


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim()
    path = folder.root / "table"
    folder.write(path, lambda file: file.write(b"before"))

    def half(file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="the disk is full; free some space"):
        folder.write(path, half)
    assert path.read_bytes() == b"before"
    assert not list(folder.root.rglob("*.tmp"))

    def broken(file: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(RunError, match="cannot be written"):
        folder.write(path, broken)


def test_claim_removes_the_leavings_of_a_kill(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim()
    folder.open_folder("figures")
    left = [
        folder.work / "queries" / ".3549c5121e6b18d287ba.npz.123.tmp",
        folder.root / ".run.json.123.tmp",
        folder.root / "figures" / ".figure_3.svg.123.tmp",
    ]
    (folder.work / "queries").mkdir()
    foreign = folder.root / "thoughts.tmp"
    for path in (*left, foreign):
        path.write_bytes(b"half")
    folder.claim()
    assert not any(path.exists() for path in left)
    assert foreign.exists()


def test_claim_refuses_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is no nearkin run"):
        RunFolder(tmp_path).claim()
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "notes.txt").claim()


def test_clear_deletes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.claim()
    folder.write_run({"finished": None})
    (tmp_path / "thoughts.md").write_text("mine")
    (folder.work / "my.txt").write_text("mine")
    (folder.open_folder("figures") / "my.svg").write_text("mine")
    folder.clear()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        ".nearkin",
        "my.svg",
        "my.txt",
        "thoughts.md",
    ]


def test_a_run_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_run() is None
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="use --force"):
        folder.read_run()
    with pytest.raises(RunError, match=r"has no clips\.parquet"):
        folder.read_table("clips")


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_two_labels_share_a_file(a: str, b: str) -> None:
    assert (file_name(a) == file_name(b)) == (a == b)
    name = file_name(a)
    assert "/" not in name
    assert name.isascii()
    assert "." not in name
    assert len(name) <= 80
    if a != b:
        assert file_name(a).lower() != file_name(b).lower()


@pytest.mark.parametrize(
    "names",
    [
        ("mfcc", "MFCC", "Mfcc"),
        ("x/y.wav", "x_y.wav", "x\\y.wav"),
        ("mfcc", "mfcc.originals"),
        ("a" * 240, "a" * 241, "a" * 1000),
        ("a", "a#1", "a#2", "a~2"),
        ("con", "CON", "nul", "ids"),
        ("", ".", "..", "-", "_", "\0", "\u2028"),
        ("pkg:F/g", file_name("pkg:F/g")),
        ("\udcc3\udca9", "\u00e9", "e\u0301"),
    ],
)
def test_names_that_are_nearly_one(names: tuple[str, ...]) -> None:
    stems = [file_name(name).lower() for name in names]
    assert len(set(stems)) == len(names)
    keys = [key(name) for name in names]
    assert len(set(keys)) == len(names)
    for stem in stems:
        assert 0 < len(stem) <= 80
        assert stem not in {"con", "nul", "ids.json"}
        assert "/" not in stem


def test_keys_of_names_with_stray_bytes() -> None:
    assert key("\udcff") != key("\udcfe")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_finite_makes_json(value: Any) -> None:
    json.dumps(finite(value), allow_nan=False).encode("utf-8")


def test_finite_takes_numpy() -> None:
    assert finite({"a": np.float64(2.5), "b": np.arange(2), "c": np.float32("inf")}) == {
        "a": 2.5,
        "b": [0, 1],
        "c": None,
    }
