"""Files that end before their header says: hours count what decodes, as the ffmpeg program does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import soundfile

from nearkin.audio import decoding
from nearkin.audio.decoding import promised_s
from nearkin.corpora.index import index
from support import signals

pytestmark = signals.needs_ffmpeg

SECONDS, SR = 12.0, 44_100
FRONT = ("-movflags", "+faststart")  # the length lies before the sound
KINDS: dict[str, tuple[str, ...]] = {
    "s.flac": ("-c:a", "flac"),
    "s.wav": (),
    "s.ogg": ("-c:a", "libvorbis"),
    "s.m4a": ("-c:a", "aac", *FRONT),
    "alac.m4a": ("-c:a", "alac", *FRONT),
    "fragments.mp4": ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "pcm.mov": ("-c:a", "pcm_s16le", *FRONT),
    "s.mka": ("-c:a", "aac"),
    "s.webm": ("-c:a", "libopus"),
    "s.wma": (),
    "s.tta": (),
    "s.mp3": (),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truncated")
    soundfile.write(folder / "source.wav", 0.5 * signals.white(SECONDS, SR), SR)
    for name, options in KINDS.items():
        source = ["-i", str(folder / "source.wav")]
        subprocess.run([*signals.FFMPEG, *source, *options, str(folder / name)], check=True)
    return folder


def decoded_s(path: Path) -> float:
    """What the ffmpeg program decodes, in seconds."""
    out = ["-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", str(SR), "-"]
    command = [*signals.FFMPEG[:1], "-v", "quiet", "-i", str(path), *out]
    return len(subprocess.run(command, capture_output=True, check=False).stdout) / 2 / SR


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("kept", "rest"), [(0.97, "gone"), (0.5, "gone"), (0.7, "zeros")])
def test_seconds_are_those_that_decode(
    name: str, kept: float, rest: str, files: Path, tmp_path: Path
) -> None:
    data = (files / name).read_bytes()
    there = round(kept * len(data))
    cut = tmp_path / name
    # A download that was given its place on the disk before it came ends in zeros.
    cut.write_bytes(data[:there] + bytes(len(data) - there if rest == "zeros" else 0))
    assert promised_s(cut) == pytest.approx(decoded_s(cut), abs=0.2)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "s.wma"])
def test_a_whole_file_is_not_decoded(
    name: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(decoding, "with_sound", refuse)
    assert promised_s(files / name) == pytest.approx(SECONDS, abs=0.05)


def test_hours_of_a_corpus_are_those_that_decode(files: Path, tmp_path: Path) -> None:
    root = tmp_path / "music"
    for number, name in enumerate(["s.flac", "s.m4a", "s.wav"]):
        (root / str(number)).mkdir(parents=True)
        data = (files / name).read_bytes()
        (root / str(number) / name).write_bytes(data[: len(data) // 2])
    found = index("folder", root, tmp_path / "m.csv")
    hours = sum(part.hours for part in found.splits.values())
    there = sum(decoded_s(path) for path in root.glob("*/*"))
    assert there == pytest.approx(SECONDS * 1.5, rel=0.05)
    assert hours * 3600 == pytest.approx(there, abs=0.1)
