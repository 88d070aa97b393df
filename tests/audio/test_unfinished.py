"""RF64 files whose length nobody filled in are heard whole; a known length is left as it is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from conftest import RATE, tune
from nearkin import audio
from nearkin.audio.decoding import promised_s
from nearkin.audio.unfinished import with_length

UNKNOWN = 2**64 - 1


def rf64(path: Path, y: np.ndarray, lengths: tuple[int, int, int], name: bytes = b"RF64") -> Path:
    """Write what EBU Tech 3306 says: RF64, ds64 (riff, data, samples), fmt, data."""
    sound = (y * 32767).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    sizes = b"ds64" + struct.pack("<IQQQI", 28, *lengths, 0)
    unknown = struct.pack("<I", 2**32 - 1)
    path.write_bytes(name + unknown + b"WAVE" + sizes + form + b"data" + unknown + sound)
    return path


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
@pytest.mark.parametrize("lengths", [(0, 0, 0), (UNKNOWN,) * 3, (10**12, 10**12, 0)])
def test_all_that_is_there_is_heard(
    name: bytes, lengths: tuple[int, int, int], tmp_path: Path
) -> None:
    y = tune(0)
    path = rf64(tmp_path / "a.wav", y, lengths, name)
    heard = audio.read(path, sr=RATE)
    assert heard == pytest.approx((y * 32767).astype("<i2") / 32768, abs=1e-7)
    assert promised_s(path) == pytest.approx(len(y) / RATE, abs=1e-9)


def test_a_length_that_is_known_counts(tmp_path: Path) -> None:
    """What follows the sound, a chunk of tags say, is none."""
    y = tune(0)
    path = rf64(tmp_path / "a.wav", y, (2 * len(y) + 72, 2 * len(y), len(y)))
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 40_000) + bytes(40_000))
    assert len(audio.read(path, sr=RATE)) == len(y)
    with path.open("rb") as file:
        assert with_length(file) is file


@pytest.mark.parametrize("size", [0, 3, 12, 20, 40, 47, 80])
def test_a_head_that_breaks_off_is_left_alone(size: int, tmp_path: Path) -> None:
    whole = rf64(tmp_path / "a.wav", tune(0), (0, 0, 0)).read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[:size])
    with (tmp_path / "b.wav").open("rb") as file:
        left = with_length(file)
        assert left.read()[:12] == whole[: min(size, 12)]


def test_the_file_s_hash_is_that_of_its_own_bytes(tmp_path: Path) -> None:
    import hashlib

    path = rf64(tmp_path / "a.wav", tune(0), (0, 0, 0))
    assert audio.sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
