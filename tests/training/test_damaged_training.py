"""A training's own files, damaged: told, refused, or made again; never taken for whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nearkin.errors import RunError

torch = pytest.importorskip("torch")
from nearkin.training import standardise as standardised  # noqa: E402
from nearkin.training.cache import AudioCache  # noqa: E402
from nearkin.training.checkpoint import TrainingState, write_curve  # noqa: E402
from nearkin.training.place import TrainingPlace  # noqa: E402
from nearkin.training.settings import Settings, claim  # noqa: E402

ROW = {"step": 1.0, "epoch": 1.0, "training_loss": 2.0, "validation_loss": 3.0}


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_told(tmp_path: Path) -> None:
    """torch.load alone takes nearly all of them for whole."""
    path = tmp_path / "checkpoint.pt"
    weights = torch.arange(3000.0)
    TrainingState(step=7, network={"w": weights}, best_weights={"w": weights}).save(path)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), len(content) // 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = TrainingState.load(path)
        except RunError:
            refused += 1
            continue
        assert found.step == 7
        assert torch.equal(found.network["w"], weights)
        assert torch.equal(found.best_weights["w"], weights)
    assert refused > 150


@pytest.mark.parametrize("content", [b"", b"PK", bytes(5000)])
def test_what_is_no_checkpoint_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(RunError, match="start anew with --force"):
        TrainingState.load(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("damaged", [b"", b"PK half of it", None])
def test_damaged_moments_are_measured_again(
    damaged: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, measured, given = np.arange(6.0).reshape(2, 3), [], []
    monkeypatch.setattr(standardised, "_moments", lambda *_: measured.append(1) or truth)
    network = SimpleNamespace(
        front=SimpleNamespace(decibels=None), standardise=lambda *moments: given.append(moments)
    )
    store, part = AudioCache(tmp_path), SimpleNamespace()
    arguments: tuple[Any, ...] = (network, part, "ab", Settings("ae"), store, lambda *_: None)
    standardised.standardise(*arguments)
    standardised.standardise(*arguments)
    assert len(measured) == 1
    [path] = tmp_path.glob("decibels-*")
    content = bytearray(path.read_bytes())
    content[-len(content) // 3] ^= 1
    path.write_bytes(content if damaged is None else damaged)
    standardised.standardise(*arguments)
    assert len(measured) == 2
    for moments in given:
        assert np.array_equal(np.stack(moments), truth)


def test_a_training_whose_settings_are_gone_is_begun_anew(tmp_path: Path) -> None:
    """Nothing says of which training the checkpoint is: another one must not go on from it."""
    place = TrainingPlace(tmp_path / "m.safetensors")
    checkpoint, told = place.folder / "checkpoint.pt", list[str]()
    with place.held():
        claim(place.folder, {"seed": 0})
        TrainingState(step=7).save(checkpoint)
    (place.folder / "notes.txt").write_text("the user's")
    with place.held(tell=told.append):
        assert checkpoint.exists()
    assert told == []
    (place.folder / "settings.json").unlink()
    with place.held(tell=told.append):
        assert not checkpoint.exists()
        claim(place.folder, {"seed": 1})
    assert len(told) == 1
    assert "m.safetensors.training: has no settings.json, which says what training" in told[0]
    assert (place.folder / "notes.txt").exists()


def test_a_finished_model_whose_settings_are_gone_is_not_removed(tmp_path: Path) -> None:
    place = TrainingPlace(tmp_path / "m.safetensors")
    with place.held():
        claim(place.folder, {"seed": 0})
        TrainingState(step=7).save(place.folder / "checkpoint.pt")
        place.target.write_bytes(b"a model")
        place.wrote(place.target)
    (place.folder / "settings.json").unlink()
    with (
        pytest.raises(RunError, match=r"no settings\.json.* m\.safetensors is of; move that model"),
        place.held(),
    ):
        pass
    assert place.target.read_bytes() == b"a model"
    assert (place.folder / "checkpoint.pt").exists()
    place.target.rename(tmp_path / "kept.safetensors")
    with place.held():
        assert not (place.folder / "checkpoint.pt").exists()
        claim(place.folder, {"seed": 1})
    assert (tmp_path / "kept.safetensors").read_bytes() == b"a model"


@pytest.mark.parametrize("content", [b"", bytes(9), b"\xff", b"[]", b"[" * 100_000])
def test_settings_that_are_none_are_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(RunError, match=r"settings\.json: cannot be used .*pass --force"):
        claim(tmp_path, {"seed": 0})


def test_a_curve_is_written_where_it_is_not_as_it_was(tmp_path: Path) -> None:
    row = {**ROW, "seconds": 1.0, "steps_per_second": 1.0, "waiting_share": 0.0}
    path, state = tmp_path / "curve.csv", TrainingState(curve=[row])
    write_curve(path, state)
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    write_curve(path, state)
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(before[:-3])
    write_curve(path, state)
    assert path.read_bytes() == before
