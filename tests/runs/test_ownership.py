"""What is nearkin's own is known by its marker: nothing else is deleted, replaced or followed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from conftest import write_tunes
from nearkin.errors import InputError
from nearkin.lease import leased
from nearkin.ownership import MARKER, OwnFolder
from support.commands import command, refused
from support.runs import files_of
from support.runs import small_run as run_small

KIND = {"compare": "comparison", "analyze": "analysis"}


@pytest.mark.parametrize("name", ["work/model.py", "figures/mine.svg", "run.json", "audio/a.mp3"])
def test_a_folder_of_the_user_stays_as_it_is(name: str, tmp_path: Path, music: Path) -> None:
    project = tmp_path / "proj"
    path = project / name
    path.parent.mkdir(parents=True)
    path.write_text('{"nearkin": "0.1.0", "finished": null}')
    before = files_of(project)
    for force in (False, True):
        with pytest.raises(InputError, match="is no nearkin run; name another folder"):
            run_small(music, project, force=force)
        assert files_of(project) == before


def test_force_keeps_foreign_files_and_takes_the_rest(tmp_path: Path, music: Path) -> None:
    out = tmp_path / "run"
    run_small(music, out)
    finished = files_of(out)
    (out / "thoughts.md").write_text("mine")
    (out / "embeddings" / "mine.npy").write_text("mine")
    run_small(music, out, seed=1, force=True)
    after = files_of(out)
    assert after["thoughts.md"] == after["embeddings/mine.npy"] == b"mine"
    assert {name for name in after if not name.startswith("audio/")} == {
        *(name for name in finished if not name.startswith("audio/")),
        *("thoughts.md", "embeddings/mine.npy"),
    }
    assert after["queries.parquet"] != finished["queries.parquet"]


@pytest.mark.parametrize("name", ["report.html", "figures/mine.svg", "comparison.csv"])
def test_what_is_in_the_way_is_refused_before_anything_is_deleted(
    name: str, tmp_path: Path, music: Path
) -> None:
    out = tmp_path / "run"
    run_small(music, out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = files_of(out)
    for force in (False, True):
        with pytest.raises(InputError, match="was not written by nearkin and is in the way"):
            run_small(music, out, seed=1, force=force)
        assert files_of(out) == before


@pytest.mark.parametrize("force", [False, True])
def test_links_are_not_followed(force: bool, tmp_path: Path, music: Path) -> None:
    out, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run_small(music, out)
    elsewhere.mkdir()
    (elsewhere / ".queries.npz.1.tmp").write_text("mine")
    (elsewhere / "3549c5121e6b18d287ba.npz").write_text("mine")
    (out / "work").symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        run_small(music, out, force=force)
    assert len(files_of(elsewhere)) == 2


def test_an_out_that_holds_or_is_an_input(tmp_path: Path, music: Path) -> None:
    place = tmp_path / "music"
    place.mkdir()
    for path in sorted(music.iterdir()):
        (place / path.name).write_bytes(path.read_bytes())
    before = files_of(tmp_path)
    for out in (place, tmp_path, place / "tune00.wav"):
        with pytest.raises(InputError, match=r"which is an input|is a file"):
            run_small(place, out)
    manifest = tmp_path / "list" / "m.csv"
    manifest.parent.mkdir()
    manifest.write_text("path\n" + "".join(f"{path}\n" for path in sorted(place.iterdir())))
    with pytest.raises(InputError, match="is no nearkin run"):
        run_small(manifest, place)
    out = tmp_path / "run"
    run_small(music, out)
    manifest.write_text("path\n../run/audio/x.wav\n")
    for force in (False, True):
        with pytest.raises(InputError, match="which is an input"):
            run_small(manifest, out, force=force)
    assert (out / "queries.parquet").is_file()
    shutil.rmtree(out)
    for grid in (tmp_path / "small-grid.yaml", place / "small-grid.yaml"):
        grid.unlink()
    manifest.unlink()
    assert files_of(tmp_path) == before


def test_names_in_a_marker_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    root = tmp_path / "run"
    folder = OwnFolder(root, "run", ())
    folder.claim()
    with (root / MARKER).open("a") as file:
        file.write('"../mine.txt"\n"/etc/hostname"\n"a/../../mine.txt"\nnot JSON\n')
    folder = OwnFolder(root, "run", ())
    assert folder.names() == set()
    folder.delete([root / ".." / "mine.txt"])
    assert (tmp_path / "mine.txt").exists()


def test_what_was_deleted_is_no_longer_own(tmp_path: Path) -> None:
    folder = OwnFolder(tmp_path / "run", "run", ("a.txt",))
    folder.claim()
    path = tmp_path / "run" / "a.txt"
    folder.own(path)
    path.write_text("ours")
    folder.delete([path])
    path.write_text("mine")
    assert not folder.owns(path)
    with pytest.raises(InputError, match="in the way"):
        folder.decide()


def test_export_does_not_touch_a_data_set(tmp_path: Path, music: Path) -> None:
    data = tmp_path / "data"
    (data / "audio").mkdir(parents=True)
    for path in sorted(music.iterdir()):
        (data / "audio" / path.name).write_bytes(path.read_bytes())
    (data / "manifest.csv").write_text("path,tags\naudio/tune00.wav,loud\n")
    before = files_of(data)
    for extra in ((), ("--force",)):
        for source in (music, data / "audio"):
            told = refused("export", source, "--out", data, *extra)
            assert "is no nearkin export" in told or "which is an input" in told
            assert files_of(data) == before


def test_the_comparison_that_nearkin_wrote_is_no_obstacle(tmp_path: Path, music: Path) -> None:
    out = tmp_path / "run"
    run_small(music, out, encoders=("constant", "mfcc"))
    assert command("compare", out, "--out", out).exit_code == 0
    assert (out / "comparison.csv").is_file()
    run_small(music, out, force=True)
    assert not (out / "comparison.csv").exists()


ANALYZE = ("analyze", "--encoder", "mfcc", "--encoder", "logmel-projection")


@pytest.mark.parametrize("words", [("compare",), ANALYZE])
def test_tables_written_elsewhere_replace_nothing_of_somebody_else(
    words: tuple[str, ...], tmp_path: Path, small_run: Path
) -> None:
    name, *more = words
    out = tmp_path / "out"
    out.mkdir()
    (out / "comparison.csv").write_text("mine")
    (out / "gam.csv").write_text("mine")
    before = files_of(out)
    assert f"is no nearkin {KIND[name]}" in refused(name, small_run, *more, "--out", out)
    assert "which is an input" in refused(name, small_run, *more, "--out", small_run.parent)
    assert files_of(out) == before
    fresh = tmp_path / "fresh"
    done = command(name, small_run, *more, "--out", fresh)
    assert done.exit_code == 0, done.stderr
    with leased(fresh):
        assert "another nearkin command" in refused(name, small_run, *more, "--out", fresh)


def test_figures_of_the_user_in_a_run_are_in_the_way(tmp_path: Path, small_run: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    assert command("report", run).exit_code == 0
    folder = OwnFolder(run, "run", ())
    folder.delete([run / "figures" / "figure_7.svg"])
    (run / "figures" / "figure_7.svg").write_text("mine")
    assert "figure_7.svg' in it was not written by nearkin" in refused("report", run)
    assert (run / "figures" / "figure_7.svg").read_text() == "mine"


@pytest.mark.parametrize("words", [("report",), ANALYZE])
def test_a_second_command_in_a_run_s_folder_is_refused(
    words: tuple[str, ...], tmp_path: Path, small_run: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    before = files_of(run)
    name, *more = words
    with leased(run):
        assert "another nearkin command is at work there" in refused(name, run, *more)
    assert files_of(run) == before


def test_a_marker_holds_what_files_were_written_with(tmp_path: Path) -> None:
    folder = OwnFolder(tmp_path / "run", "run", ("a.txt", "b.txt"))
    folder.claim()
    one, two = tmp_path / "run" / "a.txt", tmp_path / "run" / "b.txt"
    folder.write(one, lambda file: file.write(b"first"))
    folder.write(one, lambda file: file.write(b"last"))
    folder.own(two)
    two.write_bytes(b"never noted")
    again = OwnFolder(tmp_path / "run", "run", ("a.txt", "b.txt"))
    assert again.digests() == {"a.txt": hashlib.sha256(b"last").hexdigest(), "b.txt": ""}
    assert again.changed() == []
    one.write_bytes(b"lasT")
    two.write_bytes(b"")
    assert again.changed() == ["a.txt"]
    assert not again.is_whole(one)
    assert again.is_whole(two)
    one.unlink()
    assert again.changed() == ["a.txt"]
    again.delete([one])
    assert again.changed() == []


def test_a_damaged_line_of_a_marker_names_nothing(tmp_path: Path) -> None:
    """Whatever bit of a line is flipped, no other file becomes nearkin's own."""
    folder = OwnFolder(tmp_path / "run", "run", ("a.txt",))
    folder.claim()
    folder.write(tmp_path / "run" / "a.txt", lambda file: file.write(b"ours"))
    marker = tmp_path / "run" / MARKER
    content = marker.read_bytes()
    head = content.index(b"\n") + 1
    for bit in range(8 * head, 8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        marker.write_bytes(damaged)
        found = OwnFolder(tmp_path / "run", "run", ("a.txt",)).digests()
        assert found is not None
        assert {*found} <= {"a.txt"}
        assert found.get("a.txt", "") in ("", hashlib.sha256(b"ours").hexdigest())


def test_a_marker_that_was_cut_short_is_told(tmp_path: Path) -> None:
    root = tmp_path / "run"
    folder = OwnFolder(root, "run", ("a.txt", "b.txt"))
    folder.claim()
    for name in ("a.txt", "b.txt"):
        folder.write(root / name, lambda file: file.write(b"ours"))
    content = (root / MARKER).read_bytes()
    for length in range(content.index(b"\n"), content.index(b"b.txt")):
        if content[:length].endswith(b"\n"):
            continue  # whole lines: what is missing cannot be seen
        (root / MARKER).write_bytes(content[:length])
        with pytest.raises(InputError, match=r"or its line in the damaged \.nearkin is lost; move"):
            OwnFolder(root, "run", ("a.txt", "b.txt")).claim()
    (root / MARKER).write_bytes(content)
    OwnFolder(root, "run", ("a.txt", "b.txt")).claim()
    assert (root / "b.txt").read_bytes() == b"ours"


def test_a_marker_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    """What a full disk left of its last line spoils no line that follows."""
    folder = OwnFolder(tmp_path, "run", ("a.txt", "figures"))
    folder.claim()
    folder.write(tmp_path / "a.txt", lambda file: file.write(b"ours"))
    content = (tmp_path / MARKER).read_bytes()
    (tmp_path / MARKER).write_bytes(content[:-5])
    folder = OwnFolder(tmp_path, "run", ("a.txt", "figures"))
    folder.claim()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "one.svg").touch()
    folder.own(tmp_path / "figures", tmp_path / "figures" / "one.svg")
    found = OwnFolder(tmp_path, "run", ("a.txt", "figures"))
    found.claim()
    assert found.names() == {"a.txt", "figures/", "figures/one.svg"}


def test_a_marker_of_before_it_held_checksums_is_read(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"nearkin folder": "run"}\n"a.txt"\n"figures/"\n"cut sho')
    folder = OwnFolder(tmp_path, "run", ("a.txt",))
    assert folder.digests() == {"a.txt": "", "figures/": ""}


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_a_folder_that_a_file_manager_looked_at_is_taken(
    name: str, tmp_path: Path, music: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / name).write_bytes(b"of the file manager")
    run_small(music, out)
    run_small(music, out, seed=1, force=True)
    assert (out / name).read_bytes() == b"of the file manager"
    assert json.loads((out / "run.json").read_text())["finished"]


def test_what_is_in_the_way_is_named(tmp_path: Path, music: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"name another folder \('notes.txt' is in it\)"):
        run_small(music, tmp_path)


def test_links_that_go_round_are_left_out_of_a_folder_of_music(tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 2)
    (tmp_path / "music" / "round.wav").symlink_to("round.wav")
    out = tmp_path / "run"
    run_small(tmp_path / "music", out)
    rows = pd.read_parquet(out / "clips.parquet").set_index("clip_id")["status"]
    assert (rows == "ok").sum() == 2
    assert rows["round.wav"].startswith("failed: ")
