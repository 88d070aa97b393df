"""Embeddings that are almost right: each is read as meant, or one sentence says what is wrong."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearkin.encoders import resolve
from nearkin.errors import InputError

ROWS = [(clip, code, size) for code, size in (("OG", 0.0), ("PN", 10.0)) for clip in "abc"]
V = np.random.default_rng(0).normal(size=(6, 4))


def keys() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=["clip_id", "transformation", "magnitude"])


def wide(**columns: Any) -> pd.DataFrame:
    return keys().assign(**{f"v{i}": V[:, i] for i in range(4)}, **columns)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    keys().assign(path=[f"{c}-{t}.wav" for c, t, _ in ROWS], status="ok").to_csv(path, index=False)
    return path


def refused(path: Path, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        resolve(f"embeddings:{path}", options=options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t[:0], "holds no rows"),
        (lambda t: t.assign(v2=t.v2.astype(str)), "column v2 is .*: a dimension must be numbers"),
        (lambda t: t.assign(v2=t.v2 > 0), "column v2 is bool: a dimension must be numbers"),
        (lambda t: t.drop(columns="v2"), "column 'v2' is missing among v0 to v3"),
        (
            lambda t: keys().assign(embedding=[[pd.Timestamp("2020")]] * 6),
            "row 0, column embedding: is no vector of numbers",
        ),
    ],
)
def test_almost_a_table_of_vectors(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    change(wide()).to_parquet(path)
    with pytest.raises(InputError, match=said):
        resolve(f"embeddings:{path}")


def test_two_columns_of_one_name_are_named(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["clip_id"] * 2), path)
    assert "two columns 'clip_id'" in refused(path)


def test_a_table_that_is_none_is_told_how_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    wide().to_csv(path)
    assert "write it with pandas' to_parquet" in refused(path)


@pytest.mark.parametrize("shape", [(6, 0), (6, 0, 4), (6, 4, 0)])
def test_vectors_of_no_values_are_none(
    shape: tuple[int, ...], manifest: Path, tmp_path: Path
) -> None:
    path = tmp_path / "e.npy"
    np.save(path, np.zeros(shape))
    assert f"of shape {list(shape)}" in refused(path, manifest=str(manifest))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (6,",
        "'''",
        "(" * 90,
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-6, -4), }",
    ],
)
def test_headers_that_do_not_end(header: str, manifest: Path, tmp_path: Path) -> None:
    """Python's tokenizer stumbles over them with errors of its own."""
    text = header.encode().ljust(117) + b"\n"
    path = tmp_path / "e.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + V.tobytes())
    refused(path, manifest=str(manifest))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bit_flipped_anywhere_is_seen_or_harmless(
    method: int, manifest: Path, tmp_path: Path
) -> None:
    path = tmp_path / "e.npz"
    np.save(tmp_path / "e.npy", V)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(tmp_path / "e.npy", "embeddings.npy")
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = resolve(f"embeddings:{path}", options={"manifest": str(manifest)})
        except InputError:
            continue
        assert found.encoder.vectors == pytest.approx(V)  # type: ignore[attr-defined]
