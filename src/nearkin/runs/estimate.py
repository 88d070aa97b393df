"""What a run would take, for ``--dry-run``: counted, and measured on one clip; nothing written.

Parts are measured: a clip changed, a version embedded, a pair compared, a point scored. The counts
of clips, points and encoders say how often each is done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nearkin.consistency import neighbours
from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Recording
from nearkin.distances import AUDIO_DISTANCES, PackedOriginals, pairwise_audio
from nearkin.distances.fast import fast_dtw
from nearkin.encoders import Key, ResolvedEncoder
from nearkin.progress import Tell, duration, unsaid
from nearkin.runs.attacking import SNRS_DB, attack_seconds, attackable
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, embed_all
from nearkin.runs.distractors import count_gallery, music_of
from nearkin.runs.opening import open_session
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan, references_for
from nearkin.runs.queries import queries
from nearkin.runs.scoring import Scorer
from nearkin.runs.session import Session
from nearkin.runs.sources import EncoderSource
from nearkin.runs.spaces import AudioAtPoint, EncoderAtPoint, Space
from nearkin.tables import OK
from nearkin.workers import Here

TIMED = 8
"""Points of the grid, at most, on which a clip is timed."""
TRIED = 5
"""Recordings tried until one is usable."""
SCORED = 100
"""Clips, at most, with which a point is scored under the clock."""

Clock = Callable[[], float]
"""Gives seconds: `time.perf_counter`, or `time.process_time` where only the CPU works."""


@dataclass(frozen=True)
class RunParts:
    """Core-seconds of the parts of a run.

    Attributes
    ----------
    points : int
        Of the grid, and the originals.
    reading : float
        Of a recording: it is read, its clip cut out and its MFCCs computed.
    changing : float
        Of a clip: it is changed at all points, and the MFCCs computed.
    embedding : dict of str to float
        Of one version of a clip, by the encoder's label.
    pair : float
        Of the audio distances between two clips.
    scoring : float
        Of one encoder at one point, with `scored` clips.
    scored : int
    """

    points: int
    reading: float
    changing: float
    embedding: Mapping[str, float]
    pair: float
    scoring: float
    scored: int

    def seconds(self, n_clips: int, *, alike: Mapping[str, int] | None = None) -> float:
        """Return the core-seconds of a run of so many clips.

        Parameters
        ----------
        n_clips : int
        alike : mapping of str to int, optional
            How many encoders there are like the one of a label; one by default.
        """
        counts = dict.fromkeys(self.embedding, 1) | dict(alike or {})
        embedding = sum(counts[label] * each for label, each in self.embedding.items())
        # every original is embedded twice: as such, and as the point that changes nothing
        a_clip = self.reading + self.changing + (self.points + 1) * embedding
        a_point = n_clips**2 * self.pair
        a_point += sum(counts.values()) * self.scoring * (n_clips / self.scored) ** 2
        return n_clips * a_clip + self.points * a_point


@dataclass(frozen=True)
class RunEstimate:
    """Counts and estimates of a run that was not done.

    Attributes
    ----------
    recordings, clips, points, encoders : int
        Clips are the most there can be; some may turn out unusable.
    workers : int
    seconds : float
        Wall time of the whole run.
    disk_mb : float
        Largest size of the run's folder while it works, in megabytes (1e6 bytes).
    measured_on : str
        The clip the times were taken on; empty if none was usable, then `seconds` is NaN.
    gallery : int
        Recordings that lie among the originals.
    """

    recordings: int
    clips: int
    points: int
    encoders: int
    workers: int
    seconds: float
    disk_mb: float
    measured_on: str
    gallery: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        from nearkin.files import finite

        plain: dict[str, Any] = finite(asdict(self))
        return plain

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        size = f"{self.disk_mb:.0f} MB" if self.disk_mb < 1000 else f"{self.disk_mb / 1000:.1f} GB"
        told = [
            f"{self.recordings} recordings, at most {self.clips} clips, {self.points} points and "
            f"the originals, {self.encoders} encoders (references included)",
            *([f"gallery: {self.gallery} recordings"] if self.gallery else []),
            f"disk: at most {size} while it works",
        ]
        if self.measured_on:
            told.append(
                f"time: about {duration(self.seconds)} on {self.workers} workers (measured on "
                f"'{self.measured_on}')"
            )
        else:
            told.append(f"time: unknown, none of the first {TRIED} recordings can be used")
        return [*told, "nothing was written"]


def estimate(
    plan: Plan,
    audio: Sequence[str],
    *,
    encoders: Sequence[EncoderSource],
    workers: int,
    tell: Tell = unsaid,
) -> RunEstimate:
    """Count a run's work and measure it on one clip, with the encoders as the run would use them.

    Raises
    ------
    InputError
        As the run itself would: audio, encoders or settings that cannot be used.
    """
    recordings, session = _opened(plan, audio, encoders, tell)
    n_encoders = len(session.encoders)
    n_clips = len(recordings) * plan.excerpts_per_file
    if plan.clips is not None:
        n_clips = min(n_clips, plan.clips)
    n_clips = max(n_clips, 2)
    found = _usable(session, recordings)
    n_gallery = 0
    if plan.gallery:
        n_gallery = count_gallery(plan.gallery, [one.label for one in session.encoders])
    seconds = float("nan")
    if found is not None:
        clip = found[1]
        parts = _measure(session, *found, n_clips, time.perf_counter)
        work = parts.seconds(n_clips)
        if plan.gallery:
            work += n_clips * n_gallery * len(plan.points) * 2 * n_encoders * _score_seconds()
            if music_of(plan.gallery):
                work += n_gallery * (parts.reading + sum(parts.embedding.values()))
        if plan.attack:
            work += n_clips * _attacks(session, clip)
        seconds = work / min(workers, n_clips)
    return RunEstimate(
        recordings=len(recordings),
        clips=n_clips,
        points=len(plan.grid.points),
        encoders=n_encoders,
        workers=workers,
        seconds=seconds,
        disk_mb=(_disk(plan, n_clips, n_encoders) + _attacked_bytes(session, n_clips)) / 1e6,
        measured_on="" if found is None else found[1].clip_id,
        gallery=n_gallery,
    )


def parts_of(
    plan: Plan,
    audio: Sequence[str],
    *,
    encoders: Sequence[EncoderSource],
    n_clips: int,
    clock: Clock = time.perf_counter,
) -> RunParts | None:
    """Measure the parts of a run on one clip; None where none of a few recordings can be used.

    Parameters
    ----------
    plan : Plan
    audio : sequence of str
    encoders : sequence of EncoderSource
        The references are added.
    n_clips : int
        For how many clips a point is scored; fewer are taken where they are many.
    clock : callable

    Raises
    ------
    InputError
        As the run itself would.
    """
    recordings, session = _opened(plan, audio, encoders, unsaid)
    found = _usable(session, recordings)
    return None if found is None else _measure(session, *found, n_clips, clock)


def _opened(
    plan: Plan, audio: Sequence[str], encoders: Sequence[EncoderSource], tell: Tell
) -> tuple[Sequence[Recording], Session]:
    references = [EncoderSource(name, {}, "reference") for name in references_for(plan)]
    recordings = collect(audio, split=plan.split)
    session, _ = open_session(plan, Path(), [*encoders, *references], tell=tell)
    return recordings, session


def _usable(session: Session, recordings: Sequence[Recording]) -> tuple[Recording, Original] | None:
    """Return the first of a few recordings that can be used, and its clip."""
    for recording in recordings[:TRIED]:
        for clip in originals(session.plan, recording, session.encoders):
            if clip.status == OK:
                return recording, clip
    return None


def _measure(
    session: Session, recording: Recording, clip: Original, n_clips: int, clock: Clock
) -> RunParts:
    """Return the parts of a run."""

    def timed(act: Any) -> float:
        begun = clock()
        next(iter(Here(session).map(lambda _, __: act(), [None])))
        return clock() - begun

    plan = session.plan
    alone = PackedOriginals([clip.frames] * 2)
    thin = _thinned(plan)
    n_thin = len(thin.points)
    # encoders are given what sounds like the clip, as often as there are points
    heard = centre(clip.context, plan.clip_samples)
    versions = np.repeat(np.asarray(heard)[None], n_thin, axis=0)
    keys = [Key(clip.clip_id, *point) for point in thin.points]

    def change() -> None:
        queries(thin, clip, alone, [], noise=session.noise)

    def embed(encoder: ResolvedEncoder) -> float:
        return timed(lambda: embed_all(plan, [encoder], versions, keys, [OK] * n_thin)) / n_thin

    timed(change)  # libraries are imported and kernels compiled once, not once a clip
    changing = timed(change) * len(plan.points) / n_thin
    embedding = {one.label: min(embed(one), embed(one)) for one in session.encoders}
    packed = PackedOriginals([clip.frames] * 64)
    measures = tuple(AUDIO_DISTANCES)
    pair = timed(lambda: pairwise_audio([clip.frames] * 4, packed, measures=measures)) / 256
    if plan.dtw == "fast":
        pair += timed(lambda: fast_dtw(clip.frames, clip.frames[::-1]))
    n = min(n_clips, SCORED)
    rng = np.random.default_rng(0)
    d = rng.random((n, n), dtype=np.float32)
    spaces = [Space.of_audio(name, neighbours(d), d) for name in AUDIO_DISTANCES]
    z = rng.random((n, 256), dtype=np.float32)
    status = [OK] * n
    everyone = [EncoderAtPoint(e.name, "", 1, z, z, status) for e in session.encoders]
    scorer = Scorer(plan, [str(i) for i in range(n)])
    here = AudioAtPoint(spaces, np.zeros(n), status)
    score = timed(lambda: scorer.point(plan.grid.points[0], here, everyone))
    return RunParts(
        points=len(plan.points),
        reading=timed(lambda: originals(plan, recording, [])),
        changing=changing,
        embedding=embedding,
        pair=pair,
        scoring=score / len(everyone),
        scored=n,
    )


def _thinned(plan: Plan) -> Plan:
    """Return the plan with few points of its grid, evenly taken, on which a clip is timed."""
    points = plan.grid.points
    grid = replace(plan.grid, points=points[:: math.ceil(len(points) / TIMED)])
    return plan.model_copy(update={"grid": grid})


def _score_seconds() -> float:
    """Return the core-seconds of comparing two vectors of 256 values, as the gallery's search does.

    The products take nearly all of it.
    """
    rows = np.ones((1024, 256), np.float32)

    def product() -> None:
        rows @ rows.T

    with threadpool_limits(limits=1):
        product()
        begun = time.perf_counter()
        product()
        return 1.3 * (time.perf_counter() - begun) / len(rows) ** 2


def _attacks(session: Session, clip: Original) -> float:
    """Return the core-seconds of attacking one clip for every encoder that is attacked."""

    def work(session: Session, encoder: ResolvedEncoder) -> float:
        return attack_seconds(session, encoder, clip)

    return float(sum(spent for _, spent in Here(session).map(work, attackable(session.encoders))))


def _attacked_bytes(session: Session, n_clips: int) -> float:
    """Return the bytes of the attacked clips, which are kept while the run works."""
    if not session.plan.attack:
        return 0.0
    rates = [encoder.sample_rate for encoder in attackable(session.encoders)]
    return n_clips * len(SNRS_DB) * session.plan.clip_seconds * sum(rates) * 4


def _disk(plan: Plan, n_clips: int, n_encoders: int) -> float:
    """Return bytes: contexts, distances, embeddings (twice, 256 values assumed) and tables."""
    n_points = len(plan.points)
    n_drawn = min(n_clips, plan.rho_clips)
    contexts = n_clips * plan.context_seconds * plan.working_rate * 4
    distances = len(AUDIO_DISTANCES) * n_drawn**2 * n_points * 4
    embeddings = 2 * n_encoders * n_clips * n_points * 256 * 4
    rows = n_clips * n_points * (len(AUDIO_DISTANCES) + len(plan.latent_distances) * n_encoders)
    return contexts + distances + embeddings + rows * 120
