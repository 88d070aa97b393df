"""A file that an option names is written over an older one of its kind, and over nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import nearkin
from nearkin.errors import InputError
from nearkin.files import sha256_of
from nearkin.ownership import MARKER, OwnFolder
from nearkin.results.badge import is_badge
from nearkin.results.equal import Reached, grid_file, is_grid_file
from nearkin.results.gate_reports import is_junit
from support.commands import command, refused
from support.runs import files_of

GATE = ("gate", "{run}", "--require", "C_W[mfcc,cosine] >= 0")
NAMED = {
    "junit.xml": ((*GATE, "--junit", "{file}"), is_junit),
    "badge.svg": ((*GATE, "--badge", "{file}"), is_badge),
    "card.svg": (("card", "{run}", "--encoder", "mfcc", "--badge", "{file}"), is_badge),
}
THEIRS = {
    "a text": b"mine",
    "a report of other tests": b"<?xml version='1.0' encoding='utf-8'?>\n<testsuites tests='3'>"
    b'<testsuite name="pytest"/></testsuites>\n',
    "a badge of others": b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="20" '
    b'role="img" aria-label="build"><title>build</title><text>nearkin</text></svg>\n',
}


def words(name: str, run: Path, file: Path) -> list[str]:
    return [word.format(run=run, file=file) for word in NAMED[name][0]]


@pytest.mark.parametrize("name", NAMED)
def test_theirs_stay_and_ours_are_written_anew(name: str, tmp_path: Path, small_run: Path) -> None:
    is_ours: Callable[[bytes], bool] = NAMED[name][1]
    file = tmp_path / name
    for theirs in THEIRS.values():
        file.write_bytes(theirs)
        told = refused(*words(name, small_run, file))
        assert f"{file}: is there and was not written by nearkin, or was edited since; move" in told
        assert file.read_bytes() == theirs
    file.write_bytes(b"")  # nothing is lost with it
    for _ in range(2):  # a CI writes it at every run
        assert command(*words(name, small_run, file)).exit_code == 0
        assert is_ours(file.read_bytes())
    made = file.read_bytes()
    file.write_bytes(made + b"<!-- a line of mine -->\n" if name != "junit.xml" else made * 2)
    assert "was not written by nearkin" in refused(*words(name, small_run, file))


@pytest.mark.parametrize("name", NAMED)
def test_a_link_is_never_followed(name: str, tmp_path: Path, small_run: Path) -> None:
    real, link = tmp_path / "real", tmp_path / name
    for there in (True, False):
        if there:
            assert command(*words(name, small_run, real)).exit_code == 0
        link.symlink_to(real)
        before = files_of(tmp_path)
        assert "is a link; name the file itself" in refused(*words(name, small_run, link))
        assert files_of(tmp_path) == before
        link.unlink()
        real.unlink(missing_ok=True)


def test_one_file_is_not_asked_to_be_two(tmp_path: Path, small_run: Path) -> None:
    file = tmp_path / "both"
    both = ("--junit", file, "--badge", tmp_path / "." / "both")
    told = refused("gate", small_run, "--require", "C_W[mfcc,cosine] >= 0", *both)
    assert "is the file of --junit too; name another" in told
    assert not file.exists()


def test_a_grid_that_was_edited_stays(tmp_path: Path) -> None:
    made = grid_file({"PN": [Reached(20.5, 4.0), Reached(30.0, 4.5)]}, n_clips=3)
    assert is_grid_file(made)
    file = tmp_path / "equal.yaml"
    file.write_bytes(made)
    assert set(nearkin.transforms.grids.grid(str(file)).codes) == {"PN"}
    for edited in (made.replace(b"20.5", b"20"), made[:-9], made + b"  TS: [1.1]\n", b"PN: [0]\n"):
        assert not is_grid_file(edited)
    file.write_bytes(made + b"  TS: [1.1]\n")
    told = refused("perceive", tmp_path / "no run", "--grid-out", file)
    assert "was not written by nearkin, or was edited since; move it or name another" in told


OLD_GRIDS = [
    b"name: equal-audibility\npoints:\n  PN: [10.9, 23, 28.2]\n  EN: [-14, 6.01]\n"
    b"  PS: [-0.5, 1e-05]\n",
    b"name: equal-audibility\npoints:\n  TS: []\n",
    b"name: equal-audibility\npoints:\n",
]


@pytest.mark.parametrize("made", OLD_GRIDS)
def test_a_grid_of_before_checksums_is_ours(made: bytes, tmp_path: Path) -> None:
    """The first is docs/perception.md as it stood then, and two numbers."""
    assert is_grid_file(made)
    for edited in (
        b"# mine\n" + made,
        made + b"# mine\n",
        made + b"  PN: [30]  # mine\n",
        made.replace(b"equal-audibility", b"mine"),
        made.replace(b"points:", b"encoders: [mfcc]\npoints:"),
        made + b"  PN: [30,]\n",
    ):
        assert not is_grid_file(edited)
    file = tmp_path / "equal.yaml"
    file.write_bytes(made)
    assert "no run" in refused("perceive", tmp_path / "no run", "--grid-out", file)


def test_line_ends_that_git_made_are_no_edit(tmp_path: Path, small_run: Path) -> None:
    """With core.autocrlf a checked-out file has other line ends than the one that was written."""
    for name in NAMED:
        file = tmp_path / name
        assert command(*words(name, small_run, file)).exit_code == 0
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
        assert command(*words(name, small_run, file)).exit_code == 0, name
        assert b"\r" not in file.read_bytes()
    grid = tmp_path / "equal.yaml"
    for made in (grid_file({"PN": [Reached(30.0, 4.5)]}, n_clips=3), OLD_GRIDS[0]):
        grid.write_bytes(made.replace(b"\n", b"\r\n"))
        assert "no run" in refused("perceive", tmp_path / "no run", "--grid-out", grid)
    mapped = ("repair", small_run, "--encoder", "mfcc", "--out", tmp_path / "map.safetensors")
    assert command(*mapped).exit_code == 0
    for beside in (tmp_path / "map.csv", tmp_path / "map.svg"):
        beside.write_bytes(beside.read_bytes().replace(b"\n", b"\r\n"))
    assert command(*mapped).exit_code == 0
    page = tmp_path / "page.html"
    result = nearkin.load(small_run)
    result.report(page, sounds="none")
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    result.report(page, sounds="none")


@pytest.mark.parametrize("name", ["map.csv", "map.svg"])
def test_a_file_beside_an_older_map_stays(name: str, small_run: Path, tmp_path: Path) -> None:
    repair = ("repair", small_run, "--encoder", "mfcc", "--out", tmp_path / "map.safetensors")
    for _ in range(2):
        assert command(*repair).exit_code == 0
    theirs = b"path,clip_id\na.wav,a\n" if name == "map.csv" else b"<svg >a drawing of mine</svg>"
    (tmp_path / name).write_bytes(theirs)
    before = files_of(tmp_path)
    assert f"{name}: is there and was not written by nearkin" in refused(*repair)
    assert files_of(tmp_path) == before


def test_a_page_and_figures_of_a_users_own_folder(small_run: Path, tmp_path: Path) -> None:
    result = nearkin.load(small_run)
    page = tmp_path / "thesis.html"
    page.write_text("<!DOCTYPE html><html><head><title>mine</title></head></html>")
    with pytest.raises(InputError, match="is there and was not written by nearkin"):
        result.report(page, sounds="none")
    assert "mine" in page.read_text()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figure_7.svg").write_text("mine")
    with pytest.raises(InputError, match=r"'figure_7\.svg' in it was not written by nearkin"):
        result.figures(tmp_path / "figures")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["figure_7.svg"]
    for _ in range(2):
        result.report(tmp_path / "ours.html", sounds="none")


def test_figures_of_before_folders_were_marked_are_drawn_again(
    small_run: Path, tmp_path: Path
) -> None:
    result, folder = nearkin.load(small_run), tmp_path / "figures"
    written = result.figures(folder)
    digests = OwnFolder(folder, "figures", ()).digests() or {}
    assert {path.name: digests[path.name] for path in written} == {
        path.name: sha256_of(path) for path in written
    }
    (folder / MARKER).unlink()
    (folder / "notes.txt").write_text("mine")
    assert result.figures(folder) == written
    assert (folder / "notes.txt").read_text() == "mine"
    for _ in range(2):
        words = ("figures", small_run, "--out", folder, "--figure", "6", "--format", "svg")
        assert command(*words).exit_code == 0
        assert OwnFolder(folder, "figures", ()).changed() == []
    mine = b'<svg xmlns="http://www.w3.org/2000/svg"><text>mine</text></svg>'
    for name, theirs in (("figure_6.svg", mine), ("figure_6.pdf", b"%PDF-1.7 mine")):
        (folder / MARKER).unlink(missing_ok=True)
        ours = (folder / name).read_bytes()
        (folder / name).write_bytes(theirs)
        before = files_of(folder)
        with pytest.raises(InputError, match=r"'figure_6.*' in it was not written by nearkin"):
            result.figures(folder)
        assert files_of(folder) == before
        (folder / name).write_bytes(ours)


def test_a_folder_of_another_kind_keeps_its_marker(small_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(small_run, tmp_path / "other"))
    before = (other / MARKER).read_bytes()
    told = refused("figures", small_run, "--out", other, "--figure", "6", "--format", "svg")
    assert "is a nearkin folder that holds no figures; name another folder" in told
    assert (other / MARKER).read_bytes() == before
