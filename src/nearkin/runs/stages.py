"""The stages of a run: originals, queries, scores. Units that leave shards, and what joins them.

Each stage is a list of units, done in any order by any number of workers; a unit whose shard is
there is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.corpora.recordings import Recording
from nearkin.distances import AUDIO_DISTANCES
from nearkin.encoders import ResolvedEncoder
from nearkin.errors import InputError
from nearkin.progress import Progress
from nearkin.runs.clips import Original
from nearkin.runs.drawing import draw
from nearkin.runs.originals import originals
from nearkin.runs.queries import queries
from nearkin.runs.session import Session
from nearkin.runs.shards import clip_row
from nearkin.runs.spaces import LOST_ORIGINAL, AudioAtPoint, EncoderAtPoint, Space
from nearkin.tables import OK
from nearkin.workers import Workers

if TYPE_CHECKING:
    import pandas as pd


def _originals_unit(session: Session, recording: Recording) -> None:
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
    session.shards.write_queries(clip_id, found)


def _points_unit(session: Session, index: int) -> None:
    folder, gathered = session.folder, session.gathered
    pairs = _audio_pairs(session, index)
    spaces = [
        Space.of_audio(name, gathered.audio(number, index), pairs[number])
        for number, name in enumerate(AUDIO_DISTANCES)
    ]
    audio = AudioAtPoint(spaces, gathered.effective[:, index], gathered.audio_status(index))
    encoders = [_encoder_at(session, encoder, index) for encoder in session.encoders]
    queries, consistency = session.scorer.point(session.plan.points[index], audio, encoders)
    folder.write(session.shards.point_path(index, "queries"), lambda file: queries.to_parquet(file))
    # written last: it is what marks the point as done
    folder.write(
        session.shards.point_path(index, "consistency"), lambda file: consistency.to_parquet(file)
    )


def _audio_pairs(session: Session, index: int) -> NDArray[np.float32]:
    """Return the audio distances between the drawn clips at one point, [distance, M, M]."""
    rows = []
    for clip in session.drawn:
        kept = np.load(session.shards.distances_path(session.clip_ids[clip]), mmap_mode="r")
        row = kept[:, index]
        rows.append(row if row.shape[1] == len(session.drawn) else row[:, session.drawn])
    return np.stack(rows, axis=1)


def originals_stage(
    session: Session, pool: Workers, recordings: Sequence[Recording], progress: Progress
) -> pd.DataFrame:
    """Describe originals until there are enough; return clips.parquet's rows."""
    import pandas as pd

    plan, folder = session.plan, session.folder
    twins = _Twins(alike=plan.duplicates == "all")
    taken = draw(
        recordings,
        wanted=plan.clips,
        seed=plan.seed,
        name=lambda recording: recording.name,
        read=lambda recording: session.shards.read_originals(recording.name, audio=False),
        make=lambda todo: pool.map(_originals_unit, todo),
        usable=lambda recording, clips: sum(
            clip.status == OK for clip in twins.marked(recording, clips)
        ),
        each=plan.excerpts_per_file,
        stage="originals",
        progress=progress,
    )
    found: list[tuple[str, Original]] = []
    n_usable = 0
    for recording, clips in taken:
        for clip in twins.marked(recording, clips):
            if plan.clips is not None and n_usable == plan.clips:
                break
            n_usable += clip.status == OK
            found.append((recording.name, clip))
    found.sort(key=lambda pair: pair[1].clip_id)
    table = pd.DataFrame([clip_row(clip) for _, clip in found])
    used = [(clip.clip_id, recording, clip.group) for recording, clip in found if clip.status == OK]
    if len(used) < 2:
        raise InputError(_too_few(len(used), found))
    (folder.work).mkdir(exist_ok=True)
    folder.write_table("work/used", pd.DataFrame(used, columns=["clip_id", "recording", "group"]))
    if plan.others == "group" and len({group for _, _, group in used}) < 2:
        raise InputError(
            f"--others group: all {len(used)} clips are of one group ('{used[0][2]}'): nothing to "
            "compare with; leave it out or add recordings of other groups"
        )
    return table


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


class _Twins:
    """Marks recordings that sound the same as one that was taken before.

    Recordings of one length that begin alike (`Original.sound_sha256`) are compared whole.
    Rows of a manifest that start at another place of the same sound are none.
    """

    def __init__(self, *, alike: bool) -> None:
        self._alike = alike
        self._firsts: dict[tuple[str, float | None], list[Recording]] = {}
        self._twin_of: dict[str, str] = {}
        self._whole: dict[Path, str] = {}

    def marked(self, recording: Recording, clips: Sequence[Original]) -> list[Original]:
        """Return a recording's clips; skipped, if another recording has the same sound."""
        if self._alike or not any(clip.status == OK for clip in clips):
            return list(clips)
        if recording.name not in self._twin_of:
            before = self._firsts.setdefault((clips[0].sound_sha256, recording.start_s), [])
            twins = (one.name for one in before if self._sound(one) == self._sound(recording))
            self._twin_of[recording.name] = next(twins, "")
            before.append(recording)
        first = self._twin_of[recording.name]
        status = f"skipped: sounds the same as '{first}'"
        return [replace(c, status=status) if first and c.status == OK else c for c in clips]

    def _sound(self, recording: Recording) -> str:
        """Return the hash of a whole recording, decoded only where another begins like it."""
        path = recording.path
        if path not in self._whole:
            try:
                self._whole[path] = audio.sound_sha256(path)
            except InputError:  # gone since its clips were taken
                self._whole[path] = str(path)
        return self._whole[path]


def queries_stage(session: Session, pool: Workers, progress: Progress) -> None:
    """Transform every usable clip and measure it against all originals."""
    todo = [clip_id for clip_id in session.clip_ids if not session.shards.has_queries(clip_id)]
    _do(pool, _queries_unit, todo, "queries", len(session.clip_ids), progress)


def points_stage(session: Session, pool: Workers, progress: Progress) -> None:
    """Score every point of the grid."""
    n_points = len(session.plan.points)
    todo = [
        index
        for index in range(n_points)
        if not session.shards.point_path(index, "consistency").is_file()
    ]
    _do(pool, _points_unit, todo, "scores", n_points, progress)


def _do(
    pool: Workers,
    unit: Callable[[Session, Any], None],
    todo: Sequence[Any],
    stage: str,
    total: int,
    progress: Progress,
) -> None:
    progress(stage, total - len(todo), total)
    for done, _ in enumerate(pool.map(unit, todo), start=total - len(todo) + 1):
        progress(stage, done, total)


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
