"""A run from beginning to end: collect, embed the originals, ask the queries, score the points."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearkin.corpora.collect import Collected, collect
from nearkin.corpora.recordings import Recording
from nearkin.errors import InputError, RunError, printable
from nearkin.lease import alone, joined, leased, others_at_work, wait_for_jobs
from nearkin.ownership import told_errors
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.runs.attack_tables import write_attacks
from nearkin.runs.attacking import Target, attack_stage
from nearkin.runs.distractors import paths_of
from nearkin.runs.failures import worst_failures, write_sounds
from nearkin.runs.finish import keep_audio_distances, write_embeddings, write_tables
from nearkin.runs.folder import PERFORMANCE_FILES, RunFolder
from nearkin.runs.opening import Opened, open_session
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan, references_for
from nearkin.runs.queries import need_packages, sound_paths, told_of_sounds
from nearkin.runs.record import (
    Clock,
    finished_record,
    identity,
    inputs_of,
    new_record,
    now,
    require_same_run,
    require_same_settings,
)
from nearkin.runs.session import Session
from nearkin.runs.sources import EncoderSource, refuse_shared_ids
from nearkin.runs.stages import notes_of, originals_stage, points_stage, queries_stage
from nearkin.workers import ArrayJob, Place, open_workers

Fits = Callable[[Mapping[str, int | None], int], None]
"""Asked whether a gallery fits; see `run`."""


def run(
    plan: Plan,
    audio: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    encoders: Sequence[EncoderSource],
    workers: Place = 1,
    keep_distances: bool = False,
    keep_attacks: bool = False,
    force: bool = False,
    made_from: Sequence[Path] = (),
    fits: Fits | None = None,
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> RunFolder:
    """Do a run, or go on with one, up to its tables.

    Parameters
    ----------
    plan : Plan
        What to compute.
    audio : sequence of paths
        Files, folders and manifests.
    out : Path
        The run's folder.
    encoders : sequence of EncoderSource
        What the plan's encoders are; the references are added here.
    workers : int, Scheduler or ArrayJob
        Processes, a Dask cluster, or this job of an array; see `nearkin.workers`.
    keep_distances : bool
        Keep the audio space's distances under ``distances/``.
    keep_attacks : bool
        Keep every attacked clip as a WAV file under ``attacks/``.
    force : bool
        Start anew where the folder holds another run.
    made_from : sequence of Path
        What else the run is made from, such as its configuration: the folder may hold none of it.
    fits : callable, optional
        Asked before the work, and again when the clips are known, whether the gallery fits: given
        the encoders' dimensions by label, as far as they are known, and the most clips there are.
    progress : callable
        See `Progress`.
    tell : callable
        Told in sentences what every encoder was taken for, and what the quick check found.

    Returns
    -------
    RunFolder
        Finished: its tables can be read.

    Raises
    ------
    InputError
        If the plan, the audio or the folder cannot be used, or the settings changed.
    RunError
        If the disk is full or a worker died; the same call goes on.
    """
    need_packages(plan)
    folder = RunFolder(out)
    given = [*map(Path, audio), *sound_paths(plan), *made_from]
    given += [path for source in encoders for path in source.files()]
    given += paths_of(plan.gallery or ())
    folder.decide(given)
    if not force:
        require_same_settings(folder.read_run(), plan.settings(), folder)
    sources = [*encoders, *(EncoderSource(n, {}, "reference") for n in references_for(plan))]
    recordings = collect(audio, split=plan.split, out=out)  # a wrong path costs no model's opening
    refuse_shared_ids(plan, recordings)
    opened = open_session(plan, out, sources, keep_distances=keep_distances, tell=tell)
    for sentence in [*recordings.told(), *told_of_sounds(plan)]:
        tell(sentence)
    if fits is not None:
        n_clips = len(recordings) * plan.excerpts_per_file
        fits(_dimensions(opened), n_clips if plan.clips is None else min(n_clips, plan.clips))
    keep = _Kept(distances=keep_distances, attacks=keep_attacks)
    work = _Work(opened, recordings, folder, keep, force, fits, progress, tell)
    inputs = [*given, *(recording.path for recording in recordings)]
    if isinstance(workers, ArrayJob):
        _as_job(work, workers, inputs)
        return folder
    folder.claim(inputs)
    with leased(out) as lease:
        begun = _begin(work)
        if begun is not None:

            def note() -> None:
                lease.require()
                folder.write_run(begun.noted())

            _compute(work, begun, workers, note)
            lease.require()
            _finish(work, begun)
    return folder


def _dimensions(opened: Opened) -> dict[str, int | None]:
    """Return how many numbers each encoder answered the quick check with; None if not asked."""
    sizes: dict[str, int | None] = {one.label: None for one in opened.session.resolved}
    for label, found in opened.checked.items():
        sizes[label] = found.digest["embedding_size"] if found.digest else None
    return sizes


@dataclass(frozen=True)
class _Kept:
    """What is kept on request: audio distances, and every attacked clip."""

    distances: bool
    attacks: bool


@dataclass(frozen=True)
class _Work:
    """What a run is done with."""

    opened: Opened
    recordings: Collected
    folder: RunFolder
    keep: _Kept
    force: bool
    fits: Fits | None
    progress: Progress
    tell: Tell


@dataclass
class _UnderWay:
    """A run that is at work: its session, its record, its clips, and how long the stages took."""

    session: Session
    record: dict[str, Any]
    timings: dict[str, float]
    clips: Any = None
    attacked: Sequence[Target] = ()

    def noted(self) -> dict[str, Any]:
        """Return run.json as it stands."""
        return {**self.record, "timings_s": self.timings}


class _DoneByOthersError(RunError):
    """Another job of the array has finished the run."""


@contextmanager
def one_at_a_time(out: Path, workers: Place) -> Iterator[None]:
    """Let only one job of an array at a time do what is inside, when all have left the run."""
    if not isinstance(workers, ArrayJob):
        yield
        return
    with alone(out, "report"):
        wait_for_jobs(out)
        yield


def _as_job(work: _Work, job: ArrayJob, made_from: list[Path]) -> None:
    """Do a run together with other jobs of an array; the one that is last writes the tables.

    Steps that only one may do (to begin, to note, to write the tables) are done by one at a time.
    """
    folder, out = work.folder, work.folder.root
    if work.force:
        raise InputError(
            "--force: every job of an array would start anew; leave it out, and name a new --out"
        )
    with told_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with joined(out, str(job)) as lease:
        with alone(out, "step"):
            folder.claim(made_from, sweep=not others_at_work(out, str(job)))
            begun = _begin(work)
        if begun is None:
            return

        def note() -> None:
            lease.require()
            with alone(out, "step"):
                _stop_if_finished(folder)
                folder.write_run(begun.noted())

        try:
            _compute(work, begun, job, note)
            lease.require()
            with alone(out, "step"):
                _stop_if_finished(folder)
                _finish(work, begun)
        except Exception:  # whatever is missing, the job that finished has cleared it away
            if not _is_finished(folder):
                raise
            work.tell("another job of the array has finished the run")
            folder.finish()  # a unit that was begun before may have left its shard since


def _is_finished(folder: RunFolder) -> bool:
    record = folder.read_run()
    return bool(record and record["finished"])


def _stop_if_finished(folder: RunFolder) -> None:
    if _is_finished(folder):
        raise _DoneByOthersError(f"{printable(folder.root)}: finished by another job")


def _begin(work: _Work) -> _UnderWay | None:
    """Begin a run, or find where it was left; None where it is finished."""
    folder, tell, plan = work.folder, work.tell, work.opened.session.plan
    if work.force:
        folder.clear()
    before = _begun(work.opened, work.recordings, folder, tell)
    if before is not None and before["finished"]:
        _require_kept(folder, work.keep)
        told = printable(folder.root)
        tell(f"{told}: finished on {before['finished']}, nothing was computed")
        if not plan.gallery:  # else its recordings may be half embedded
            folder.finish()
        return None
    created = before["created"] if before else now()
    inputs = inputs_of(work.opened.session, work.recordings)
    session = work.opened.session.bound(identity(plan, inputs, created))
    record = new_record(work.opened, inputs, created)
    record["left_out"] = list(work.recordings.left_out)
    timings = dict(before.get("timings_s", {})) if before else {}
    folder.write_run({**record, "timings_s": timings})
    return _UnderWay(session, record, timings)


def _require_kept(folder: RunFolder, keep: _Kept) -> None:
    """Refuse to be asked for files that a finished run did not keep: they would not come.

    Raises
    ------
    RunError
        If it was made without what is to be kept now.
    """
    attacked = keep.attacks and folder.has_table("attacks")
    for option, wanted, name in (
        ("--keep-distances", keep.distances, "distances"),
        ("--keep-attacks", attacked, "attacks"),
    ):
        if wanted and not (folder.root / name).is_dir():
            raise RunError(
                f"{printable(folder.root)}: was made without {option} and is finished; leave it "
                "out, name another folder or start anew with --force"
            )


def _compute(work: _Work, begun: _UnderWay, workers: Place, note: Callable[[], None]) -> None:
    """Do the stages whose units leave shards."""
    session, record, clock = begun.session, begun.record, Clock(begun.timings)
    progress, tell = work.progress, work.tell
    with open_workers(session, workers=workers, folder=work.folder.work, tell=tell) as pool:
        with clock("originals"):
            begun.clips, heard = originals_stage(session, pool, work.recordings, progress, tell)
        for sentence in notes_of(begun.clips):
            tell(sentence)
        record["inputs"] = inputs_of(session, work.recordings, heard)
        note()
        if work.fits is not None:
            work.fits(_dimensions(work.opened), len(session.clip_ids))
        with clock("queries"):
            queries_stage(session, pool, progress, tell)
        note()
        with clock("scores"):
            write_embeddings(session)
            points_stage(session, pool, progress, tell)
        if session.plan.attack:
            note()
            with clock("attacks"):
                begun.attacked = attack_stage(session, pool, progress, tell)


def _finish(work: _Work, begun: _UnderWay) -> None:
    """Join what the units left into tables, and clear it away."""
    session, folder = begun.session, work.folder
    with Clock(begun.timings)("tables"):
        lost = write_tables(session)
        failures = write_sounds(
            worst_failures(lost, session.plan.grid),
            plan=session.plan,
            folder=folder,
            original=session.original,
            noise=session.noise,
        )
        if begun.attacked:
            write_attacks(session, begun.attacked, folder, keep=work.keep.attacks)
        if work.keep.distances:
            keep_audio_distances(session)
        folder.write_table("clips", begun.clips)
        folder.write_table("failures", failures)
    processors = sorted(session.gathered.processors)
    if len(processors) > 1:
        work.tell(
            f"computed on processors of {len(processors)} types ({', '.join(processors)}): the "
            "last bits of the results hang on which did a unit"
        )
    folder.write_run(finished_record(begun.record, session, begun.clips, begun.timings))
    folder.finish()


def _begun(
    opened: Opened,
    recordings: Sequence[Recording],
    folder: RunFolder,
    tell: Tell,
) -> dict[str, Any] | None:
    """Return run.json where a run may go on, or is finished; None where one is to begin.

    A finished run whose files were damaged, or of whose recordings some could not be used and can
    be now, begins again: its tables go. So does what a run left whose record is gone.

    Raises
    ------
    InputError
        If the folder holds a run with other settings or inputs.
    """
    before = folder.read_run()
    if before is None:
        lost = folder.without_record()
        if lost:
            tell(
                f"{printable(folder.root)}: has no run.json, which says what the {len(lost)} files "
                f"of a run in it are of, such as {lost[0]}; they are removed and the run is made "
                "again"
            )
            folder.clear(keep=(*PERFORMANCE_FILES, "work"))
        return None
    plan, session = opened.session.plan, opened.session
    heard: dict[str, str] = {}
    if not before["finished"]:
        of = identity(plan, inputs_of(session, recordings), before["created"])
        shards = session.bound(of).shards
        for recording in recordings:
            clips = shards.read_originals(recording.name, audio=False)
            if clips and clips[0].content_sha256:
                heard[recording.name] = clips[0].content_sha256
        for sentence in shards.told():
            tell(sentence)
    require_same_run(before, opened, recordings, heard=heard)
    if not before["finished"]:
        return before
    damaged = folder.damaged(before)
    if damaged:
        tell(
            f"{printable(folder.root)}: {len(damaged)} files were changed or damaged after the run "
            f"wrote them, such as {damaged[0]}; they are removed and the run is made again"
        )
    else:
        back = _usable_now(plan, recordings, folder)
        if not back:
            return before
        tell(
            f"{len(back)} recordings that could not be used can be now, such as '{back[0]}'; the "
            "run is made again"
        )
    folder.clear(keep=PERFORMANCE_FILES)
    return None


def _usable_now(plan: Plan, recordings: Sequence[Recording], folder: RunFolder) -> list[str]:
    """Try the recordings again that a finished run could not use; return those that it can."""
    clips = folder.read_table("clips")
    failed = set(clips.loc[clips["status"].str.startswith("failed"), "clip_id"])
    return [
        recording.name
        for recording in recordings
        if recording.name in failed
        and not any(c.status.startswith("failed") for c in originals(plan, recording, []))
    ]
