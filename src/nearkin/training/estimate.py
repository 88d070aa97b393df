"""What a training would take, for ``--dry-run``: counted, and measured on a few steps.

Nothing is written: no audio is kept, and the network that is timed learns from noise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nearkin.audio import SAMPLE_RATE, read
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError
from nearkin.networks.network import NetworkConfig, build
from nearkin.optional import need
from nearkin.progress import duration
from nearkin.tasks import Batch, Task, task
from nearkin.training.finetune import FineTuning, music_splits, parent
from nearkin.training.module import adam
from nearkin.training.objectives import FineTuningObjective, Objective, TaskObjective
from nearkin.training.precision import arithmetic, imitated
from nearkin.training.run import labels_of, read_splits
from nearkin.training.settings import Settings
from nearkin.training.trainer import device_of

torch: Any = need("torch", extra="torch")

READ = 5
"""Recordings that are decoded, spread over the manifest."""
TRIED = 12
"""Crops that are changed under the clock, where training changes any."""
WARM_UP, TIMED = 2, 3
"""Steps before the clock, and under it."""
NOTHING = "nothing was written"


class StepTime(NamedTuple):
    """A step's wall time, and the processor time of all its threads, in seconds."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class TrainingEstimate:
    """Counts and times of a training.

    Attributes
    ----------
    recordings : dict of str to int
        By split.
    steps, epochs : int, float
        The most there can be.
    decoding_s, training_s : float
        Wall time; NaN where no recording could be read. Training ends earlier where the validation
        loss reaches a plateau.
    disk_mb : float
        Of the decoded audio, in megabytes (1e6 bytes); what is decoded already counts too.
    imitated : str
        See `nearkin.training.precision.imitated`.
    """

    recordings: dict[str, int]
    steps: int
    epochs: float
    decoding_s: float
    training_s: float
    disk_mb: float
    imitated: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        counts = ", ".join(f"{split}: {n}" for split, n in self.recordings.items())
        first = f"recordings: {counts}; at most {self.steps} steps, {self.epochs:g} epochs"
        last = [*([self.imitated] if self.imitated else []), NOTHING]
        if self.decoding_s != self.decoding_s:
            return [first, f"time: unknown, none of {READ} recordings can be read", *last]
        return [
            first,
            f"disk: about {self.disk_mb:.0f} MB of decoded audio in the cache",
            f"time: about {duration(self.decoding_s)} to decode what is not there yet, at most "
            f"{duration(self.training_s)} to train",
            *last,
        ]


def estimate(settings: Settings, manifest: Path, *, workers: int) -> TrainingEstimate:
    """Count a training's work, and measure a few steps and the decoding of a few recordings.

    Raises
    ------
    InputError
        As the training itself would: a manifest or settings that cannot be used.
    """
    settings.require_usable_grids()
    what = task(settings.task)
    splits = read_splits(what, manifest)
    labels = labels_of(what, splits, manifest)
    paths = {row.path for part in splits.values() for row in part}
    if what.column == "vocals_path":
        rows = [row for part in splits.values() for row in part]
        paths |= {row.vocals_path for row in rows if row.vocals_path}
    steps = settings.n_steps(what, len(splits["train"]))
    each = step_time(settings, what, labels, splits["train"]).seconds
    return _estimated(settings, splits, paths, steps, each, workers)


def estimate_finetuning(
    settings: FineTuning,
    model: str,
    *,
    manifest: str | None = None,
    audio: Sequence[str] = (),
    workers: int,
) -> TrainingEstimate:
    """Count a fine-tuning's work, and measure it as `estimate` does.

    Raises
    ------
    InputError
        As the fine-tuning itself would.
    """
    before = parent(model)
    training = settings.training(before.model.task, before.model.trial)
    training.require_usable_grids()
    splits, _ = music_splits(manifest, audio, seed=settings.seed)
    device = device_of(training)
    network = before.model.network.to(device)
    noise = noise_of(training, device)
    objective = FineTuningObjective(network, settings.anchor).to(device)
    batch = Batch(noise, None, noise)
    each = objective_time(objective, network, batch, precision=training.precision).seconds
    each += settings.batch * changing_seconds(training)
    paths = {row.path for part in splits.values() for row in part}
    return _estimated(training, splits, paths, settings.max_steps, each, workers)


def _estimated(
    settings: Settings,
    splits: Mapping[str, Sequence[Row]],
    paths: set[Path],
    steps: int,
    seconds_a_step: float,
    workers: int,
) -> TrainingEstimate:
    seconds, samples = _decoded(sorted(paths))
    n_train = len(splits["train"])
    training = steps * seconds_a_step
    if settings.max_minutes is not None:
        training = min(training, 60 * settings.max_minutes)
    return TrainingEstimate(
        recordings={split: len(part) for split, part in splits.items()},
        steps=steps,
        epochs=round(steps * settings.batch / n_train, 3),
        decoding_s=seconds * len(paths) / min(workers, len(paths)),
        training_s=training / (settings.devices * settings.nodes),
        disk_mb=2 * samples * len(paths) / 1e6,
        imitated=imitated(settings),
    )


def _decoded(paths: Sequence[Path]) -> tuple[float, float]:
    """Return the seconds to decode a recording and its samples, averaged over a few."""
    places = np.unique(np.linspace(0, len(paths) - 1, READ).round().astype(int))
    seconds, samples = [], []
    for place in places:
        begun = time.perf_counter()
        try:
            samples.append(len(read(paths[place], sr=SAMPLE_RATE)))
        except InputError:
            continue
        seconds.append(time.perf_counter() - begun)
    if not seconds:
        return float("nan"), float("nan")
    return float(np.mean(seconds)), float(np.mean(samples))


def step_time(
    settings: Settings, what: Task, labels: Sequence[str], rows: Sequence[Row]
) -> StepTime:
    """Return the time of a step on one device, with noise for music.

    Parameters
    ----------
    settings : Settings
    what : Task
        Its task.
    labels : sequence of str
        The tags or classes.
    rows : sequence of Row
        Some rows with labels.

    Raises
    ------
    InputError
        If the device cannot be used.
    """
    device = device_of(settings)
    network = build(NetworkConfig(settings.features, what.head, len(labels)), seed=0).to(device)
    audio = noise_of(settings, device)
    targets = [what.target(row, labels) for row in (list(rows) * settings.batch)[: settings.batch]]
    if what.column == "vocals_path":
        target = audio
    else:
        known = [one for one in targets if one is not None]
        target = torch.from_numpy(np.stack(known)).to(device) if known else None
    network.train()
    batch = Batch(audio, target, audio)
    objective = TaskObjective(what, settings.consistency)
    step = objective_time(objective, network, batch, precision=settings.precision)
    changing = settings.batch * changing_seconds(settings)
    return StepTime(step.seconds + changing, step.cpu_seconds + changing)


def noise_of(settings: Settings, device: Any) -> Any:
    """Return a batch of noise, Tensor[batch, samples]."""
    noise = np.random.default_rng(0).normal(0, 0.1, (settings.batch, settings.n_samples))
    return torch.from_numpy(noise.astype(np.float32)).to(device)


def objective_time(
    objective: Objective, network: Any, batch: Batch, *, precision: str = "32-true"
) -> StepTime:
    """Return the time of a step of learning, the making of its batch left out."""
    device = batch.audio.device
    network.to(memory_format=torch.channels_last)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = adam(weights, objective.learning_rate, weights[0].device)
    begun = used = 0.0
    for step in range(WARM_UP + TIMED):
        if step == WARM_UP:
            begun, used = _now(device), time.process_time()
        optimizer.zero_grad()
        with arithmetic(precision, device):
            loss = objective(network, batch)
        loss.backward()
        optimizer.step()
    wall = _now(device) - begun
    return StepTime(wall / TIMED, (time.process_time() - used) / TIMED)


def changing_seconds(settings: Settings) -> float:
    """Return the seconds in which a crop is changed, by one process; 0 where none is."""
    views = settings.views("train")
    n_samples = settings.n_samples
    context = np.random.default_rng(0).normal(0, 0.1, 2 * n_samples).astype(np.float32)
    total = 0.0
    for changes in (views.augment, views.second):
        if changes is None:
            continue
        begun = time.perf_counter()
        for number in range(TRIED):
            changes.version(context, None, n_samples, number=number)
        total += (time.perf_counter() - begun) / TRIED
    return total


def _now(device: Any) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
