"""Manifests as other programs write them: read as meant, or one sentence that names the place."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearkin.corpora.collect import read_manifest
from nearkin.corpora.finding import Finder
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.manifest_table import read_texts
from nearkin.errors import InputError, printable

ROWS = [("a.wav", "1.5", "test"), ("b, c.wav", "", "train")]


def rows(path: Path) -> list[tuple[str, ...]]:
    return list(read_texts(path)[["path", "start_s", "split"]].itertuples(index=False, name=None))


CSV = {
    "plain": 'path,start_s,split\na.wav,1.5,test\n"b, c.wav",,train\n',
    "trailing comma": 'path,start_s,split,\na.wav,1.5,test,\n"b, c.wav",,train,\n',
    "trailing comma in rows": 'path,start_s,split\na.wav,1.5,test,\n"b, c.wav",,train,\n',
    "R's write.csv": (
        '"","path","start_s","split"\n"1","a.wav",1.5,"test"\n"2","b, c.wav","","train"\n'
    ),
    "R's write.table": (
        '"path","start_s","split"\n"1","a.wav",1.5,"test"\n"2","b, c.wav",,"train"\n'
    ),
    "pandas' index": 'path,start_s,split\n1,a.wav,1.5,test\n2,"b, c.wav",,train\n',
    "byte order mark": '\ufeffpath,start_s,split\na.wav,1.5,test\n"b, c.wav",,train\n',
    "semicolons": "path;start_s;split\na.wav;1.5;test\nb, c.wav;;train\n",
    "tabs": "path\tstart_s\tsplit\na.wav\t1.5\ttest\nb, c.wav\t\ttrain\n",
    "spaces in the heading": 'path, start_s , split\na.wav,1.5,test\n"b, c.wav",,train\n',
    "empty lines": '\npath,start_s,split\n\na.wav,1.5,test\n,,\n"b, c.wav",,train\n,,\n',
    "short rows": 'start_s,split,path\n1.5,test,a.wav\n,train,"b, c.wav"',
    "Windows": 'path,start_s,split\r\na.wav,1.5,test\r\n"b, c.wav",,train\r\n',
    "old Macintosh": 'path,start_s,split\ra.wav,1.5,test\r"b, c.wav",,train\r',
}


@pytest.mark.parametrize("kind", CSV)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_csv_of_other_programs(kind: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    text = CSV[kind]
    if encoding == "utf-16-le":  # with its mark, which Python's codec leaves out
        text = "\ufeff" + text.removeprefix("\ufeff")
    elif encoding == "utf-16":
        text = text.removeprefix("\ufeff")
    path.write_bytes(text.encode(encoding))
    assert rows(path) == ROWS


FRAME = pd.DataFrame(
    {"path": ["a.wav", "b, c.wav"], "start_s": [1.5, None], "split": ["test", "train"]}
)
PARQUET: dict[str, pd.DataFrame] = {
    "plain": FRAME,
    "its key as index": FRAME.set_index("path"),
    "several keys": FRAME.set_index(["split", "path"]),
    "an index without a name": FRAME.set_index(pd.Index(["x", "y"])),
    "times": FRAME.set_index(pd.date_range("2024-01-01", periods=2, name="when")),
    "a part of a table": pd.concat([FRAME, FRAME])[1:3][::-1],
    "categories": FRAME.astype({"split": "category"}),
    "pandas' missing values": FRAME.astype({"start_s": "Float32", "path": "string"}),
    "bytes": FRAME.assign(path=[b"a.wav", b"b, c.wav"]),
    "numbers as texts": FRAME.assign(start_s=["1.5", None]),
}


@pytest.mark.parametrize("kind", PARQUET)
def test_parquet_of_other_programs(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "year=2020" / "m.parquet"  # a name that Arrow would make a column of
    path.parent.mkdir()
    PARQUET[kind].to_parquet(path)
    assert rows(path) == ROWS
    assert [(r.path.name, r.start_s) for r in read_manifest(path)] == [
        ("a.wav", 1.5),
        ("b, c.wav", None),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "path,split\na.wav,test\nb, c.wav,test\n",
            "m.csv line 3, column 3: 'test' has no heading",
        ),
        ("path,split\nx,a.wav,test\ny,b.wav,test\n", "line 2, column 3: 'test' has no heading"),
        ("path,path\na,b\n", "m.csv: has two columns 'path'; rename or drop one"),
        ("path,split\n,test\n", "m.csv line 2, column 'path': is empty"),
        ("path,start_s\na.wav,inf\n", "line 2: start_s='inf': must be seconds >= 0"),
        ("path,start_s\n\na.wav,1e999\n", "line 3: start_s='1e999': must be seconds >= 0"),
        ('path,note\na.wav,"two\nlines"\nb.wav,\n,x\n', "line 5, column 'path': is empty"),
        ("p\0a\0t\0h\0\n\0", "cannot be read as a manifest: line 1 holds a NUL"),
        ("path\na.wav\nb\0.wav\n", "line 3 holds a NUL: must be text; save it as UTF-8"),
        ("\n \n", "cannot be read as a manifest: it is empty"),
    ],
)
def test_csv_that_means_nothing(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (FRAME.assign(path=[["a"], ["b"]]), "row 1, column 'path': holds a list: must be text or"),
        (FRAME.assign(start_s=["1", "soon"]), "m.parquet row 2: start_s='soon'"),
        (FRAME.assign(start_s=pd.Timestamp("2024-01-01")), "row 1: start_s='2024-01-01 00:00:00'"),
        (
            FRAME.rename(columns={"path": "file"}),
            r"has no column 'path' \(it has: file, start_s, s",
        ),
        (FRAME.assign(path=["a.wav", None]), "row 2, column 'path': is empty"),
    ],
)
def test_parquet_that_means_nothing(table: pd.DataFrame, sentence: str, tmp_path: Path) -> None:
    table.to_parquet(tmp_path / "m.parquet")
    with pytest.raises(InputError, match=sentence):
        read_manifest(tmp_path / "m.parquet")


def test_no_file_that_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, kind in (("m.csv", "a named pipe"), ("folder.csv", "a folder")):
        with pytest.raises(InputError, match=f"is {kind}: must be a file"):
            read_labelled(tmp_path / name)


def test_words_that_are_no_missing_values(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "path,clip_id,start_s,group,split\n"
        "NA,null,NA,None,train\nnan,NA,,nan,test\nnull,1e3,2,007,test\n"
    )
    for name in ("NA", "nan", "null"):
        (tmp_path / name).write_bytes(b"x")
    assert [(r.name, r.path.name, r.start_s) for r in read_manifest(tmp_path / "m.csv")] == [
        ("null", "NA", None),
        ("NA", "nan", None),
        ("1e3", "null", 2.0),
    ]
    assert [row.group for row in read_labelled(tmp_path / "m.csv").rows] == ["None", "nan", "007"]


def test_tags_as_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    pd.DataFrame({"path": ["a.wav"], "tags": [["rock", "slow"]]}).to_parquet(tmp_path / "m.parquet")
    assert read_labelled(tmp_path / "m.parquet").rows[0].tags == ("rock", "slow")


def test_names_as_another_system_spells_them(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "Björk/Jóga.wav")
    apart = unicodedata.normalize("NFD", composed)
    mixed = f"{composed.split('/')[0]}/{apart.split('/')[1]}"
    for folder, name in (("nfc", composed), ("nfd", apart), ("mixed", mixed)):
        (tmp_path / folder / name).parent.mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b"x")
        find = Finder(tmp_path / folder)
        for asked in (composed, apart, mixed, composed.replace("/", "\\"), f"{apart}#stream=2"):
            found = find(asked)
            stream = "#stream=2" if "#" in asked else ""
            assert found == tmp_path / folder / f"{name}{stream}"
        assert find("not/there.wav") == tmp_path / folder / "not/there.wav"
    (tmp_path / "a\\b.wav").write_bytes(b"x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.wav").write_bytes(b"x")
    assert Finder(tmp_path)("a\\b.wav") == tmp_path / "a\\b.wav"


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["a.wav", "b.wav", "test", "train", "", "NA", "inf", "-1", "1e400", "\\", "é"]),
    st.text(max_size=8),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.binary(max_size=4),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(0, 3), max_size=2),
    st.datetimes(),
    st.decimals(allow_nan=False, allow_infinity=False),
)
NAMES = st.one_of(
    st.sampled_from(["path", "clip_id", "start_s", "split", "group", "tags", "vocals_path", ""]),
    st.text(max_size=4),
)


def is_read_or_one_sentence(path: Path) -> None:
    for act in (read_manifest, read_labelled):
        try:
            act(path)
        except InputError as error:
            text = str(error)
            assert printable(text) == text
            assert path.name in text or "clip_id" in text


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_csv_breaks_the_reading(data: Any, tmp_path: Path) -> None:
    table = data.draw(st.lists(st.lists(st.text(max_size=6), max_size=5), max_size=4))
    names = data.draw(st.lists(NAMES, max_size=5))
    mark = data.draw(st.sampled_from(",;\t"))
    text = "\n".join(mark.join(row) for row in [names, *table])
    content = data.draw(
        st.one_of(
            st.just(text.encode("utf-8", "surrogatepass")),
            st.just(text.encode("utf-16", "surrogatepass")),
            st.binary(max_size=60).map(lambda tail: b"path,start_s,split\n" + tail),
            st.binary(max_size=60),
        )
    )
    (tmp_path / "m.csv").write_bytes(content)
    is_read_or_one_sentence(tmp_path / "m.csv")


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_parquet_breaks_the_reading(data: Any, tmp_path: Path) -> None:
    length = data.draw(st.integers(0, 3))
    names = data.draw(st.lists(NAMES, max_size=5))
    columns = []
    for _ in names:
        cell = data.draw(CELLS)
        values = [data.draw(st.sampled_from([cell, None])) for _ in range(length)]
        try:
            columns.append(pa.array(values))
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            columns.append(pa.array([str(value) for value in values]))
    path = tmp_path / "m.parquet"
    try:
        pq.write_table(pa.table(columns, names=names), path)
    except (pa.ArrowException, UnicodeEncodeError):
        return  # what Parquet cannot hold is no case
    is_read_or_one_sentence(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    is_read_or_one_sentence(path)


def test_numbers_of_single_precision_keep_their_text(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a"], "start_s": np.float32([0.1])})
    table.to_parquet(tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet")[0].start_s == pytest.approx(0.1, abs=1e-8)
