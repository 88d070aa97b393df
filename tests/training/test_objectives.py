"""Losses against closed forms, and what a weight of nought leaves as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from nearkin.networks.network import NetworkConfig, build  # noqa: E402
from nearkin.tasks import Batch, task  # noqa: E402
from nearkin.training import Settings, train  # noqa: E402
from nearkin.training.objectives import (  # noqa: E402
    FineTuningObjective,
    TaskObjective,
    drift,
    info_nce,
)
from support.labelled_tones import SR, make_corpus  # noqa: E402

N = round(1.5 * SR)


def test_orthogonal_embeddings_that_are_found() -> None:
    z = torch.eye(6)
    for temperature in (0.1, 1.0):
        expected = math.log(1 + 5 * math.exp(-1 / temperature))
        found = float(info_nce(7 * z, 0.2 * z, temperature=temperature))  # lengths do not count
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_nothing_is_won_by_one_vector_for_all() -> None:
    z = torch.ones(5, 3)
    assert float(info_nce(z, z)) == pytest.approx(math.log(5))
    orthogonal = torch.eye(5)
    swapped = orthogonal[[1, 0, 2, 3, 4]]  # two clips that are taken for each other
    wrong = 10 + math.log(1 + 4 * math.exp(-10))
    right = math.log(1 + 4 * math.exp(-10))
    expected = (2 * wrong + 3 * right) / 5
    assert float(info_nce(swapped, orthogonal)) == pytest.approx(expected, rel=1e-5)


def test_clips_of_one_recording_are_no_wrong_answers() -> None:
    z = torch.ones(4, 3)
    assert float(info_nce(z, z, torch.tensor([0, 0, 0, 0]))) == 0
    pairs = float(info_nce(z, z, torch.tensor([0, 0, 1, 1])))
    assert pairs == pytest.approx(math.log(3))  # itself and the two of the other recording


def test_it_is_the_cross_entropy_written_out() -> None:
    rng = np.random.default_rng(0)
    changed, originals = rng.standard_normal((2, 7, 5))
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (changed, originals)]
    e = np.exp(unit[0] @ unit[1].T / 0.1)
    expected = -np.log(np.diag(e) / e.sum(axis=1)).mean()
    found = info_nce(torch.from_numpy(changed), torch.from_numpy(originals))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_drift_is_measured_in_spreads() -> None:
    rng = np.random.default_rng(0)
    z = torch.from_numpy(rng.standard_normal((50, 8))).float()
    assert float(drift(z, z)) == 0
    assert float(drift(z.mean(dim=0).expand_as(z), z)) == pytest.approx(1, rel=1e-5)
    assert float(drift(30 * z + 5, 30 * z)) == pytest.approx(float(drift(z + 5 / 30, z)), rel=1e-4)


def test_a_batch_of_one_sound_has_a_spread_all_the_same() -> None:
    z = torch.full((4, 3), 2.0)
    moved = float(drift(z + 0.1, z))
    assert moved == pytest.approx(3 * 0.1**2 / (0.01 * 3 * 2**2), rel=1e-4)


def network_and_batch() -> tuple[Any, Batch]:
    network = build(NetworkConfig("vgg", "classes", 3), seed=0)
    audio = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (4, N)).astype(np.float32))
    noisy = audio + 0.05 * torch.flip(audio, [1])
    return network, Batch(audio, torch.tensor([0, 1, 2, 0]), noisy, torch.arange(4))


def test_the_terms_add_up() -> None:
    network, batch = network_and_batch()
    network.eval()
    what = task("ir")
    with torch.no_grad():
        alone = what.loss(network, batch)
        pairs = info_nce(network.embed(batch.changed), network.embed(batch.audio))
        assert torch.equal(TaskObjective(what)(network, batch), alone)
        both = TaskObjective(what, 0.5)(network, batch)
        torch.testing.assert_close(both, alone + 0.5 * pairs)
        tuned = FineTuningObjective(network, 2.0)
        torch.testing.assert_close(tuned(network, batch), pairs)  # nothing has drifted yet
        before = network.embed(batch.audio)
        network.encoder.latent[0].bias += 0.3
        now = network.embed(batch.audio)
        pairs = info_nce(network.embed(batch.changed), now)
        torch.testing.assert_close(tuned(network, batch), pairs + 2 * drift(now, before))
    assert not network.encoder._forward_hooks


def test_what_was_does_not_learn() -> None:
    network, batch = network_and_batch()
    tuned = FineTuningObjective(network, 1.0)
    tuned.train()
    assert not tuned.before.training
    tuned(network, batch).backward()
    assert all(weight.grad is None for weight in tuned.before.parameters())
    assert network.encoder.latent[0].weight.grad.abs().max() > 0


# The training


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def trained(corpus: Path, out: Path, cache: Path, **changed: Any) -> Any:
    options = {"progress": changed.pop("progress")} if "progress" in changed else {}
    settings = {"batch": 3, "crop_s": 1.5, "period": 1, "device": "cpu", "max_steps": 2, **changed}
    return train(Settings("ir", **settings), corpus, out, cache=cache, **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("grid") / "small.yaml"
    path.write_text("PN: [0, 10]\n")
    return str(path)


def test_a_weight_of_nought_changes_nothing(
    corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    plain, nought = tmp_path / "plain.safetensors", tmp_path / "nought.safetensors"
    trained(corpus, plain, cache)
    trained(corpus, nought, cache, consistency=0.0, grid=small)
    assert plain.read_bytes() == nought.read_bytes()


def test_consistent_training_goes_on_where_it_was_stopped(
    corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done == 2:
            raise KeyboardInterrupt

    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    model = trained(corpus, straight, cache, consistency=0.5, grid=small)
    with pytest.raises(KeyboardInterrupt):
        trained(corpus, broken, cache, consistency=0.5, grid=small, progress=progress)
    trained(corpus, broken, cache, consistency=0.5, grid=small)
    assert straight.read_bytes() == broken.read_bytes()
    assert model.label == "vgg_consistent-ir"
    assert model.changes["consistency"]["weight"] == 0.5
