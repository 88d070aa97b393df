"""``hf:``: tiny models of random weights, one of each class, held to what transformers computes."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import tune
from nearkin.encoders import EncoderError, Key, embed, resolve, resolve_all
from nearkin.encoders.check import examine, steadiness
from nearkin.errors import InputError
from support.tiny_models import SPEECH, clap, encodec

KEYS = [Key(f"clip{i}", "OG", 0.0) for i in range(3)]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def clips() -> Any:
    return np.stack([tune(seed, seconds=2) for seed in range(3)])


class Bomb:
    """Unpickling it leaves a mark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small wav2vec2 of random weights in a folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf") / "tiny-wav2vec2"
    config = transformers.Wav2Vec2Config(num_hidden_layers=3, **SPEECH)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Wav2Vec2Model(config).eval().save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


def hidden_states(folder: Path, clips: Any) -> Any:
    """What transformers itself computes."""
    import torch
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(list(clips), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
    return [state.numpy() for state in states]


def test_hugging_face(wav2vec2: Path, clips: Any) -> None:
    states = hidden_states(wav2vec2, clips)
    assert len(states) == 4
    found = resolve(f"hf:{wav2vec2}")
    assert found.name == "tiny-wav2vec2"
    assert found.matched == (
        "matched a Hugging Face model, Wav2Vec2Model: 16000 Hz, 32 values, last hidden state "
        "pooled by mean"
    )
    z = embed(found, clips, KEYS).vectors
    assert z == pytest.approx(states[-1].mean(axis=1), abs=1e-5)
    second = resolve(f"hf:{wav2vec2}", options={"layer": 2, "pool": "max"})
    assert embed(second, clips, KEYS).vectors == pytest.approx(states[2].max(axis=1), abs=1e-5)
    last = resolve(f"hf:{wav2vec2}", layer="-1")
    assert embed(last, clips, KEYS).vectors == pytest.approx(states[-1].mean(axis=1), abs=1e-5)
    with pytest.raises(EncoderError, match="layer 9: the model returned 4 layers, 0 to 3"):
        embed(resolve(f"hf:{wav2vec2}", layer=9), clips, KEYS)


def test_every_layer_in_one_pass(wav2vec2: Path, clips: Any) -> None:
    states = hidden_states(wav2vec2, clips)
    layers = resolve_all(f"hf:{wav2vec2}", layer="all")
    assert [layer.name for layer in layers] == [f"tiny-wav2vec2 layer {i}" for i in range(4)]
    model: Any = layers[0].encoder
    passes = []
    forward = model.shared.model.forward
    model.shared.model.forward = lambda audio: passes.append(1) or forward(audio)
    for layer, state in zip(layers, states, strict=True):
        z = embed(layer, clips, KEYS).vectors
        assert z == pytest.approx(state.mean(axis=1), abs=1e-5)
    assert len(passes) == len(clips), "a pass a clip, not one a layer"
    embed(layers[1], clips, KEYS)
    assert len(passes) == 2 * len(clips), "a layer asked for again is computed again"
    with pytest.raises(InputError, match="is 4 encoders"):
        resolve(f"hf:{wav2vec2}", layer="all")


def test_hugging_face_that_cannot_be_loaded(tmp_path: Path, wav2vec2: Path) -> None:
    with pytest.raises(InputError, match=r"no such model in the cache .* \(hf download nobody/no"):
        resolve("hf:nobody/no-such-model")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for path in wav2vec2.glob("*.json"):
        (pickled / path.name).write_bytes(path.read_bytes())
    mark = tmp_path / "mark"
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(InputError, match=r"weights are pickled .* model\.save_pretrained"):
        resolve(f"hf:{pickled}")
    assert not mark.exists()


def test_a_model_in_the_cache_whose_weights_are_pickled_only_is_not_to_be_fetched_anew(
    wav2vec2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as Hugging Face lays it out: models--OWNER--NAME, with refs and snapshots."""
    model = tmp_path / "models--acme--old"
    folder = model / "snapshots" / ("a" * 40)
    shutil.copytree(wav2vec2, folder)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert resolve("hf:acme/old").name == "old"
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"weights are pickled \(pytorch_model\.bin\)"):
        resolve("hf:acme/old")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("./gone", r"there is no folder '\./gone'; check the path"),
        ("/gone/for/ever", "there is no folder '/gone/for/ever'"),
        ("gone/", "there is no folder 'gone/'"),
        ("C:\\models\\x", "there is no folder"),
        ("~/gone", "~ stands for your home only at the beginning of a word"),
        ("", "names no model"),
        ("a b/c", "no model has such a name"),
        ("owner/caf\udce9", "no model has such a name"),
        ("x\0y", "no model has such a name"),
        ("x" * 300, "no model has such a name"),
        ("https://huggingface.co/acme/music/tree/main", "write hf:acme/music"),
        ("acme/musik", r"no such model in the cache .*\(there is acme/music\).*hf download"),
    ],
)
def test_a_place_where_no_model_is(
    place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "models--acme--music").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=said) as caught:
        resolve(f"hf:{place}")
    assert str(caught.value).isprintable()
    assert "Repo id" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", None, r"the folder holds no config\.json; name the folder"),
        ("config.json", "{", r"its config\.json is no JSON \("),
        ("config.json", "[]", r"its config\.json is a list: must be a mapping"),
        ("config.json", "{}", r"its config\.json names no model_type"),
        ("preprocessor_config.json", None, r"extractor\.save_pretrained\(FOLDER\)"),
        ("preprocessor_config.json", "x", r"its preprocessor_config\.json is no JSON"),
        ("model.safetensors", None, r"there are no weights \(\*\.safetensors\)"),
    ],
)
def test_a_folder_that_lacks_a_file(
    name: str, content: str | None, said: str, wav2vec2: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(wav2vec2, folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match=said):
        resolve(f"hf:{folder}")


def test_a_file_is_no_model(wav2vec2: Path) -> None:
    with pytest.raises(InputError, match=rf"is a file: .* write hf:{wav2vec2}"):
        resolve(f"hf:{wav2vec2 / 'model.safetensors'}")


# -- one tiny model of each class ------------------------------------------------------------------


def _encodec_stereo(t: Any) -> tuple[Any, Any]:
    return encodec(
        t, sampling_rate=48_000, audio_channels=2, normalize=True, chunk_length_s=1.0,
        overlap=0.01, use_causal_conv=False, norm_type="time_group_norm",
    )  # fmt: skip


def _dac(t: Any) -> tuple[Any, Any]:
    config = t.DacConfig(
        encoder_hidden_size=8, downsampling_ratios=[2, 4], decoder_hidden_size=16, n_codebooks=2,
        codebook_size=16, codebook_dim=4, sampling_rate=24_000,
    )  # fmt: skip
    return t.DacModel(config), t.DacFeatureExtractor(sampling_rate=24_000, hop_length=8)


def _mimi(t: Any) -> tuple[Any, Any]:
    config = t.MimiConfig(
        num_filters=4, hidden_size=16, codebook_size=16, codebook_dim=8, upsampling_ratios=[4, 4],
        num_residual_layers=1, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=8, intermediate_size=16, vector_quantization_hidden_dimension=8,
        num_quantizers=2, num_semantic_quantizers=1, upsample_groups=16, sampling_rate=24_000,
        frame_rate=750,
    )  # fmt: skip
    return t.MimiModel(config), t.EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000)


def _whisper(t: Any) -> tuple[Any, Any]:
    config = t.WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        suppress_tokens=[], begin_suppress_tokens=[],
    )  # fmt: skip
    return t.WhisperModel(config), t.WhisperFeatureExtractor()


def _ast(t: Any) -> tuple[Any, Any]:
    config = t.ASTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                         intermediate_size=16, max_length=128, num_mel_bins=32)  # fmt: skip
    return t.ASTModel(config), t.ASTFeatureExtractor(max_length=128, num_mel_bins=32)


def _speech(kind: str) -> Callable[[Any], tuple[Any, Any]]:
    def make(t: Any) -> tuple[Any, Any]:
        config = getattr(t, f"{kind}Config")(num_hidden_layers=2, **SPEECH)
        heard = t.Wav2Vec2FeatureExtractor(sampling_rate=24_000)  # MERT's rate
        return getattr(t, f"{kind}Model")(config), heard

    return make


MODELS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "clap": clap,
    "encodec": encodec,
    "encodec-stereo": _encodec_stereo,
    "dac": _dac,
    "mimi": _mimi,
    "whisper": _whisper,
    "ast": _ast,
    "hubert": _speech("Hubert"),
    "wavlm": _speech("WavLM"),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a folder of a model by name, written once."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("zoo")

    def folder(name: str) -> Path:
        place = root / name
        if not place.exists():
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model, heard = MODELS[name](transformers)
                for weights in model.parameters():  # fresh ones hardly tell two clips apart
                    if weights.ndim > 1:
                        torch.nn.init.kaiming_normal_(weights)
                for key, values in model.named_buffers():
                    if key.endswith("codebook.embed"):  # all zero when fresh
                        values.normal_()
            model.eval().save_pretrained(place)
            heard.save_pretrained(place)
        return place

    return folder


def truth(name: str, folder: Path, clip: Any) -> Any:
    """What the model's own parts compute of one clip, by hand: [D]."""
    import torch
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    heard = transformers.AutoFeatureExtractor.from_pretrained(folder)
    x = torch.from_numpy(clip)[None, None]
    if name == "dac":  # its extractor fills the last hop
        x = torch.nn.functional.pad(x, (0, -len(clip) % 8))
    with torch.no_grad():
        if name in ("encodec", "dac"):
            return model.encoder(x).mean(dim=2)[0].numpy()
        if name == "mimi":
            if hasattr(model, "encoder_transformer") and not hasattr(model.encoder, "downsample"):
                states = model.encoder_transformer(model.encoder(x).transpose(1, 2))[0]
                return model.downsample(states.transpose(1, 2)).mean(dim=2)[0].numpy()
            return model.encoder(x).latents.mean(dim=2)[0].numpy()
        inputs = heard(clip, sampling_rate=heard.sampling_rate, return_tensors="pt")
        if name == "clap":
            pooled = model.audio_model(**inputs).pooler_output
            return torch.nn.functional.normalize(model.audio_projection(pooled), dim=-1)[0].numpy()
        if name == "whisper":
            model = model.encoder
        return model(**inputs).last_hidden_state.mean(dim=1)[0].numpy()


@pytest.mark.parametrize(
    ("name", "size", "rate", "words"),
    [
        ("clap", 12, 48_000, "12 values, audio features pooled"),
        ("encodec", 16, 24_000, "Hz, latents before quantisation pooled"),
        ("dac", 32, 24_000, "Hz, latents before quantisation pooled"),
        ("mimi", 16, 24_000, "Hz, latents before quantisation pooled"),
        ("whisper", 16, 16_000, "last hidden state pooled"),
        ("ast", 16, 16_000, "last hidden state pooled"),
        ("hubert", 32, 24_000, "32 values, last hidden state pooled"),
        ("wavlm", 32, 24_000, "32 values, last hidden state pooled"),
    ],
)
def test_each_class_of_model(
    name: str, size: int, rate: int, words: str, zoo: Callable[[str], Path], clips: Any
) -> None:
    folder = zoo(name)
    found = resolve(f"hf:{folder}")
    assert found.sample_rate == rate
    assert words in found.matched
    z = embed(found, clips, KEYS).vectors
    assert z.shape == (3, size)
    want = np.stack([truth(name, folder, clip) for clip in clips])
    spread = np.ptp(want, axis=0).max()
    assert np.abs(z - want).max() < 0.01 * spread, "and clips are told apart"
    assert steadiness(found).state == "steady"


def test_a_stereo_codec_hears_the_one_channel_twice(zoo: Callable[[str], Path], clips: Any) -> None:
    """EnCodec at 48 kHz: two channels, chunks of 1 s, each by its own level; no frame of padding.

    The truth: each chunk of the clip by hand, with the same sound on both channels.
    """
    import torch
    import transformers

    folder = zoo("encodec-stereo")
    found = resolve(f"hf:{folder}")
    assert found.sample_rate == 48_000
    clip = np.tile(clips[0], 3)[:96_000]
    z = embed(found, clip[None], KEYS[:1]).vectors[0]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    stride, length, hop = 47_520, 48_000, 16
    parts = []
    with torch.no_grad():
        for start in range(0, len(clip), stride):
            chunk = clip[start : start + length]
            padded = np.pad(chunk, (0, length - len(chunk)))
            x = torch.from_numpy(np.stack([padded, padded]))[None]
            x = x / (x.mean(dim=1).pow(2).mean().sqrt() + 1e-8)
            parts.append(model.encoder(x)[..., : len(chunk) // hop])
    want = torch.cat(parts, dim=2).mean(dim=2)[0].numpy()
    assert z == pytest.approx(want, rel=1e-4, abs=1e-5)


def test_no_layers_of_a_codec(zoo: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="a codec has no layers to name; leave --layer out"):
        resolve(f"hf:{zoo('dac')}", layer=1)


def test_a_checkpoint_in_half_precision_is_computed_in_single(
    zoo: Callable[[str], Path], tmp_path: Path, clips: Any
) -> None:
    """Weights rounded to float16 and bfloat16, then all in float32: within their rounding."""
    import torch
    import transformers

    folder = zoo("hubert")
    whole = embed(resolve(f"hf:{folder}"), clips, KEYS).vectors
    for dtype in (torch.float16, torch.bfloat16):
        half = tmp_path / str(dtype)
        model = transformers.AutoModel.from_pretrained(folder).to(dtype)
        model.save_pretrained(half)
        transformers.AutoFeatureExtractor.from_pretrained(folder).save_pretrained(half)
        found = resolve(f"hf:{half}")
        z = embed(found, clips, KEYS).vectors
        weights = model.float().eval()
        want = []
        with torch.no_grad():
            for clip in clips:
                x = torch.from_numpy((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7))[None]
                want.append(weights(x).last_hidden_state.mean(dim=1)[0].numpy())
        assert z == pytest.approx(np.stack(want), rel=1e-3, abs=1e-4)
        assert not np.array_equal(z, whole)
        assert examine(found).fit


@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_layers_of_clap(zoo: Callable[[str], Path], clips: Any, layer: str) -> None:
    """Its hidden states are maps, [channels, frequency, time]: each channel's mean is a value."""
    import torch
    import transformers

    folder = zoo("clap")
    found = resolve(f"hf:{folder}", layer=layer)
    assert f"layer {layer} pooled" in found.matched
    z = embed(found, clips, KEYS).vectors
    model = transformers.AutoModel.from_pretrained(folder).eval()
    heard = transformers.AutoFeatureExtractor.from_pretrained(folder)
    want = []
    for clip in clips:
        inputs = heard(clip, sampling_rate=heard.sampling_rate, return_tensors="pt")
        with torch.no_grad():
            states = model.audio_model(**inputs, output_hidden_states=True).hidden_states
        state = states[int(layer)]
        assert state.ndim in (3, 4)
        want.append((state.mean(dim=(2, 3)) if state.ndim == 4 else state.mean(dim=1))[0].numpy())
    assert z.shape == np.shape(want)
    assert np.abs(z - want).max() < 0.01 * np.ptp(want, axis=0).max()


def test_every_layer_of_clap(zoo: Callable[[str], Path], clips: Any) -> None:
    from nearkin.encoders import resolve_all

    found = resolve_all(f"hf:{zoo('clap')}", layer="all")
    assert len(found) == 3
    for one in found:
        assert np.isfinite(embed(one, clips, KEYS).vectors).all()
