"""The trained references: cut in two so that they share their front end, without another byte."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.encoders.kinds.onnx import open_session
from nearkin.encoders.references import trained
from nearkin.encoders.references.halves import halves
from nearkin.encoders.resolve import TRAINED, resolve
from nearkin.errors import InputError


@pytest.fixture
def clips():
    rng = np.random.default_rng(3)
    loudness = 10.0 ** rng.uniform(-3, 0, (5, 1))
    return (loudness * rng.standard_normal((5, 44_100))).astype(np.float32)


@pytest.fixture
def spectrograms_made(monkeypatch):
    """How many clips front ends have heard since; each opens its own, nothing kept from before."""
    made = []

    class Counted(trained._Front):
        def __init__(self, graph):
            super().__init__(graph)
            session, front = self._session, self

            class Session:
                def run(self, names, feed):
                    made.append(front)
                    return session.run(names, feed)

            self._session = Session()

    monkeypatch.setattr(trained, "_Front", Counted)
    trained._network.cache_clear()
    trained._front.cache_clear()
    yield made
    trained._network.cache_clear()
    trained._front.cache_clear()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("samples", [32_512, 44_100, 50_001])
def test_halves_give_the_bytes_of_the_whole(name, samples, clips):
    encoder = resolve(name).encoder
    whole = open_session(encoder.path)
    audio = np.resize(clips, (5, samples))
    expected = [whole.run(None, {"audio": clip[None]})[0] for clip in audio]
    assert encoder.embed(audio).tobytes() == np.concatenate(expected).tobytes()


def test_the_four_share_one_spectrogram_of_every_clip(clips, spectrograms_made):
    encoders = [resolve(name).encoder for name in TRAINED]
    together = [encoder.embed(clips.copy()) for encoder in encoders]
    assert len(spectrograms_made) == len(clips)
    assert len(set(spectrograms_made)) == 1
    for encoder, vectors in zip(encoders, together, strict=True):
        alone = np.concatenate([encoder.embed(clip[None]) for clip in clips])
        assert vectors.tobytes() == alone.tobytes()


def test_a_batch_that_was_changed_is_heard_anew(clips, spectrograms_made):
    encoder = resolve("vgg-at").encoder
    first = encoder.embed(clips)
    clips[2] *= np.float32(0.25)
    clips[2, :22_050] = 0.0
    second = encoder.embed(clips)
    assert len(spectrograms_made) == 2 * len(clips)
    changed = (first != second).any(axis=1)
    assert changed.tolist() == [False, False, True, False, False]


def test_a_batch_that_is_too_large_is_not_kept(clips, spectrograms_made, monkeypatch):
    encoder = resolve("vgg-at").encoder
    kept = encoder.embed(clips)
    monkeypatch.setattr(trained, "KEPT_BYTES", 2 * clips.nbytes)
    trained._front.cache_clear()
    trained._network.cache_clear()
    assert encoder.embed(clips).tobytes() == kept.tobytes()
    encoder.embed(clips)
    assert len(spectrograms_made) == 3 * len(clips)
    (front,) = set(spectrograms_made[len(clips) :])
    assert front._last is None


def test_minus_zero_is_another_batch(clips):
    zeros = np.zeros_like(clips)
    assert not trained._same_bits(zeros, -zeros)
    assert trained._same_bits(zeros, zeros.copy())


def test_the_front_end_knows_nothing_of_the_network():
    fronts = {halves(resolve(name).encoder.path.read_bytes()).front for name in TRAINED}
    assert len(fronts) == 1
    assert len(fronts.pop()) < 100_000


def test_a_graph_without_such_a_front_end_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    value = helper.make_tensor_value_info("audio", onnx.TensorProto.FLOAT, ["n"])
    made = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n"])
    node = helper.make_node("Identity", ["audio"], ["out"])
    graph = helper.make_graph([node], "none", [value], [made])
    data = helper.make_model(graph).SerializeToString()
    with pytest.raises(InputError, match=r"0 nodes take encoder\.front\.mean: must be one"):
        halves(data)
