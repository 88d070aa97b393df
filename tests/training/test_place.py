"""A training's folder, the files beside it and the cache: only what nearkin wrote is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import soundfile

from conftest import RATE, tune
from nearkin.errors import InputError, RunError
from nearkin.lease import leased
from support.runs import files_of

pytest.importorskip("torch")
from nearkin.training.cache import AudioCache
from nearkin.training.place import TrainingPlace


def begun(target: Path) -> TrainingPlace:
    """Leave a training that wrote its model and its encoder."""
    place = TrainingPlace(target)
    with place.held():
        (place.folder / "checkpoint.pt").write_text("state")
        (place.folder / "settings.json").write_text("{}")
        (place.folder / "tensorboard" / "events.out.tfevents.1.host.2.0").write_text("log")
        for path in (place.target, place.onnx):
            path.write_text("weights")
            place.wrote(path)
    return place


def test_what_is_whole_is_known_by_its_checksum(tmp_path: Path) -> None:
    place = begun(tmp_path / "m.safetensors")
    again = TrainingPlace(tmp_path / "m.safetensors")
    assert again.is_whole(place.target)
    assert again.is_whole(place.onnx)
    place.target.write_text("weightz")
    place.onnx.unlink()
    assert not again.is_whole(place.target)
    assert not again.is_whole(place.onnx)
    with again.held():
        pass  # damaged or gone: it is still of this training


def test_a_training_without_a_marker_is_refused_with_what_to_do(tmp_path: Path) -> None:
    place = begun(tmp_path / "m.safetensors")
    (place.folder / ".nearkin").unlink()
    before = files_of(tmp_path)
    for anew in (False, True):
        with (
            pytest.raises(RunError, match=r"began; move it away.*or name another --out"),
            TrainingPlace(place.target).held(anew=anew),
        ):
            pass
    assert files_of(tmp_path) == before


def test_anew_deletes_the_training_and_nothing_else(tmp_path: Path) -> None:
    place = begun(tmp_path / "m.safetensors")
    mine = {
        "m.safetensors.training/notes.md": b"mine",
        "m.safetensors.training/tensorboard/notes.md": b"mine",
        "m.csv": b"mine",
    }
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    with place.held(anew=True):
        left = files_of(tmp_path)
    kept = {".nearkin", ".nearkin-lease", "beside.json"}
    assert {name for name in left if Path(name).name not in kept} == set(mine)
    assert all(left[name] == content for name, content in mine.items())


@pytest.mark.parametrize("name", ["m.safetensors", "m.onnx"])
@pytest.mark.parametrize("with_folder", [False, True])
def test_a_model_of_somebody_else_is_refused(name: str, with_folder: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    if with_folder:
        (tmp_path / "m.safetensors.training").mkdir()
        (tmp_path / "m.safetensors.training" / "checkpoint.pt").write_text("mine")
    before = files_of(tmp_path)
    place = TrainingPlace(tmp_path / "m.safetensors")
    for anew in (False, True):
        with pytest.raises((InputError, RunError), match="is there already"), place.held(anew=anew):
            pass
    assert files_of(tmp_path) == before


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m.safetensors.training"
    folder.mkdir()
    (folder / "checkpoint.pt").write_text("mine")
    place = TrainingPlace(tmp_path / "m.safetensors")
    for anew in (False, True):
        with pytest.raises(InputError, match="is no nearkin training"), place.held(anew=anew):
            pass
    assert files_of(tmp_path) == {"m.safetensors.training/checkpoint.pt": b"mine"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    place = begun(tmp_path / "m.safetensors")
    secret = tmp_path / "secret"
    secret.write_text("mine")
    place.target.unlink()
    place.target.symlink_to(secret)
    with place.held(anew=True):
        pass
    assert secret.read_text() == "mine"
    (place.folder / "checkpoint.pt").symlink_to(secret)
    with pytest.raises(InputError, match="is a link"), place.held():
        pass


def test_an_input_in_the_training_s_folder_is_refused(tmp_path: Path) -> None:
    place = TrainingPlace(tmp_path / "m.safetensors")
    manifest = place.folder / "m.csv"
    with pytest.raises(InputError, match="which is an input"), place.held([manifest]):
        pass


def test_a_second_training_in_one_place_is_refused(tmp_path: Path) -> None:
    place = begun(tmp_path / "m.safetensors")
    with (
        leased(place.folder),
        pytest.raises(InputError, match="another nearkin command is at work"),
        TrainingPlace(place.target).held(anew=True),
    ):
        pass
    assert place.target.read_text() == "weights"


def test_the_cache_touches_nothing_of_somebody_else(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tune(0), RATE, subtype="PCM_16")
    root = tmp_path / "cache"
    root.mkdir()
    (root / "samples.i16").write_text("mine")
    with pytest.raises(InputError, match=r"--cache .*: holds something that is no nearkin cache"):
        AudioCache(root).fill([tmp_path / "a.wav"])
    assert files_of(root) == {"samples.i16": b"mine"}
    (root / "samples.i16").unlink()
    assert AudioCache(root).fill([tmp_path / "a.wav"])
    (root / ".nearkin").unlink()  # one of before folders were marked: known by its table
    assert AudioCache(root).fill([tmp_path / "a.wav"])
    assert (root / ".nearkin").exists()
    (root / ".nearkin").unlink()
    with sqlite3.connect(root / "index.sqlite") as index:
        index.execute("CREATE TABLE mine (x)")
    index.close()
    with pytest.raises(InputError, match="is no nearkin cache"):
        AudioCache(root).fill([tmp_path / "a.wav"])
