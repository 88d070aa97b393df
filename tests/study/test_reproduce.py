"""A whole study on a small corpus of tones: its folder, what stops it, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from conftest import write_tunes
from nearkin.errors import InputError, RunError
from nearkin.files import sha256_of
from nearkin.performance.estimate import TaskParts
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.results import analysis
from nearkin.runs.estimate import RunParts
from nearkin.runs.folder import RunFolder
from nearkin.study import checks, side_by_side, steps
from nearkin.study.estimate import estimate
from nearkin.study.paper import CLAIMS
from nearkin.study.places import StudyFolder
from nearkin.study.plan import StudyPlan
from nearkin.study.steps import _cpu_seconds, steps_of
from nearkin.study.study import WHOLE, _Told, finished, reproduce, require_possible
from nearkin.study.timed import comparing_seconds, scoring_seconds
from nearkin.training.estimate import StepTime
from nearkin.training.place import TrainingPlace
from nearkin.workers import open_workers
from support.commands import command, refused
from support.labelled_tones import make_corpus

GRID = "{PN: [-10, 0, 9, 18, 30], MP: [8, 16, 32, 64, 128]}"
KEPT = ("models", "figures", "claims.csv", "report.html", "run")
CLOCKED = ("run.json", "performance.json", ".nearkin")


def test_lines_of_the_log_that_were_damaged_are_left_out(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    folder.claim()
    for name in ("corpus tags", "train vgg ae 1", "train mfcc ae 1"):
        folder.log((name, 1.25, 1.0, 7.0))
    path = tmp_path / "study" / "log.csv"
    content = path.read_bytes()
    for damaged in (
        content.replace(b"train vgg", b"tra\xe9n vgg"),  # one bit
        content.replace(b"train vgg", bytes(9)),
        content.replace(b"ae 1,1.2,1.0,7.0\ntrain m", b"ae 1,1.2,1\ntrain m"),
    ):
        path.write_bytes(damaged)
        folder.log(("performance", 2.0, 1.0, 7.0))
        rows = pd.read_csv(path)
        assert rows["step"].tolist() == ["corpus tags", "train mfcc ae 1", "performance"]
        assert rows["seconds"].tolist() == [1.2, 1.2, 2.0]
    for damaged in (b"", bytes(100), b"\xff\xfe"):
        path.write_bytes(damaged)
        folder.log(("performance", 2.0, 1.0, 7.0))
        assert pd.read_csv(path)["step"].tolist() == ["performance"]


def test_lines_of_the_log_of_windows_stay(tmp_path: Path) -> None:
    """No memory is known there, and an editor may end lines its own way."""
    folder = StudyFolder(tmp_path / "study")
    folder.claim()
    path = tmp_path / "study" / "log.csv"
    for name in ("corpus tags", "train vgg ae 1"):
        folder.log((name, 1.25, 1.0, float("nan")))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    folder.log(("performance", 2.0, 1.0, float("nan")))
    assert path.read_text("utf-8").splitlines() == [
        "step,seconds,cpu_seconds,peak_mb",
        "corpus tags,1.2,1.0,nan",
        "train vgg ae 1,1.2,1.0,nan",
        "performance,2.0,1.0,nan",
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    (folder / "grid.yaml").write_text(GRID)
    return {
        "manifest": make_corpus(folder / "tones", n=20, seconds=3.0),
        "music": write_tunes(folder / "music", 4),
        "grid": folder / "grid.yaml",
    }


def plan_for(data: dict[str, Path], **more: Any) -> StudyPlan:
    settings: dict[str, Any] = {
        "trials": 1,
        "max_steps": 2,
        "batch": 2,
        "clip_seconds": 1.5,
        "grid": str(data["grid"]),
        "manifests": dict.fromkeys(("at", "ir", "vs"), data["manifest"]),
        "audio": (data["music"],),
        **more,
    }
    return StudyPlan(**settings)


@pytest.fixture(scope="module")
def study(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study; read it, never write it."""
    out = tmp_path_factory.mktemp("study") / "whole"
    reproduce(plan_for(data), out)
    return out


def content(out: Path) -> dict[str, str]:
    """Return the hashes of everything that holds no clock."""
    found = {}
    for name in KEPT:
        paths = [out / name] if (out / name).is_file() else sorted((out / name).rglob("*"))
        for path in paths:
            relative = path.relative_to(out)
            clocked = path.name in CLOCKED or ".training" in str(relative)
            if path.is_file() and not clocked and path.suffix not in (".pdf",):
                found[str(relative)] = sha256_of(path)
    found.pop("run/report.html", None)  # it tells when the run was made
    return found


def test_a_study_leaves_claims_a_page_and_a_run(study: Path) -> None:
    decided = pd.read_csv(study / "claims.csv")
    assert list(decided["name"]) == [claim.name for claim in CLAIMS]
    page = (study / "report.html").read_text("utf-8")
    assert all(f'id="{claim.name}"' in page for claim in CLAIMS)
    assert page.count("data:image/svg+xml") >= 8
    assert 'id="figure_14"' in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page.split("</style>")[1]
    models = sorted(path.name for path in (study / "models").glob("*.safetensors"))
    assert len(models) == 8
    performed = pd.read_parquet(study / "run" / "performance.parquet")
    assert set(performed["task"]) == {"ae", "at", "ir", "vs"}
    assert set(performed["encoder"]) == {"vgg", "mfcc"}
    log = pd.read_csv(study / "log.csv")
    assert list(log["step"]) == [
        s.name for s in steps_of(plan_of_study(study)) if s.name != "check"
    ]


def plan_of_study(study: Path) -> StudyPlan:
    settings = json.loads((study / "study.json").read_text())["settings"]
    settings["manifests"] = {task: Path(path) for task, path in settings["manifests"].items()}
    settings["audio"] = tuple(map(Path, settings["audio"]))
    return StudyPlan(**settings)


def test_a_finished_study_is_not_done_again(
    study: Path, data: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*.parquet")}
    told: list[str] = []
    monkeypatch.setattr("nearkin.training.train", None)  # nothing is trained
    reproduce(plan_for(data), study, tell=told.append)
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*.parquet")} == before
    assert any("steps were done before" in sentence for sentence in told)


class StopError(Exception):
    """What a test stops a study with."""


def test_stopped_half_way_it_ends_with_the_same_bytes(
    study: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "stopped"

    def progress(stage: str, done: int, total: int) -> None:
        del stage, done, total
        record = out / "study.json"
        if record.is_file() and len(json.loads(record.read_text())["done"]) >= 3:
            raise StopError  # in the middle of the trainings

    with pytest.raises(StopError):
        reproduce(plan_for(data), out, progress=progress)
    done = json.loads((out / "study.json").read_text())["done"]
    assert 0 < len(done) < 8
    reproduce(plan_for(data), out)
    assert content(out) == content(study)


@pytest.mark.slow
def test_killed_five_times_it_ends_with_the_same_bytes(
    study: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    code = (
        "import sys, test_reproduce as t; from pathlib import Path; from nearkin.study.study "
        "import reproduce; folder = Path(sys.argv[1]); data = {'manifest': folder / 'tones' / "
        "'manifest.csv', 'music': folder / 'music', 'grid': folder / 'grid.yaml'}; "
        "reproduce(t.plan_for(data), sys.argv[2], workers=2)"
    )
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    words = [sys.executable, "-c", code, str(data["grid"].parent), str(out)]
    rng = random.Random(1)
    kills = 0
    while True:
        child = subprocess.Popen(words, env=environment, start_new_session=True)
        if kills < 5:
            time.sleep(rng.uniform(6, 40))
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                kills += 1
                child.wait()
                continue
        assert child.wait() == 0
        break
    assert content(out) == content(study)


def test_a_killed_commands_lease_is_no_obstacle(data: dict[str, Path], tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "out")
    folder.claim()
    (folder.root / ".nearkin-lease").write_text('{"pid": 1, "host": "gone"}')
    require_possible(plan_for(data), folder)
    folder.claim()


def pretended(plan: StudyPlan, out: Path) -> StudyFolder:
    """Return a study whose every step is recorded as done, its files with nothing real in them."""
    folder = StudyFolder(out)
    folder.claim()
    run = RunFolder(folder.run)
    run.claim()
    done = {}
    for step in steps_of(plan):
        files = step.files(folder)
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            if step.kind != "train":
                path.write_text(step.name)
                (run if folder.run in path.parents else folder).owned.own(path)
                continue
            place = TrainingPlace(path)
            with place.held():
                path.write_text(step.name)
                place.wrote(path)
                (place.folder / "curve.csv").write_text("step,validation_loss\n1,.9\n2,.8\n")
        if files:
            done[step.name] = folder.digests(files)
    folder.write(plan.identity(), done)
    return folder


def test_other_settings_are_refused_by_name(data: dict[str, Path], tmp_path: Path) -> None:
    out = pretended(plan_for(data), tmp_path / "out").root
    with pytest.raises(InputError, match=r"batch \(was 2, now 3\), trials \(was 1, now 2\)"):
        reproduce(plan_for(data, trials=2, batch=3), out)


def test_a_study_may_be_given_more_trials_but_not_fewer(
    data: dict[str, Path], tmp_path: Path
) -> None:
    folder = pretended(plan_for(data), tmp_path / "out")
    more = plan_for(data, trials=2, head_trials=1)
    done = folder.begin(more.identity())
    assert len(done) == 8
    assert all(name.startswith("train ") for name in done)
    assert folder.model("vgg", "ae", 1).is_file()
    assert not (folder.run / "run.json").exists()  # it was of fewer networks
    assert not (folder.run / "performance.parquet").exists()
    assert folder.done_with(more.identity()) == done
    for other in (plan_for(data), plan_for(data, trials=3, head_trials=1, seed=1)):
        with pytest.raises(InputError, match="give the same settings or more trials"):
            folder.done_with(other.identity())
    folder.write(plan_for(data, trials=4, head_trials=1).identity(), done)
    with pytest.raises(InputError, match=r"head_trials \(was 1, now 2\), trials \(was 4, now 3\)"):
        folder.done_with(plan_for(data, trials=3, head_trials=2).identity())


def test_a_model_that_went_is_trained_again(
    study: Path, data: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(study)
    model = folder.model("mfcc", "ir", 1)
    sha256 = sha256_of(model)
    model.unlink()
    reproduce(plan_for(data), study)
    assert sha256_of(model) == sha256


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("run/performance.csv", "performance"),
        ("run/embeddings/vgg-at.npy", "consistency"),
        ("run/analysis/gam.csv", "analyze"),
        ("run/figures/figure_7.svg", "report"),
        ("figures/figure_14.svg", "vocal map"),
    ],
)
def test_what_a_finished_step_left_and_was_damaged_is_made_again(
    name: str, again: str, study: Path, data: dict[str, Path]
) -> None:
    """A step named some of its files only; the others stayed damaged, with exit 0."""
    before, path = content(study), study / name
    path.write_bytes(path.read_bytes()[:-9])
    assert again not in finished(plan_for(data), StudyFolder(study))
    reproduce(plan_for(data), study)
    assert name in before
    assert content(study) == before


def test_sounds_of_a_finished_study_that_were_damaged_are_made_again(
    study: Path, data: dict[str, Path]
) -> None:
    """No step named them: those that the run wrote, and those that the report wrote, stayed so."""
    before, whole = content(study), finished(plan_for(data), StudyFolder(study))
    held = json.loads((study / "run" / "run.json").read_text())["files"]
    sounds = sorted((study / "run" / "audio").iterdir())
    of_run = next(path for path in sounds if f"audio/{path.name}" in held)
    kept = of_run.read_bytes()
    of_run.write_bytes(kept[:-9])
    again = whole - finished(plan_for(data), StudyFolder(study))
    of_run.write_bytes(kept)
    assert again == {"consistency", "report"}
    of_report = next(path for path in sounds if f"audio/{path.name}" not in held)
    of_report.write_bytes(of_report.read_bytes()[:-9])
    assert whole - finished(plan_for(data), StudyFolder(study)) == {"report"}
    reproduce(plan_for(data), study)
    assert content(study) == before


def test_a_failed_step_is_told_with_what_to_do(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise RunError("the disk: is full; free some")

    monkeypatch.setattr("nearkin.training.train", fail)
    with pytest.raises(RunError) as caught:
        reproduce(plan_for(data), tmp_path / "out")
    assert str(caught.value).startswith("step 'train vgg ae 1': the disk: is full; free some")
    assert "give the same nearkin reproduce command again" in str(caught.value)


# -- trainings side by side -----------------------------------------------------------------------


def models_of(study: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in (study / "models").glob("*.safetensors")}


@contextlib.contextmanager
def threads_of_torch(n: int) -> Iterator[None]:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def stopped_after_training(
    plan: StudyPlan, out: Path, tell: Tell = unsaid, progress: Progress = silent
) -> None:
    with pytest.raises(RunError, match="comparing is another test"):
        reproduce(plan, out, workers=2, tell=tell, progress=progress)


def test_trainings_side_by_side_are_those_one_after_another(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comparing(work: Any) -> None:
        raise RunError("comparing is another test's; leave it")

    monkeypatch.setattr(steps, "consistency", comparing)
    monkeypatch.setattr(side_by_side, "at_once", lambda plan, workers: 1)
    with threads_of_torch(1):  # as those side by side have
        stopped_after_training(plan_for(data), tmp_path / "after")
    monkeypatch.setattr(side_by_side, "at_once", lambda plan, workers: workers)
    # more than the two they take, as where validation ends them sooner than was counted
    monkeypatch.setattr(side_by_side, "steps_to_train", lambda *of_training: 3)
    out = tmp_path / "beside"
    told: list[str] = []
    steps_told: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained side by side":
            steps_told.append((done, total))

    stopped_after_training(plan_for(data), out, told.append, progress)
    assert models_of(out) == models_of(tmp_path / "after")
    assert len(models_of(out)) == 8
    log = pd.read_csv(out / "log.csv")
    trainings = [s.name for s in steps_of(plan_for(data)) if s.kind == "train"]
    assert sorted(log["step"]) == sorted(trainings)
    assert (log[["seconds", "cpu_seconds", "peak_mb"]] > 0).all(axis=None)
    assert len(told) == len(set(told))
    assert steps_told == sorted(steps_told)
    assert steps_told[-1] == (3 * 8, 3 * 8)
    assert {total for _, total in steps_told} == {3 * 8}
    # one that went is done again, and no other
    (out / "models" / "vgg-at-1.safetensors").unlink()
    stopped_after_training(plan_for(data), out)
    assert list(pd.read_csv(out / "log.csv")["step"])[8:] == ["train vgg at 1"]
    assert models_of(out) == models_of(tmp_path / "after")


def test_one_that_fails_side_by_side_is_told_at_once_with_what_to_do(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "at_once", lambda plan, workers: workers)
    folder = StudyFolder(tmp_path)
    folder.claim()
    foreign = folder.model("vgg", "at", 1)  # it begins when the first or the second has ended
    foreign.write_bytes(b"somebody's")
    with pytest.raises(RunError, match=r"step 'train vgg at 1': .*is there already.*again"):
        reproduce(plan_for(data), tmp_path, workers=2)
    assert foreign.read_bytes() == b"somebody's"
    done = json.loads((tmp_path / "study.json").read_text())["done"]
    assert done
    assert set(done) <= {"train vgg ae 1", "train mfcc ae 1"}


@pytest.mark.parametrize(
    ("gigabytes", "workers", "precision", "n"),
    [
        (80.0, 16, "bf16-mixed", 8),  # as the cores allow
        (12.0, 16, "bf16-mixed", 3),  # .8 + 24 clips x 2 s x .06 = 3.68 GB each
        (12.0, 16, "32-true", 1),  # 6.56 GB
        (1.0, 16, "bf16-mixed", 1),
        (80.0, 5, "bf16-mixed", 2),
    ],
)
def test_as_many_go_side_by_side_as_memory_and_cores_allow(
    gigabytes: float, workers: int, precision: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    free = (int(gigabytes * 1e9), 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: free)
    monkeypatch.setattr("nearkin.training.trainer.device_of", lambda _: torch.device("cuda"))
    plan = StudyPlan(device="cuda", precision=precision)
    assert side_by_side.at_once(plan, workers) == n


def test_what_fails_before_the_first_is_told_with_what_to_do(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise RunError("the disk: is full; free some")

    monkeypatch.setattr(side_by_side, "at_once", lambda plan, workers: workers)
    monkeypatch.setattr("nearkin.training.cache.AudioCache.fill", fail)
    with pytest.raises(RunError, match=r"step 'train vgg ae 1': the disk: is full.*command again"):
        reproduce(plan_for(data), tmp_path / "out", workers=2)


def test_a_study_of_medium_keeps_when_its_trainings_end() -> None:
    assert {"patience", "min_gain"} <= set(StudyPlan(scale="medium").identity())
    assert not {"patience", "min_gain"} & set(StudyPlan(scale="small").identity())


@pytest.mark.parametrize(
    ("device", "threads", "workers", "gigabytes", "n"),
    [
        ("cpu", 2, 16, 64.0, 1),  # each would have another number of threads
        ("cpu", 1, 1, 64.0, 1),
        ("cpu", 1, 2, 64.0, 2),
        ("cpu", 1, 16, 16.0, 3),  # .8 + 24 clips x 2 s x .08 = 4.64 GB each
        ("cpu", 1, 16, 0.0, 1),  # a system that does not tell
        ("cuda", 1, 3, 64.0, 1),
        ("mps", 1, 16, 64.0, 1),
    ],
)
def test_on_a_cpu_trainings_of_one_thread_go_side_by_side(
    device: str,
    threads: int,
    workers: int,
    gigabytes: float,
    n: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("nearkin.training.trainer.device_of", lambda _: torch.device(device))
    monkeypatch.setattr(side_by_side, "usable_memory", lambda: int(gigabytes * 1e9))
    with threads_of_torch(threads):
        assert side_by_side.at_once(StudyPlan(device=device), workers) == n


def test_the_estimate_of_corpora_grows_with_hours_and_counts_what_is_missing(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearkin.training.estimate.step_time", lambda *_: StepTime(1.0, 1.0))
    monkeypatch.setattr("nearkin.study.estimate.comparing_seconds", lambda _: 0.0)
    monkeypatch.setattr("nearkin.study.estimate.scoring_seconds", lambda _: 0.0)

    def rendering_s(hours: float, workers: int, *given: str) -> float:
        manifests = dict.fromkeys(given, data["manifest"])
        plan = replace(plan_for(data), manifests=manifests, hours=hours)
        return estimate(plan, StudyFolder(tmp_path / "out"), workers=workers).seconds["corpora"]

    whole = rendering_s(2.0, 1)
    assert rendering_s(4.0, 1) == pytest.approx(2 * whole)
    assert rendering_s(2.0, 2) == pytest.approx(whole / 2)
    each = [rendering_s(2.0, 1, *given) for given in (("at", "ir"), ("at", "vs"), ("ir", "vs"))]
    assert sum(each) == pytest.approx(whole)
    assert 60 < min(each) < max(each) < 3600
    assert rendering_s(2.0, 1, "at", "ir", "vs") == 0


def test_trainings_side_by_side_take_no_less_than_the_longest(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven trainings of 1 s a step and one of 20 s: seven cores wait for it."""

    def step_time(settings: Any, *_: Any) -> StepTime:
        long = (settings.features, settings.task) == ("vgg", "vs")
        return StepTime(30.0, 20.0 if long else 1.0)

    monkeypatch.setattr("nearkin.training.estimate.step_time", step_time)
    monkeypatch.setattr("nearkin.study.estimate.comparing_seconds", lambda _: 0.0)
    monkeypatch.setattr("nearkin.study.estimate.scoring_seconds", lambda _: 0.0)
    each = steps_with_scores(data, 2, 2, n=1)
    monkeypatch.setattr("nearkin.study.side_by_side.usable_memory", lambda: 10**12)
    with threads_of_torch(1):
        for workers, seconds in ((1, 27.0), (8, 20.0)):
            plan = plan_for(data, trials=1, head_trials=1)
            found = estimate(plan, StudyFolder(tmp_path / "out"), workers=workers)
            assert found.seconds["training"] == pytest.approx(seconds * each)


# -- what is refused before the first step -------------------------------------------------------


def edited(data: dict[str, Path], tmp_path: Path, old: str, new: str) -> dict[str, Path]:
    """Return the data with another manifest beside the sounds."""
    table = data["manifest"].read_text().replace(old, new)
    for name in ("mix", "voice"):
        for path in data["manifest"].parent.glob(f"{name}*.wav"):
            (tmp_path / path.name).symlink_to(path)
    path = tmp_path / "manifest.csv"
    path.write_text(table)
    return {**data, "manifest": path}


def refuses(plan: StudyPlan, out: Path) -> str:
    with pytest.raises(InputError) as caught:
        reproduce(plan, out)
    assert not out.exists()
    return str(caught.value)


def test_a_corpus_without_a_split_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    other = edited(data, tmp_path, ",test,", ",train,")
    told = refuses(plan_for(other), tmp_path / "out")
    assert "has no row of split 'test'" in told


def test_a_split_that_lacks_a_class_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    lines = data["manifest"].read_text().splitlines()
    kept = [line for line in lines if not (",test," in line and ",organ," in line)]
    manifest = data["manifest"].parent / "lacking.csv"
    manifest.write_text("\n".join(kept) + "\n")
    told = refuses(plan_for({**data, "manifest": manifest}), tmp_path / "out")
    assert "test lacks 1 of 2 classes, such as 'organ'" in told


def test_a_class_that_training_lacks_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    lines = data["manifest"].read_text().splitlines()
    lines = [line.replace(",organ,", ",bell,", 1) if ",test," in line else line for line in lines]
    manifest = data["manifest"].parent / "beyond.csv"
    manifest.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="test has the class 'bell' that no training row has"):
        checks.require_corpora({"ir": manifest})


def test_test_clips_that_a_network_heard_are_refused(data: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "another-name.wav"
    copy.write_bytes((data["manifest"].parent / "mix0.wav").read_bytes())
    plan = plan_for(data, audio=(data["music"], copy))
    told = refuses(plan, tmp_path / "out")
    assert "another-name.wav" in told
    assert "mix0.wav in split 'train'" in told


def test_a_grid_without_curves_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    """After the trainings it would be too late: another grid is another study."""
    plan = replace(plan_for(data), grid="imperceptible")
    with pytest.raises(InputError, match=r"--grid imperceptible: no transformation has 5 magn"):
        reproduce(plan, tmp_path / "out")
    one = tmp_path / "one.yaml"
    one.write_text("{PN: [-15, -3, 9, 18, 30], MP: [8, 64]}")
    with pytest.raises(InputError, match=r"--grid .*one\.yaml: only PN has 5 magnitudes: .* two"):
        reproduce(replace(plan, grid=str(one)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scores_that_leave_nothing_to_model_do_not_end_a_study(
    data: dict[str, Path], study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known only after the trainings, when no setting can be changed any more."""
    out = tmp_path / "study"
    shutil.copytree(study, out)
    shutil.rmtree(out / "run" / "analysis")

    def met_exactly(*of: Any) -> None:
        raise InputError("the model meets all scores exactly")

    monkeypatch.setattr(analysis, "_require_error", met_exactly)
    told: list[str] = []
    reproduce(plan_for(data), out, tell=told.append)
    assert any(line.startswith("not analysed: ") for line in told)
    decided = pd.read_csv(out / "claims.csv").set_index("name")
    whole = pd.read_csv(study / "claims.csv").set_index("name")
    asks = decided["decided_by"].str.contains("nearkin analyze")
    assert asks.any()
    assert (decided.loc[asks, "verdict"] == "not testable here").all()
    assert decided.loc[~asks, "verdict"].equals(whole.loc[~asks, "verdict"])
    assert "not analysed" in (out / "report.html").read_text("utf-8")


def test_a_disk_too_small_is_refused(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 5e6})
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage)
    told = refuses(plan_for(data), tmp_path / "out")
    assert "5 MB can be used there, but the study takes about" in told


def test_without_torch_it_is_refused(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    out = tmp_path / "out"
    told = refused(
        *("reproduce", "--out", out, "--manifest", f"at={data['manifest']}"),
        *("--manifest", f"ir={data['manifest']}", "--manifest", f"vs={data['manifest']}"),
    )
    assert "nearkin[torch]" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--scale", "large"], "--scale large"),
        (["--trials", "0"], "--trials 0: must be in 1..100"),
        (["--manifest", "irmas.csv"], "names no task; write TASK=FILE"),
        (["--manifest", "xx=irmas.csv"], "--manifest xx=..."),
        (["--head-trials", "6"], "--head-trials 6: must be in 1..5"),
        (["--task-clips", "1"], "--task-clips 1: must be 2 or more"),
        (["--clips", "1"], "--clips 1: must be 2 or more"),
        (["--hours", "0"], "--hours 0: must be above 0"),
        (["--clips-from", "/no/such/folder"], "no such file or folder"),
    ],
)
def test_bad_options_are_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sentence in refused("reproduce", "--out", out, *words)
    assert not out.exists()


def test_a_folder_of_somebody_elses_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something that is no nearkin study"):
        require_possible(plan_for(data), StudyFolder(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# -- what is counted and told --------------------------------------------------------------------


def steps_with_scores(data: dict[str, Path], steps: int, batch: int, *, n: int) -> float:
    """Return the steps of trainings, a third of one for a batch that is validated or scored."""
    splits = pd.read_csv(data["manifest"])["split"].value_counts()
    forward = 2 * splits["valid"] + splits["test"]  # one validation, two splits scored
    return float(n * (steps + forward / batch / 3))


def test_a_dry_run_counts_and_writes_nothing(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearkin.training.estimate.step_time", lambda *_: StepTime(0.5, 0.9))
    monkeypatch.setattr("nearkin.study.estimate.at_once", lambda plan, workers: 2)
    out = tmp_path / "out"
    given = [f"{task}={data['manifest']}" for task in ("at", "ir", "vs")]
    done = command(
        *("reproduce", "--out", out, "--dry-run", "--trials", 2, "--max-steps", 3, "--json"),
        *(word for one in given for word in ("--manifest", one)),
        *("--clips-from", data["music"], "--grid", data["grid"], "--threads", 1),
    )
    assert done.exit_code == 0, (done.stderr, done.exception)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["trainings"], told["points"], told["clips"]) == (16, 10, 100)
    assert told["total_seconds"] == pytest.approx(sum(told["seconds"].values()))
    assert told["seconds"]["corpora"] == 0
    trained_s = steps_with_scores(data, 3, 24, n=16) * 0.9
    assert told["seconds"]["training"] == pytest.approx(trained_s / 2)
    seconds, workers = told["seconds"], told["workers"]
    # two train, of one thread each, and one process analyses; the workers' time is everybody's
    alone = trained_s + seconds["analysis, figures and claims"]
    shared = seconds["consistency"] + seconds["task scores"]
    assert min(seconds["consistency"], seconds["task scores"]) > 0
    assert told["cpu_seconds"] == pytest.approx(alone + workers * shared)
    assert "CPU time: about " in done.stdout
    assert "nothing was written" in done.stdout
    assert not out.exists()


def test_a_dry_run_counts_what_is_done_and_times_what_is_left(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, timed = plan_for(data), []

    def step_time(settings: Any, *_: Any) -> StepTime:
        timed.append((settings.features, settings.task))
        return StepTime(3.0, 1.0)  # others are at work: two threads need 0.5

    def steps_of_trainings(n: int) -> float:
        return steps_with_scores(data, 2, 2, n=n)

    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr("nearkin.training.estimate.step_time", step_time)
    monkeypatch.setattr("nearkin.study.estimate.comparing_seconds", lambda _: 800.0)
    monkeypatch.setattr("nearkin.study.estimate.scoring_seconds", lambda _: 90.0)
    folder = pretended(plan, tmp_path / "out")
    whole = estimate(plan, folder, workers=1)
    assert (whole.steps_done, whole.steps, whole.trainings_done) == (14, 14, 8)
    assert sum(whole.seconds.values()) == 0
    assert not timed
    more = estimate(plan_for(data, trials=3, head_trials=1), folder, workers=1)
    assert (more.steps_done, more.trainings_done, more.trainings) == (8, 8, 16)
    assert more.seconds["training"] == pytest.approx(steps_of_trainings(2 * 4) * 0.5)
    assert {features for features, _ in timed} == {"vgg"}  # the heads are there
    folder.clear_run()
    record = folder.read()
    assert record is not None
    folder.write(record["settings"], dict(list(record["done"].items())[:3]))
    for name in ("vgg-vs-1", "mfcc-ir-1"):  # not begun; the others are whole, though not recorded
        shutil.rmtree(folder.root / "models" / f"{name}.safetensors.training")
        (folder.root / "models" / f"{name}.safetensors").unlink()
    found = estimate(plan, folder, workers=1)
    assert (found.steps_done, found.trainings_done, found.trainings) == (6, 6, 8)
    assert found.seconds["training"] == pytest.approx(steps_of_trainings(2) * 0.5)
    assert (found.seconds["consistency"], found.seconds["task scores"]) == (800.0, 90.0)
    halved = estimate(plan, folder, workers=2)
    assert (halved.seconds["consistency"], halved.seconds["task scores"]) == (400.0, 45.0)
    assert halved.cpu_seconds == pytest.approx(found.cpu_seconds)
    told = found.seconds["analysis, figures and claims"]
    assert found.cpu_seconds == pytest.approx(steps_of_trainings(2) + 800 + 90 + told)
    told = "\n".join(found.lines())
    assert "6 of 14 steps are done and not done again, 6 of 8 trainings among them" in told
    model = folder.model("vgg", "ir", 1)
    model.unlink()
    TrainingPlace(model).folder.joinpath("curve.csv").write_text("step,validation_loss\n1,.9\n")
    found = estimate(plan, folder, workers=1)
    with_one_begun = steps_of_trainings(3) - 1
    assert found.seconds["training"] == pytest.approx(with_one_begun * 0.5)


def test_the_estimate_grows_with_clips_points_and_networks(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every network embeds every version of every clip: nearly all that a study's run does."""
    each = RunParts(
        *(11, 0.5, 2.0, {"mfcc": 0.001, "vgg-at": 0.02, "constant": 0.0}),
        pair=0.0,
        scoring=0.0,
        scored=100,
    )
    asked: list[tuple[Any, ...]] = []

    def parts_of(plan: Any, audio: list[str], *, n_clips: int, **_: Any) -> RunParts:
        asked.append((plan.settings()["references"], n_clips))
        assert len(list(Path(audio[0]).glob("*.wav"))) == 2
        return replace(each, points=len(plan.points))

    monkeypatch.setattr("nearkin.runs.estimate.parts_of", parts_of)

    def seconds(**more: Any) -> float:
        return comparing_seconds(plan_for(data, **more))

    one = seconds(clips=10)
    assert one == pytest.approx(10 * (0.5 + 2.0 + (11 + 1) * (0.001 + 4 * 0.02)))
    assert seconds(clips=30) == pytest.approx(3 * one)
    # three trials of four tasks; heads on MFCC embed nothing of their own
    added = seconds(clips=10, trials=3, head_trials=1) - one
    assert added == pytest.approx(10 * (11 + 1) * 8 * 0.02)
    wider = tmp_path / "grid.yaml"
    wider.write_text("{PN: [-10, 0, 9, 18, 30], MP: [8, 16, 32, 64, 128], TS: [0.9, 1.1]}")
    added = seconds(clips=10, grid=str(wider)) - one
    assert added == pytest.approx(10 * 2 * (0.001 + 4 * 0.02))
    assert asked[0] == ("untrained", 10)


def test_pairs_and_scores_grow_with_the_square_of_the_clips() -> None:
    parts = RunParts(5, 0.0, 0.0, {"a": 0.0, "b": 0.0}, pair=0.001, scoring=0.01, scored=100)
    assert parts.seconds(100) == pytest.approx(5 * (100**2 * 0.001 + 2 * 0.01))
    assert parts.seconds(300) == pytest.approx(9 * parts.seconds(100))
    assert parts.seconds(100, alike={"b": 4}) == pytest.approx(parts.seconds(100) + 5 * 3 * 0.01)


def test_the_estimate_of_scores_grows_with_clips_and_trials(
    data: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []

    def parts_of(test: Any, plan: Any, **_: Any) -> TaskParts:
        scored.append((test.task, [one.encoder for one in test.models], len(plan.points)))
        return TaskParts(3.0, (0.5, 0.25))

    monkeypatch.setattr("nearkin.performance.estimate.parts_of", parts_of)
    plan = plan_for(data, trials=3, head_trials=1, task_clips=10)
    one = scoring_seconds(plan)
    assert one == pytest.approx(10 * 4 * (3.0 + 3 * 0.5 + 1 * 0.25))
    assert scored == [(name, ["vgg", "mfcc"], 11) for name in ("ae", "at", "ir", "vs")]
    assert scoring_seconds(replace(plan, task_clips=20)) == pytest.approx(2 * one)


def _busy(_: None, seconds: float) -> float:
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        sum(range(1000))
    return time.process_time()


def test_a_steps_processor_time_is_its_workers_too() -> None:
    before = _cpu_seconds()
    with open_workers(None, workers=2) as pool:
        list(pool.map(_busy, [0.4] * 4))
    assert _cpu_seconds() - before >= 4 * 0.4


def test_progress_over_the_whole_never_goes_back(data: dict[str, Path], study: Path) -> None:
    told: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == WHOLE:
            assert total == 100
            told.append(done)

    reproduce(plan_for(data), study, progress=progress)
    assert told == sorted(told)
    assert told[-1] == 100


def test_a_training_whose_splits_are_scored_in_turn_never_goes_back() -> None:
    found = [step for step in steps_of(StudyPlan(trials=1)) if step.kind == "train"]
    told: dict[str, list[int]] = {}
    study = _Told(lambda stage, done, _: told.setdefault(stage, []).append(done), found)
    for step in found:
        progress = study.within(step)
        progress("recordings decoded", 5, 5)
        for done in range(11):
            progress("steps trained", done, 10)
        for n in (40, 20):  # batches of the validation split, then of the test split
            for done in range(n):
                progress("batches scored", done + 1, n)
        study.finished(step)
    assert len(told) == 2
    for counts in told.values():
        assert counts == sorted(counts)


def test_progress_of_task_scores_goes_through_all_tasks() -> None:
    found = steps_of(StudyPlan(trials=1))
    (scoring,) = (step for step in found if step.kind == "performance")
    told: list[int] = []
    within = _Told(lambda stage, done, _: told.append(done) if stage == WHOLE else None, found)
    progress = within.within(scoring)
    for name in ("ae", "at", "ir", "vs"):
        for done in (0, 8, 16):
            progress(f"{name}: clips changed and scored", done, 16)
    within.finished(scoring)
    assert told == sorted(told)
    # with one trial scoring outweighs all but the comparison: half-way is not near the end
    assert told[6] < (told[0] + told[-1]) / 2 + 2


def test_every_kind_of_step_has_a_weight_and_a_name() -> None:
    assert len(StudyPlan(trials=3, head_trials=1).models) == 16
    plan = StudyPlan(trials=2)
    found = steps_of(plan)
    assert len({step.name for step in found}) == len(found)
    assert {step.kind for step in found} == set(steps.KINDS)
    assert [step.name for step in found[:3]] == [
        "corpus tags",
        "corpus instruments",
        "corpus vocals",
    ]
    trained = [step.name for step in found if step.kind == "train"]
    assert len(trained) == 16
    assert trained[0] == "train vgg ae 1"
    assert trained[-1] == "train mfcc vs 2"
