"""What a study's clips take, measured on made music with networks that learned nothing.

A network's time does not hang on what it learned: one of each kind stands for all its trials. Music
and networks lie in the system's temporary folder while they are needed.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from nearkin.audio import SAMPLE_RATE
from nearkin.audio.synthetic import clips
from nearkin.errors import InputError
from nearkin.study.plan import FEATURES, StudyPlan
from nearkin.study.steps import comparing_settings, scoring_settings
from nearkin.tasks import TASKS, task

if TYPE_CHECKING:
    from nearkin.runs.estimate import Clock

LABELS = {"at": 50, "ir": 11}
"""Tags and classes, as the paper has."""


def labels_for(name: str) -> list[str]:
    """Return labels that stand for those of a task, which are not known yet."""
    return [f"label {k}" for k in range(LABELS.get(name, 0))]


@dataclass(frozen=True)
class Material:
    """What is timed: a folder with music, its manifest, and a network of each kind."""

    music: Path
    manifest: Path
    networks: dict[tuple[str, str], Path]


def comparing_seconds(plan: StudyPlan) -> float:
    """Return the core-seconds of the comparison of changed clips."""
    from nearkin.runs.estimate import parts_of
    from nearkin.runs.sources import make_sources

    with _material(plan, kinds=[("vgg", "at")]) as made:
        encoders = ["mfcc", str(made.networks["vgg", "at"])]
        settings = {**comparing_settings(plan), "split": None}
        of_run, sources = make_sources(encoders, [{} for _ in encoders], settings)
        parts = parts_of(
            of_run, [str(made.music)], encoders=sources, n_clips=plan.n_clips, clock=_clock(plan)
        )
    n_networks = sum(features == "vgg" for features, _, _ in plan.models)
    if parts is None:
        raise InputError(f"grid {plan.grid}: no clip of made music can be used; try another grid")
    return parts.seconds(plan.n_clips, alike={"vgg-at": n_networks})


def scoring_seconds(plan: StudyPlan) -> float:
    """Return the core-seconds of the tasks' scores."""
    from nearkin.performance.estimate import parts_of
    from nearkin.performance.run import make_performance_plan
    from nearkin.performance.scored import TrainedModel
    from nearkin.performance.sets import sets_for

    of_run = make_performance_plan(scoring_settings(plan))
    trials = Counter((features, name) for features, name, _ in plan.models)
    device = "cpu" if plan.device == "auto" else plan.device
    seconds = 0.0
    with _material(plan, kinds=[(f, name) for name in TASKS for f in FEATURES]) as made:
        models = [TrainedModel(path, device=device) for path in made.networks.values()]
        for test in sets_for(models, [made.manifest], split="test", plan=of_run):
            counts = [trials[one.encoder, one.task] for one in test.models]
            seconds += parts_of(test, of_run, clock=_clock(plan)).seconds(counts)
    return plan.n_task_clips * seconds


def _clock(plan: StudyPlan) -> Clock:
    """Return the processor's clock, which others at work do not move; else the wall's."""
    return time.process_time if plan.device in ("auto", "cpu") else time.perf_counter


@contextmanager
def _material(plan: StudyPlan, *, kinds: list[tuple[str, str]]) -> Iterator[Material]:
    from nearkin.networks.files import Model, save
    from nearkin.networks.network import NetworkConfig, build

    with tempfile.TemporaryDirectory(prefix="nearkin-") as folder:
        music = Path(folder) / "music"
        music.mkdir()
        pieces = clips(2, seconds=max(6.0, 4 * plan.clip_seconds))
        for name, y in pieces:
            soundfile.write(music / f"{name}.wav", y, SAMPLE_RATE)
        names = [name for name, _ in pieces]
        manifest = Path(folder) / "manifest.csv"
        with manifest.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("path", "split", "tags", "instrument", "vocals_path"))
            tags = ";".join(labels_for("at")[:3])
            instrument = labels_for("ir")[0]
            for name, other in zip(names, reversed(names), strict=True):
                sound = f"music/{name}.wav"
                rows.writerow((sound, "test", tags, instrument, f"music/{other}.wav"))
        networks = {}
        for features, name in kinds:
            head, labels = task(name).head, tuple(labels_for(name))
            network = build(NetworkConfig(features, head, len(labels)), seed=0)
            path = Path(folder) / f"{features}-{name}.safetensors"
            save(path, Model(name, features, head, network, labels))
            networks[features, name] = path
        yield Material(music, manifest, networks)
