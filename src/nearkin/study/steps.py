"""The steps of a study by name: each calls what a command of nearkin calls, and names its files.

Steps come in order: corpora, the check of what they hold, trainings, the consistency run, task
scores, the analysis, its figures and report, and the claims. A step that was done is not done
again while its files are as it left them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nearkin import tasks
from nearkin.errors import InputError, NearkinError
from nearkin.progress import Progress, Tell
from nearkin.study.places import StudyFolder
from nearkin.study.plan import CORPORA, PLATEAU_STEPS, StudyPlan
from nearkin.tasks import TASKS

if TYPE_CHECKING:
    from nearkin.training import Settings

KINDS = {
    "corpus": "corpora rendered",
    "check": "corpora checked",
    "train": "networks trained",
    "consistency": "changed clips compared",
    "performance": "tasks scored",
    "analyze": "scores analysed",
    "report": "figures and reports",
}
"""The kinds of steps, and what progress calls them."""

STAGES = {
    "corpus": ("render",),
    "train": ("recordings decoded", "recordings measured", "steps trained", "batches scored"),
    "consistency": ("originals", "queries", "scores"),
}
"""The stages of a step that tell most of how far it is, in their order."""

WEIGHTS = {
    **{"corpus": 240.0, "check": 5.0, "analyze": 60.0, "report": 40.0},
    **{"train vgg ae": 250.0, "train vgg at": 110.0, "train vgg ir": 110.0, "train vgg vs": 430.0},
    **{"train mfcc ae": 130.0, "train mfcc at": 20.0, "train mfcc ir": 20.0},
    **{"train mfcc vs": 140.0, "consistency": 2400.0, "performance": 3600.0},
}
"""About the seconds of a step at scale small on one core, to weigh progress with."""

_TABLES = ("clips.parquet", "queries.parquet", "consistency.parquet", "consistency.csv")
_MORE = ("failures.*", "embeddings/*", "audio/*")


class Work(NamedTuple):
    """What a step works with."""

    plan: StudyPlan
    folder: StudyFolder
    workers: int
    progress: Progress
    tell: Tell


class Took(NamedTuple):
    """What a step took.

    Attributes
    ----------
    seconds, cpu_seconds : float
        On the clock; of this process and its own that ended.
    peak_mb : float
        The largest memory of this process or of one of its own, in megabytes (1e6 bytes); of a
        process that did several steps, the largest of all these.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes
    ----------
    name : str
        Names it in study.json and in messages.
    kind : str
        A key of `KINDS`.
    act : callable
        Does it, or goes on with it.
    files : callable
        Given the folder, the files by which it counts as done.
    weight : float
        About how long it takes.
    model : (str, str, int) or None
        Of a training: encoder, task and trial.
    """

    name: str
    kind: str
    act: Callable[[Work], None]
    files: Callable[[StudyFolder], list[Path]]
    weight: float
    model: tuple[str, str, int] | None = None


def steps_of(plan: StudyPlan) -> list[Step]:
    """Return the steps of a study in their order."""
    steps = [_corpus(name) for name in plan.rendered]
    steps.append(Step("check", "check", check, lambda folder: [], WEIGHTS["check"]))
    steps += [_training(*model) for model in plan.models]
    for name, act, files in (
        ("consistency", consistency, ("run.json", *_TABLES, *_MORE)),
        ("performance", performance, ("performance.parquet", "performance[._]*")),
        ("analyze", analyze, ("analysis/marginal_means.csv", "analysis/*")),
        ("report", report, ("report.html", "figures/*", "audio/*")),
    ):
        left = _files(*(f"run/{one}" for one in files))
        steps.append(Step(name, name, act, left, WEIGHTS[name]))
    left = _files("figures/vocal_map.csv", "figures/*")
    steps.append(Step("vocal map", "report", vocal_map, left, WEIGHTS["report"]))
    left = _files("claims.csv", "report.html")
    steps.append(Step("claims", "report", claims, left, WEIGHTS["report"]))
    return steps


def manifests_of(plan: StudyPlan, folder: StudyFolder) -> dict[str, Path]:
    """Return every task's manifest, given or rendered."""
    return {task: plan.manifest_of(task) or folder.manifest(CORPORA[task]) for task in TASKS}


def test_clips(plan: StudyPlan, folder: StudyFolder) -> tuple[list[Path], str | None]:
    """Return where the clips of the consistency part come from, and the split of a manifest."""
    if plan.audio:
        return list(plan.audio), None
    return [manifests_of(plan, folder)["at"]], "test"


def comparing_settings(plan: StudyPlan) -> dict[str, Any]:
    """Return the settings of the consistency run, the split of its clips left out."""
    settings = {
        "grid": plan.grid,
        "seed": plan.seed,
        "clips": plan.n_clips,
        "clip_seconds": plan.clip_seconds,
        "storage": plan.storage,
        "references": "untrained",
    }
    if plan.device not in ("auto", "cpu"):
        settings["device"] = plan.device
    return settings


def scoring_settings(plan: StudyPlan) -> dict[str, Any]:
    """Return the settings of the task scores."""
    return {
        "grid": plan.grid,
        "seed": plan.seed,
        "clips": plan.n_task_clips,
        "clip_seconds": plan.clip_seconds,
        "storage": plan.storage,
    }


def done(step: Step, work: Work) -> Took:
    """Do a step, or go on with it; return what it took.

    Raises
    ------
    InputError, RunError, ExtraError
        As the step does, with its name and what to do.
    """
    begun, used = time.monotonic(), _cpu_seconds()
    with named(step):
        step.act(work)
    return Took(time.monotonic() - begun, _cpu_seconds() - used, _peak_mb())


def _cpu_seconds() -> float:
    """Return the processor time of this process and its own that ended, all workers of a step."""
    mine = os.times()
    return mine.user + mine.system + mine.children_user + mine.children_system


def _peak_mb() -> float:
    """Return the largest memory of this process or of one of its own, in megabytes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return float("nan")
    peaks = [
        resource.getrusage(whose).ru_maxrss
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return max(peaks) * (1.0 if sys.platform == "darwin" else 1024.0) / 1e6


@contextlib.contextmanager
def named(step: Step) -> Iterator[None]:
    """Tell, with an error, which step it is of, and what to do."""
    try:
        yield
    except NearkinError as error:
        told = f"step '{step.name}': {error}"
        if step.kind != "check":
            told += "; finished steps are kept: then give the same nearkin reproduce command again"
        raise type(error)(told) from error


# -- the steps -----------------------------------------------------------------------------------


def _corpus(name: str) -> Step:
    def act(work: Work) -> None:
        from nearkin.corpora.index import index

        index(
            f"rendered-{name}",
            work.folder.corpus(name),
            work.folder.manifest(name),
            hours=work.plan.n_hours,
            seed=work.plan.seed,
            workers=work.workers,
            progress=work.progress,
        )

    return Step(
        f"corpus {name}", "corpus", act, lambda folder: [folder.manifest(name)], WEIGHTS["corpus"]
    )


def check(work: Work) -> None:
    """Refuse corpora that cannot be trained on, and test clips that some network heard."""
    from nearkin.study.checks import require_corpora, require_unseen

    manifests = manifests_of(work.plan, work.folder)
    require_corpora(manifests)
    audio, split = test_clips(work.plan, work.folder)
    require_unseen(manifests, audio, split=split)


def settings_of(plan: StudyPlan, features: str, task: str, trial: int) -> Settings:
    """Return the settings of a training."""
    from nearkin.training import Settings

    return Settings(
        task=task,
        features=features,
        trial=trial,
        seed=plan.seed,
        scale=plan.of_scale.training,
        patience=plan.of_scale.patience,
        min_gain=plan.of_scale.min_gain,
        max_steps=plan.max_steps,
        batch=plan.batch,
        crop_s=plan.clip_seconds,
        device=plan.device,
        precision=plan.precision,
    )


def steps_to_train(plan: StudyPlan, features: str, task: str, n_recordings: int) -> int:
    """Return the steps of a training: the most, or about those to its plateau.

    Parameters
    ----------
    plan : StudyPlan
    features, task : str
    n_recordings : int
        Of the training split.
    """
    settings = settings_of(plan, features, task, 1)
    most = settings.n_steps(tasks.task(task), max(n_recordings, 1))
    return min(most, PLATEAU_STEPS[features, task]) if plan.of_scale.min_gain else most


def _training(features: str, task: str, trial: int) -> Step:
    def act(work: Work) -> None:
        from nearkin.training import train

        plan = work.plan
        train(
            settings_of(plan, features, task, trial),
            manifests_of(plan, work.folder)[task],
            work.folder.model(features, task, trial),
            cache=work.folder.cache,
            workers=work.workers,
            progress=work.progress,
            tell=work.tell,
        )

    name = f"train {features} {task}"
    return Step(
        f"{name} {trial}",
        "train",
        act,
        lambda folder: [folder.model(features, task, trial)],
        WEIGHTS[name],
        (features, task, trial),
    )


def consistency(work: Work) -> None:
    """Compare changed clips with their originals, in the spaces of MFCC and of every network."""
    from nearkin.runs.run import run
    from nearkin.runs.sources import make_sources

    plan, folder = work.plan, work.folder
    audio, split = test_clips(plan, folder)
    networks = [str(folder.model(*one)) for one in plan.models if one[0] == "vgg"]
    settings = {**comparing_settings(plan), "split": split}
    encoders = ["mfcc", *networks]
    made, sources = make_sources(encoders, [{} for _ in encoders], settings)
    run(
        made,
        audio,
        folder.run,
        encoders=sources,
        workers=work.workers,
        progress=work.progress,
        tell=work.tell,
    )


def performance(work: Work) -> None:
    """Score every network and head in its task, under every transformation."""
    from nearkin.performance.run import make_performance_plan, perform
    from nearkin.performance.scored import TrainedModel

    plan, folder = work.plan, work.folder
    device = "cpu" if plan.device == "auto" else plan.device
    models = [TrainedModel(folder.model(*one), device=device) for one in plan.models]
    # AE's own first: it takes any manifest, the others the first that has their labels
    manifests = list(dict.fromkeys(manifests_of(plan, folder).values()))
    perform(
        models,
        manifests,
        folder.run,
        plan=make_performance_plan(scoring_settings(plan)),
        workers=work.workers,
        progress=work.progress,
    )


def analyze(work: Work) -> None:
    """Fit the paper's model to all scores; without it where they leave nothing to fit."""
    from nearkin.api import load
    from nearkin.ask import analyze as analyzed
    from nearkin.ask import write_analysis

    result = load(work.folder.run)
    try:
        found = analyzed(result, progress=work.progress)
    except InputError as error:
        work.tell(f"not analysed: {error}; what the model decides is 'not testable here'")
        return
    write_analysis(found, [result])


def report(work: Work) -> None:
    """Draw the figures, and build the run's report."""
    from nearkin.api import load

    result = load(work.folder.run)
    work.progress("report", 0, 2)
    result.figures()
    work.progress("report", 1, 2)
    result.report()
    work.progress("report", 2, 2)


def vocal_map(work: Work) -> None:
    """Lay pieces of mixtures out as the singing-voice encoder hears them."""
    from nearkin.study import vocal_map as maps

    plan, folder = work.plan, work.folder
    table = maps.vocal_map(
        folder.model("vgg", "vs", 1),
        manifests_of(plan, folder)["vs"],
        piece_seconds=plan.clip_seconds,
        seed=plan.seed,
    )
    maps.write(table, folder.root / "figures")
    folder.put("figures/vocal_map.csv", table.to_csv(index=False, lineterminator="\n"))


def claims(work: Work) -> None:
    """Decide the paper's claims, and write the study's page."""
    from nearkin.study.claims import decide, of_folder
    from nearkin.study.page import build

    evidence = of_folder(work.folder.run, seed=work.plan.seed)
    decided = decide(evidence)
    pictures = [work.folder.run / "figures", work.folder.root / "figures"]
    work.folder.put("claims.csv", decided.to_csv(index=False, lineterminator="\n"))
    work.folder.put("report.html", build(decided, evidence, work.plan, pictures))


def _files(*names: str) -> Callable[[StudyFolder], list[Path]]:
    """Return what gives a step's files: those named, and of patterns those that are there."""

    def files(folder: StudyFolder) -> list[Path]:
        found: dict[Path, None] = {}
        for name in names:
            there = sorted(folder.root.glob(name)) if "*" in name else [folder.root / name]
            found |= dict.fromkeys(there)
        return list(found)

    return files
