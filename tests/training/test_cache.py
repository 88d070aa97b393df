"""The cache of decoded recordings, held to the reader; and what a killed process leaves of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("lightning")

from nearkin.audio import read
from nearkin.errors import RunError
from nearkin.training import AudioCache
from nearkin.training.cache import quantised
from support.labelled_tones import SR, make_corpus
from support.signals import write_float


def test_the_cache_holds_what_the_reader_reads(tmp_path: Path) -> None:
    paths = sorted(make_corpus(tmp_path / "corpus").parent.glob("*.wav"))
    store = AudioCache(tmp_path / "cache")
    found = store.fill(paths)
    samples = np.memmap(store.samples_path, dtype="<i2", mode="r")
    assert len(samples) == sum(place.samples for place in found.values())
    for path in paths:
        place, truth = found[path], read(path, sr=SR)
        kept = samples[place.start : place.start + place.samples] * np.float64(place.scale)
        assert np.abs(samples[place.start : place.start + place.samples]).max() == 32_767
        assert np.abs(kept - truth).max() <= place.scale * 0.500001


def test_a_quiet_recording_keeps_its_resolution() -> None:
    y = (1e-6 * np.sin(np.arange(1000))).astype(np.float32)
    values, scale = quantised(y)
    assert np.abs(values * scale - y).max() <= 1e-6 / 32_767 * 0.51
    values, scale = quantised(np.zeros(5, np.float32))
    assert scale == 1.0
    assert not values.any()


def test_nothing_is_decoded_twice_and_what_changed_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearkin.training import cache as module

    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(SR, 0.5), SR)
    decoded: list[Path] = []

    def counted(path: Path, *, sr: int) -> Any:
        decoded.append(path)
        return read(path, sr=sr)

    monkeypatch.setattr(module, "read", counted)
    store = AudioCache(tmp_path / "cache")
    first = store.fill([path, path])
    assert AudioCache(tmp_path / "cache").fill([path]) == first
    assert len(decoded) == 1
    soundfile.write(path, np.full(2 * SR, 0.5), SR)
    again = store.fill([path])[path]
    assert len(decoded) == 2
    assert again.samples == 2 * SR
    assert again.start == SR


def test_what_was_being_written_when_it_was_killed_is_written_anew(tmp_path: Path) -> None:
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"{k}.wav")
        write_float(paths[-1], np.linspace(-0.5, 0.5, SR + k), SR)
    store = AudioCache(tmp_path / "cache")
    store.fill(paths[:2])
    with store.samples_path.open("ab") as file:  # samples without a row of the index
        file.write(b"\x01" * 1000)
    found = store.fill(paths)
    samples = np.memmap(store.samples_path, dtype="<i2", mode="r")
    place = found[paths[2]]
    assert place.start == 2 * SR + 1
    kept = samples[place.start : place.start + place.samples] * place.scale
    np.testing.assert_allclose(kept, np.linspace(-0.5, 0.5, SR + 2), atol=place.scale)
    with store.samples_path.open("r+b") as file:  # rows without their samples
        file.truncate(2 * SR)
    assert store.fill(paths)[paths[0]].start == 0


def test_a_file_that_cannot_be_decoded_is_a_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    missing = tmp_path / "missing.wav"
    found = AudioCache(tmp_path / "cache").fill([bad, missing])
    assert "bad.wav" in found[bad]
    assert "missing.wav" in found[missing]


def test_a_cache_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(SR, 0.5), SR)
    store = AudioCache(tmp_path / "cache")
    store.fill([path])
    (store.root / "index.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(RunError, match="delete the folder"):
        store.fill([path])


def test_an_old_cache_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of before there were checksums, and its index opened as a read-only file would be."""
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, np.full(SR, 0.5), SR)
    root = tmp_path / "cache"
    made = AudioCache(root).fill(paths[:1])
    with sqlite3.connect(root / "index.sqlite") as index:
        index.execute("DROP TABLE checksums")
    index.close()
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    connect = sqlite3.connect

    def read_only(path: Path, **options: Any) -> sqlite3.Connection:
        return connect(f"{path.as_uri()}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert AudioCache(root).fill(paths[:1]) == made
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda path, mode: Path(path) != root)
        patch.setattr("nearkin.ownership.OwnFolder.claim", lambda *_: pytest.fail("written to"))
        assert AudioCache(root).fill(paths[:1]) == made
    with pytest.raises(RunError, match="readonly database"):  # and what it lacks is told
        AudioCache(root).fill(paths)
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before


@pytest.mark.parametrize("where", ["samples", "scale", "start", "length", "far", "before"])
def test_one_flipped_bit_is_told_and_decoded_again(where: str, tmp_path: Path) -> None:
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"{k}.wav")
        write_float(paths[-1], np.sin(np.arange(SR) * (0.01 + 0.01 * k)), SR)
    store = AudioCache(tmp_path / "cache")
    place = store.fill(paths)[paths[1]]
    if where == "samples":
        content = bytearray(store.samples_path.read_bytes())
        content[2 * (place.start + 777)] ^= 1
        store.samples_path.write_bytes(content)
    else:
        what = {
            "scale": "scale = scale * 1.0001",
            "start": "start = start + 1",
            "far": "start = start + 4398046511104",
            "before": "start = -start",
            "length": "samples = samples - 64",
        }[where]
        with sqlite3.connect(store.root / "index.sqlite") as index:
            index.execute(f"UPDATE recordings SET {what} WHERE start = ?", (place.start,))
        index.close()
    told: list[str] = []
    found = AudioCache(tmp_path / "cache").fill(paths, tell=told.append)
    if where not in ("far", "before"):  # those have no samples there, and say nothing
        assert len(told) == 1
        assert "1 of 3 recordings are not as they were written" in told[0]
    samples = np.memmap(store.samples_path, dtype="<i2", mode="r")
    for path in paths:
        at = found[path]
        kept = samples[at.start : at.start + at.samples] * np.float64(at.scale)
        assert np.abs(kept - read(path, sr=SR)).max() <= at.scale * 0.500001
    assert store.samples_path.stat().st_size <= 2 * (4 * SR + 3)
    told.clear()
    assert AudioCache(tmp_path / "cache").fill(paths, tell=told.append) == found
    assert told == []


def test_what_was_lost_with_the_files_end_is_not_read_as_silence(tmp_path: Path) -> None:
    """A recording appended after a cut made the file long enough again, with zeros in between."""
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"{k}.wav")
        write_float(paths[-1], np.sin(np.arange(SR) * 0.02), SR)
    store = AudioCache(tmp_path / "cache")
    store.fill(paths)
    with store.samples_path.open("r+b") as file:
        file.truncate(2 * SR + 100)
    AudioCache(store.root).fill(paths[2:])
    at = AudioCache(store.root).fill(paths)[paths[1]]
    kept = np.memmap(store.samples_path, dtype="<i2", mode="r")[at.start : at.start + at.samples]
    assert np.abs(kept * at.scale - np.sin(np.arange(SR) * 0.02)).max() <= at.scale


def test_a_cache_of_before_there_were_checksums_has_them_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_float(path, np.sin(np.arange(SR) * 0.02), SR)
    store = AudioCache(tmp_path / "cache")
    first = store.fill([path])
    with sqlite3.connect(store.root / "index.sqlite") as index:
        index.execute("DROP TABLE checksums")
    index.close()
    assert AudioCache(store.root).fill([path]) == first
    content = bytearray(store.samples_path.read_bytes())
    content[9] ^= 1
    store.samples_path.write_bytes(content)
    told: list[str] = []
    AudioCache(store.root).fill([path], tell=told.append)
    assert len(told) == 1
