"""The stages of a run: originals, queries, scores. Units that leave shards, and what joins them.

Each stage is a list of units, done in any order by any number of workers; a unit whose shard is
there is not done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.corpora.recordings import Recording
from nearkin.distances import AUDIO_DISTANCES
from nearkin.encoders import ResolvedEncoder
from nearkin.errors import InputError
from nearkin.progress import Progress, Tell, at, unsaid
from nearkin.runs.clips import Original
from nearkin.runs.drawing import draw
from nearkin.runs.originals import originals, unusable
from nearkin.runs.queries import lost_queries, queries
from nearkin.runs.session import Session
from nearkin.runs.shards import Used, clip_row
from nearkin.runs.spaces import LOST_ORIGINAL, AudioAtPoint, EncoderAtPoint, Space
from nearkin.runs.twins import Twins
from nearkin.tables import OK
from nearkin.workers import Workers

if TYPE_CHECKING:
    import pandas as pd


class Described(NamedTuple):
    """Rows of clips.parquet, and the SHA-256 of the recordings that were read, by name."""

    clips: pd.DataFrame
    heard: Mapping[str, str]


def originals_unit(session: Session, recording: Recording) -> None:
    """Describe a recording's clips, and leave them as its shard."""
    clips = originals(session.plan, recording, session.encoders)
    session.shards.write_originals(recording.name, clips)


def _queries_unit(session: Session, clip_id: str) -> None:
    found = queries(
        session.plan,
        session.original(clip_id),
        session.space,
        session.working,
        noise=session.noise,
        own=session.place[clip_id],
        groups=session.groups if session.plan.others == "group" else None,
        columns=session.columns(clip_id),
    )
    session.asked.write_queries(clip_id, found)


def _points_unit(session: Session, index: int) -> None:
    gathered, point = session.gathered, session.plan.points[index]
    at(f"{point.code} {point.magnitude:g}, its scores")
    pairs = _audio_pairs(session, index)
    spaces = [
        Space.of_audio(name, gathered.audio(number, index), pairs[number])
        for number, name in enumerate(AUDIO_DISTANCES)
    ]
    audio = AudioAtPoint(spaces, gathered.effective[:, index], gathered.audio_status(index))
    encoders = [_encoder_at(session, encoder, index) for encoder in session.encoders]
    queries, consistency = session.scorer.point(point, audio, encoders)
    session.asked.write_point(index, {"queries": queries, "consistency": consistency})


def _audio_pairs(session: Session, index: int) -> NDArray[np.float32]:
    """Return the audio distances between the drawn clips at one point, [distance, M, M]."""
    rows = []
    for clip in session.drawn:
        kept = np.load(session.asked.distances_path(session.clip_ids[clip]), mmap_mode="r")
        row = kept[:, index]
        rows.append(row if row.shape[1] == len(session.drawn) else row[:, session.drawn])
    return np.stack(rows, axis=1)


def originals_stage(
    session: Session,
    pool: Workers,
    recordings: Sequence[Recording],
    progress: Progress,
    tell: Tell = unsaid,
) -> Described:
    """Describe originals until there are enough.

    A recording that could not be used when the command was last given is tried again.
    """
    import pandas as pd

    plan, shards = session.plan, session.shards
    twins = None if plan.duplicates == "all" else Twins()
    tried: set[str] = set()

    def read(recording: Recording) -> list[Original] | None:
        if recording.name not in tried and not shards.has_originals(recording.name):
            return None
        clips = shards.read_originals(recording.name, audio=False)
        if clips is None or recording.name in tried:
            return clips
        return None if any(clip.status.startswith("failed") for clip in clips) else clips

    def make(todo: Sequence[Recording]) -> Iterator[object]:
        for sentence in shards.told():
            tell(sentence)
        tried.update(recording.name for recording in todo)
        yield from pool.map(
            originals_unit, todo, done=lambda one: shards.has_originals(one.name), lost=_lose_clips
        )

    taken = draw(
        recordings,
        wanted=plan.clips,
        seed=plan.seed,
        name=lambda recording: recording.name,
        read=read,
        make=make,
        usable=lambda recording, clips: sum(
            clip.status == OK for clip in _marked(twins, recording, clips)
        ),
        each=plan.excerpts_per_file,
        stage="originals",
        progress=progress,
    )
    found: list[tuple[str, Original]] = []
    n_usable = 0
    for recording, clips in taken:
        for clip in _marked(twins, recording, clips):
            if plan.clips is not None and n_usable == plan.clips:
                break
            n_usable += clip.status == OK
            found.append((recording.name, clip))
    found.sort(key=lambda pair: pair[1].clip_id)
    table = pd.DataFrame([clip_row(clip) for _, clip in found])
    used = [
        Used(clip.clip_id, recording, clip.content_sha256, clip.group)
        for recording, clip in found
        if clip.status == OK
    ]
    if len(used) < 2:
        raise InputError(_too_few(len(used), found))
    if plan.others == "group" and len({clip.group for clip in used}) < 2:
        raise InputError(
            f"--others group: all {len(used)} clips are of one group ('{used[0].group}'): nothing "
            "to compare with; leave it out or add recordings of other groups"
        )
    shards.write_used(used)
    heard = {name: clip.content_sha256 for name, clip in found if clip.content_sha256}
    return Described(table, heard)


def notes_of(clips: pd.DataFrame, most: int = 8) -> list[str]:
    """Return what is to be told of the clips that are used, as lines for a terminal."""
    told = clips[(clips["note"] != "") & (clips["status"] == OK)]
    lines = [
        f"clip {clip_id}: {note}"
        for clip_id, note in zip(told["clip_id"][:most], told["note"], strict=False)
    ]
    if len(told) > most:
        lines.append(f"{len(told) - most} more clips have a note; clips.parquet holds them all")
    return lines


def _marked(twins: Twins | None, recording: Recording, clips: Sequence[Original]) -> list[Original]:
    """Return a recording's clips; skipped, if another recording has the same sound."""
    if twins is None or not any(clip.status == OK for clip in clips):
        return list(clips)
    status = twins.status(recording, clips[0].sound_sha256)
    return [replace(c, status=status) if c.status == OK else c for c in clips]


def queries_stage(session: Session, pool: Workers, progress: Progress, tell: Tell = unsaid) -> None:
    """Transform every usable clip and measure it against all originals."""
    todo = [clip_id for clip_id in session.clip_ids if not session.asked.has_queries(clip_id)]
    for sentence in session.asked.told():
        tell(sentence)
    made = pool.map(_queries_unit, todo, done=session.asked.has_queries, lost=_lose_queries)
    _follow(made, len(todo), "queries", len(session.clip_ids), progress)


def points_stage(session: Session, pool: Workers, progress: Progress, tell: Tell = unsaid) -> None:
    """Score every point of the grid."""
    n_points = len(session.plan.points)
    todo = [index for index in range(n_points) if not session.asked.has_point(index)]
    for sentence in session.asked.told():
        tell(sentence)
    made = pool.map(_points_unit, todo, done=session.asked.has_point)
    _follow(made, len(todo), "scores", n_points, progress)


def _follow(
    made: Iterator[object], n_todo: int, stage: str, total: int, progress: Progress
) -> None:
    """Tell the progress of units as they end."""
    progress(stage, total - n_todo, total)
    for done, _ in enumerate(made, start=total - n_todo + 1):
        progress(stage, done, total)


def _lose_clips(session: Session, recording: Recording, reason: str) -> None:
    session.shards.write_originals(recording.name, [unusable(recording, reason)])


def _lose_queries(session: Session, clip_id: str, reason: str) -> None:
    n_kept = len(session.columns(clip_id))
    lost = lost_queries(session.plan, len(session.clip_ids), n_kept, session.working, reason)
    session.asked.write_queries(clip_id, lost)


def _encoder_at(session: Session, encoder: ResolvedEncoder, index: int) -> EncoderAtPoint:
    label, folder = encoder.label, session.folder
    failure = session.failures.get(label, "")
    if failure:
        status = [failure] * len(session.clip_ids)
        return EncoderAtPoint(
            encoder.name, encoder.task, encoder.trial, None, None, status, failure
        )
    originals = np.load(folder.embeddings_path(label, of="originals"), mmap_mode="r")
    queries = np.load(folder.embeddings_path(label), mmap_mode="r")[:, index]
    status = session.gathered.status(label, index)
    size = originals.shape[1]
    whole = np.isfinite(queries).all(axis=1)
    for clip in np.flatnonzero(~whole):
        if status[clip] == OK:
            status[clip] = f"returned another number of values than the {size} of the originals"
    for place, reason in session.lost_originals[label].items():
        status[place] = f"{LOST_ORIGINAL}: {reason}"
    return EncoderAtPoint(
        encoder.name, encoder.task, encoder.trial, originals, queries, status, failure
    )


def _too_few(n_usable: int, found: Sequence[tuple[str, Original]]) -> str:
    """Say in one sentence why there is nothing to compare."""
    reasons: dict[str, str] = {}
    for _, clip in found:
        if clip.status != OK:
            reasons.setdefault(clip.status, clip.clip_id)
    told = "; ".join(f"'{clip_id}' {status}" for status, clip_id in list(reasons.items())[:4])
    count = "no usable clip" if n_usable == 0 else "one usable clip"
    why = f" ({told})" if told else ""
    return (
        f"{count} among {len(found)}{why}: nothing to compare with; at least 2 are needed, or "
        "--excerpts-per-file 2 for a single long recording"
    )
