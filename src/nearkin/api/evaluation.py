"""A run from Python: the same engine as the command line, with progress and failures told."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from nearkin.api.result import Result
from nearkin.bars import fitting_bars
from nearkin.errors import InputError, RunError
from nearkin.progress import Progress, silent
from nearkin.runs.run import run
from nearkin.runs.sources import make_sources
from nearkin.tables import OK
from nearkin.workers import Place, Scheduler


def evaluate(
    encoders: Any,
    audio: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    grid: str = "quick",
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    scheduler: Any = None,
    keep_distances: bool = False,
    keep_attacks: bool = False,
    force: bool = False,
    sizes: Sequence[int] = (),
    extrapolate: bool = False,
    progress: Progress | bool = True,
    encoder_options: Sequence[Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Result:
    """Test whether encoders keep changed clips near their originals.

    Parameters
    ----------
    encoders : sequence, or one encoder
        SPECs (``"mfcc"``, ``"package.module:attribute"``, ``"./file.py:attribute"``,
        ``"hear:package.module@weights"``, ``"model.onnx"``, ``"torchscript:model.pt"``,
        ``"hf:FOLDER_OR_NAME"``, ``"embeddings:FILE.parquet"``), encoder objects, classes, HEAR
        modules, X-ARES encoders, torch modules (``forward([B, T])``, with `sample_rate`), or
        callables ``f(audio: float32[samples], sample_rate: int) -> [D] or [T, D]``; or one such
        alone. The references mfcc, logmel-projection and constant are run beside them.
    audio : path or sequence of paths
        Files, folders or manifests.
    grid : str
        ``"quick"``, ``"paper"``, ``"authors"``, ``"imperceptible"`` or a YAML file.
    seed : int
        Equal seeds give equal results, whatever the number of workers.
    out : path, optional
        The run's folder; a temporary one by default, see `Result.save`. A run that was
        interrupted goes on where it stopped.
    workers : int
        Processes.
    scheduler : str or distributed.Client, optional
        A Dask cluster instead: ``"tcp://host:8786"``, ``"file:scheduler.json"``, or a client. Its
        workers must see `out` under the same path.
    keep_distances : bool
        Keep the audio space's distances under ``distances/``.
    keep_attacks : bool
        Keep every attacked clip (``attack=True``) as a WAV file under ``attacks/``.
    force : bool
        Start anew where `out` holds another run.
    sizes : sequence of int
        With a gallery: collections in which C_W is tabulated beside 10, 100, 1,000 ... clips.
    extrapolate : bool
        With a gallery: add larger collections, by a model of the ranks.
    progress : bool or callable
        True: a table in a notebook, bars on a terminal, nothing elsewhere. False: nothing. A
        callable is told ``(stage, done, total)``.
    encoder_options : sequence of mappings, optional
        Keyword arguments for encoders that are classes, settings for the others, one mapping an
        encoder.
    **settings
        Any other field of `nearkin.runs.plan.Plan`: ``clips``, ``excerpts_per_file``,
        ``clip_seconds``, ``sample_rate``, ``layer``, ``pad``, ``device``, ``noise``,
        ``other_music``, ``rho``, ``gallery`` (a folder of music that lies among the originals,
        or ``"ENCODER=FILE"`` of vectors) ...

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If something given cannot be used; the message says what and the remedy.
    RunError
        If the disk is full or a worker died: the same call goes on. Also if every tested encoder
        failed, or no query at all could be made; where one encoder of several failed, a warning
        says so.

    Examples
    --------
    A torch module needs no wrapper, only the rate at which it takes audio:

    >>> result = nearkin.evaluate(model, "music/", sample_rate=16000)  # doctest: +SKIP
    >>> result.table()  # doctest: +SKIP

    >>> def centroid(audio, sample_rate):
    ...     spectrum = abs(np.fft.rfft(audio))
    ...     return [spectrum @ np.arange(len(spectrum)) / spectrum.sum()]
    >>> result = nearkin.evaluate(["mfcc", centroid], "music/")  # doctest: +SKIP
    >>> result.report("report.html")  # doctest: +SKIP
    """
    several = isinstance(encoders, Iterable) and not (
        isinstance(encoders, str) or callable(encoders)
    )
    given = list(encoders) if several else [encoders]
    paths = [audio] if isinstance(audio, str | os.PathLike) else list(audio)
    options = list(encoder_options or [{} for _ in given])
    plan, sources = make_sources(given, options, {**settings, "grid": grid, "seed": seed})
    if not plan.gallery and (sizes or extrapolate):
        raise InputError("sizes and extrapolate: are for a run with a gallery; name one")
    fits = None
    if plan.gallery:
        from nearkin.gallery.stage import Asked, Fitting, lay_gallery

        asked = Asked(plan.gallery, sizes, extrapolate)
    place: Place = workers if scheduler is None else Scheduler(scheduler)
    temporary = None
    if out is None:
        temporary = Path(tempfile.mkdtemp(prefix="nearkin-"))
        out = temporary / "run"
    if plan.gallery:
        fits = Fitting(asked, Path(out))
    with _shown(progress) as tell:
        folder = run(
            plan,
            paths,
            Path(out),
            encoders=sources,
            workers=place,
            keep_distances=keep_distances,
            keep_attacks=keep_attacks,
            force=force,
            made_from=[Path(grid)] if Path(grid).suffix else [],
            fits=fits,
            progress=tell,
        )
        if plan.gallery:
            with folder.held():
                lay_gallery(folder, asked, encoders=sources, workers=place, progress=tell)
    result = Result(folder, temporary=temporary)
    _tell_failures(result)
    return result


def _shown(progress: Progress | bool) -> AbstractContextManager[Progress]:
    if progress is True:
        return fitting_bars()
    return nullcontext(progress or silent)


def _tell_failures(result: Result) -> None:
    """Raise where nothing was measured; warn where an encoder failed, or some of its queries."""
    from nearkin.results.remarks import no_query_made

    tested = [row for row in result.run["encoders"] if row["role"] == "tested"]
    failed = [f"{row['label']}: {row['status']}" for row in tested if row["status"] != OK]
    if tested and all(row["embedding_size"] is None for row in tested):
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RunError(
            f"every tested encoder failed, {failed[0]}{more}; mend it, nearkin.check(encoder) "
            "tells what is wrong"
        )
    nothing = no_query_made(result.queries)
    if nothing:
        raise RunError(f"{nothing}; mend that and call this again with force=True")
    for told in failed:
        warnings.warn(f"encoder {told}", stacklevel=3)
