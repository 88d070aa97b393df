"""Gradients of encoders: the twins answer as the encoders do, and what is none is told."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nearkin.encoders import resolve
from nearkin.encoders.gradients import twin_of
from nearkin.encoders.quick_check import sample_music

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def music2s() -> np.ndarray:
    return sample_music(22_050, 2.0)[:2]


@pytest.mark.parametrize("name", ["mfcc", "vgg-ae", "vgg-at", "vgg-ir", "vgg-vs"])
def test_the_references_twins_are_exact(name: str, music2s: np.ndarray) -> None:
    pytest.importorskip("onnx")
    found = resolve(name)
    twin = twin_of(found, music2s)
    assert twin.module is not None, twin.reason
    heard = torch.from_numpy(music2s.copy()).requires_grad_(True)
    seen = twin.module(heard)
    expected = found.encoder.embed(music2s, keys=())
    assert np.abs(seen.detach().numpy() - expected).max() < 1e-5 * np.abs(expected).max()
    (gradient,) = torch.autograd.grad(seen.square().sum(), heard)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_the_gradient_is_the_slope(music2s: np.ndarray) -> None:
    """Against finite differences of the numpy encoder."""
    found = resolve("mfcc")
    twin = twin_of(found, music2s)
    assert twin.module is not None
    x = music2s[:1]
    heard = torch.from_numpy(x.copy()).requires_grad_(True)
    weights = np.random.default_rng(0).standard_normal(144).astype(np.float32)
    (gradient,) = torch.autograd.grad(twin.module(heard) @ torch.from_numpy(weights), heard)
    way = gradient.numpy() / np.linalg.norm(gradient.numpy())
    step = 1e-3
    ahead, behind = (found.encoder.embed(x + s * step * way, keys=())[0] for s in (1, -1))
    slope = float((ahead.astype(np.float64) - behind) @ weights) / (2 * step)
    assert slope == pytest.approx(float(np.linalg.norm(gradient.numpy())), rel=0.05)


class Net(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, frames: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sample_rate = 22_050
        self.layer = torch.nn.Conv1d(1, 5, 400, stride=200)
        self.frames = frames

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.layer(audio[:, None])).transpose(1, 2)
        return seen if self.frames else seen.mean(dim=1)


@pytest.mark.parametrize("pool", ["mean", "max", "meanstd", "first"])
def test_torchscript(tmp_path: Path, music2s: np.ndarray, pool: str) -> None:
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates writing TorchScript
        torch.jit.trace(Net(frames=True).eval(), torch.zeros(2, 44_100)).save(str(path))
    twin = twin_of(resolve(f"torchscript:{path}", trust=True, pool=pool), music2s)
    assert twin.module is not None, twin.reason


def test_hear(monkeypatch: pytest.MonkeyPatch, music2s: np.ndarray) -> None:
    module: Any = ModuleType("some_hear")
    model: Any = Net()
    model.scene_embedding_size = model.timestamp_embedding_size = 5
    module.load_model = lambda path="": model
    module.get_scene_embeddings = lambda audio, model: model(audio)
    monkeypatch.setitem(sys.modules, "some_hear", module)
    assert twin_of(resolve("hear:some_hear"), music2s).module is not None
    module.get_scene_embeddings = lambda audio, model: model(audio).detach()
    assert twin_of(resolve("hear:some_hear"), music2s).reason == "its code stops gradients"


def test_own_weights(tmp_path: Path, music2s: np.ndarray) -> None:
    pytest.importorskip("safetensors")
    from nearkin.networks.files import Model, save
    from nearkin.networks.network import NetworkConfig, build

    network = build(NetworkConfig("vgg", "classes", 3), seed=0).eval()
    save(
        tmp_path / "m.safetensors",
        Model(task="ir", features="vgg", head="classes", network=network, labels=("a", "b", "c")),
    )
    twin = twin_of(resolve(str(tmp_path / "m.safetensors")), music2s)
    assert twin.module is not None, twin.reason


@pytest.mark.parametrize("normalised", [True, False])
def test_hugging_face_waveforms(tmp_path: Path, normalised: bool) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = transformers.Wav2Vec2Config(
        **sizes, num_hidden_layers=1, conv_dim=(8, 8), conv_stride=(40, 8), conv_kernel=(80, 16),
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.Wav2Vec2Model(config).eval().save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(
        sampling_rate=16_000, do_normalize=normalised
    ).save_pretrained(tmp_path)
    twin = twin_of(resolve(f"hf:{tmp_path}"), sample_music(16_000, 2.0)[:2])
    assert twin.module is not None, twin.reason


class Given:
    """An object that brings its own twin."""

    sample_rate, embedding_size = 22_050, 5

    def __init__(self, off: float = 1.0) -> None:
        self.net, self.off = Net().eval(), off

    def embed(self, audio: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.net(torch.from_numpy(audio)).numpy()

    def torch_module(self) -> Any:
        return lambda audio: self.net(audio) * self.off


def test_an_object_brings_its_own(music2s: np.ndarray) -> None:
    assert twin_of(resolve(Given()), music2s).module is not None
    assert "0.5 of a vector's length off" in twin_of(resolve(Given(1.5)), music2s).reason


def test_what_gives_none_says_so(music2s: np.ndarray) -> None:
    assert "no torch_module" in twin_of(resolve("constant"), music2s).reason
    plain = resolve(lambda audio, rate: np.ones(3))
    assert twin_of(plain, music2s).reason == "its kind gives no gradient"
    fixed = resolve(Given(), options={"samples": 11_025})
    assert "windows" in twin_of(fixed, music2s).reason
