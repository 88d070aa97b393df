"""Every SPEC form: foreign models written to their own published interfaces, never to ours.

torch, transformers and onnx are asked for where a test needs them, and skipped without: they are no
part of the extra ``test``.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearkin
from conftest import RATE, tune
from nearkin.encoders import EncoderError, Key, embed, resolve, resolve_all
from nearkin.encoders.calling.answers import Reading, read_answer
from nearkin.encoders.calling.windows import cut
from nearkin.encoders.check import examine
from nearkin.errors import InputError

KEYS = [Key(f"clip{i}", "OG", 0.0) for i in range(3)]

HEAR = '''
"""A HEAR submission as the challenge publishes its API; it knows nothing of nearkin."""
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    embedding_size = 8
    scene_embedding_size = 8
    timestamp_embedding_size = 8
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.projection = torch.nn.Parameter(torch.randn(400, 8, generator=generator))
    def forward(self, x):
        return x

def load_model(model_file_path: str = "") -> torch.nn.Module:
    model = Model()
    if model_file_path:
        model.load_state_dict(torch.load(model_file_path, weights_only=True))
    return model

def get_timestamp_embeddings(audio, model):
    frames = audio[:, : audio.shape[1] // 400 * 400].reshape(len(audio), -1, 400)
    embeddings = (frames @ model.projection).abs()
    times = 25.0 * torch.arange(frames.shape[1]).repeat(len(audio), 1) + 12.5
    return embeddings, times

def get_scene_embeddings(audio, model):
    embeddings, _ = get_timestamp_embeddings(audio, model)
    return torch.mean(embeddings, dim=1)
'''

XARES = """
import torch

class Encoder(torch.nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.sampling_rate = 16000
        self.output_dim = 400
        self.hop_size_in_ms = 25
        self.scale = scale
    def forward(self, audio):
        assert audio.ndim == 2
        return self.scale * audio[:, : audio.shape[1] // 400 * 400].reshape(len(audio), -1, 400)
"""


@pytest.fixture(scope="module")
def clips() -> Any:
    return np.stack([tune(seed, seconds=2) for seed in range(3)])


def frames_of(clips: Any) -> Any:
    return clips[:, : clips.shape[1] // 400 * 400].reshape(len(clips), -1, 400)


# -- HEAR and X-ARES -------------------------------------------------------------------------------


def test_hear_module(tmp_path: Path, clips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "hear_submission.py").write_text(HEAR)
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve("hear:hear_submission")
    assert found.matched == "matched a HEAR module: 16000 Hz, 8 values"
    assert found.sample_rate == 16_000
    z = embed(found, clips, KEYS).vectors
    projection = torch.randn(400, 8, generator=torch.Generator().manual_seed(0)).numpy()
    truth = np.abs(frames_of(clips) @ projection).mean(axis=1)
    assert z == pytest.approx(truth, rel=1e-4, abs=1e-5)
    for spec in ("hear_submission", f"{tmp_path}/hear_submission.py", "hear_submission:Model",
                 f"hear:{tmp_path}/hear_submission.py"):  # fmt: skip
        other = resolve(spec)
        assert "HEAR mod" in other.matched, spec
        assert np.array_equal(embed(other, clips, KEYS).vectors, z)
    assert resolve(sys.modules["hear_submission"]).matched.startswith("matched a HEAR module")


def test_hear_weights(tmp_path: Path, clips: Any) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "weighted.py").write_text(HEAR)
    weights = tmp_path / "weights.safe"
    torch.save({"projection": torch.zeros(400, 8)}, weights)
    found = resolve(f"hear:{tmp_path}/weighted.py@{weights}")
    assert not embed(found, clips, KEYS).vectors.any()
    assert len(found.sha256) == 64
    with pytest.raises(InputError, match="check the path after '@'"):
        resolve(f"hear:{tmp_path}/weighted.py@nowhere.pt")
    with pytest.raises(InputError, match="load_model\\(\\) raised"):
        resolve(f"hear:{tmp_path}/weighted.py@{tmp_path}/weighted.py")


def test_hear_module_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "half.py"
    path.write_text("def get_scene_embeddings(audio, model): ...\n")
    with pytest.raises(InputError, match="is no HEAR module; it must have load_model"):
        resolve(f"hear:{path}")
    with pytest.raises(InputError, match="but not what in it is the encoder"):
        resolve(str(path))
    path = tmp_path / "sizeless.py"
    path.write_text(HEAR.replace("scene_embedding_size = 8", "scene_size = 8"))
    with pytest.raises(InputError, match="the HEAR model has scene_embedding_size=None"):
        resolve(f"hear:{path}")


def test_xares(tmp_path: Path, clips: Any) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "xares_encoder.py"
    path.write_text(XARES)
    found = resolve(f"{path}:Encoder", options={"scale": 2.0}, pool="max")
    assert found.matched == (
        "matched an X-ARES encoder: 16000 Hz, 400 values over time, pooled by max"
    )
    assert np.array_equal(embed(found, clips, KEYS).vectors, (2 * frames_of(clips)).max(axis=1))
    path.write_text(XARES.replace("self.output_dim = 400", "self.output_dim = 399"))
    with pytest.raises(EncoderError, match="returned 400 values but declares output_dim=399"):
        embed(resolve(f"{path}:Encoder"), clips, KEYS)


def test_our_form_goes_before_the_others(clips: Any) -> None:
    class All:
        sample_rate = sampling_rate = RATE
        embedding_size = output_dim = scene_embedding_size = 2

        def embed(self, audio: Any) -> Any:
            return audio[:, :2]

        def __call__(self, audio: Any) -> Any:
            raise AssertionError

    assert resolve(All()).matched == f"an object with embed(): {RATE} Hz, 2 values"
    assert np.array_equal(embed(resolve(All()), clips, KEYS).vectors, clips[:, :2])


# -- TorchScript and pickles -----------------------------------------------------------------------


def scripted(path: Path) -> Any:
    """A small torch module, saved as TorchScript."""
    torch = pytest.importorskip("torch")
    model = small_network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, torch.zeros(2, 16_000)).save(str(path))
    return model


def small_network() -> Any:
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # no biases: they would make all directions alike, and ranks hang on the last bit
            self.conv = torch.nn.Conv1d(1, 16, 64, stride=32, bias=False)
            self.head = torch.nn.Linear(16, 12, bias=False)

        def forward(self, x: Any) -> Any:
            hidden = torch.relu(self.conv(x[:, None, :]))
            return self.head(torch.log1p(1e3 * hidden.pow(2).mean(dim=2)))

    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Network().eval()


def test_torchscript(tmp_path: Path, clips: Any) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pt"
    model = scripted(path)
    found = resolve(f"torchscript:{path}", sample_rate=16_000, trust=True)
    assert found.matched.startswith("matched a TorchScript archive, whose code you trust")
    assert "16000 Hz (the file states none), takes [batch, samples]" in found.matched
    with torch.no_grad():
        truth = model(torch.from_numpy(clips)).numpy()
    assert embed(found, clips, KEYS).vectors == pytest.approx(truth, abs=1e-6)
    with pytest.raises(InputError, match=r"which is code; write torchscript:.* and --trust"):
        resolve(str(path))
    other = resolve(f"torchscript:{path}", options={"sample_rate": 8_000, "trust": True})
    assert other.sample_rate == 8_000
    with pytest.raises(InputError, match="unknown option 'layers': did you mean 'layer'"):
        resolve(f"torchscript:{path}", options={"layers": 1})


class Bomb:
    """Unpickling it leaves a mark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt", ".bin", ".joblib"])
@pytest.mark.parametrize("prefix", ["", "torchscript:"])
def test_pickles_are_never_opened(suffix: str, prefix: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(InputError, match=r"can run any code.*torch.onnx.export"):
        resolve(f"{prefix}{path}")
    assert not mark.exists()


def test_a_pickled_torch_checkpoint_is_no_torchscript(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(InputError, match="is no TorchScript archive"):
        resolve(f"torchscript:{path}")
    with pytest.raises(InputError, match=r"a \.pt file may be a pickle"):
        resolve(str(path))


@pytest.mark.filterwarnings("ignore")
def test_torchscript_in_half_precision(tmp_path: Path, clips: Any) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "whole.pt"
    model = scripted(path)
    half = torch.jit.load(str(path)).half()
    half.save(str(tmp_path / "half.pt"))
    found = resolve(f"torchscript:{tmp_path}/half.pt", trust=True)
    with torch.no_grad():
        truth = model.half().float()(torch.from_numpy(clips)).numpy()
    assert embed(found, clips, KEYS).vectors == pytest.approx(truth, abs=1e-6)


# -- ONNX ------------------------------------------------------------------------------------------


def graph(
    path: Path, *, shape: list[Any], answer: list[Any], nodes: Any, outputs: int = 1,
    metadata: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """Write an ONNX file whose input is `x` and whose outputs are `y0`, `y1` ..."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    made = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes],
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(f"y{i}", kind, answer) for i in range(outputs)],
        [
            helper.make_tensor("frames", onnx.TensorProto.INT64, [3], [0, -1, 4]),
            helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [-1]),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


RESHAPE = [("Reshape", ["x", "frames"], ["y0"], {})]
SQUARE = [("Mul", ["x", "x"], ["s"], {}), ("ReduceMean", ["s", "axis"], ["y0"], {"keepdims": 1})]


def test_onnx_with_symbolic_lengths(tmp_path: Path, clips: Any) -> None:
    path = graph(tmp_path / "a.onnx", shape=["batch", "time"], answer=["batch", "frames", 4],
                 nodes=RESHAPE, metadata={"sample_rate": "16000"})  # fmt: skip
    found = resolve(str(path))
    assert found.matched == "matched an ONNX graph: 16000 Hz, any length"
    truth = clips.reshape(3, -1, 4).mean(axis=1)
    assert embed(found, clips, KEYS).vectors == pytest.approx(truth, abs=1e-6)
    assert resolve(str(path), options={"sample_rate": 8_000}).sample_rate == 8_000


def test_onnx_of_one_clip(tmp_path: Path, clips: Any) -> None:
    path = graph(tmp_path / "b.onnx", shape=["time"], answer=[1], nodes=SQUARE)
    found = resolve(str(path))
    assert found.matched == f"matched an ONNX graph: {RATE} Hz (the file states none), any length"
    truth = (clips.astype(float) ** 2).mean(axis=1, keepdims=True)
    assert embed(found, clips, KEYS).vectors == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("batch", [1, 2, "batch"])
def test_onnx_of_one_length(batch: Any, tmp_path: Path, clips: Any) -> None:
    n = 20_000
    path = graph(tmp_path / "c.onnx", shape=[batch, n], answer=[batch, 1], nodes=SQUARE)
    found = resolve(str(path))
    assert f"{n} samples, longer clips in windows" in found.matched
    starts = (0, 12_050, 24_100)
    windows = np.stack([clips[:, s : s + n] for s in starts], axis=1).astype(float)
    truth = (windows**2).mean(axis=2).mean(axis=1, keepdims=True)
    assert embed(found, clips, KEYS).vectors == pytest.approx(truth, rel=1e-5)
    short = clips[:, :15_000]
    with pytest.raises(EncoderError, match=r"takes 20000 samples .* pass --pad zero or --pad loop"):
        embed(found, short, KEYS)
    padded = {
        "zero": np.pad(short, ((0, 0), (0, 5_000))),
        "loop": np.concatenate([short, short[:, :5_000]], axis=1),
    }
    for pad, sound in padded.items():
        truth = (sound.astype(float) ** 2).mean(axis=1, keepdims=True)
        got = embed(resolve(str(path), pad=pad), short, KEYS).vectors
        assert got == pytest.approx(truth, rel=1e-5)


def test_onnx_shapes_that_cannot_be_told_apart(tmp_path: Path, clips: Any) -> None:
    path = graph(tmp_path / "d.onnx", shape=[1, 8_000], answer=[1, 2_000, 4], nodes=RESHAPE)
    with pytest.raises(EncoderError, match=r"shape \[1, 2000, 4\].*time_axis"):
        embed(resolve(str(path)), clips[:, :8_000], KEYS)
    for axis in (1, 2):
        found = resolve(str(path), options={"time_axis": axis})
        truth = clips[:, :8_000].reshape(3, 2_000, 4).mean(axis=axis)
        assert embed(found, clips[:, :8_000], KEYS).vectors == pytest.approx(truth, abs=1e-6)
    several = graph(tmp_path / "e.onnx", shape=["b", "t"], answer=["b", "t"], outputs=2,
                    nodes=[("Neg", ["x"], ["y0"], {}), ("Abs", ["x"], ["y1"], {})])  # fmt: skip
    with pytest.raises(EncoderError, match=r"several outputs \(y0 \[1, 44100\], y1 \[1, 44100\]\)"):
        embed(resolve(str(several)), clips, KEYS)
    chosen = resolve(str(several), options={"output": "y1"})
    assert np.array_equal(embed(chosen, clips, KEYS).vectors, np.abs(clips))
    assert [e.name for e in resolve_all(str(several), layer="all")] == ["e layer 0", "e layer 1"]


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [(["b", 96, 64], "must be a waveform"), (["b", "t", "c", 1], "must be a waveform")],
)
def test_onnx_that_takes_no_waveform(shape: list[Any], sentence: str, tmp_path: Path) -> None:
    path = graph(tmp_path / "f.onnx", shape=shape, answer=shape,
                 nodes=[("Neg", ["x"], ["y0"], {})])  # fmt: skip
    with pytest.raises(InputError, match=sentence):
        resolve(str(path))


def test_onnx_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match="onnxruntime cannot open it"):
        resolve(str(path))
    with pytest.raises(InputError, match=r"no file .*nowhere"):
        resolve("nowhere.onnx")
    with pytest.raises(InputError, match="device 'mps' is not there"):
        resolve(str(path), device="mps")


# -- the other half of HEAR ------------------------------------------------------------------------


def test_timestamps_are_audited(tmp_path: Path, clips: Any) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "stamps.py"
    faults = {
        "25.0 * torch.arange": "",
        "0.025 * torch.arange": "must be milliseconds",
        "-25.0 * torch.arange": "times do not grow",
        "torch.zeros(1) * torch.arange": "times do not grow",
    }
    for number, (change, sentence) in enumerate(faults.items()):
        path = tmp_path / f"stamps{number}.py"
        path.write_text(HEAR.replace("25.0 * torch.arange", change).replace("12.5", "0.0"))
        audit: Any = resolve(str(path)).encoder
        told = "; ".join(audit.audit(clips[:, :32_000]))
        assert sentence in told
        assert bool(sentence) == bool(told)
    path = tmp_path / "sized.py"
    path.write_text(HEAR.replace("timestamp_embedding_size = 8", "timestamp_embedding_size = 9"))
    encoder: Any = resolve(str(path)).encoder
    assert "must be [3, n_timestamps, timestamp_embedding_size=9]" in encoder.audit(clips)[0]


def test_timestamps_that_are_wrong_make_no_tagger_unfit(tmp_path: Path) -> None:
    """Its scene embeddings are sound, and they alone are used."""
    pytest.importorskip("torch")
    path = tmp_path / "tagger.py"
    wrong = HEAR.replace("25.0 * torch.arange", "0.025 * torch.arange").replace("12.5", "0.0")
    path.write_text(wrong)
    result = examine(resolve(str(path)))
    told = {check.name: check for check in result.checks}
    assert told["timestamps"].verdict == "note"
    assert "must be milliseconds (nearkin does not use them)" in told["timestamps"].seen
    assert result.fit
    path = tmp_path / "whole.py"
    path.write_text(HEAR)
    told = {check.name: check for check in examine(resolve(str(path))).checks}
    assert told["timestamps"] == ("timestamps", "ok", "as HEAR")


# -- one network, three files ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_torchscript_and_onnx_of_one_module_are_as_consistent(tmp_path: Path, music: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    network = scripted(tmp_path / "traced.pt")
    length = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        network, (torch.zeros(2, 16_000),), str(tmp_path / "graph.onnx"), dynamo=True,
        dynamic_shapes=({0: length, 1: length},), external_data=False, verbose=False,
    )  # fmt: skip
    (tmp_path / "g.yaml").write_text("{PN: [-15, 6, 30], PS: [-12, 2], MP: [8]}")
    specs = [f"torchscript:{tmp_path}/traced.pt", f"{tmp_path}/graph.onnx"]
    result = nearkin.evaluate(
        specs, music, grid=str(tmp_path / "g.yaml"), sample_rate=16_000, resamples=100, trust=True
    )
    table = result.consistency.set_index(
        ["measure", "audio_distance", "latent_distance", "transformation", "magnitude", "side"]
    )
    parts = [table[table["encoder"] == name]["value"] for name in ("traced", "graph")]
    assert len(parts[0]) > 50
    assert parts[0].to_numpy() == pytest.approx(parts[1].to_numpy(), abs=1e-5, nan_ok=True)
    assert parts[0].std() > 0.05


# -- shapes and windows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "how", "sentence"),
    [
        (np.ones((2, 5, 7)), Reading(), "cannot be told apart: pass .*time_axis"),
        (np.ones((2, 7, 5)), Reading(size=7), r"declares embedding_size=7, the axis where time"),
        ([np.ones((2, 5, 7))] * 9, Reading(), r"returned 9 arrays .* choose one with --layer 0 to"),
        (np.ones((2, 7)), Reading(layer=1), "has no layers; leave --layer out"),
        ({"a": np.ones((2, 7)), "b": np.ones((2, 3))}, Reading(), r"a \[2, 7\], b \[2, 3\]"),
        ({"a": np.ones((2, 7))}, Reading(output="c"), r"has no output 'c': it returned a \[2, 7\]"),
        (np.ones((2, 7)), Reading(output=1), "has no output 1"),
        (np.ones((2, 3, 4, 5)), Reading(), r"returned shape \[2, 3, 4, 5\] for a batch of 2"),
        (np.ones((2, 5, 7)), Reading(time_axis=0), "must be 1 or 2"),
    ],
)
def test_what_cannot_be_read(answer: Any, how: Reading, sentence: str) -> None:
    with pytest.raises(EncoderError, match=sentence):
        read_answer(answer, n_rows=2, single=False, how=how)


def test_what_can_be_read() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)

    def read(answer: Any, single: bool = False, **how: Any) -> Any:
        return read_answer(answer, n_rows=len(x) - single, single=single, how=Reading(**how))[0]

    mean = x.mean(axis=1)
    assert read(x, size=7) == pytest.approx(mean)
    assert read(x.transpose(0, 2, 1), time_axis=2) == pytest.approx(mean)
    assert read((x,), size=7) == pytest.approx(mean)
    assert read([x, 2 * x], size=7, layer=1) == pytest.approx(2 * mean)
    assert read({"last": x, "other": None}, size=7) == pytest.approx(mean)
    assert read({"hidden_states": (x, 3 * x)}, layer=-1, time_axis=1) == pytest.approx(3 * mean)
    assert read(x[0, 0], single=True) == pytest.approx(x[:1, 0])
    assert read(x[0], single=True, time_axis=1) == pytest.approx(mean[:1])
    assert read(x[:1], single=True, time_axis=1) == pytest.approx(mean[:1])
    assert read(mean.tolist()) == pytest.approx(mean)


@pytest.mark.parametrize(("n", "length"), [(10, 3), (9, 3), (7, 7), (8, 7), (100, 7)])
def test_windows_cover_the_clip(n: int, length: int) -> None:
    clip = np.arange(n, dtype=np.float32)[None]
    windows = cut(clip, length=length, pad=None, sample_rate=1)[0]
    assert len(windows) == -(-n // length)
    assert set(windows.ravel()) == set(clip.ravel())
    assert all((np.diff(window) == 1).all() for window in windows)


def test_batches_are_halved_until_they_fit(clips: Any) -> None:
    seen = []

    class Small:
        sample_rate = RATE
        embedding_size = 2

        def embed(self, audio: Any) -> Any:
            seen.append(len(audio))
            if len(audio) > 5:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return audio[:, :2]

    many = np.concatenate([clips] * 10)
    found = resolve(Small())
    keys = [Key(str(i), "OG", 0.0) for i in range(30)]
    assert np.array_equal(embed(found, many, keys).vectors, many[:, :2])
    assert seen == [30, 15, 7, *[3] * 10]
    seen.clear()
    embed(found, many, keys)
    assert seen == [3] * 10, "the size found is kept"


@pytest.mark.parametrize(
    ("handling", "sentence"),
    [
        ({"pool": "maen"}, "did you mean 'mean'"),
        ({"pad": "zeros"}, "did you mean 'zero'"),
        ({"layer": "first"}, "must be an integer .* or 'all'"),
        ({"device": "cudda"}, "did you mean 'cuda'"),
        ({"sample_rate": 0}, "must be an integer > 0"),
    ],
)
def test_handling_that_is_wrong(handling: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolve("mfcc", **handling)
