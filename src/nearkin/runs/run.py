"""A run from beginning to end: collect, embed the originals, ask the queries, score the points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nearkin.corpora.collect import collect
from nearkin.encoders import is_table, takes_layers
from nearkin.encoders.check import Steadiness, steadiness
from nearkin.errors import InputError
from nearkin.optional import need
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.runs.failures import worst_failures, write_sounds
from nearkin.runs.finish import keep_audio_distances, write_embeddings, write_tables
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import Plan, references_for
from nearkin.runs.record import Clock, finished_record, inputs_of, new_record, require_same
from nearkin.runs.session import Session
from nearkin.runs.sources import EncoderSource
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
    references = [EncoderSource(name, {}, "reference") for name in references_for(plan)]
    session = Session(plan, out, [*encoders, *references], keep_distances=keep_distances)
    recordings = collect(audio, split=plan.split, out=out)
    for sentence in [*recordings.told(), *session.noise.told()]:
        tell(sentence)
    _check(session, tell)  # an encoder that cannot be used is told before anything is written
    inputs = inputs_of(session, recordings)
    folder = session.folder
    if force and folder.is_run():
        folder.clear()
    folder.claim()
    before = folder.read_run()
    if before is not None:
        require_same(before, plan.settings(), inputs, folder)
        if before.get("finished"):
            folder.finish()
            return folder
    timings = dict(before.get("timings_s", {})) if before else {}
    record = new_record(session, inputs, before) | {"left_out": list(recordings.left_out)}
    folder.write_run({**record, "timings_s": timings})
    clock = Clock(timings)
    with open_workers(session, workers=workers) as pool:
        with clock("originals"):
            clips = originals_stage(session, pool, recordings, progress)
        for sentence in notes_of(clips):
            tell(sentence)
        folder.write_run({**record, "timings_s": timings})
        with clock("queries"):
            queries_stage(session, pool, progress)
        folder.write_run({**record, "timings_s": timings})
        with clock("scores"):
            write_embeddings(session)
            points_stage(session, pool, progress)
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
    folder.write_run(finished_record(record, session, clips, timings))
    folder.finish()
    return folder


def unheard(rate: int, plan: Plan) -> str:
    """Say what an encoder of a rate above the working rate does not hear.

    Examples
    --------
    >>> from nearkin.runs.plan import make_plan
    >>> unheard(48_000, make_plan({"encoders": ["mfcc"], "grid": "quick"})).split(",")[0]
    'takes 48000 Hz and hears nothing above 11 kHz'
    """
    return (
        f"takes {rate} Hz and hears nothing above {plan.working_rate / 2000:.2g} kHz, as the run "
        f"works at {plan.working_rate} Hz; --working-rate {min(rate, 96_000)} keeps all"
    )


def _check(session: Session, tell: Tell) -> None:
    """Tell what the tested encoders were taken for, and do the quick part of ``nearkin check``.

    Raises
    ------
    InputError
        If one is random from call to call, and that is not allowed, if the size of one's answer
        changes with the clip's length, or if all break their contract.
    """
    found: dict[str, Steadiness] = {}
    tested = [encoder for encoder in session.resolved if encoder.role == "tested"]
    layer = session.plan.layer
    if layer is not None and not any(takes_layers(encoder) for encoder in tested):
        raise InputError(f"--layer {layer}: no encoder of the run has layers; leave it out")
    for encoder in tested:
        tell(f"encoder {encoder.label}: {encoder.matched}")
        if encoder.sample_rate > session.plan.working_rate and not is_table(encoder):
            tell(f"encoder {encoder.label}: {unheard(encoder.sample_rate, session.plan)}")
        state = found[encoder.label] = steadiness(encoder, seconds=session.plan.clip_seconds)
        if state.state == "stochastic" and not session.plan.allow_stochastic:
            raise InputError(
                f"encoder '{encoder.label}': {state.sentence}; mend it, or pass --allow-stochastic "
                "to average several calls"
            )
        if state.state == "length":
            raise InputError(f"encoder '{encoder.label}': {state.sentence}")
        if state.sentence:
            verb = "fails on a test clip: " if state.state == "failed" else ""
            tell(f"encoder {encoder.label}: {verb}{state.sentence}")
    # what it raises, or a NaN, may hang on the clip; a wrong shape, size or length does not
    if found and all(
        state.state == "failed" and not state.sentence.startswith(("raised ", "returned NaN"))
        for state in found.values()
    ):
        label, state = next(iter(found.items()))
        raise InputError(
            f"encoder '{label}': fails on a test clip of {session.plan.clip_seconds:g} s: "
            f"{state.sentence}; nearkin check tells more"
        )
    session.unsteady = {
        label: state.state
        for label, state in found.items()
        if state.state in ("stochastic", "batch")
    }
    session.steadiness = found
