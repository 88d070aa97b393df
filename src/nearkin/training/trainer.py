"""Training through Lightning: trainer, loaders, log; and the process left as it was found."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearkin.errors import InputError
from nearkin.optional import need
from nearkin.progress import Progress
from nearkin.training.batches import FixedBatches, Order, TrainingBatches
from nearkin.training.checkpoint import Budget, TrainingState
from nearkin.training.module import PeriodEnd, PeriodSteps, TrainingModule, WaitingTime
from nearkin.training.objectives import Objective
from nearkin.training.recordings import Recordings
from nearkin.training.settings import Settings

torch: Any = need("torch", extra="torch")
pytorch: Any = need("lightning.pytorch", extra="torch")
need("tensorboard", extra="torch")

VALIDATION_CLIPS = 400


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's remarks."""
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch")]
    loggers.append(logging.getLogger("lightning.fabric"))
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@_quiet()
def fit(
    network: Any,
    objective: Objective,
    parts: dict[str, Recordings],
    state: TrainingState,
    budget: Budget,
    settings: Settings,
    folder: Path,
    loaders: int | None,
    progress: Progress,
) -> None:
    """Train from where the state stands to where the budget ends.

    Parameters
    ----------
    network : nearkin.networks.network.TaskNetwork
        The network that learns; it is on the CPU again afterwards.
    objective : Objective
        What is made small.
    parts : dict
        The recordings of the splits ``train`` and ``valid``.
    state, budget : TrainingState, Budget
        Where it stands (moved along) and where it ends.
    settings : Settings
        How it is trained.
    folder : Path
        Where checkpoint, curve and log are kept.
    loaders : int or None
        Processes that make batches; None leaves it to the device.
    progress : callable
        Told ``(stage, done, total)``.

    Raises
    ------
    InputError
        If the device or the precision is not available.
    RunError
        If the loss is no longer finite, or nothing can be written.
    KeyboardInterrupt
        If it was interrupted.
    """
    network.to(memory_format=torch.channels_last)
    module = TrainingModule(network, objective, state, budget)
    waiting = WaitingTime()
    period_end = PeriodEnd(
        folder,
        waiting,
        steps_per_epoch=len(parts["train"]) / settings.batch,
        progress=progress,
    )
    n_devices = settings.devices * settings.nodes
    logger = pytorch.loggers.TensorBoardLogger(
        str(folder), name="", version="tensorboard", purge_step=state.step + 1
    )
    try:
        trainer = pytorch.Trainer(
            accelerator="gpu" if settings.device == "cuda" else settings.device,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="auto" if n_devices == 1 else "ddp",
            precision=settings.precision,
            max_epochs=-1,
            logger=logger,
            callbacks=[period_end],
            profiler=waiting,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=str(folder),
        )
    except (RuntimeError, ValueError, pytorch.utilities.exceptions.MisconfigurationException) as e:
        text = " ".join(str(e).split())[:200]
        raise InputError(
            f"device={settings.device!r}, devices={settings.devices}, "
            f"precision={settings.precision!r}: cannot be used here ({text})"
        ) from e
    on_gpu = trainer.strategy.root_device.type != "cpu"
    if n_devices > 1 and on_gpu:
        module.network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module.network)
    order = Order(
        settings.seed,
        settings.task,
        settings.trial,
        parts["train"].lengths,
        settings.batch,
        settings.n_samples,
    )
    share = {"rank": trainer.global_rank, "world": trainer.world_size}
    n_loaders = loaders if loaders is not None else 2 * on_gpu
    common = {"batch_size": None, "pin_memory": on_gpu, "generator": torch.Generator()}
    training = torch.utils.data.DataLoader(
        TrainingBatches(parts["train"], order, views=settings.views("train"), **share),
        sampler=PeriodSteps(state, budget),
        num_workers=n_loaders,
        persistent_workers=n_loaders > 0,
        **common,
    )
    fixed = FixedBatches(
        parts["valid"],
        n_samples=settings.n_samples,
        batch=settings.batch,
        most=VALIDATION_CLIPS,
        views=settings.views("valid"),
        **share,
    )
    validation = torch.utils.data.DataLoader(fixed, shuffle=False, **common)
    before = signal.getsignal(signal.SIGINT)
    try:
        with _arithmetic(on_gpu):
            trainer.fit(module, training, validation)
    except SystemExit as error:  # what Lightning makes of an interruption
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def device_of(settings: Settings) -> Any:
    """Return the device of a training, which has been tried.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1).to(device)
    except (RuntimeError, AssertionError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"device={settings.device!r}: cannot be used here ({text})") from error
    return device


@contextlib.contextmanager
def _arithmetic(on_gpu: bool) -> Iterator[None]:
    """Make the CPU compute the same bits every time, and a GPU compute as fast as it can.

    torch's settings are restored.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    try:
        if on_gpu:
            torch.backends.cudnn.benchmark = True
        else:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
