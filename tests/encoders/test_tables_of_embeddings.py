"""``embeddings:``: files of vectors from anybody, with what they hold beside vectors."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nearkin.encoders import Key, ResolvedEncoder, embed, resolve
from nearkin.errors import InputError

KEYS = [Key("a", "OG", 0.0), Key("b", "OG", 0.0), Key("a", "PN", 30.0), Key("b", "PN", 30.0)]
NAMES = {"clip_id": list("abab"), "transformation": ["OG", "OG", "PN", "PN"],
         "magnitude": [0.0, 0.0, 30.0, 30.0]}  # fmt: skip
VECTORS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
AUDIO = np.zeros((4, 10), np.float32)


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({**NAMES, **columns})


def resolved(told: pd.DataFrame, folder: Path, **options: Any) -> ResolvedEncoder:
    path = folder / "vectors.parquet"
    told.to_parquet(path)
    return resolve(f"embeddings:{path}", options=options)


def looked_up(told: pd.DataFrame, folder: Path, **options: Any) -> Any:
    return embed(resolved(told, folder, **options), AUDIO, KEYS)


WIDE = {f"v{i}": VECTORS[:, i] for i in range(3)}


@pytest.mark.parametrize(
    "columns",
    [
        {"embedding": list(VECTORS)},
        {"embedding": [[row] for row in VECTORS.tolist()]},  # [1, D]
        {"latent": list(VECTORS)},  # the only column of lists
        {"embedding": list(VECTORS), "duration_s": [2.0] * 4, "bpm": [120] * 4},
        WIDE,
        {**WIDE, "duration_s": [2.0] * 4, "year": [1999] * 4},
        {f"dim_{i + 1}": VECTORS[:, i] for i in (2, 0, 1)},  # by number, not by place
        {str(i): VECTORS[:, i] for i in range(3)},
    ],
)
def test_what_is_taken_as_vectors(columns: dict[str, Any], tmp_path: Path) -> None:
    found = looked_up(table(**columns), tmp_path)
    assert found.status == ("ok",) * 4
    assert np.array_equal(found.vectors, VECTORS)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    found = resolved(table(**WIDE, bpm=[1, 2, 3, 4]), tmp_path)
    assert found.matched == (
        "a table of embeddings: 4 rows, 3 values (columns v0 to v2; not used: bpm)"
    )


def test_columns_that_are_named(tmp_path: Path) -> None:
    told = table(x=VECTORS[:, 0], y=VECTORS[:, 1], z=VECTORS[:, 2], bpm=[1, 2, 3, 4])
    found = looked_up(told, tmp_path, columns=["z", "x"])
    assert np.array_equal(found.vectors, VECTORS[:, [2, 0]])
    told = table(one=list(VECTORS), two=list(2 * VECTORS))
    assert np.array_equal(looked_up(told, tmp_path, columns="two").vectors, 2 * VECTORS)


def test_a_time_axis_in_a_row_is_pooled(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).normal(size=(4, 5, 3))
    found = looked_up(table(embedding=frames.tolist()), tmp_path)
    assert found.vectors == pytest.approx(frames.mean(axis=1), rel=1e-5)


@pytest.mark.parametrize("null", [None, [0.5, None, 1.0], [0.5, float("nan"), 1.0], []])
def test_a_null_costs_its_own_row(null: Any, tmp_path: Path) -> None:
    rows = [list(map(float, row)) for row in VECTORS]
    found = looked_up(table(embedding=[*rows[:2], null, rows[3]]), tmp_path)
    assert found.status == ("ok", "ok", "returned NaN or infinite values", "ok")
    assert np.array_equal(found.vectors[[0, 1, 3]], VECTORS[[0, 1, 3]])


@pytest.mark.parametrize("dtype", ["float32", "Float64", "Int64"])
def test_a_null_in_a_column_costs_its_own_row(dtype: str, tmp_path: Path) -> None:
    wide = {f"v{i}": pd.Series([1, 2, None if i == 1 else 3, 4], dtype=dtype) for i in range(3)}
    found = looked_up(table(**wide), tmp_path)
    assert found.status == ("ok", "ok", "returned NaN or infinite values", "ok")
    assert found.vectors[3].tolist() == [4, 4, 4]


def test_the_originals_need_no_magnitude(tmp_path: Path) -> None:
    told = table(embedding=list(VECTORS))
    told["magnitude"] = [None, None, 30.0, 30.0]
    assert np.array_equal(looked_up(told, tmp_path).vectors, VECTORS)


@pytest.mark.parametrize("index", [["clip_id"], ["clip_id", "transformation", "magnitude"]])
def test_keys_that_are_the_index(index: list[str], tmp_path: Path) -> None:
    told = table(embedding=list(VECTORS)).set_index(index)
    assert np.array_equal(looked_up(told, tmp_path).vectors, VECTORS)


def test_one_number_a_row_is_a_vector_of_one(tmp_path: Path) -> None:
    found = looked_up(table(embedding=[1.0, 2.0, 3.0, 4.0]), tmp_path)
    assert found.vectors.tolist() == [[1], [2], [3], [4]]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"embedding": [row.tobytes() for row in VECTORS]}, "row 0, column embedding: is bytes"),
        ({"embedding": [str(row.tolist()) for row in VECTORS]}, "row 0, column embedding: is text"),
        ({"embedding": [["a", "b"]] * 4}, "row 0, column embedding: is no vector of numbers"),
        ({"embedding": [[[[1.0]]]] * 4}, "is no vector of numbers|has the shape"),
        ({"embedding": [None] * 4}, "every row of it has a null"),
        ({"embedding": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, r"sizes \(1 in row 0, 2 in row 1\)"),
        ({"bpm": [1.0] * 4, "year": [1] * 4}, "whether bpm, year are dimensions is not clear"),
        ({"v0": [1.0] * 4, "v2": [1.0] * 4}, "whether v0, v2 are dimensions is not clear"),
        ({**WIDE, "w0": [1.0] * 4, "w1": [1.0] * 4}, "v0 to v2 and w0 to w1 may all be dimens"),
        ({"one": list(VECTORS), "two": list(VECTORS)}, "the columns one, two all hold lists"),
        ({"title": list("abcd")}, "no column 'embedding' and no numbered columns"),
    ],
)
def test_what_is_no_vector(columns: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        resolved(table(**columns), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("magnitude", None, r"row 2 \(clip 'a', PN\) has no magnitude"),
        ("clip_id", None, "row 2 has no clip_id"),
        ("transformation", None, "row 2 has no transformation"),
        ("magnitude", "loud", "magnitude 'loud': must be a number"),
    ],
)
def test_keys_that_are_missing(column: str, value: Any, sentence: str, tmp_path: Path) -> None:
    told = table(embedding=list(VECTORS))
    cells = list(told[column].astype(str) if isinstance(value, str) else told[column])
    told[column] = [*cells[:2], value, cells[3]]
    if column == "magnitude" and value is None:
        told[column] = told[column].astype("Float64")
    with pytest.raises(InputError, match=sentence):
        resolved(told, tmp_path)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["v0", "v9"], "has no column 'v9': known: title, v0"),
        (["v0", "v0"], "named twice"),
        (3, "must be a name, or a list of names"),
        (["title", "v0"], "column title is .*: a dimension must be numbers"),
        (["magnitude"], "has no column 'magnitude'"),
    ],
)
def test_columns_that_cannot_be_named(columns: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        resolved(table(**WIDE, title=list("abcd")), tmp_path, columns=columns)


# -- arrays ----------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    names = pd.DataFrame({**NAMES, "path": [f"{i}.wav" for i in range(4)], "status": "ok"})
    names.to_csv(path, index=False)
    return path


def header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    file = io.BytesIO()
    about = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def written(path: Path, content: bytes) -> str:
    """Write an array's bytes as a file, or as the member of an archive."""
    if path.suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("embeddings.npy", content)
    return f"embeddings:{path}"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("status", "state", r"manifest\.csv has no column 'status'"),
        (",ok", ",", r"manifest\.csv line 2: has no status: must be there"),
        ("0.wav", "", r"manifest\.csv line 2: has no path: must be there"),
        (",30.0", ",loud", r"manifest\.csv line 4: magnitude 'loud': must be a number"),
        (",30.0", ",inf", r"manifest\.csv line 4: magnitude 'inf': must be a number"),
        (",ok\n", ",ok,more\n", r"manifest\.csv line 2, column 6: 'more' has no heading"),
        ("0.wav", "\0.wav", r"cannot be read as a manifest: line 2 holds a NUL"),
    ],
)
def test_a_manifest_is_held_cell_by_cell(
    before: str, after: str, told: str, tmp_path: Path, manifest: Path
) -> None:
    text = manifest.read_text()
    assert before in text
    manifest.write_text(text.replace(before, after))
    np.save(tmp_path / "a.npy", VECTORS)
    with pytest.raises(InputError, match=told):
        resolve(f"embeddings:{tmp_path / 'a.npy'}", options={"manifest": str(manifest)})


def test_arrays_are_read(tmp_path: Path, manifest: Path) -> None:
    np.save(tmp_path / "a.npy", VECTORS)
    np.save(tmp_path / "b.npy", np.asfortranarray(VECTORS.astype(np.float64)))
    np.save(tmp_path / "c.npy", VECTORS[:, None, :])  # [N, 1, D]
    np.savez(tmp_path / "d.npz", VECTORS)
    np.savez_compressed(tmp_path / "e.npz", embeddings=VECTORS, labels=np.arange(4))
    for name in ("a.npy", "b.npy", "c.npy", "d.npz", "e.npz"):
        found = resolve(f"embeddings:{tmp_path / name}", options={"manifest": str(manifest)})
        assert np.array_equal(embed(found, AUDIO, KEYS).vectors, VECTORS), name


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["evil.npy", "evil.npz"])
def test_pickles_in_arrays_are_never_opened(name: str, tmp_path: Path, manifest: Path) -> None:
    mark = tmp_path / "mark"
    spec = written(tmp_path / name, header((4,), "|O") + pickle.dumps(Bomb(mark)))
    with pytest.raises(InputError, match="holds pickled objects, which can run any code"):
        resolve(spec, options={"manifest": str(manifest)})
    assert not mark.exists()


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(
    tmp_path: Path, manifest: Path
) -> None:
    """300 MiB of zeros in 0.3 MiB."""
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("embeddings.npy", "w") as file,
    ):
        file.write(header((4, 75 * 2**20 // 4)))
        for _ in range(300):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match=r"would unpack to 0\.3 GiB from 0\.3 MiB"):
        resolve(f"embeddings:{path}", options={"manifest": str(manifest)})


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (header((4, 10**9)) + bytes(48), "is damaged: an array of shape .* and 48 are there"),
        (header((4, 3)) + bytes(49), "is damaged: an array of shape .* and 49 are there"),
        (header((5, 3)) + bytes(60), r"must be numbers \[4, D\]"),
        (header((4, 3), "<U3") + bytes(144), r"holds <U3 of shape \[4, 3\]: must be numbers"),
        (header((4, 3))[:-20], "is no plain array of numbers|cannot be read"),
        (b"", "is no plain array of numbers|cannot be read"),
    ],
)
def test_headers_that_promise_something_else(
    name: str, content: bytes, sentence: str, tmp_path: Path, manifest: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        resolve(written(tmp_path / name, content), options={"manifest": str(manifest)})


@pytest.mark.parametrize("end", [0, 1, 5, 8, 30, 100, 140])
def test_damaged_arrays_are_one_sentence(end: int, tmp_path: Path, manifest: Path) -> None:
    np.save(tmp_path / "whole.npy", VECTORS)
    np.savez_compressed(tmp_path / "whole.npz", VECTORS)
    for name in ("whole.npy", "whole.npz"):
        content = (tmp_path / name).read_bytes()[:end]
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            resolve(f"embeddings:{tmp_path / name}", options={"manifest": str(manifest)})
        assert "\n" not in str(caught.value)


def test_the_manifest_is_part_of_what_an_array_is(tmp_path: Path) -> None:
    """Rows that changed places are other embeddings, though the array is the same file."""
    lines = [
        "path,clip_id,transformation,magnitude,status",
        *(f"audio/{clip}.wav,{clip},OG,0,ok" for clip in "abc"),
    ]
    manifest, vectors = tmp_path / "manifest.csv", tmp_path / "v.npy"
    np.save(vectors, np.eye(3, dtype=np.float32))
    hashes = []
    for order in (lines, [lines[0], lines[2], lines[1], lines[3]]):
        manifest.write_text("\n".join(order))
        found = resolve(f"embeddings:{vectors}", options={"manifest": str(manifest)})
        hashes.append(found.sha256)
    assert len(set(hashes)) == 2
    assert "" not in hashes


def test_a_table_that_would_fill_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearkin import parquet
    from nearkin.corpora.collect import collect

    rows = 200_000  # of one value: 200 kB and less on the disk, 1.6 MB and more in memory
    table = pd.DataFrame({"path": ["a.wav"] * rows, "v0": 0.0, "v1": 0.0})
    path = tmp_path / "bomb.parquet"
    table.to_parquet(path)
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(parquet, "usable_memory", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"would unpack to 0.00\d+ GiB, and 0.000931 may be"):
        resolve(f"embeddings:{path}")
    with pytest.raises(InputError, match="would unpack to"):
        collect([path])
