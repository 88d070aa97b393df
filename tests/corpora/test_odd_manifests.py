"""Manifests that are almost right: no row is lost without a word."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nearkin.corpora.collect import collect
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.manifest_table import read_texts
from nearkin.errors import InputError


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        collect([path])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('path,clip_id\n"a.wav,1\nb.wav,2\n', 2),
        ('path,clip_id\na.wav,1\n"b.wav,2', 3),
        ('path,clip_id\n"7" mix.wav",1\nb.wav,2\n', 2),
        ('path,clip_id\na.wav,1\n"b.wav,2\n"c.wav,3\n', 3),
        ('path,clip_id\r\na.wav,1\r\nb.wav,"2\r\nc.wav,"3"\r\n', 3),
        ('path\tclip_id\na.wav\t"Heroes\nb.wav\tx\n', 2),
        ('path,clip_id\na.wav,"' + 140_000 * "x" + "\n", 2),
    ],
)
def test_a_quotation_mark_out_of_place_swallows_no_rows(
    text: str, line: int, tmp_path: Path
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    assert f"line {line}: " in refused(path)
    assert "mend the quotation marks" in refused(path)


def test_quotation_marks_in_place_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('path,clip_id\n"7"" mix.wav",1\n7" mix.wav,2\n"two\nlines.wav",3\n\x1a')
    found = [(one.path.name, one.name) for one in collect([path])]
    assert found == [('7" mix.wav', "1"), ('7" mix.wav', "2"), ("two\nlines.wav", "3")]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_text_behind_a_closed_quotation_is_read(mark: str, tmp_path: Path) -> None:
    """As Python's csv, R and spreadsheets read it: the marks go, the rest stays."""
    path = tmp_path / "m.csv"
    rows = [
        ("path", "title"),
        ("a.wav", '"Heroes" (live)'),
        ('"b.wav" ', "x"),
        ("c.wav", '12" mix'),
        ("d.wav", f'"one{mark}\ntwo"" three" '),
        ("e.wav", '"Heroes" and "Ashes"'),
    ]
    path.write_text("".join(f"{mark.join(row)}\n" for row in rows))
    assert read_texts(path).to_numpy().tolist() == [
        ["a.wav", "Heroes (live)"],
        ["b.wav ", "x"],
        ["c.wav", '12" mix'],
        ["d.wav", f'one{mark}\ntwo" three '],
        ["e.wav", 'Heroes and "Ashes"'],
    ]


@pytest.mark.parametrize("cell", [140_000 * "x", f'"{140_000 * "x"}"', f'"a" {140_000 * "x"}'])
def test_a_cell_that_is_too_long_is_told(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"path,title\na.wav,x\nb.wav,{cell}\n")
    assert "line 3: a cell of it is longer than 131,072 characters; shorten it" in refused(path)


@pytest.mark.parametrize("end", ["\x1a", "\r\n\x1a", "\r\n\x1a\r\n", "\n\x1a\n\n"])
def test_the_end_that_dos_wrote_is_no_row(end: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(f"path,title\r\na.wav,x{end}".encode())
    assert read_texts(path).to_numpy().tolist() == [["a.wav", "x"]]


def test_a_row_that_is_null_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pd.DataFrame({"path": ["a.wav", None, "b.wav"]}).to_parquet(path)
    assert "row 2, column 'path': is empty" in refused(path)


@pytest.mark.parametrize("name", ["m.tsv", "list.txt", "list.M3U", "m.jsonl", "book.xlsx"])
def test_lists_of_other_kinds_are_no_sound(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("path\na.wav\n")
    assert "is no sound; save a list of recordings as .csv or .parquet" in refused(path)


def test_one_file_has_one_split_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    path = tmp_path / "m.csv"
    path.write_text("path,split\na.wav,train\nsub/../a.wav,test\n./a.wav,train\n")
    with pytest.raises(InputError, match=r"file 'a.wav' is in train and test"):
        read_labelled(path)


def test_a_label_is_the_same_however_its_letters_are_composed(tmp_path: Path) -> None:
    """One program writes u with its accent as one character, another as two (Unicode, annex 15)."""
    whole, apart = "fl\u00fbte", "flu\u0302te"
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(b"x")
    path = tmp_path / "m.csv"
    rows = [f"a.wav,train,1,{whole},{whole};x", f"b.wav,test,2,{apart},x; {apart}"]
    path.write_text("\n".join(["path,split,group,instrument,tags", *rows]), "utf-8")
    found = read_labelled(path, column="instrument").rows
    assert [one.instrument for one in found] == [whole, whole]
    assert set(found[0].tags) == set(found[1].tags) == {whole, "x"}
    path.write_text(f"path,split,group\na.wav,train,{whole}\nb.wav,test,{apart}\n", "utf-8")
    with pytest.raises(InputError, match="is in train and test: must be in one split"):
        read_labelled(path)
