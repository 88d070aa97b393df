"""Fine-tuning without labels: whose child a network is, what stays, what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from nearkin.encoders import Key, resolve  # noqa: E402
from nearkin.encoders.references.trained import WEIGHTS  # noqa: E402
from nearkin.errors import InputError, RunError  # noqa: E402
from nearkin.networks.files import Model, load, read_header, save  # noqa: E402
from nearkin.networks.network import NetworkConfig, build  # noqa: E402
from nearkin.performance.scored import TrainedModel  # noqa: E402
from nearkin.training import FineTuning, finetune  # noqa: E402
from nearkin.training.finetune import music_splits, parent  # noqa: E402
from support.commands import command, refused  # noqa: E402
from support.labelled_tones import SR, make_corpus  # noqa: E402

TINY: dict[str, Any] = {"batch": 3, "crop_s": 1.5, "period": 1, "device": "cpu", "max_steps": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("grid") / "small.yaml"
    path.write_text("PN: [0, 10]\n")
    return str(path)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ``nearkin train``'s, its first weights."""
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    labels = ("drum", "organ")
    network = build(NetworkConfig("vgg", "classes", 2), seed=3).eval()
    save(path, Model("ir", "vgg", "classes", network, labels, trial=2, seed=5, steps=7))
    return path


def tuned(model: str | Path, out: Path, corpus: Path, cache: Path, grid: str, **more: Any) -> Any:
    settings = {**TINY, **{k: v for k, v in more.items() if k in FineTuning.__dataclass_fields__}}
    options = {k: v for k, v in more.items() if k not in settings}
    if "audio" not in options:
        options["manifest"] = corpus
    return finetune(FineTuning(grid, **settings), model, out, cache=cache, **options)


def sound(n: int = 3) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, (n, 2 * SR)).astype(np.float32)


@pytest.mark.parametrize("name", ["vgg-at", "vgg-ae"])
def test_a_reference_is_opened_as_it_is(name: str) -> None:
    pytest.importorskip("onnx")
    before = parent(name)
    expected = resolve(name).encoder.embed(sound())
    with torch.no_grad():
        found = before.model.network.embed(torch.from_numpy(sound())).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert before.sha256 == hashlib.sha256((WEIGHTS / f"{name}.onnx").read_bytes()).hexdigest()
    assert before.model.training_sha256 in (WEIGHTS / f"{name}.md").read_text()
    with pytest.raises(InputError, match="it has no head"):
        before.model.network(torch.from_numpy(sound()))


def test_a_child_says_whose_it_is_and_keeps_the_head(
    own: Path, corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done == 2:
            raise KeyboardInterrupt

    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    model = tuned(own, straight, corpus, cache, small)
    with pytest.raises(KeyboardInterrupt):
        tuned(own, broken, corpus, cache, small, progress=progress)
    tuned(own, broken, corpus, cache, small)
    assert straight.read_bytes() == broken.read_bytes()
    about = read_header(straight)
    told = about["changes"]["finetune"]
    assert told["parent"] == "own.safetensors"
    assert told["parent_sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert told["parent_steps"] == 7
    assert told["steps"] == about["steps"] in (1, 2)
    assert told["grid"]["points"] == [["PN", 0.0], ["PN", 10.0]]
    assert (about["task"], about["trial"], about["seed"], about["scores"]) == ("ir", 2, 5, {})
    before, after = load(own).network.state_dict(), model.network.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {"head.linear.weight", "head.linear.bias"} <= same
    assert {name for name in before if "running" in name or "front" in name} <= same
    assert "encoder.latent.0.weight" not in same
    scored = TrainedModel(straight)
    assert (scored.encoder, scored.labels) == ("vgg_finetuned", ("drum", "organ"))
    assert resolve(str(straight)).label == "vgg_finetuned-ir-2"
    assert "finetuned with PN 0, 10" in resolve(str(straight)).matched
    again = tuned(straight, tmp_path / "again.safetensors", corpus, cache, small, max_steps=1)
    assert again.changes["finetune"]["earlier"] == told


def test_a_child_of_a_reference_is_an_encoder_alone(
    corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "m.safetensors"
    model = tuned("vgg-at", out, corpus, cache, small, audio=[corpus.parent], max_steps=1)
    assert model.label == "vgg_finetuned-at"
    keys = [Key(f"clip {k}", "OG", 0.0) for k in range(3)]
    old, new = (resolve(one).encoder.embed(sound(), keys=keys) for one in ("vgg-at", str(out)))
    assert np.isfinite(new).all()
    assert not np.array_equal(old, new)
    cosine = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosine.min() > 0.9  # one step at a small rate
    with pytest.raises(InputError, match="is an encoder alone"):
        TrainedModel(out)


def test_it_learns_to_find_changed_clips(
    own: Path, corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    out = tmp_path / "m.safetensors"
    tuned(own, out, corpus, cache, small, max_steps=8, period=1, anchor=0.0)
    lines = (tmp_path / "m.safetensors.training" / "curve.csv").read_text().splitlines()[1:]
    losses = [float(line.split(",")[3]) for line in lines]
    assert min(losses) < losses[0]
    assert read_header(out)["steps"] == 1 + int(np.argmin(losses))


def test_music_is_dealt_by_recording(corpus: Path) -> None:
    splits, _ = music_splits(None, [corpus.parent], seed=0)
    names = {split: {row.name for row in rows} for split, rows in splits.items()}
    assert not names["train"] & names["valid"]
    assert (len(names["train"]), len(names["valid"])) == (18, 2)  # 20 files, nine of ten
    assert music_splits(None, [corpus.parent], seed=1)[0] != splits
    by_manifest, _ = music_splits(corpus, [], seed=0)
    assert {split: len(rows) for split, rows in by_manifest.items()} == {"train": 6, "valid": 2}


def test_what_cannot_be_is_one_sentence_each(
    own: Path, corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    out = tmp_path / "m.safetensors"

    def told(match: str, model: Any = own, grid: str = small, **more: Any) -> None:
        with pytest.raises(InputError, match=match) as caught:
            tuned(model, out, corpus, cache, grid, **more)
        assert "\n" not in str(caught.value)

    told("vgg-af: must be FILE.safetensors .* 'vgg-a", "vgg-af")
    told("gone.safetensors", tmp_path / "gone.safetensors")
    told("anchor=-1: must be >= 0", anchor=-1.0)
    told("anchor='x': must be a number", anchor="x")
    told("batch=1: must", batch=1)
    told("unknown grid 'quik'", grid="quik")
    told("both are given; pass one", audio=[corpus.parent], manifest=corpus)
    told("none is given; pass one", audio=[])
    head = build(NetworkConfig("mfcc", "classes", 2), seed=0)
    save(tmp_path / "mfcc.safetensors", Model("ir", "mfcc", "classes", head, ("a", "b")))
    told("nothing in the encoder mfcc is learnt", tmp_path / "mfcc.safetensors")
    assert not out.exists()
    tuned(own, out, corpus, cache, small, max_steps=1)
    other = tmp_path / "other.safetensors"
    network = build(NetworkConfig("vgg", "classes", 2), seed=4).eval()
    save(other, Model("ir", "vgg", "classes", network, ("drum", "organ")))
    for match, model, more in (
        ("begun with another network; .*--force", other, {}),
        ("begun with anchor 1.0, not 2.0", own, {"anchor": 2.0}),
    ):
        with pytest.raises(RunError, match=match):
            tuned(model, out, corpus, cache, small, max_steps=1, **more)
    inside = tmp_path / "m.safetensors.training" / "mine.safetensors"
    inside.write_bytes(own.read_bytes())
    told("holds .*mine.safetensors, which is an input", inside, max_steps=1)


# The commands


def test_the_command_and_its_file_of_options(
    own: Path, corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    config = tmp_path / "finetune.yaml"
    config.write_text(
        f"manifest: {corpus}\ngrid: {small}\ncache: {cache}\nbatch: 3\nmax-steps: 9\n"
        "device: cpu\nworkers: 1\n"
    )
    out = tmp_path / "m.safetensors"
    words = ["finetune", str(own), "--config", str(config), "--max-steps", "1", "--out", str(out)]
    plan = command(*words, "--dry-run", "--json")
    assert "nothing was written" in plan.stdout
    counted = json.loads(plan.stdout.splitlines()[-1])
    assert counted["recordings"] == {"train": 6, "valid": 2}
    assert counted["steps"] == 1
    assert counted["training_s"] > 0
    assert not out.exists()
    done = command(*words, "--json")
    assert "vgg_finetuned-ir-2: 1 steps" in done.stdout
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["changes"]["finetune"]["parent"] == "own.safetensors"
    assert resolve(str(tmp_path / "m.onnx")).task == "ir"
    assert "no grid given" in refused("finetune", str(own), "--manifest", "m", "--out", str(out))
    assert "no model given" in refused("finetune", "--grid", small, "--out", str(out))


def test_train_takes_grids_from_flags_and_files(
    corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    out = tmp_path / "m.safetensors"
    config = tmp_path / "train.yaml"
    config.write_text(f"task: ir\nmanifest: {corpus}\nfeatures: mfcc\naugment: {small}\n")
    words = ["train", "--config", str(config), "--max-steps", "1", "--batch", "3", "--workers", "1"]
    words += ["--out", str(out), "--cache", str(cache), "--device", "cpu"]
    assert "nothing was written" in command(*words, "--dry-run").stdout
    done = command(*words, "--json")
    assert "augmented with PN 0, 10" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["changes"]["augment"]["unchanged"] == 0.25
    told = refused(*words, "--force", "--features", "vgg", "--consistency", "1")
    assert "consistency=1: needs a grid" in told
    told = refused(*words, "--force", "--out", str(tmp_path / "x.safetensors"), "--augment", "x")
    assert "unknown grid 'x'" in told


def start(own: Path, corpus: Path, out: Path, cache: Path, grid: str) -> subprocess.Popen[bytes]:
    code = (
        "from nearkin.training import FineTuning, finetune; "
        f"settings = FineTuning({grid!r}, batch=3, crop_s=1.5, period=2, max_steps=12, "
        f"device='cpu'); finetune(settings, {str(own)!r}, {str(out)!r}, "
        f"manifest={str(corpus)!r}, cache={str(cache)!r})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], env=environment)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    own: Path, corpus: Path, tmp_path: Path, small: str
) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    begun = time.monotonic()
    assert start(own, corpus, straight, tmp_path / "cache", small).wait() == 0
    whole = time.monotonic() - begun
    rng = random.Random(0)
    for _ in range(4):
        process = start(own, corpus, broken, tmp_path / "cache2", small)
        try:
            process.wait(timeout=rng.uniform(0.3, 0.9) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert start(own, corpus, broken, tmp_path / "cache2", small).wait() == 0
    assert broken.read_bytes() == straight.read_bytes()
