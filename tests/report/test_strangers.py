"""A run's folder that a stranger packed: what leads out of it is refused, nothing is touched."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest

import nearkin
from nearkin.errors import InputError, RunError
from nearkin.files import refuse_links, write_whole
from support.commands import command, refused
from support.fabricated import fabricate
from support.folders import write_folder

SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----\nall that is dear\n"


@pytest.fixture(scope="module")
def made():
    return fabricate(n=6, grid={"PN": [0, 30], "TS": [0.9, 1.1]}, failures_each=1)


@pytest.fixture
def run(made, tmp_path: Path) -> Path:
    return write_folder(made, tmp_path / "run")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "id_ed25519"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


NAMES = (
    *("figures/figure_7.svg", "figures/deep/er.pdf", "report.html", "audio/x.mp3", "run.json"),
    *("queries.parquet", "analysis/summary.txt", "performance.json", "embeddings/mfcc.npy"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_a_file_is_refused_and_the_file_stays(name: str, run: Path, secret: Path) -> None:
    link = run / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    sentence = refused("report", run)
    assert f"{name}: is a link" in sentence
    assert "remove it" in sentence
    assert secret.read_bytes() == SECRET
    assert link.is_symlink()
    page = run / "report.html"
    assert page.is_symlink() or not page.exists()


@pytest.mark.parametrize("name", ["figures", "audio", "analysis", "embeddings"])
def test_a_link_to_a_folder_is_refused_and_the_folder_stays(
    name: str, made, tmp_path: Path, secret: Path
) -> None:
    run = write_folder(made, tmp_path / "run")
    if (run / name).exists():
        (run / name).rename(tmp_path / "aside")
    (run / name).symlink_to(secret.parent)
    for action in ("report", "analyze", "compare"):
        assert f"{name}: is a link" in refused(action, run)
    assert [path.name for path in secret.parent.iterdir()] == [secret.name]


def test_a_pipe_is_refused_and_not_waited_for(run: Path) -> None:
    os.mkfifo(run / "audio" / "endless.mp3")
    assert "endless.mp3: is no regular file" in refused("report", run)


def test_a_dangling_link_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "report.html").symlink_to(tmp_path / "not there")
    assert "report.html: is a link" in refused("report", run)
    assert not (tmp_path / "not there").exists()


def test_a_link_that_waits_under_the_temporary_name_is_not_written_through(
    run: Path, secret: Path
) -> None:
    trap = run / f".report.html.{os.getpid()}.tmp"
    trap.symlink_to(secret)
    assert command("report", run).exit_code == 0
    assert secret.read_bytes() == SECRET
    page = run / "report.html"
    assert page.is_file()
    assert not page.is_symlink()


def test_without_links_the_same_folder_is_shown(run: Path, made) -> None:
    """What the attacks must not break: every sound and figure is there."""
    done = command("report", run)
    assert done.exit_code == 0, (done.stderr, done.exception)
    page = (run / "report.html").read_bytes()
    assert any(b64encode(sound) in page for sound in made.audio.values())
    assert SECRET not in page
    assert (run / "figures" / "figure_7.svg").is_file()


def test_the_folder_itself_may_be_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert command("report", tmp_path / "latest").exit_code == 0


def test_names_that_are_not_there_are_no_links(tmp_path: Path) -> None:
    refuse_links(tmp_path, ["nothing"])
    (tmp_path / "file").write_text("")
    refuse_links(tmp_path / "file", ["inside"])


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied")  # which root, who may test, never meets

    (tmp_path / "audio").mkdir()
    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(InputError, match=r"audio: cannot be read \(Permission denied\)"):
        refuse_links(tmp_path, ["audio"])


def test_a_figure_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    path.write_text("the old one")

    def half(file) -> None:
        file.write(b"<svg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, half)
    assert path.read_text() == "the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["figure.svg"]


def test_what_is_no_mp3_is_not_shown(run: Path, secret: Path) -> None:
    """A hard link cannot be told from a file: what it holds can."""
    sound = next((run / "audio").iterdir())
    sound.unlink()
    sound.hardlink_to(secret)
    with pytest.raises(RunError, match=r"is no MP3, and the page would hold it"):
        nearkin.load(run).report()
    assert secret.read_text()


def test_a_hard_link_that_is_overwritten_is_left_alone(run: Path, secret: Path) -> None:
    before = secret.read_text()
    (run / ".nearkin").unlink()  # a stranger's run: nothing in it is known as ours
    (run / "report.html").unlink(missing_ok=True)
    (run / "report.html").hardlink_to(secret)
    with pytest.raises(InputError, match=r"report\.html: is there and was not written by nearkin"):
        nearkin.load(run).report()
    assert secret.read_text() == before


def test_a_page_with_a_second_name_is_replaced_under_its_own_alone(
    run: Path, tmp_path: Path
) -> None:
    nearkin.load(run).report()
    page, other = run / "report.html", tmp_path / "other.html"
    other.hardlink_to(page)
    before = other.read_bytes()
    nearkin.load(run).report(sounds="none")
    assert other.read_bytes() == before
    assert not page.samefile(other)
