"""What a folder holds: regular sound files, and by name what looks like sound and is not used."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from nearkin import audio
from nearkin.errors import InputError

LFS = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def found(folder: Path, out: Path | None = None) -> tuple[list[str], dict[str, str]]:
    files, left_out = audio.sound_files(folder, out=out)
    return (
        [file.relative_to(folder).as_posix() for file in files],
        {gone.path.relative_to(folder).as_posix(): gone.reason for gone in left_out},
    )


def test_every_kind_is_used_or_named(tmp_path: Path) -> None:
    used = ["a.WV", "b.tta", "c.aifc", "d/e.mp3", "d/f.3gp", "z.wav"]
    touched(tmp_path, *used, "._z.wav", ".gone.flac", "song.mid", "take.ape", "cover.jpg", "x.txt")
    touched(tmp_path, ".git/x.wav", "__MACOSX/d/._e.mp3")
    files, left_out = found(tmp_path)
    assert files == ["a.WV", "b.tta", "c.aifc", "z.wav", "d/e.mp3", "d/f.3gp"]
    assert {name: reason.split(";")[0] for name, reason in left_out.items()} == {
        "._z.wav": "is hidden (macOS keeps what is no sound in such files)",
        ".gone.flac": "is hidden",
        "song.mid": ".mid is a format that nearkin does not read",
        "take.ape": ".ape is a format that nearkin does not read",
        "__MACOSX/d/._e.mp3": "is hidden (macOS keeps what is no sound in such files)",
    }


def test_what_never_ends_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "a.wav", "deep/b.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "away.wav").symlink_to(tmp_path / "not there")
    (tmp_path / "circle").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("talk.wav")
        files, left_out = found(tmp_path)
        assert files == ["a.wav", "away.wav", "deep/b.wav"]
        assert {name: reason.split(":")[0].split(",")[0] for name, reason in left_out.items()} == {
            "circle": "is a link to a folder",
            "pipe.wav": "is a named pipe",
            "talk.wav": "is a socket",
            "zero.wav": "is a device",
        }
        for name, kind in (("pipe", "named pipe"), ("zero", "device"), ("talk", "socket")):
            for act in (audio.read, audio.sound_info, audio.sha256_file):
                with pytest.raises(InputError, match=f"{name}.wav: is a {kind}: must be a regular"):
                    act(tmp_path / f"{name}.wav")


def test_what_nearkin_wrote_is_left_out_below_the_folder_only(tmp_path: Path) -> None:
    for name, record in (("run", "run.json"), ("scores", "performance.json"), ("x", "export.json")):
        touched(tmp_path, f"{name}/audio/a.mp3")
        (tmp_path / name / record).write_text(json.dumps({"nearkin": "0.1.0", "plan": {}}))
    touched(tmp_path, "mine/a.mp3", "theirs/a.mp3", "odd/a.mp3", "out/audio/a.mp3")
    (tmp_path / "theirs" / "run.json").write_text('{"name": "a marathon"}')
    (tmp_path / "odd" / "run.json").write_bytes(b"[" * 100_000 + b"\xff")
    files, left_out = found(tmp_path, out=tmp_path / "mine" / ".." / "out")
    assert files == ["mine/a.mp3", "odd/a.mp3", "theirs/a.mp3"]
    assert left_out == {
        "out": "is the folder that is written to",
        "run": "was written by nearkin",
        "scores": "was written by nearkin",
        "x": "was written by nearkin",
    }
    # a folder that is named itself is meant
    assert found(tmp_path / "run", out=tmp_path / "run")[0] == ["audio/a.mp3"]


def test_a_folder_that_cannot_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user without the right to read it would see it; root may read everything."""
    touched(tmp_path, "a.wav", "closed/b.wav")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    files, left_out = found(tmp_path)
    assert files == ["a.wav"]
    assert left_out == {"closed": "cannot be searched (Permission denied)"}


@pytest.mark.parametrize(
    ("content", "program"),
    [(LFS, "git lfs"), (b"/annex/objects/SHA256E-s31390--f50d7ac4.mp3\n", "git annex")],
)
def test_pointers_are_named_as_such(content: bytes, program: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(InputError, match=f"is a pointer of {program}, not the sound itself; fetch"):
        audio.read(tmp_path / "a.mp3")
