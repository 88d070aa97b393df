"""A run from beginning to end: collect, embed the originals, ask the queries, score the points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Recording
from nearkin.errors import printable
from nearkin.lease import leased
from nearkin.optional import need
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.runs.failures import worst_failures, write_sounds
from nearkin.runs.finish import keep_audio_distances, write_embeddings, write_tables
from nearkin.runs.folder import PERFORMANCE_FILES, RunFolder
from nearkin.runs.opening import Opened, open_session
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan, references_for
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
from nearkin.runs.sources import EncoderSource, refuse_shared_ids
from nearkin.runs.stages import notes_of, originals_stage, points_stage, queries_stage
from nearkin.workers import open_workers


def run(
    plan: Plan,
    audio: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    encoders: Sequence[EncoderSource],
    workers: int = 1,
    keep_distances: bool = False,
    force: bool = False,
    made_from: Sequence[Path] = (),
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
    workers : int
        Processes.
    keep_distances : bool
        Keep the audio space's distances under ``distances/``.
    force : bool
        Start anew where the folder holds another run.
    made_from : sequence of Path
        What else the run is made from, such as its configuration: the folder may hold none of it.
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
    if plan.dtw == "fast":
        need("fastdtw", extra="fastdtw")
    folder = RunFolder(out)
    given = [*map(Path, audio), *([Path(plan.noise)] if plan.noise else []), *made_from]
    given += [path for source in encoders for path in source.files()]
    folder.decide(given)
    if not force:
        require_same_settings(folder.read_run(), plan.settings(), folder)
    sources = [*encoders, *(EncoderSource(n, {}, "reference") for n in references_for(plan))]
    opened = open_session(plan, out, sources, keep_distances=keep_distances, tell=tell)
    recordings = collect(audio, split=plan.split, out=out)
    refuse_shared_ids(plan, recordings)
    for sentence in [*recordings.told(), *opened.session.noise.told()]:
        tell(sentence)
    folder.claim([*given, *(recording.path for recording in recordings)])
    with leased(out) as lease:
        if force:
            folder.clear()
        before = _begun(opened, recordings, folder, tell)
        if before is not None and before["finished"]:
            tell(f"{printable(out)}: finished on {before['finished']}, nothing was computed")
            folder.finish()
            return folder
        created = before["created"] if before else now()
        inputs = inputs_of(opened.session, recordings)
        session = opened.session.bound(identity(plan, inputs, created))
        record = new_record(opened, inputs, created)
        record["left_out"] = list(recordings.left_out)
        timings = dict(before.get("timings_s", {})) if before else {}
        clock = Clock(timings)

        def note() -> None:
            lease.require()
            folder.write_run({**record, "timings_s": timings})

        note()
        with open_workers(session, workers=workers) as pool:
            with clock("originals"):
                clips, heard = originals_stage(session, pool, recordings, progress, tell)
            for sentence in notes_of(clips):
                tell(sentence)
            record["inputs"] = inputs_of(session, recordings, heard)
            note()
            with clock("queries"):
                queries_stage(session, pool, progress, tell)
            note()
            with clock("scores"):
                write_embeddings(session)
                points_stage(session, pool, progress, tell)
        lease.require()
        with clock("tables"):
            lost = write_tables(session)
            failures = write_sounds(
                worst_failures(lost, plan.grid),
                plan=plan,
                folder=folder,
                original=session.original,
                noise=session.noise,
            )
            if keep_distances:
                keep_audio_distances(session)
            folder.write_table("clips", clips)
            folder.write_table("failures", failures)
        lease.require()
        folder.write_run(finished_record(record, session, clips, timings))
        folder.finish()
    return folder


def _begun(
    opened: Opened,
    recordings: Sequence[Recording],
    folder: RunFolder,
    tell: Tell,
) -> dict[str, Any] | None:
    """Return run.json where a run may go on, or is finished; None where one is to begin.

    A finished run whose files were damaged, or of whose recordings some could not be used and can
    be now, begins again: its tables go.

    Raises
    ------
    InputError
        If the folder holds a run with other settings or inputs.
    """
    before = folder.read_run()
    if before is None:
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
