"""What a GPU computes is what the CPU computes: skipped where there is none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from nearkin.encoders import Key, resolve  # noqa: E402
from nearkin.networks.files import Model, save  # noqa: E402
from nearkin.networks.network import NetworkConfig, build  # noqa: E402
from nearkin.progress import silent, unsaid  # noqa: E402
from nearkin.study import side_by_side  # noqa: E402
from nearkin.study.places import StudyFolder  # noqa: E402
from nearkin.study.plan import StudyPlan  # noqa: E402
from nearkin.study.steps import Work, steps_of  # noqa: E402
from nearkin.tasks import task  # noqa: E402
from nearkin.training import FineTuning, Settings, finetune, train  # noqa: E402
from support.commands import command  # noqa: E402
from support.labelled_tones import SR, make_corpus  # noqa: E402

PLUG_IN = """
import torch

class Spectrum:
    name = "spectrum"
    sample_rate = 22_050
    embedding_size = 64

    def __init__(self, device="cpu"):
        generator = torch.Generator().manual_seed(0)
        self.device = device
        self.basis = torch.randn(257, 64, generator=generator).to(device)

    def torch_module(self):
        basis, window = self.basis, torch.hann_window(512, device=self.device)

        class Module(torch.nn.Module):
            def forward(self, audio):
                bins = torch.stft(audio, 512, window=window, return_complex=True).abs()
                return torch.log1p(bins).mean(-1) @ basis

        return Module()

    def embed(self, audio):
        with torch.no_grad():
            return self.torch_module()(torch.from_numpy(audio).to(self.device)).cpu().numpy()
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ``nearkin train``'s, its first weights."""
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    network = build(NetworkConfig("vgg", "classes", 2), seed=3).eval()
    save(path, Model("ir", "vgg", "classes", network, ("drum", "organ"), trial=1, seed=0, steps=1))
    return path


def sound(n: int = 5) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, (n, 2 * SR)).astype(np.float32)


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plug") / "plug.py"
    path.write_text(PLUG_IN)
    return f"{path}:Spectrum"


@pytest.mark.parametrize("which", ["own", "plug_in"])
def test_an_encoder_says_the_same(which: str, request: pytest.FixtureRequest) -> None:
    spec = str(request.getfixturevalue(which))
    keys = [Key(f"clip {k}", "OG", 0.0) for k in range(5)]
    on_cpu, on_gpu = (
        resolve(spec, device=device).encoder.embed(sound(), keys=keys) for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3 * np.abs(on_cpu).max())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_finds_the_same_neighbours(
    own: Path, plug_in: str, music: Path, tmp_path: Path, workers: str
) -> None:
    tables = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        words = ["--encoder", own, "--encoder", plug_in, "--grid", "quick", "--device", device]
        done = command("run", music, "--out", out, *words, "--no-report", "--workers", workers)
        assert done.exit_code == 0, (done.stderr, done.exception)
        tables[device] = pd.read_parquet(out / "consistency.parquet")
    on_cpu, on_gpu = tables["cpu"], tables["cuda"]
    assert len(on_cpu) == len(on_gpu) > 0
    off = (on_cpu["value"] - on_gpu["value"]).abs()
    assert off.notna().any()
    assert off.mean() < 0.005  # a near tie of two clips may fall the other way


@pytest.mark.parametrize("name", ["ae", "at", "ir", "vs"])
@pytest.mark.parametrize("features", ["vgg", "mfcc"])
def test_a_training_takes_the_same_steps(
    name: str, features: str, corpus: Path, tmp_path: Path, cache: Path
) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        settings = Settings(
            task=name, features=features, batch=3, crop_s=1.5, period=1, max_steps=4, device=device
        )
        out = tmp_path / f"{device}.safetensors"
        model = train(settings, corpus, out, cache=cache)
        assert (model.scores["test"]["n"], model.label) == (2, f"{features}-{name}")
        curve = pd.read_csv(tmp_path / f"{out.name}.training" / "curve.csv")
        losses.append(curve["training_loss"].to_numpy())
    # each device draws its own dropout: the losses part from the first step on
    np.testing.assert_allclose(losses[1][0], losses[0][0], rtol=0.05)
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_training_goes_on_where_it_stopped(
    precision: str, corpus: Path, tmp_path: Path, cache: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done == 2:
            raise KeyboardInterrupt

    settings = Settings(
        task="at", batch=3, crop_s=1.5, period=1, max_steps=4, device="cuda", precision=precision
    )
    out = tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(settings, corpus, out, cache=cache, progress=stop)
    assert train(settings, corpus, out, cache=cache).scores["test"]["n"] == 2
    curve = pd.read_csv(tmp_path / "m.safetensors.training" / "curve.csv")
    assert list(curve["step"]) == [1, 2, 3, 4]
    assert np.isfinite(curve.select_dtypes("number").to_numpy()).all()


def test_fine_tuning_learns(own: Path, corpus: Path, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "grid.yaml").write_text("PN: [0, 10]\n")
    settings = FineTuning(
        str(tmp_path / "grid.yaml"), batch=3, crop_s=1.5, period=1, max_steps=6, anchor=0.0
    )
    out = tmp_path / "m.safetensors"
    finetune(dataclasses.replace(settings, device="cuda"), own, out, manifest=corpus, cache=cache)
    curve = pd.read_csv(tmp_path / "m.safetensors.training" / "curve.csv")
    assert curve["validation_loss"].min() < curve["validation_loss"].iloc[0]


def test_the_worst_case_is_found_there_too(plug_in: str, music: Path, tmp_path: Path) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        words = ["--encoder", plug_in, "--grid", "quick", "--device", device, "--clips", "4"]
        done = command("run", music, "--out", out, *words, "--attack", "--no-report")
        assert done.exit_code == 0, (done.stderr, done.exception)
        found[device] = pd.read_parquet(out / "attacks.parquet")
    on_cpu, on_gpu = found["cpu"], found["cuda"]
    assert set(on_gpu["method"]) == set(on_cpu["method"])
    assert len(on_cpu) == len(on_gpu) > 0
    for name in ("d_own", "d_nearest"):  # steps follow signs: rounding may part two ways
        assert on_gpu[name].corr(on_cpu[name]) > 0.95


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_training_goes_on_on_another_device(
    first: str, second: str, corpus: Path, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "m.safetensors"
    for device, max_steps in ((first, 2), (second, 4)):
        how = {"batch": 3, "crop_s": 1.5, "period": 1, "max_steps": max_steps, "device": device}
        model = train(Settings(task="at", **how), corpus, out, cache=cache)
    assert model.trained_steps == 4


def test_scores_are_computed_where_it_was_trained(
    corpus: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = set()
    scores = type(task("at")).scores

    def noted(self: Any, network: Any, batch: Any) -> Any:
        devices.add((batch.audio.device.type, next(network.parameters()).device.type))
        return scores(self, network, batch)

    monkeypatch.setattr(type(task("at")), "scores", noted)
    settings = Settings(task="at", batch=3, crop_s=1.5, period=1, max_steps=1, device="cuda")
    model = train(settings, corpus, tmp_path / "m.safetensors", cache=cache)
    assert devices == {("cuda", "cuda")}
    assert next(model.network.parameters()).device.type == "cpu"


def test_a_studys_trainings_go_side_by_side(corpus: Path, tmp_path: Path) -> None:
    plan = StudyPlan(
        trials=1,
        max_steps=2,
        batch=3,
        clip_seconds=1.5,
        device="cuda",
        manifests=dict.fromkeys(("at", "ir", "vs"), corpus),
    )
    assert side_by_side.at_once(plan, 16) == 8
    folder = StudyFolder(tmp_path / "study")
    folder.claim()
    left = [step for step in steps_of(plan) if step.kind == "train"]
    work = Work(plan, folder, 16, silent, unsaid)
    done = list(side_by_side.trained(work, left, 4))
    assert sorted(step.name for step, _ in done) == sorted(step.name for step in left)
    assert all(folder.model(*one).is_file() for one in plan.models)
