"""Headers that no writer should make: WAV behind an ID3 tag, codecs nobody has, seeks past all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import RATE, tune
from nearkin import audio
from nearkin.audio.decoding import promised_s
from nearkin.errors import InputError


def wav(y: np.ndarray, *, code: int = 1, bits: int = 16) -> bytes:
    sound = (y * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", code, 1, RATE, RATE * bits // 8, bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(sound))
    return b"RIFF" + struct.pack("<I", len(body) + len(sound)) + body + sound


def aiff(y: np.ndarray) -> bytes:
    sound = (y * 32767).astype(">i2").tobytes()
    rate = struct.pack(">HQ", 16383 + 14, RATE << 49)  # an 80-bit float of 2^14 <= RATE < 2^15
    comm = b"COMM" + struct.pack(">IHIH", 18, 1, len(y), 16) + rate
    data = b"SSND" + struct.pack(">III", 8 + len(sound), 0, 0) + sound
    body = b"AIFF" + comm + data
    return b"FORM" + struct.pack(">I", len(body)) + body


def id3(size: int, *, footer: bool = False) -> bytes:
    """A tag of a picture (ID3v2.3, section 3.1: its size is four times seven bits).

    A footer (ID3v2.4, section 3.4) is a copy of the head behind it, which the size leaves out.
    """
    frame = b"APIC" + struct.pack(">IH", size, 0) + b"\0image/png\0\3\0".ljust(size, b"\xaa")
    length = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    if footer:
        return b"ID3\4\0\x10" + length + frame + b"3DI\4\0\x10" + length
    return b"ID3\3\0\0" + length + frame


@pytest.mark.parametrize("container", [wav, aiff])
@pytest.mark.parametrize("tags", [(500,), (40_001, 300)])
@pytest.mark.parametrize("footer", [False, True])
def test_sound_behind_tags_is_heard(
    container: Callable[[np.ndarray], bytes], tags: tuple[int, ...], footer: bool, tmp_path: Path
) -> None:
    y = tune(0)
    path = tmp_path / "a.wav"
    path.write_bytes(b"".join(id3(size, footer=footer) for size in tags) + container(y))
    heard = audio.read(path, sr=RATE)
    assert heard == pytest.approx((y * 32767).astype("<i2") / 32768, abs=1e-7)
    assert promised_s(path) == pytest.approx(len(y) / RATE, abs=1e-9)


def test_a_codec_that_nobody_has_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "half.wav"
    path.write_bytes(wav(tune(0), code=3))  # floats of 16 bits
    for read in (audio.sound_info, promised_s):
        with pytest.raises(InputError, match="cannot decode; convert it"):
            read(path)


def test_a_length_beyond_all_files_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A W64 file that ffmpeg wrote into a pipe; libsndfile seeks to where its header points."""
    y = tune(0)
    sound = (y * 32767).astype("<i2").tobytes()
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # Sony's GUIDs but for their first word
    riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    form = b"fmt " + tail + struct.pack("<Q", 40) + struct.pack("<HHIIHH", 1, 1, RATE, 0, 2, 16)
    unknown = struct.pack("<Q", 2**64 - 1)
    data = b"data" + tail + struct.pack("<Q", 2**63 - 1) + sound
    path = tmp_path / "pipe.w64"
    path.write_bytes(riff + unknown + b"wave" + tail + form + data)
    assert audio.sound_info(path).duration_s == pytest.approx(len(y) / RATE, abs=1e-3)
    assert capfd.readouterr() == ("", "")
