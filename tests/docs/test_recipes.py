"""The recipes for known models: each is followed, with a tiny model of the class or a stand-in."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nearkin
from conftest import write_tunes
from nearkin.cli import app
from support.pages import BLOCK, sections
from support.tiny_models import SPEECH, clap, encodec

SECTIONS = sections("recipes.md")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Write a recipe's files and run its commands in this process, names of models replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def follow(title: str, **instead: str) -> list[str]:
        text = SECTIONS[title]
        for name, folder in instead.items():
            text = text.replace(name.replace("__", "/"), folder)
        told = []
        for language, code in BLOCK.findall(text):
            if language == "python":
                name = code.splitlines()[0].removeprefix("# file: ")
                (tmp_path / name).write_text(code)
                continue
            for program, *words in map(shlex.split, code.splitlines()):
                if program == "python":
                    runpy.run_path(words[0])
                elif program == "nearkin":
                    here = [] if words[0] == "check" else ["--workers", "1"]  # quicker
                    done = CliRunner().invoke(app, words + here)
                    assert done.exit_code == 0, (words, done.output, done.exception)
                    told.append(done.output)
                else:
                    assert program == "hf", program  # fetches weights
        assert told
        return told

    return follow


def test_every_model_that_is_promised() -> None:
    titles = " ".join(SECTIONS)
    for name in ("PyTorch", "MERT", "CLAP", "EnCodec", "VGGish", "OpenL3", "musicnn"):
        assert name in titles


def test_plain_pytorch(follow: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    # the recipe's own network, with random weights
    source = re.search(r"^def network.*?\n\n\n", SECTIONS["Plain PyTorch"], re.M | re.S)
    assert source
    space: dict[str, Any] = {"torch": torch}
    exec(source[0], space)
    safetensors.save_file(space["network"]().state_dict(), tmp_path / "weights.safetensors")
    one, two = follow("Plain PyTorch")
    assert "16000 Hz" in one
    assert "16000 Hz" in two


def _kept(model: Any, extractor: Any, folder: Path) -> str:
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return str(folder)


def test_mert_layer_by_layer(follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "m"))
    # MERT is HuBERT with further losses, its code in its repository, its weights pickled
    config = transformers.HubertConfig(num_hidden_layers=3, **SPEECH)
    repository = tmp_path / "repository"
    repository.mkdir()
    said = config.to_dict() | {
        "model_type": "mert_model",
        "auto_map": {
            "AutoConfig": "configuration_MERT.MERTConfig",
            "AutoModel": "modeling_MERT.MERTModel",
        },
    }
    (repository / "config.json").write_text(json.dumps(said))
    (repository / "configuration_MERT.py").write_text(
        "from transformers import HubertConfig\n\n\n"
        "class MERTConfig(HubertConfig):\n    model_type = 'mert_model'\n"
    )
    (repository / "modeling_MERT.py").write_text(
        "from transformers import HubertModel\n\nfrom .configuration_MERT import MERTConfig\n\n\n"
        "class MERTModel(HubertModel):\n    config_class = MERTConfig\n"
    )
    torch.save(transformers.HubertModel(config).state_dict(), repository / "pytorch_model.bin")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000).save_pretrained(repository)
    write_tunes(tmp_path / "music", 3)
    check, _ = follow("MERT, layer by layer", **{"m-a-p__MERT-v1-95M": str(repository)})
    assert "24000 Hz" in check
    names = {row["name"] for row in nearkin.load("mert-layers").run["encoders"]}
    assert len([name for name in names if name.startswith("mert")]) == 4  # input and three layers


def test_clap(follow: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = _kept(*clap(transformers), tmp_path / "clap")
    (told,) = follow("CLAP", **{"laion__clap-htsat-unfused": folder})
    assert "audio features" in told
    assert "48000 Hz" in told


def test_encodec(follow: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = _kept(*encodec(transformers), tmp_path / "encodec")
    (told,) = follow("EnCodec", **{"facebook__encodec_24khz": folder})
    assert "latents before quantisation" in told


def test_vggish(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    class VGGish(torch.nn.Module):  # type: ignore[name-defined, misc]
        """Called as torchvggish is: a numpy clip and its rate in, [windows, 128] out."""

        def forward(self, x: Any, fs: int) -> Any:
            assert isinstance(x, np.ndarray)
            assert fs == 16_000
            windows = [x[at : at + 15_600] for at in range(0, len(x) - 15_600 + 1, 15_360)]
            spectra = np.abs(np.fft.rfft(np.stack(windows)))[:, : 128 * 60]
            return torch.from_numpy(np.log1p(spectra.reshape(-1, 128, 60).mean(axis=2)))

    def load(repository: str, name: str, *, postprocess: bool) -> Any:
        assert (repository, name, postprocess) == ("harritaylor/torchvggish", "vggish", False)
        return VGGish()

    monkeypatch.setattr(torch.hub, "load", load)
    (told,) = follow("VGGish")
    assert "128" in told


def test_openl3(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("openl3")
    made = object()

    def load(*, input_repr: str, content_type: str, embedding_size: int) -> object:
        assert (input_repr, content_type, embedding_size) == ("mel256", "music", 512)
        return made

    def embedding(audio: Any, sr: int, *, model: Any, hop_size: float, verbose: bool) -> Any:
        """A list of clips in; a list of [windows of 1 s, 512] and of their times out."""
        assert isinstance(audio, list)
        assert (sr, model) == (48_000, made)
        found = []
        for clip in audio:
            padded = np.pad(clip, (sr // 2, sr))
            starts = range(0, len(clip), round(hop_size * sr))
            spectra = np.abs(np.fft.rfft([padded[at : at + sr] for at in starts]))[:, : 512 * 40]
            found.append(np.log1p(spectra.reshape(-1, 512, 40).mean(axis=2)))
        return found, [np.arange(len(windows)) * hop_size for windows in found]

    module.models = types.SimpleNamespace(load_audio_embedding_model=load)
    module.get_audio_embedding = embedding
    monkeypatch.setitem(sys.modules, "openl3", module)
    (told,) = follow("OpenL3")
    assert "512" in told


def test_musicnn_in_its_own_environment(
    follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    def extractor(name: str, *, model: str, input_length: int, extract_features: bool) -> Any:
        """A file in; taggram, tags and features out, of patches of 3 s."""
        assert (model, input_length, extract_features) == ("MSD_musicnn", 3, True)
        y, rate = soundfile.read(name)
        assert rate == 16_000
        assert len(y) >= 3 * rate, "no patch of 3 s fits"
        spectrum = np.abs(np.fft.rfft(y[: 3 * rate]))[: 200 * 100]
        penultimate = np.log1p(spectrum.reshape(200, 100).mean(axis=1))[None]
        return np.zeros((1, 50)), ["tag"] * 50, {"penultimate": penultimate}

    package, module = types.ModuleType("musicnn"), types.ModuleType("musicnn.extractor")
    module.extractor = extractor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "musicnn", package)
    monkeypatch.setitem(sys.modules, "musicnn.extractor", module)
    write_tunes(tmp_path / "music", 3, seconds=7.0)
    follow("musicnn, or any model that wants its own environment")
    scores = nearkin.load("scored").consistency
    assert len(scores[(scores["measure"] == "C_W") & (scores["n"] == 3)])
