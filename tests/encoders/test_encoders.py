"""Encoders: the contract every one passes, what is recognised, and what breaks the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import RATE, tune
from nearkin.encoders import ENCODERS, TRAINED, EncoderError, Key, embed, resolve
from nearkin.encoders.protocol import pool
from nearkin.errors import InputError

KEYS = [Key(f"clip{i}", "OG", 0.0) for i in range(3)]


@pytest.fixture(scope="module")
def clips() -> Any:
    return np.stack([tune(seed, seconds=2) for seed in range(3)])


@pytest.mark.parametrize("name", ENCODERS)
def test_contract(name: str, clips: Any) -> None:
    encoder = resolve(name)
    before = clips.copy()
    batch = embed(encoder, clips, KEYS)
    assert batch.status == ("ok",) * 3
    assert batch.vectors.dtype == np.float32
    assert batch.vectors.shape == (3, encoder.encoder.embedding_size)
    assert np.array_equal(clips, before)
    again = embed(encoder, clips, KEYS)
    assert np.array_equal(batch.vectors, again.vectors)
    one_by_one = [embed(encoder, clips[i : i + 1], KEYS[i : i + 1]).vectors[0] for i in range(3)]
    assert np.array_equal(batch.vectors, np.stack(one_by_one)), "a batch must equal a loop"


def test_mfcc_is_what_the_paper_says(clips: Any) -> None:
    """Held to librosa and plain numpy: 24 coefficients, two differences, mean and deviation."""
    import librosa

    z = embed(resolve("mfcc"), clips[:1], KEYS[:1]).vectors[0]
    m = librosa.feature.mfcc(y=clips[0], sr=RATE, n_mfcc=25, n_fft=1024, hop_length=256)[1:]
    parts = [m, np.diff(m, axis=1), np.diff(m, n=2, axis=1)]
    truth = [stat(part, axis=1) for part in parts for stat in (np.mean, np.std)]
    assert sorted(z) == pytest.approx(sorted(np.concatenate(truth)), rel=1e-4, abs=1e-4)


def test_the_projection_keeps_distances(clips: Any) -> None:
    """Johnson-Lindenstrauss: 256 dimensions keep distances within about 4 / sqrt(256)."""
    from nearkin.audio.features import log_mel

    z = embed(resolve("random"), clips, KEYS).vectors
    x = np.stack([log_mel(clip, sr=RATE).ravel() for clip in clips])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        ratio = np.linalg.norm(z[i] - z[j]) / np.linalg.norm(x[i] - x[j])
        assert ratio == pytest.approx(1, abs=0.25)


def test_a_name_of_before_is_an_alias(clips: Any) -> None:
    """Same numbers under both names, one name in tables; one encoder cannot be asked for twice."""
    old, new = resolve("random"), resolve("logmel-projection")
    assert old.name == old.spec == new.name == "logmel-projection"
    assert np.array_equal(embed(old, clips, KEYS).vectors, embed(new, clips, KEYS).vectors)
    assert "random" not in set(ENCODERS)


def test_the_projection_depends_on_its_seed(clips: Any) -> None:
    one = embed(resolve("random"), clips, KEYS).vectors
    two = embed(resolve("random", options={"seed": 1}), clips, KEYS).vectors
    assert not np.allclose(one, two)


def test_attribute_forms(tmp_path: Path, clips: Any) -> None:
    code = tmp_path / "forms.py"
    code.write_text(
        "import numpy as np\n"
        "class Encoder:\n"
        "    sample_rate = 16000\n"
        "    embedding_size = 4\n"
        "    def __init__(self, scale=1.0):\n"
        "        self.scale = scale\n"
        "    def embed(self, audio):\n"
        "        return self.scale * audio[:, :4]\n"
        "instance = Encoder(2.0)\n"
        "def function(audio, sample_rate):\n"
        "    return audio[:12].reshape(3, 4)\n"
    )
    found = resolve(f"{code}:Encoder", options={"scale": 3.0})
    assert found.sample_rate == 16_000
    assert found.name == "forms:Encoder"
    assert found.matched == "a class with embed(): 16000 Hz, 4 values"
    assert np.array_equal(embed(found, clips, KEYS).vectors, 3 * clips[:, :4])
    assert np.array_equal(embed(resolve(f"{code}:instance"), clips, KEYS).vectors, 2 * clips[:, :4])
    pooled = embed(resolve(f"{code}:function", pool="max"), clips, KEYS).vectors
    assert np.array_equal(pooled, clips[:, :12].reshape(3, 3, 4).max(axis=1))
    assert resolve(f"{code}:function", sample_rate=8_000).sample_rate == 8_000
    with pytest.raises(InputError, match="only a class takes options"):
        resolve(f"{code}:function", options={"scale": 1})
    with pytest.raises(InputError, match="TypeError while constructing it"):
        resolve(f"{code}:Encoder", options={"size": 1})


def test_objects_and_installed_modules() -> None:
    assert resolve("numpy:mean").matched.startswith("a plain callable")
    assert resolve(np.mean).name == "mean"
    with pytest.raises(InputError, match="int is no encoder"):
        resolve(3)


@pytest.mark.parametrize("how", ["mean", "max", "meanstd", "first"])
def test_pooling_is_numpy(how: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    truth = {
        "mean": x.mean(axis=1),
        "max": x.max(axis=1),
        "first": x[:, 0],
        "meanstd": np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1),
    }[how]
    assert pool(x, how=how) == pytest.approx(truth, abs=1e-6)


class Picky:
    """Raises on a marked clip."""

    sample_rate = RATE
    embedding_size = 2

    def embed(self, audio: Any) -> Any:
        if (audio[:, 0] > 0.5).any():
            raise ValueError("clip begins too loudly")
        return audio[:, :2]


def test_one_bad_clip_costs_one_row(clips: Any) -> None:
    audio = clips.copy()
    audio[1, 0] = 0.9
    found = embed(resolve(Picky()), audio, KEYS)
    assert found.status == ("ok", "raised ValueError: clip begins too loudly", "ok")
    assert np.isnan(found.vectors[1]).all()
    assert np.array_equal(found.vectors[[0, 2]], audio[[0, 2], :2])
    audio[:, 0] = 0.9
    with pytest.raises(EncoderError, match="clip begins too loudly"):
        embed(resolve(Picky()), audio, KEYS)


def test_one_answer_that_cannot_be_read_costs_one_row(clips: Any) -> None:
    def moody(clip: Any, sample_rate: int) -> Any:
        return clip[:0] if clip[0] > 0.5 else clip[:2]

    audio = clips.copy()
    audio[1, 0] = 0.9
    found = embed(resolve(moody), audio, KEYS)
    assert found.status == ("ok", "returned shape [0] for one clip: must be [D] or [T, D]", "ok")
    assert np.array_equal(found.vectors[[0, 2]], audio[[0, 2], :2])


def test_rows_that_are_not_finite_are_marked(clips: Any) -> None:
    class Holes(Picky):
        def embed(self, audio: Any) -> Any:
            z = audio[:, :2].astype(np.float64)
            z[1] = 1e300
            return z

    found = embed(resolve(Holes()), clips, KEYS)
    assert found.status[1] == "returned NaN or infinite values"
    assert found.status[0] == found.status[2] == "ok"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (np.ones(3), r"returned shape \[3\] for a batch of 3"),
        (np.ones((2, 2)), r"returned shape \[2, 2\] for a batch of 3"),
        (np.ones((3, 0)), r"returned shape \[3, 0\]"),
        (np.ones((3, 5)), "returned 5 values but declares embedding_size=2"),
        (np.ones((3, 2), complex), "returned dtype complex128"),
        ("text", "returned dtype <U4"),
        ([[1, 2], [3]], "returned list \\(.*\\): must be an array"),
    ],
)
def test_broken_answers(answer: Any, sentence: str, clips: Any) -> None:
    class Broken(Picky):
        def embed(self, audio: Any) -> Any:
            return answer

    with pytest.raises(EncoderError, match=sentence):
        embed(resolve(Broken()), clips, KEYS)


def test_trained_references_are_what_they_say(clips: Any) -> None:
    for name in TRAINED:
        encoder = resolve(name)
        assert (encoder.name, encoder.task, encoder.trial) == ("vgg", name[-2:], 1)
        assert encoder.label == name
        assert len(encoder.sha256) == 64
        vectors = embed(encoder, clips, KEYS).vectors
        assert vectors.shape == (3, 256)
        assert (vectors >= 0).all(), "the latent layer ends in ReLU"
        assert np.ptp(vectors, axis=0).max() > 0.1
    with pytest.raises(EncoderError, match=r"22050 samples: must have at least 32512 \(1\.47 s\)"):
        embed(resolve("vgg-at"), clips[:, :22_050], KEYS)


def test_a_trained_references_file_is_an_encoder_too(clips: Any) -> None:
    """The shipped file given by its path: what ``nearkin train`` exports says what it is."""
    from nearkin.encoders.references.trained import WEIGHTS

    given = resolve(str(WEIGHTS / "vgg-ir.onnx"))
    assert (given.name, given.task, given.trial, given.sample_rate) == ("vgg", "ir", 1, 22_050)
    named = resolve("vgg-ir")
    assert given.sha256 == named.sha256
    assert np.array_equal(embed(given, clips, KEYS).vectors, embed(named, clips, KEYS).vectors)


def test_every_trained_reference_has_a_card_and_a_size() -> None:
    from nearkin.encoders.references.trained import WEIGHTS

    for name in TRAINED:
        assert (WEIGHTS / f"{name}.onnx").stat().st_size <= 8_000_000
        card = (WEIGHTS / f"{name}.md").read_text("utf-8")
        for said in ("trained on", "hash", "epochs", "chance", "MFCC"):
            assert said in card, (name, said)


def test_own_weights(tmp_path: Path, clips: Any) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from nearkin.networks.files import Model, save
    from nearkin.networks.network import NetworkConfig, build

    network = build(NetworkConfig("vgg", "mask"), seed=3).eval()
    path = tmp_path / "mine.safetensors"
    save(path, Model("vs", "vgg", "mask", network, trial=4, steps=7))
    encoder = resolve(str(path))
    assert (encoder.name, encoder.task, encoder.trial) == ("vgg", "vs", 4)
    assert "7 steps" in encoder.matched
    network.to(memory_format=torch.channels_last)  # as training has it: other sums, other digits
    with torch.no_grad():
        want = np.stack([network.embed(torch.from_numpy(clip[None]))[0].numpy() for clip in clips])
    found = embed(encoder, clips, KEYS)
    assert found.status == ("ok",) * 3
    assert np.array_equal(found.vectors, want)
    path.write_bytes(b"no model")
    with pytest.raises(InputError, match="is no model of nearkin's"):
        resolve(str(path))
    with pytest.raises(InputError, match="no file"):
        resolve(str(tmp_path / "gone.safetensors"))


# -- answers of every number type ------------------------------------------------------------------


def torch_answers() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    x = torch.tensor([[0.5, -2.0, 0.0], [1.0, 4.0, 0.25], [8.0, 0.0, -0.5]])
    return {
        "bfloat16": x.bfloat16(),
        "half": x.half(),
        "double": x.double(),
        "float8_e4m3": x.to(torch.float8_e4m3fn),
        "float8_e5m2": x.to(torch.float8_e5m2),
        "sparse": x.to_sparse(),
        "sparse rows": x.to_sparse_csr(),
        "sparse bfloat16": x.to_sparse().bfloat16(),
        "quantised": torch.quantize_per_tensor(x, 0.25, 0, torch.qint8),
        "with gradient": x.clone().requires_grad_(),
    }


@pytest.mark.filterwarnings("ignore")
def test_answers_of_torchs_number_types(clips: Any) -> None:
    """All hold the same nine numbers, which every one of these types has."""
    truth = [[0.5, -2.0, 0.0], [1.0, 4.0, 0.25], [8.0, 0.0, -0.5]]
    for name, answer in torch_answers().items():

        class Answers:
            sample_rate = RATE
            embedding_size = 3

            def embed(self, audio: Any, given: Any = answer) -> Any:
                return given

        found = embed(resolve(Answers()), clips, KEYS)
        assert found.status == ("ok",) * 3, name
        assert found.vectors.tolist() == truth, name


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "coo_array"])
def test_answers_that_are_sparse_in_scipy(kind: str, clips: Any) -> None:
    import scipy.sparse

    class Answers(Picky):
        def embed(self, audio: Any) -> Any:
            return getattr(scipy.sparse, kind)(np.eye(3, 2, dtype=np.float32))

    assert embed(resolve(Answers()), clips, KEYS).vectors.tolist() == np.eye(3, 2).tolist()


def test_answers_of_types_that_are_added_to_numpy(clips: Any) -> None:
    types = pytest.importorskip("ml_dtypes")
    for name, good in (("bfloat16", True), ("float8_e4m3fn", True), ("int4", False)):

        class Answers(Picky):
            def embed(self, audio: Any, name: str = name) -> Any:
                return np.eye(3, 2).astype(getattr(types, name))

        if good:
            assert embed(resolve(Answers()), clips, KEYS).vectors.tolist() == np.eye(3, 2).tolist()
        else:
            with pytest.raises(EncoderError, match="returned dtype int4"):
                embed(resolve(Answers()), clips, KEYS)


def test_an_answer_that_has_no_values_is_named_with_its_type(clips: Any) -> None:
    torch = pytest.importorskip("torch")

    class Answers(Picky):
        def embed(self, audio: Any) -> Any:
            return torch.empty(3, 2, device="meta")

    with pytest.raises(
        EncoderError, match=r"returned Tensor of dtype torch.float32 \(.*no data.*: must be an"
    ):
        embed(resolve(Answers()), clips, KEYS)
