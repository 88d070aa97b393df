"""Training from a manifest to a model, and a killed training against a straight one.

Networks are as small as they come (the MFCC encoder's head, clips of 1.5 s), a period is two steps.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from typer.testing import CliRunner  # noqa: E402

from nearkin.audio import read  # noqa: E402
from nearkin.cli import app  # noqa: E402
from nearkin.corpora.manifest import read_labelled  # noqa: E402
from nearkin.encoders import resolve  # noqa: E402
from nearkin.errors import InputError, RunError  # noqa: E402
from nearkin.networks.files import load  # noqa: E402
from nearkin.tasks import task  # noqa: E402
from nearkin.training import Settings, train  # noqa: E402
from nearkin.training.checkpoint import Budget, TrainingState  # noqa: E402
from nearkin.training.module import adam, for_device  # noqa: E402
from nearkin.training.run import labels_of, read_splits  # noqa: E402
from nearkin.workers import open_workers  # noqa: E402
from support.labelled_tones import SR, make_corpus  # noqa: E402

CROP_S = 1.5
TINY: dict[str, Any] = {"batch": 4, "crop_s": CROP_S, "period": 2, "device": "cpu"}


def test_a_class_that_no_training_row_has_is_known(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    text = manifest.read_text().replace("train,song0,drum;any,drum", "valid,song0,rare;any,bell")
    manifest.write_text(text)
    known = {
        name: labels_of(task(name), read_splits(task(name), manifest), manifest)
        for name in ("ir", "at", "ae", "vs")
    }
    assert known["ir"] == ("bell", "drum", "organ")
    assert known["at"] == ("any", "drum", "organ")
    assert known["ae"] == known["vs"] == ()
    model = train(
        Settings(task="ir", features="mfcc", max_steps=2, **TINY),
        manifest,
        tmp_path / "m.safetensors",
        cache=tmp_path / "cache",
    )
    assert model.labels == known["ir"]
    assert model.scores["valid"]["n"] > 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def trained(corpus: Path, out: Path, cache: Path, what: str = "ir", **changed: Any) -> Any:
    settings = {**TINY, "features": "mfcc", "max_steps": 5, **changed}
    call = {"force", "tell", "progress", "loaders", "workers"} & settings.keys()
    options = {name: settings.pop(name) for name in call}
    return train(Settings(what, **settings), corpus, out, cache=cache, **options)


def weights(path: Path) -> dict[str, Any]:
    return dict(load(path).network.state_dict())


def equal(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def curve(out: Path) -> list[str]:
    """The curve without its times."""
    text = (out.with_name(out.name + ".training") / "curve.csv").read_text()
    return [line.rsplit(",", 3)[0] for line in text.splitlines()]


# Training


def test_standardisation_is_that_of_librosas_decibels(corpus: Path, tmp_path: Path) -> None:
    librosa = pytest.importorskip("librosa")
    out = tmp_path / "m.safetensors"
    trained(corpus, out, tmp_path / "cache", crop_s=2.0, max_steps=1)
    rows = [row for row in read_labelled(corpus).rows if row.split == "train"]
    frames = []
    for row in rows:  # 2-s crops of 2-s recordings: whole ones
        spectrum = librosa.stft(read(row.path, sr=SR), n_fft=1024, hop_length=256)
        power = np.abs(spectrum.T.astype(np.complex128)) ** 2
        decibels = 10 * np.log10(np.maximum(power, 1e-10))
        frames.append(np.maximum(decibels, decibels.max() - 80))
    truth = np.concatenate(frames)
    front = load(out).network.front
    np.testing.assert_allclose(front.mean, truth.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(front.std, truth.std(axis=0), atol=0.01)


def test_a_task_that_can_be_learnt_is_learnt(corpus: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "m.safetensors"
    model = trained(corpus, out, cache, max_steps=60, period=30)
    first, last = (float(line.split(",")[3]) for line in (curve(out)[1], curve(out)[-1]))
    assert last < 0.8 * first
    assert model.scores["valid"]["value"] == model.scores["test"]["value"] == 1.0
    assert model.scores["test"]["chance"] == 0.5
    assert model.scores["test"]["n"] == 2
    assert (model.task, model.features, model.labels) == ("ir", "mfcc", ("drum", "organ"))
    assert model.epochs == round(model.steps * 4 / 6, 3)


def test_equal_seeds_equal_weights(corpus: Path, tmp_path: Path, cache: Path) -> None:
    outs = [tmp_path / f"{k}.safetensors" for k in range(4)]
    for out, changed in zip(outs, [{}, {}, {"seed": 1}, {"trial": 2}], strict=True):
        trained(corpus, out, cache, max_steps=2, **changed)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert not equal(outs[0], outs[2])
    assert not equal(outs[0], outs[3])
    assert load(outs[0]).training_sha256 == load(outs[2]).training_sha256


def test_loader_processes_change_nothing(corpus: Path, tmp_path: Path, cache: Path) -> None:
    outs = [tmp_path / f"{k}.safetensors" for k in range(2)]
    for n_loaders, out in enumerate(outs):
        trained(corpus, out, cache, loaders=n_loaders)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def interrupted_at(step: int) -> Any:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("what", ["ir", "vs"])
def test_interrupted_and_resumed_is_straight_through(
    corpus: Path, tmp_path: Path, cache: Path, what: str
) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    features = "vgg" if what == "ir" else "mfcc"
    settings: dict[str, Any] = {"features": features, "batch": 2}
    trained(corpus, straight, cache, what, **settings)
    before = signal.getsignal(signal.SIGINT)
    for step in (1, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            trained(corpus, broken, cache, what, progress=interrupted_at(step), **settings)
        assert not broken.exists()
    assert signal.getsignal(signal.SIGINT) is before
    litter = tmp_path / "broken.safetensors.training" / ".checkpoint.pt.1.tmp"
    litter.write_bytes(b"half a checkpoint")
    trained(corpus, broken, cache, what, **settings)
    assert not litter.exists()
    assert curve(broken) == curve(straight)
    assert broken.read_bytes() == straight.read_bytes()


def _trained_beside(given: tuple[Path, Path], out: Path) -> bytes:
    corpus, cache = given
    trained(corpus, out, cache, max_steps=2, loaders=1)
    return out.read_bytes()


def test_a_worker_of_a_pool_trains_with_loaders(corpus: Path, tmp_path: Path, cache: Path) -> None:
    """The pool has its own way to start processes, which torch's loaders cannot be started by."""
    with open_workers((corpus, cache), workers=2) as pool:
        ((_, beside),) = pool.map(_trained_beside, [tmp_path / "beside.safetensors"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    try:
        trained(corpus, tmp_path / "m.safetensors", cache, max_steps=2)
    finally:
        torch.set_num_threads(threads)
    assert beside == (tmp_path / "m.safetensors").read_bytes()


def test_more_steps_go_on_and_a_finished_training_is_not_repeated(
    corpus: Path, tmp_path: Path, cache: Path
) -> None:
    straight, longer = tmp_path / "straight.safetensors", tmp_path / "longer.safetensors"
    trained(corpus, straight, cache, max_steps=6)
    trained(corpus, longer, cache, max_steps=4)
    told: list[tuple[str, int, int]] = []
    trained(corpus, longer, cache, max_steps=4, progress=lambda *told_: told.append(told_))
    assert not told
    before = longer.read_bytes()
    for _ in range(2):
        trained(corpus, longer, cache, max_steps=6)
        assert curve(longer) == curve(straight)
        assert longer.read_bytes() == straight.read_bytes()
        longer.write_bytes(before)  # as if killed after the steps, before the model was written


def test_a_changed_setting_is_refused_by_name(corpus: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "m.safetensors"
    trained(corpus, out, cache, max_steps=1)
    with pytest.raises(RunError, match=r"seed 0, not 1.*--force"):
        trained(corpus, out, cache, max_steps=1, seed=1)
    other = make_corpus(tmp_path / "other", n=15)
    with pytest.raises(RunError, match="other training recordings"):
        trained(other, out, cache, max_steps=1)
    assert trained(corpus, out, cache, max_steps=1, seed=1, force=True).seed == 1
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(out.read_bytes())
    with pytest.raises(RunError, match="is there already"):
        trained(corpus, foreign, cache, max_steps=1)


def test_the_minutes_end_with_a_period(corpus: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "m.safetensors"
    trained(corpus, out, cache, max_steps=6, max_minutes=1e-9)
    assert len(curve(out)) == 2
    trained(corpus, out, cache, max_steps=6)
    assert len(curve(out)) == 4


def test_when_training_ends() -> None:
    budget = Budget(steps=250, patience=3, period=100, minutes=2)
    curve = [{"validation_loss": loss} for loss in (3.0, 2.0, 2.5, 2.0)]
    assert budget.spent(TrainingState(step=100, curve=curve, seconds=119)) == ""
    assert budget.spent(TrainingState(step=250)) == "steps"
    curve.append({"validation_loss": 2.1})
    assert budget.spent(TrainingState(step=100, curve=curve)) == "plateau"
    assert budget.spent(TrainingState(step=100, seconds=120)) == "minutes"
    assert [budget.period_end(step) for step in (0, 99, 100, 200)] == [100, 100, 200, 250]


def test_a_fall_that_is_too_small_is_a_plateau() -> None:
    state, stale = TrainingState(), []
    for loss in (1.0, 0.996, 0.992, 0.989, 0.97, 0.98, 0.975):
        state.curve.append({"validation_loss": loss})
        stale.append(state.stale(0.01))
    # 1 -> .989 is 1.1 %, .989 -> .97 is 1.9 %
    assert stale == [0, 1, 2, 0, 0, 1, 2]
    assert [state.stale(gain) for gain in (0.0, 0.029, 0.031)] == [2, 2, 6]
    assert TrainingState().stale(0.0) == 0


def test_a_training_ends_where_validation_gains_too_little(
    corpus: Path, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "m.safetensors"
    model = trained(corpus, out, cache, max_steps=40, patience=2, min_gain=0.9)
    assert (model.stopped, model.trained_steps) == ("plateau", 6)  # the first falls from infinity
    assert len(curve(out)) == 4


def test_the_gain_may_be_changed_and_counts_from_the_first_period(
    corpus: Path, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "m.safetensors"
    assert trained(corpus, out, cache, max_steps=10, patience=2, min_gain=0.9).trained_steps == 6
    again = trained(corpus, out, cache, max_steps=10, patience=99)
    assert (again.stopped, again.trained_steps) == ("steps", 10)
    straight = tmp_path / "straight.safetensors"
    trained(corpus, straight, cache, max_steps=10, patience=99)
    assert out.read_bytes() == straight.read_bytes()


def test_a_checkpoint_of_before_that_kept_what_is_counted_now_is_read(tmp_path: Path) -> None:
    state = TrainingState(step=4, curve=[{"validation_loss": 1.0}, {"validation_loss": 2.0}])
    torch.save({**vars(state), "stale": 1}, tmp_path / "checkpoint.pt")
    found = TrainingState.load(tmp_path / "checkpoint.pt")
    assert (found.step, found.stale(0.0)) == (4, 1)


def test_adam_goes_on_on_another_device_than_it_was_kept_on() -> None:
    """Its count of steps must lie where one kernel looks for it; meta stands for a GPU."""
    weight = torch.nn.Parameter(torch.ones(2))
    kept = adam([weight], 0.1, torch.device("cpu"))
    weight.grad = torch.ones(2)
    kept.step()
    assert kept.state_dict()["param_groups"][0]["fused"] is None
    on_gpu = for_device(kept.state_dict(), torch.device("cuda"))
    there = torch.optim.Adam([torch.nn.Parameter(torch.ones(2, device="meta"))], fused=None)
    there.load_state_dict(on_gpu)
    (values,) = there.state.values()
    assert values["step"].device.type == "meta"
    assert for_device(on_gpu, torch.device("cpu"))["param_groups"][0]["fused"] is None


def test_it_goes_on_from_before_a_checkpoint_that_was_left_out(
    corpus: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    trained(corpus, straight, cache, max_steps=10)
    monkeypatch.setattr("nearkin.training.module.CHECKPOINT_S", 1e9)
    with pytest.raises(KeyboardInterrupt):
        trained(corpus, broken, cache, max_steps=10, progress=interrupted_at(7))
    kept = TrainingState.load(tmp_path / "broken.safetensors.training" / "checkpoint.pt")
    assert kept.step == 2
    trained(corpus, broken, cache, max_steps=10)
    assert broken.read_bytes() == straight.read_bytes()


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_checkpoints_between_the_first_and_the_last_take_their_time(
    seconds: float, corpus: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = TrainingState.save

    def noted(state: TrainingState, path: Path) -> None:
        saved.append(state.step)
        save(state, path)

    monkeypatch.setattr(TrainingState, "save", noted)
    monkeypatch.setattr("nearkin.training.module.CHECKPOINT_S", seconds)
    out = tmp_path / "m.safetensors"
    trained(corpus, out, cache, max_steps=8)
    assert saved == ([2, 4, 6, 8] if seconds == 0 else [2, 8])
    assert len(curve(out)) == 5


def test_how_many_steps() -> None:
    what = task("vs")
    assert Settings("vs").n_steps(what, 70) == 300
    assert Settings("vs", scale="paper").n_steps(what, 70) == -(-5000 * 70 // 24)
    assert Settings("vs", scale="paper", max_steps=7).n_steps(what, 70) == 7


def test_silent_vocals_are_counted(tmp_path: Path, cache: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    soundfile.write(corpus.parent / "voice3.wav", np.zeros(2 * SR), SR)
    out = tmp_path / "m.safetensors"
    model = trained(corpus, out, cache, "vs", batch=2, max_steps=1)
    assert model.scores["valid"]["left_out"] == {"silent vocals": 1}
    assert model.scores["valid"]["n"] == 1
    assert model.scores["test"]["n"] == 2


def test_training_leaves_the_process_as_it_was(
    corpus: Path, tmp_path: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def state() -> list[Any]:
        return [
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(),
            torch.are_deterministic_algorithms_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            list(warnings.filters),
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            logging.getLogger("lightning.pytorch").level,
        ]

    before = state()
    trained(corpus, tmp_path / "m.safetensors", cache, max_steps=2)
    assert state() == before
    out, err = capfd.readouterr()
    assert out == err == ""


def test_the_log_can_be_read_by_tensorboard(corpus: Path, tmp_path: Path, cache: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "m.safetensors"
    trained(corpus, out, cache, max_steps=4)
    log = events.EventAccumulator(str(tmp_path / "m.safetensors.training" / "tensorboard"))
    log.Reload()
    told = [(event.step, event.value) for event in log.Scalars("validation_loss")]
    lines = [line.split(",") for line in curve(out)[1:]]
    assert [step for step, _ in told] == [int(line[0]) for line in lines] == [2, 4]
    np.testing.assert_allclose([v for _, v in told], [float(line[3]) for line in lines], rtol=1e-6)


# Bad input


def test_recordings_that_cannot_be_used_are_left_out_and_told(tmp_path: Path, cache: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    (corpus.parent / "mix0.wav").write_bytes(b"no sound")
    soundfile.write(corpus.parent / "mix1.wav", np.ones(SR), SR)
    told: list[str] = []
    trained(corpus, tmp_path / "m.safetensors", cache, max_steps=1, tell=told.append)
    assert len(told) == 1
    assert told[0].startswith("train: 2 of 6 recordings left out")


def test_bad_manifests_are_one_sentence_each(tmp_path: Path, cache: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    good = corpus.read_text()
    out = tmp_path / "m.safetensors"

    def refused(text: str, match: str, what: str = "ir") -> None:
        corpus.write_text(text)
        with pytest.raises(InputError, match=match) as caught:
            trained(corpus, out, cache, what)
        assert "\n" not in str(caught.value)

    refused(good.replace(",valid,", ",train,"), "no row of split 'valid'")
    refused(good.replace("mix7.wav", "gone.wav"), "line 9.*gone.wav")
    refused(good.replace("instrument", "else"), "no column 'instrument'")
    refused(good.replace("drum", "organ"), "every row is of the instrument 'organ': must be two")
    soundfile.write(corpus.parent / "voice2.wav", np.zeros(SR), SR)
    refused(good, "mix2.wav lasts 2.00 s and its vocals .*voice2.wav 1.00 s", "vs")
    for path in corpus.parent.glob("mix[38].wav"):
        soundfile.write(path, np.ones(SR), SR)
    refused(good, "no usable valid recording .*shorter than 1.5 s")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"features": "vg"}, "features='vg'"),
        ({"scale": "large"}, "scale='large'"),
        ({"trial": 0}, "trial=0"),
        ({"batch": 1}, "batch=1"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"max_minutes": 0}, "max_minutes=0"),
        ({"crop_s": 1.0}, "crop_s=1"),
        ({"devices": 3}, "batch=4: must be shared equally among 3"),
        ({"precision": "8"}, "precision='8'"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"trial": "2"}, "trial='2': must be a whole number"),
        ({"max_minutes": True}, "max_minutes=True: must be a number"),
        ({"scale": None}, "scale=None: must be a text"),
        ({"device": "mps"}, "device='mps'.*cannot be used here"),
    ],
)
def test_bad_settings_are_one_sentence_each(
    corpus: Path, tmp_path: Path, cache: Path, changed: dict[str, Any], match: str
) -> None:
    if changed.get("device") == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(InputError, match=match):
        trained(corpus, tmp_path / "m.safetensors", cache, **changed)


def test_bad_names_are_one_sentence_each(corpus: Path, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="irr"):
        trained(corpus, tmp_path / "m.safetensors", cache, "irr")
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        trained(corpus, tmp_path / "m.pt", cache)


@pytest.mark.parametrize(
    "text",
    [
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory: you tried to "
        "allocate 99 bytes.",
        "CUDA out of memory. Tried to allocate 20.00 MiB.",
    ],
)
def test_too_little_memory_is_one_sentence(
    corpus: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    from nearkin.tasks.instruments import InstrumentRecognition

    def loss(self: Any, network: Any, batch: Any) -> Any:
        raise RuntimeError(text)

    monkeypatch.setattr(InstrumentRecognition, "loss", loss)
    with pytest.raises(InputError, match=r"batch=4: does not fit into memory.*--batch 2"):
        trained(corpus, tmp_path / "m.safetensors", cache)


def test_a_loss_that_is_not_finite_is_one_sentence(
    corpus: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearkin.tasks.instruments import InstrumentRecognition

    def loss(self: Any, network: Any, batch: Any) -> Any:
        return network(batch.audio).mean() * float("nan")

    monkeypatch.setattr(InstrumentRecognition, "loss", loss)
    with pytest.raises(RunError, match="step 2: the loss is nan"):
        trained(corpus, tmp_path / "m.safetensors", cache)
    assert not (tmp_path / "m.safetensors").exists()


# The command


def test_the_command_says_what_became_of_it(corpus: Path, tmp_path: Path, cache: Path) -> None:
    words = ["train", "ir", "--manifest", str(corpus), "--out", str(tmp_path / "m.safetensors")]
    words += ["--features", "mfcc", "--max-steps", "1", "--batch", "4", "--cache", str(cache)]
    done = CliRunner().invoke(app, [*words, "--device", "cpu", "--workers", "1", "--json"])
    assert done.exit_code == 0, done.stderr
    assert resolve(str(tmp_path / "m.onnx")).task == "ir"
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["steps"] == 1
    assert last["scores"]["test"]["measure"] == "accuracy"
    assert "mfcc-ir: 1 steps" in done.stdout
    again = CliRunner().invoke(app, [*words, "--seed", "5"])
    assert again.exit_code == 2
    assert "seed 0, not 5" in again.stderr


def test_a_file_of_options_is_the_flags(corpus: Path, tmp_path: Path, cache: Path) -> None:
    """A YAML key for every flag; a flag overrides it; the model is that of the flags alone."""
    config = tmp_path / "train.yaml"
    config.write_text(
        f"task: ir\nmanifest: {corpus}\ncache: {cache}\nfeatures: mfcc\nmax-steps: 9\nbatch: 4\n"
        "device: cpu\nworkers: 1\nquiet: true\n"
    )
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    words = ["train", "--config", str(config), "--max-steps", "2", "--out", str(one), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    train(
        Settings("ir", features="mfcc", max_steps=2, batch=4, device="cpu"),
        corpus,
        two,
        cache=cache,
    )
    assert equal(one, two)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task: ir", "no manifest given: pass it; no out given: pass it"),
        ("task: ir\nmanifest: m\nout: o\nmax_step: 3", "unknown key 'max_step': did you mean"),
        ("manifest: m\nout: o.safetensors", "no task given"),
        ("task: ir\nmanifest: m\nout: o\nworkers: 0", "workers=0: input should be greater than"),
        ("task: ir\nmanifest: m\nout: o\nbatch: many", "batch='many': must be a whole number"),
    ],
)
def test_a_bad_file_of_options_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(text)
    done = CliRunner().invoke(app, ["train", "--config", str(config)])
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("what", ["ae", "at", "ir", "vs"])
def test_a_dry_run_counts_and_writes_nothing(corpus: Path, tmp_path: Path, what: str) -> None:
    """10 recordings of 2 s: 6 to train, int16 at 22,050 Hz; the vocals as much again."""
    before = sorted(corpus.parent.iterdir())
    words = ["train", what, "--manifest", str(corpus), "--out", str(tmp_path / "m.safetensors")]
    words += ["--features", "mfcc", "--max-steps", "3", "--batch", "4", "--device", "cpu"]
    words += ["--cache", str(tmp_path / "cache"), "--dry-run", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "nothing was written" in done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["recordings"] == {"train": 6, "valid": 2, "test": 2}
    assert told["steps"] == 3
    assert told["epochs"] == 2
    assert told["training_s"] > 0
    assert told["disk_mb"] == pytest.approx((20 if what == "vs" else 10) * 2 * SR * 2 / 1e6)
    assert sorted(corpus.parent.iterdir()) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["torch", "lightning"])
def test_without_torch_there_is_a_sentence(corpus: Path, tmp_path: Path, missing: str) -> None:
    code = (
        f"import sys; sys.modules['{missing}'] = None; from nearkin.cli import main; "
        f"sys.argv = ['nearkin', 'train', 'ir', '--manifest', {str(corpus)!r}, '--out', "
        f"{str(tmp_path / 'm.safetensors')!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nearkin: {missing}")
    assert "pip install 'nearkin[torch]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def start(corpus: Path, out: Path, cache: Path) -> subprocess.Popen[bytes]:
    code = (
        "from nearkin.training import Settings, train; "
        "settings = Settings('ir', batch=4, crop_s=1.5, period=3, max_steps=20, device='cpu'); "
        f"train(settings, {str(corpus)!r}, {str(out)!r}, cache={str(cache)!r})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], env=environment)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_killed_at_random_steps_it_ends_with_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    begun = time.monotonic()
    assert start(corpus, straight, tmp_path / "cache").wait() == 0
    whole = time.monotonic() - begun
    rng = random.Random(0)
    for _ in range(6):
        process = start(corpus, broken, tmp_path / "cache2")
        try:
            process.wait(timeout=rng.uniform(0.3, 0.9) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert start(corpus, broken, tmp_path / "cache2").wait() == 0
    assert curve(broken) == curve(straight)
    assert broken.read_bytes() == straight.read_bytes()


@pytest.mark.slow
def test_two_processes_learn_what_one_does(corpus: Path, tmp_path: Path, cache: Path) -> None:
    """The MFCC network has no batch normalisation: shares of a batch average to the whole."""
    for n_devices in (1, 2):
        words = ["train", "ir", "--manifest", str(corpus), "--features", "mfcc", "--device", "cpu"]
        words += ["--out", str(tmp_path / f"{n_devices}.safetensors"), "--batch", "4"]
        words += ["--max-steps", "5", "--devices", str(n_devices), "--cache", str(cache)]
        done = subprocess.run(
            [sys.executable, "-m", "nearkin", *words, "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = weights(tmp_path / "1.safetensors"), weights(tmp_path / "2.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6)
