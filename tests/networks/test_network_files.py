"""Model files: what went in comes out, bad ones end in a sentence, ONNX computes the same."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nearkin.encoders.references.trained import WEIGHTS
from nearkin.errors import InputError, RunError
from nearkin.networks.files import Model, load, read_header, save
from nearkin.networks.onnx import export_onnx

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from nearkin.networks.network import NetworkConfig, build  # noqa: E402


def model(**fields: object) -> Model:
    network = build(NetworkConfig("vgg", "classes", 3), seed=2)
    rng = np.random.default_rng(0)
    network.standardise(rng.normal(-40, 5, 513).tolist(), rng.uniform(8, 12, 513).tolist())
    known = {
        "task": "at",
        "features": "vgg",
        "head": "classes",
        "labels": ("a", "b", "ü"),
        "trial": 2,
        "seed": 5,
        "scale": "paper",
        "steps": 120,
        "epochs": 1.5,
        "trained_steps": 200,
        "stopped": "plateau",
        "training_sha256": "ab" * 32,
        "scores": {"valid": {"measure": "AUC_C", "value": 0.7, "n": 9, "chance": 0.5}},
        "network": network.eval(),
    }
    return Model(**{**known, **fields})  # type: ignore[arg-type]


def audio(batch: int = 2, samples: int = 44_100) -> np.ndarray:
    rng = np.random.default_rng(batch)
    t = np.arange(samples) / 22_050
    tones = np.sin(2 * np.pi * np.outer(220 * rng.uniform(1, 3, batch), t))
    return (0.3 * tones + 0.01 * rng.standard_normal((batch, samples))).astype(np.float32)


def test_round_trip(tmp_path: Path) -> None:
    path, one = tmp_path / "deep" / "m.safetensors", model()
    save(path, one)
    back = load(path)
    assert replace(back, network=None, sha256="") == replace(one, network=None)
    assert len(back.sha256) == 64
    assert not back.network.training
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, back.network.state_dict()[name])
    assert back.label == "vgg-at-2"
    assert [path.name for path in path.parent.iterdir()] == ["m.safetensors"]


def test_the_header_is_read_by_anything(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, model())
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nearkin"])
    assert (about["task"], about["trial"], about["labels"]) == ("at", 2, ["a", "b", "ü"])
    assert read_header(path) == about


def spoilt(path: Path, change: dict[str, object]) -> Path:
    """Rewrite a model's header, which holds no checksum then; its weights are left as they are."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["nearkin"])
    plain = {name: value for name, value in about.items() if name != "checksum"}
    header["__metadata__"]["nearkin"] = json.dumps({**plain, **change})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "has format 9: this version reads 1"),
        ({"trial": "2"}, "its header lacks trial"),
        ({"features": "mfcc"}, "its weights are not those of its network"),
        ({"head": "eval"}, "its weights are not those of its network .head='eval'"),
        ({"labels": ["a"]}, "its weights are not those of its network"),
    ],
)
def test_files_that_lie(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "m.safetensors"
    save(path, model())
    with pytest.raises(InputError, match=said):
        load(spoilt(path, change))


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff" * 64, struct.pack("<Q", 2) + b"{}"])
def test_what_is_no_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is no model of nearkin's"):
        load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors: cannot be read"):
        load(tmp_path / "gone.safetensors")


def test_a_truncated_one(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, model())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="was changed or damaged after it was written"):
        load(path)
    with pytest.raises(InputError, match="its weights are not those of its network"):
        load(spoilt(path, {"weights_sha256": ""}))


def test_one_flipped_bit_anywhere_in_a_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, model())
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    places = [*range(8, 8 + length, length // 60), *range(8 + length, len(content), 400_000)]
    for place in [*places, len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 7
        path.write_bytes(damaged)
        with pytest.raises(InputError) as raised:
            load(path)
        assert "\n" not in str(raised.value)


def test_onnx_that_cannot_be_written(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(RunError, match=r"m\.onnx: cannot be written"):
        export_onnx(model(), tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_onnx_says_nothing_of_the_machine_that_wrote_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    export_onnx(model(), tmp_path / "m.onnx")
    for path in (tmp_path / "m.onnx", *WEIGHTS.glob("*.onnx")):
        data = path.read_bytes()
        assert not re.findall(rb"stack_trace|site-packages|, line \d", data), path
        stated = {entry.key for entry in onnx.load_from_string(data).metadata_props}
        assert {"sample_rate", "nearkin.task", "nearkin.training_sha256"} <= stated
    export_onnx(model(), tmp_path / "again.onnx")  # the exporter counts what a process traced
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()


def test_onnx_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    one, path = model(), tmp_path / "m.onnx"
    export_onnx(one, path)
    assert path.stat().st_size < 8_000_000
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, samples in ((1, 44_100), (3, 44_100), (2, 32_512), (2, 60_001)):
        clips = audio(batch, samples)
        (found,) = session.run(None, {"audio": clips})
        with torch.no_grad():
            want = one.network.embed(torch.from_numpy(clips)).numpy()
        assert np.abs(found - want).max() < 1e-4
        assert np.abs(want).max() > 0.01
    stated = session.get_modelmeta().custom_metadata_map
    assert {stated[f"nearkin.{name}"] for name in ("encoder", "task", "trial")} == {
        "vgg",
        "at",
        "2",
    }
    assert stated["sample_rate"] == "22050"
