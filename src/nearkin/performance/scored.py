"""Models that are scored in their task, one changed clip at a time.

A clip is scored by itself, never in a batch: a network's last bits may depend on the clips beside
it, and a score must not. Audio is float32[samples] at the model's rate.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import sha256_file
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError, RunError, printable
from nearkin.optional import need
from nearkin.tables import OK
from nearkin.tasks import TASKS, Batch, Task, task
from nearkin.tasks.protocol import NOT_FINITE

if TYPE_CHECKING:
    from nearkin.networks.files import Model

UNDEFINED = "undefined: the model returned no finite number"


class ClipScore(NamedTuple):
    """A model's score on one clip.

    Attributes
    ----------
    value : float
        In the task's measure; NaN where the clip does not count.
    chance : float
        The score of a model that knows nothing, on the same clip; NaN where undefined.
    status : str
        ``"ok"``, or why the clip has no score.
    failed : bool
        Whether the clip has none because the model failed: a model answers for that, and for no
        clip without vocals, say.
    """

    value: float
    chance: float
    status: str
    failed: bool = False


class Scored(Protocol):
    """A model with its task; it is pickled once for each worker.

    Attributes
    ----------
    encoder, task, trial
        Columns of every row; the three together name the model.
    measure : str
        What its scores are.
    column : str or None
        The column of a manifest that the task needs; None where any manifest will do.
    sample_rate : int
        Hz at which it takes audio.
    minimum_samples : int
        The shortest clip it takes, at that rate.
    device : str
        Where it computes: last bits differ between devices.
    file, sha256 : str
        Where it comes from, and the hash of its content.
    """

    encoder: str
    task: str
    trial: int
    measure: str
    column: str | None
    sample_rate: int
    minimum_samples: int
    device: str
    file: str
    sha256: str

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse a test set that cannot be scored: an `InputError`."""

    def score(
        self, heard: NDArray[np.float32], vocals: NDArray[np.float32] | None, row: Row
    ) -> ClipScore:
        """Score heard[samples]; vocals[samples] is the voice in it, where the task needs that."""

    def record(self) -> dict[str, Any]:
        """Return what else is known about the model, as JSON values."""


def label(model: Scored) -> str:
    """Name a model in running text.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> label(SimpleNamespace(encoder="vgg", task="at", trial=2))
    'vgg-at, trial 2'
    """
    return f"{model.encoder}-{model.task}, trial {model.trial}"


class TrainedModel:
    """A model file of ``nearkin train``; its network is built once in every process.

    Parameters
    ----------
    path : path
        ``FILE.safetensors``.
    device : str
        Where the network computes.

    Raises
    ------
    InputError
        If the file is missing or no model of nearkin's.
    ExtraError
        If torch is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str = "cpu") -> None:
        from nearkin.networks.files import encoder_name, read_header

        self.path, self.device = Path(path), device
        self.about = read_header(self.path)
        if self.about["task"] not in TASKS:
            raise InputError(
                f"{printable(self.path)}: its task '{self.about['task']}' is unknown: must be one "
                f"of {', '.join(TASKS)}; use the version of nearkin that wrote it"
            )
        if self.about["head"] == "none":
            raise InputError(
                f"{printable(self.path)}: is an encoder alone (a fine-tuned reference), without "
                "the head that solves a task; run it instead, or fine-tune a model of nearkin train"
            )
        if self.about["head"] != task(self.about["task"]).head:
            raise InputError(
                f"{printable(self.path)}: its head '{self.about['head']}' is not that of its task "
                f"'{self.about['task']}'; train the model anew"
            )
        need("torch", extra="torch")
        from nearkin.networks.front_end import MINIMUM_SAMPLES, SAMPLE_RATE

        self.encoder: str = encoder_name(self.about["features"], self.about.get("changes", {}))
        self.task: str = self.about["task"]
        self.trial: int = self.about["trial"]
        self.labels = tuple(self.about["labels"])
        self.measure = self._task.measure
        self.column = self._task.column
        self.sample_rate: int = SAMPLE_RATE
        self.minimum_samples: int = MINIMUM_SAMPLES
        self.file = printable(self.path)
        self.sha256 = sha256_file(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    @property
    def _task(self) -> Task:
        return task(self.task)

    @functools.cached_property
    def _model(self) -> Model:
        from nearkin.networks.files import load

        model = load(self.path, device=self.device)
        if model.sha256 != self.sha256:
            raise RunError(f"{self.file}: has changed while it was scored; give the command again")
        return model

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse weights that cannot be read, and a test set with labels unknown to the model.

        Raises
        ------
        InputError
            Naming the first label the model does not know; for tags, if it knows none at all.
        """
        _ = self._model
        targets = [self._task.target(row, self.labels) for row in rows]
        if self.column == "tags" and not any(np.any(target) for target in targets):
            raise InputError(
                f"{self.file}: knows none of the test set's tags (it knows {len(self.labels)} such "
                f"as {self.labels[:1]}); pass the manifest of the corpus it was trained on"
            )

    def score(
        self, heard: NDArray[np.float32], vocals: NDArray[np.float32] | None, row: Row
    ) -> ClipScore:
        """Score one clip.

        Raises
        ------
        RunError
            If memory does not suffice.
        """
        torch = need("torch", extra="torch")
        network = self._model.network

        def tensor(array: NDArray[Any] | None) -> Any:
            if array is None:
                return None
            return torch.from_numpy(np.ascontiguousarray(array[None])).to(self.device)

        target = vocals if self.column == "vocals_path" else self._task.target(row, self.labels)
        try:
            with _one_thread(torch), torch.no_grad():
                batch = Batch(tensor(heard), tensor(target))
                scores = self._task.scores(network, batch)
                chance = float(self._task.chance(network, batch)[0])
        except (MemoryError, RuntimeError) as error:
            text = " ".join(str(error).split())[:200]
            if isinstance(error, MemoryError) or "memory" in text:
                raise RunError(
                    f"{self.file}: memory does not suffice to score a clip ({text}); give the same "
                    "command again with fewer --workers"
                ) from error
            return ClipScore(float("nan"), float("nan"), f"failed: {text}", failed=True)
        value, status = float(scores.values[0]), scores.status[0]
        if status == OK and np.isnan(value):
            status = UNDEFINED
        failed = status in (NOT_FINITE, UNDEFINED)
        return ClipScore(value if status == OK else float("nan"), chance, status, failed)

    def record(self) -> dict[str, Any]:
        """Return what the model file says of its training."""
        names = ("scale", "steps", "epochs", "seed", "training_sha256", "scores")
        return {name: self.about[name] for name in names} | {"labels": len(self.labels)}


@contextlib.contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Make torch compute with one thread: the order of sums is the same everywhere."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
