"""Real networks through `perform`, their scores held to scikit-learn, museval and librosa."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from test_performance import N_CLIPS, labelled, plan_of, tables  # noqa: E402, F401
from typer.testing import CliRunner  # noqa: E402

from conftest import RATE  # noqa: E402
from nearkin.cli import app  # noqa: E402
from nearkin.corpora.manifest import read_labelled  # noqa: E402
from nearkin.corpora.recordings import Recording, Row  # noqa: E402
from nearkin.errors import InputError, RunError  # noqa: E402
from nearkin.networks.files import Model, save  # noqa: E402
from nearkin.networks.network import NetworkConfig, build  # noqa: E402
from nearkin.performance import perform  # noqa: E402
from nearkin.performance.scored import TrainedModel  # noqa: E402
from nearkin.performance.units import vocals_of  # noqa: E402
from nearkin.runs.clips import Version  # noqa: E402
from nearkin.runs.originals import originals  # noqa: E402
from nearkin.runs.plan import Plan  # noqa: E402
from nearkin.runs.queries import noise_library, transformed  # noqa: E402
from nearkin.tasks import task  # noqa: E402
from nearkin.transforms.grids import Point  # noqa: E402

LABELS = {"at": ("v", "w", "x", "y", "z"), "ir": ("organ", "piano", "voice")}
POINTS = "{TS: [1.3], MP: [16]}"


def made(folder: Path, name: str, *, features: str = "mfcc", trial: int = 1, **more: Any) -> Path:
    """Write a model of random weights."""
    labels = more.pop("labels", LABELS.get(name, ()))
    head = task(name).head
    network = build(NetworkConfig(features, head, len(labels)), seed=trial).eval()
    rng = np.random.default_rng(trial)
    network.standardise(rng.normal(-40, 5, 513), rng.uniform(5, 15, 513))
    path = folder / f"{features}-{name}-{trial}.safetensors"
    save(path, Model(task=name, features=features, head=head, network=network, labels=labels,
                     trial=trial))  # fmt: skip
    return path


def versions(manifest: Path, plan: Plan, *, vocals: bool) -> dict[tuple[Point, str], Version]:
    """Every changed clip, made by the functions of a run alone."""
    found = {}
    for row in read_labelled(manifest, split="test").rows:
        (original,) = originals(plan, Recording(row.name, row.path), [])
        company = vocals_of(plan, original, row) if vocals else None
        for point in plan.points:
            found[point, row.name] = transformed(
                plan, original, point, noise=noise_library(plan), companions=company
            )
    return found


def scores_of(
    path: Path, manifest: Path, out: Path, plan: Plan
) -> Callable[[Point, str], tuple[float, float]]:
    perform([TrainedModel(path)], [manifest], out, plan=plan)
    _, clips = tables(out)
    assert (clips["status"] == "ok").all()
    keys = ["transformation", "magnitude", "clip_id"]
    table = clips.set_index(keys)[["value", "chance"]].sort_index()
    return lambda point, name: tuple(table.loc[(point.code, point.magnitude, name)])


@pytest.mark.parametrize("features", ["mfcc", "vgg"])
def test_auc_is_scikit_learns(features: str, labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    from sklearn.metrics import roc_auc_score

    path, plan = made(tmp_path, "at", features=features), plan_of(POINTS)
    found = scores_of(path, labelled, tmp_path / "out", plan)
    network = TrainedModel(path)._model.network
    rows = {row.name: row for row in read_labelled(labelled).rows}
    for (point, name), version in versions(labelled, plan, vocals=False).items():
        with torch.no_grad():
            logits = network(torch.from_numpy(version.heard)[None]).numpy()[0]
        truth = [tag in rows[name].tags for tag in LABELS["at"]]
        assert found(point, name) == pytest.approx((roc_auc_score(truth, logits), 0.5))


@pytest.mark.parametrize("features", ["mfcc", "vgg"])
def test_sdr_is_musevals(features: str, labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    """museval called directly, frames of a second, on what the network makes of a changed clip."""
    metrics = pytest.importorskip("museval.metrics")
    path, plan = made(tmp_path, "vs", features=features), plan_of(POINTS)
    found = scores_of(path, labelled, tmp_path / "out", plan)
    network = TrainedModel(path)._model.network
    for (point, name), version in versions(labelled, plan, vocals=True).items():
        assert version.companions is not None
        audio = torch.from_numpy(version.heard)[None]
        with torch.no_grad():
            spectrum = torch.stft(
                audio, 1024, 256, window=torch.hann_window(1024), return_complex=True,
                pad_mode="constant",
            )  # fmt: skip
            masked = spectrum * network(audio).transpose(1, 2)
            voice = torch.istft(masked, 1024, 256, window=torch.hann_window(1024), length=44_100)
        reference = version.companions[0].astype(float)
        for estimate, value in zip(
            (voice.numpy()[0], version.heard), found(point, name), strict=True
        ):
            sdr, *_ = metrics.bss_eval(
                reference[None, :, None],
                estimate.astype(float)[None, :, None],
                window=RATE,
                hop=RATE,
                compute_permutation=False,
                filters_len=1,
                framewise_filters=False,
                bsseval_sources_version=False,
            )
            assert value == pytest.approx(np.nanmedian(sdr), abs=0.01), (point, name)


def test_chance_of_an_autoencoder_is_by_librosa(labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    """Who always says the mean spectrum errs by the power of the standardised spectrogram."""
    import librosa

    path, plan = made(tmp_path, "ae"), plan_of(POINTS)
    found = scores_of(path, labelled, tmp_path / "out", plan)
    front = TrainedModel(path)._model.network.front
    mean, std = front.mean.numpy(), front.std.numpy()
    for (point, name), version in versions(labelled, plan, vocals=False).items():
        power = np.abs(librosa.stft(version.heard, n_fft=1024, hop_length=256)) ** 2
        decibels = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80).T
        standardised = (decibels - mean) / std
        assert found(point, name)[1] == pytest.approx(np.mean(standardised**2), rel=1e-3)
        with torch.no_grad():
            audio = torch.from_numpy(version.heard)[None]
            error = TrainedModel(path)._model.network(audio).numpy()[0] - standardised
        assert found(point, name)[0] == pytest.approx(np.mean(error**2), rel=1e-3)


def test_the_same_bytes_for_any_workers_and_threads(labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    models = [made(tmp_path, name, features="vgg") for name in ("at", "vs")]
    plan = plan_of("{PN: [0]}", clips=2)
    before = torch.get_num_threads()
    try:
        for name, workers, threads in (("a", 1, 1), ("b", 2, 1), ("c", 1, 2)):
            torch.set_num_threads(threads)
            trained = [TrainedModel(path) for path in models]
            perform(trained, [labelled], tmp_path / name, plan=plan, workers=workers)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for name in ("b", "c"):
        for table in ("performance.parquet", "performance_clips.parquet"):
            assert (tmp_path / "a" / table).read_bytes() == (tmp_path / name / table).read_bytes()


def test_accuracy_counts_the_highest_logit(labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    path, plan = made(tmp_path, "ir"), plan_of("{MP: [16]}")
    found = scores_of(path, labelled, tmp_path / "out", plan)
    network = TrainedModel(path)._model.network
    rows = {row.name: row for row in read_labelled(labelled).rows}
    for (point, name), version in versions(labelled, plan, vocals=False).items():
        with torch.no_grad():
            said = int(network(torch.from_numpy(version.heard)[None]).argmax())
        right = float(LABELS["ir"][said] == rows[name].instrument)
        assert found(point, name) == pytest.approx((right, 1 / 3))


# -- what is refused -----------------------------------------------------------------------------


def test_labels_that_are_none_of_the_models_are_refused(
    labelled: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    strangers = made(tmp_path, "ir", labels=("flute", "organ"))
    with pytest.raises(InputError, match="instrument 'piano' is none that the model knows"):
        perform([TrainedModel(strangers)], [labelled], tmp_path / "o", plan=plan_of("{PN: [0]}"))
    tags = made(tmp_path, "at", labels=("p", "q"))
    with pytest.raises(InputError, match=r"knows none of the test set's tags \(it knows 2 such"):
        perform([TrainedModel(tags)], [labelled], tmp_path / "o", plan=plan_of("{PN: [0]}"))


def test_clips_without_a_positive_tag_are_left_out(labelled: Path, tmp_path: Path) -> None:  # noqa: F811
    path = made(tmp_path, "at", labels=("w", "x", "y"))
    perform([TrainedModel(path)], [labelled], tmp_path / "out", plan=plan_of("{PN: [0]}"))
    table, _ = tables(tmp_path / "out")
    told = f"2 of {N_CLIPS} clips left out: no positive tag"
    assert table["status"].str.startswith(told).all()  # the two that are left may score the same
    assert (table["n"] == 2).all()


def test_want_of_memory_is_one_sentence(
    labelled: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = TrainedModel(made(tmp_path, "ae"))
    row = Row("a", labelled)
    clip = np.zeros(2 * RATE, np.float32)

    class Raises:
        def __init__(self, text: str) -> None:
            self.text = text

        def front(self, audio: Any) -> Any:
            raise RuntimeError(self.text)

        __call__ = front

    monkeypatch.setitem(
        model.__dict__,
        "_model",
        Model("ae", "vgg", "decoder", Raises("DefaultCPUAllocator: can't allocate memory")),
    )
    with pytest.raises(RunError, match="memory does not suffice to score a clip"):
        model.score(clip, None, row)
    broken = Model("ae", "vgg", "decoder", Raises("size mismatch"))
    monkeypatch.setitem(model.__dict__, "_model", broken)
    found = model.score(clip, None, row)
    assert found.status == "failed: size mismatch"
    assert found.failed


def test_the_command_line_end_to_end(
    labelled: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = [str(made(tmp_path, name)) for name in ("ir", "ae")]
    (tmp_path / "g.yaml").write_text("{PN: [0, 30]}")
    words = ["perform", *models, "--manifest", str(labelled), "--grid", str(tmp_path / "g.yaml")]
    words += ["--out", str(tmp_path / "out"), "--workers", "1"]
    runner = CliRunner()
    dry = runner.invoke(app, [*words, "--dry-run"])
    assert dry.exit_code == 0
    assert "nothing was written" in dry.stdout
    assert not (tmp_path / "out").exists()
    done = runner.invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert [row["task"] for row in told["models"]] == ["ir", "ae"]
    assert told["exit"] == 0
    assert "mfcc-ae, trial 1" in done.stdout
    assert (tmp_path / "out" / "figures" / "figure_4.svg").is_file()
    table = pd.read_csv(tmp_path / "out" / "performance.csv", keep_default_na=False)
    assert set(table["task"]) == {"ae", "ir"}
    again = runner.invoke(app, [*words, "--seed", "1"])
    assert again.exit_code == 2
    assert "seed (was 0, now 1)" in again.stderr
    for text, wrong in (
        ("cannot be read (No such file", "nothing.safetensors"),
        ("is no model of nearkin's", str(labelled)),
    ):
        refused = runner.invoke(app, ["perform", wrong, *words[2:]])
        assert refused.exit_code == 2
        assert text in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_a_file_of_options_is_the_flags(
    labelled: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """A YAML key for every flag; a flag overrides it; the tables are those of the flags alone."""
    model = made(tmp_path, "ae")
    grid, config = tmp_path / "g.yaml", tmp_path / "perform.yaml"
    grid.write_text("{PN: [0]}")
    one, two = tmp_path / "one", tmp_path / "two"
    config.write_text(
        f"models: {model}\nmanifest: {labelled}\ngrid: {grid}\nclips: 5\nseed: 3\nworkers: 1\n"
        f"quiet: true\nout: {one}\n"
    )
    runner = CliRunner()
    done = runner.invoke(app, ["perform", "--config", str(config), "--clips", "2"])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    words = ["perform", str(model), "--manifest", str(labelled), "--grid", str(grid)]
    words += ["--clips", "2", "--seed", "3", "--workers", "1", "--out", str(two)]
    assert runner.invoke(app, words).exit_code == 0
    name = "performance.parquet"
    assert (one / name).read_bytes() == (two / name).read_bytes()
    config.write_text("seeds: 3")
    refused = runner.invoke(app, ["perform", str(model), "--config", str(config)])
    assert refused.exit_code == 2
    assert "unknown key 'seeds': did you mean 'seed'?" in refused.stderr
    assert "no manifest given" in runner.invoke(app, ["perform", str(model)]).stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_killed_twice_it_ends_with_the_same_bytes(
    labelled: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "g.yaml").write_text("{PN: [0, 30], TS: [0.9], PS: [4], MP: [64]}")
    words = ["perform", str(made(tmp_path, "vs", features="vgg")), "--manifest", str(labelled)]
    words += ["--grid", str(tmp_path / "g.yaml"), "--workers", "2", "--quiet"]

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "nearkin", *words, "--out", str(out)]
        return subprocess.Popen(command, start_new_session=True)

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert start(straight).wait() == 0
    shards = broken / "work" / "performance"
    for n_shards in (1, N_CLIPS - 1):
        process = start(broken)
        while process.poll() is None and len(list(shards.glob("*.npz"))) < n_shards:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        time.sleep(2)  # its workers notice that they are orphans
    assert start(broken).wait() == 0
    for name in ("performance.parquet", "performance.csv", "performance_clips.parquet"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes()
    assert not list(broken.rglob("*.tmp"))
    assert not (broken / "work").exists()
