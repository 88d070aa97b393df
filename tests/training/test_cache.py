"""The cache of decoded recordings, held to the reader; and what a killed process leaves of it."""

from __future__ import annotations

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
