"""Trainings of a study side by side: on one GPU, which no single one keeps busy, or a core each.

Each is a process of its own, with one thread beside those that load its batches for a GPU. Sound is
decoded before, by all of them, since they share the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from nearkin.memory import keep_freed_memory, usable_memory
from nearkin.progress import silent
from nearkin.study.places import StudyFolder
from nearkin.study.steps import (
    Step,
    Took,
    Work,
    done,
    manifests_of,
    named,
    settings_of,
    steps_of,
    steps_to_train,
)
from nearkin.tasks import task
from nearkin.workers.processes import open_processes

if TYPE_CHECKING:
    from nearkin.study.plan import StudyPlan

CORES_EACH = {"cuda": 2, "cpu": 1}
"""Of a training, and of what loads its batches for a GPU."""
CONTEXT_MB = 800.0
CLIP_SECOND_MB = {"32-true": 120.0, "bf16-mixed": 60.0, "16-mixed": 60.0}
"""GPU memory of a training, and more for every second of a batch: 1,630 MB of tensors were measured
for 24 clips of 2 s (vgg vs, bf16), to which come what torch keeps and what cuDNN tries. Single
precision is taken for twice as much, which was not measured."""
CPU_CLIP_SECOND_MB = 80.0
"""The same of memory, in either precision: at most 3,700 MB in all were measured."""


def at_once(plan: StudyPlan, workers: int) -> int:
    """Return how many trainings go side by side, as cores and memory allow.

    On a CPU each has one thread; where torch has more, which gives other bits, trainings take
    turns.
    """
    from nearkin.optional import need
    from nearkin.training.trainer import device_of

    torch = need("torch", extra="torch")
    device = device_of(settings_of(plan, "vgg", "vs", 1))
    n_cores = workers // CORES_EACH[device.type] if device.type in CORES_EACH else 1
    if n_cores < 2:
        return 1
    clip_second_mb = CLIP_SECOND_MB[plan.precision]
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    elif torch.get_num_threads() == 1:
        free, clip_second_mb = usable_memory() or 0, CPU_CLIP_SECOND_MB
    else:
        return 1
    each = CONTEXT_MB + clip_second_mb * plan.batch * plan.clip_seconds
    return max(1, min(n_cores, int(free / 1e6 / each)))


def trained(work: Work, steps: Sequence[Step], n_at_once: int) -> Iterator[tuple[Step, Took]]:
    """Do trainings, so many at once; yield each as it ends, with what it took.

    Raises
    ------
    InputError, RunError
        As soon as one of them fails; the others end there, and go on from their checkpoints when
        they are done again.
    """
    from nearkin.training.place import TrainingPlace

    models = [step.model for step in steps if step.model is not None]
    with named(steps[0]):
        recordings = _decoded(work, {of_task for _, of_task, _ in models})
    session = (work.plan, work.folder.root)
    by_name = {step.name: step for step in steps}
    places = [TrainingPlace(work.folder.model(*model)) for model in models]
    most = sum(steps_to_train(work.plan, f, t, recordings[t]) for f, t, _ in models)

    def tell_steps(*, all_ended: bool = False) -> None:
        # validation may end trainings sooner or later than was counted
        taken = min(sum(place.steps() for place in places), most - 1)
        work.progress("steps trained side by side", most if all_ended else taken, most)

    with open_processes(session, workers=min(n_at_once, len(steps))) as pool:
        ended = pool.as_they_end(_trained, list(by_name), waiting=tell_steps)
        for name, (took, sentences) in ended:
            for sentence in sentences:
                work.tell(sentence)
            yield by_name[name], took
    tell_steps(all_ended=True)


def _decoded(work: Work, of_tasks: AbstractSet[str]) -> dict[str, int]:
    """Decode what tasks are trained on; return how many training recordings each has."""
    from nearkin.training.cache import AudioCache
    from nearkin.training.run import training_data

    recordings: dict[str, int] = {}
    store = AudioCache(work.folder.cache)
    for name, manifest in manifests_of(work.plan, work.folder).items():
        if name not in of_tasks:
            continue
        settings = settings_of(work.plan, "vgg", name, 1)
        data = training_data(
            task(name),
            manifest,
            store,
            settings,
            workers=work.workers,
            progress=work.progress,
            tell=work.tell,
        )
        recordings[name] = len(data.parts["train"])
    return recordings


def _trained(session: tuple[StudyPlan, Path], name: str) -> tuple[Took, list[str]]:
    """Do one training in this process."""
    keep_freed_memory()
    plan, root = session
    (step,) = (one for one in steps_of(plan) if one.name == name)
    told: list[str] = []
    return done(step, Work(plan, StudyFolder(root), 1, silent, told.append)), told
