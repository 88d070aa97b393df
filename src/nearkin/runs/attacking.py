"""The stage after the queries: the worst change of one clip, for one encoder, at every SNR.

A unit is one clip and one encoder. It searches at the encoder's own rate, along the gradient where
there is one (`nearkin.encoders.gradients`), by questions alone where there is none; which of the
two is decided once for an encoder, so that no curve mixes them. What is found is then asked about
as any changed clip is, beside pink noise of the same SNR, and after MP3 at 128 kb/s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.attacks.aim import Aim
from nearkin.attacks.nes import DIRECTIONS, nes
from nearkin.attacks.nes import STEPS as NES_STEPS
from nearkin.attacks.pgd import STEPS as PGD_STEPS
from nearkin.attacks.pgd import Attacked, pgd
from nearkin.attacks.sphere import radius, snr_db
from nearkin.consistency import neighbours
from nearkin.distances import AUDIO_DISTANCES, iter_pairwise_audio, latent_distance
from nearkin.distances.fast import fast_dtw_row
from nearkin.encoders import EncoderError, Key, ResolvedEncoder, embed
from nearkin.encoders.gradients import Module
from nearkin.encoders.resolve import is_table
from nearkin.errors import NearkinError, RunError
from nearkin.files import key
from nearkin.progress import Progress, Tell, unsaid
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, frames_of, stored
from nearkin.runs.session import Session
from nearkin.runs.shards import AGAIN
from nearkin.seeds import stream
from nearkin.tables import AUDIO, OK
from nearkin.transforms import transformation
from nearkin.workers import Workers

SNRS_DB = (60.0, 50.0, 40.0, 30.0)
MP3_KBPS = 128.0
DISTANCE = "cosine"
"""What is attacked, and asked about."""
ATTACKED, NOISE, AFTER_MP3, MP3_ALONE = "AD", "PN", "AD+MP", "MP"
"""The attacked clip; pink noise of its SNR; the attacked clip as an MP3; the clip as an MP3."""
YARDSTICK = "mfcc"
"""Attacked beside the tested encoders."""
GRADIENT, QUESTIONS = "pgd", "nes"


class Target(NamedTuple):
    """One unit: a clip, an encoder's label, and how it is searched."""

    clip_id: str
    label: str
    method: str


class AttackedClip(NamedTuple):
    """What a unit leaves: the attacked clips, and rows of attacks.parquet as mappings."""

    audio: NDArray[np.float32]
    rows: list[dict[str, Any]]


def attackable(encoders: Sequence[ResolvedEncoder]) -> list[ResolvedEncoder]:
    """Return the encoders that are attacked: those that are tested and hear, and mfcc."""
    return [
        encoder
        for encoder in encoders
        if (encoder.role == "tested" or encoder.label == YARDSTICK) and not is_table(encoder)
    ]


def method_of(session: Session, encoder: ResolvedEncoder) -> tuple[str, str]:
    """Tell how an encoder is searched, and why not along its gradient."""
    module, reason = session.twin(encoder.label)
    return (GRADIENT, "") if module is not None else (QUESTIONS, reason)


def attack_stage(
    session: Session, pool: Workers, progress: Progress, tell: Tell = unsaid
) -> list[Target]:
    """Attack every clip for every such encoder; return all units, in order."""
    targets = []
    for encoder in attackable(session.working):
        method, reason = method_of(session, encoder)
        if reason:
            tell(
                f"encoder {encoder.label}: attacked by questions alone, which finds less than a "
                f"gradient does: {reason}"
            )
        targets += [Target(clip_id, encoder.label, method) for clip_id in session.clip_ids]
    todo = [target for target in targets if read_attacked(session, target) is None]
    for sentence in session.asked.told():
        tell(sentence)
    progress("attacks", len(targets) - len(todo), len(targets))
    done = len(targets) - len(todo)
    found = pool.map(_attack_unit, todo, done=lambda one: read_attacked(session, one) is not None)
    for number, _ in enumerate(found, start=done + 1):
        progress("attacks", number, len(targets))
    return targets


def _attack_unit(session: Session, target: Target) -> None:
    found = attack_clip(session, target)
    notes = {"target": list(target), "rows": found.rows}
    session.asked.write(attacked_path(session, target), notes, {"audio": found.audio})


def attacked_path(session: Session, target: Target) -> Path:
    """Return where a unit's shard is kept while the run works."""
    return session.folder.work / "attacks" / f"{key(f'{target.clip_id} {target.label}')}.npz"


def read_attacked(session: Session, target: Target) -> AttackedClip | None:
    """Return what a unit left; None where it is not there, whole, and of the same method."""
    found = session.asked.read(attacked_path(session, target), target.clip_id)
    if found is None or found[0].get("target") != list(target):
        return None
    return AttackedClip(found[1]["audio"], found[0]["rows"])


def attack_clip(session: Session, target: Target) -> AttackedClip:
    """Search the worst change of one clip at every SNR, and ask about what is found."""
    plan = session.plan
    encoder = next(one for one in session.working if one.label == target.label)
    original = session.original(target.clip_id)
    x = clip_at(session, original, encoder.sample_rate)
    around = _Around(session, encoder, original)
    try:
        found = _searched(session, around, target.method, x)
    except (NearkinError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        rows = [_row(ATTACKED, snr, "latent", DISTANCE, status=text) for snr in SNRS_DB]
        return AttackedClip(np.zeros((0, len(x)), np.float32), rows)
    rows = list(around.latent_rows(x, found))
    if plan.audio_window == "clip":
        rows += around.audio_rows(x, found.audio)
    return AttackedClip(found.audio, rows)


def clip_at(session: Session, original: Original, rate: int) -> NDArray[np.float32]:
    """Return the clip that is attacked, float32[samples] at an encoder's rate.

    Raises
    ------
    RunError
        If its shard is damaged.
    """
    plan = session.plan
    heard = centre(original.context, plan.clip_samples)
    if heard is None:  # a usable clip fills its length
        raise RunError(f"clip '{original.clip_id}': its shard is damaged; {AGAIN}")
    clips = audio.resample(stored(plan, heard)[None], from_sr=plan.working_rate, to_sr=rate)
    return np.asarray(clips[0], np.float32)


def _searched(session: Session, around: _Around, method: str, x: NDArray[np.float32]) -> Attacked:
    plan, original = session.plan, around.original
    start_us = round(original.start_s * 1_000_000)
    rng = stream(plan.seed, original.content_sha256, start_us, ATTACKED, around.encoder.label)
    start = rng.standard_normal(len(x))
    radii = [radius(x, snr_db=snr) for snr in SNRS_DB]
    aim = around.aim
    if method == QUESTIONS:
        return nes(around.embed, x, aim, radii, start, rng=rng)
    module: Module | None = session.twin(around.encoder.label)[0]
    if module is None:
        raise ValueError("its gradient was there when the run began, and is not now")
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # torch was imported after the worker's limit was set
        return pgd(module, x, aim, radii, start)


class _Around:
    """One clip among all originals, for one encoder."""

    def __init__(self, session: Session, encoder: ResolvedEncoder, original: Original) -> None:
        self.session, self.encoder, self.original = session, encoder, original
        self.own = session.place[original.clip_id]
        self.groups = session.groups if session.plan.others == "group" else None
        path = session.folder.embeddings_path(encoder.label, of="originals")
        self.originals = np.load(path, mmap_mode="r")

    @property
    def aim(self) -> Aim:
        """What the search wants."""
        if not np.isfinite(self.originals[self.own]).all():
            raise ValueError("its original failed")
        return Aim.of(np.asarray(self.originals), self.own, self.groups)

    def embed(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed clips at the encoder's rate; a row that fails is NaN."""
        keys = [Key(self.original.clip_id, ATTACKED, 0.0)] * len(heard)
        return embed(self.encoder, heard, keys).vectors

    def latent_rows(self, x: NDArray[np.float32], found: Attacked) -> Iterator[dict[str, Any]]:
        """Ask about the attacked clips and what stands beside them."""
        plan, rate = self.session.plan, self.encoder.sample_rate
        noise = self.session.noise

        def changed(code: str, magnitude: float, y: NDArray[np.float32]) -> NDArray[np.float32]:
            how = transformation(code, magnitude, rate=plan.mp3_rate, noise=noise)
            out, _ = how.apply(y, sr=rate, rng=self.original.stream(plan, code))
            return np.asarray(out, np.float32)

        asked: list[tuple[str, float, NDArray[np.float32] | str]] = []
        for snr, y in zip(SNRS_DB, found.audio, strict=True):
            asked.append((ATTACKED, snr, y))
            asked.append((NOISE, snr, _tried(lambda snr=snr: changed(NOISE, snr, x))))
            asked.append((AFTER_MP3, snr, _tried(lambda y=y: changed("MP", MP3_KBPS, y))))
        asked.append((MP3_ALONE, float("nan"), _tried(lambda: changed("MP", MP3_KBPS, x))))
        good = [i for i, (_, _, y) in enumerate(asked) if not isinstance(y, str)]
        heard = [stored(plan, asked[i][2]) for i in good]  # type: ignore[arg-type]
        met, told = self._met(np.stack(heard))
        at = dict(zip(good, range(len(good)), strict=True))
        questions = dict(zip(SNRS_DB, found.asked.tolist(), strict=True))
        for number, (code, snr, y) in enumerate(asked):
            if isinstance(y, str):
                yield _row(code, snr, "latent", DISTANCE, status=y)
                continue
            row = _row(code, snr, "latent", DISTANCE, status=told[at[number]])
            if code == ATTACKED:
                row |= {"effective": snr_db(x, y), "asked": questions[snr]}
            yield row | _found(met, at[number])

    def _met(self, heard: NDArray[np.float32]) -> tuple[Any, Sequence[str]]:
        keys = [Key(self.original.clip_id, ATTACKED, 0.0)] * len(heard)
        n = len(self.originals)
        try:
            vectors, told = embed(self.encoder, heard, keys)
        except EncoderError as error:
            vectors, told = np.full((len(heard), 1), np.nan, np.float32), (str(error),) * len(heard)
        there = np.flatnonzero(np.isfinite(self.originals).all(axis=1))
        whole = np.flatnonzero([text == OK for text in told])
        d = np.full((len(heard), n), np.nan)
        if len(whole):
            measured = latent_distance(DISTANCE).function(vectors[whole], self.originals[there])
            d[np.ix_(whole, there)] = measured
        lost = ~np.isfinite(d[:, self.own])
        met = neighbours(d, own=[self.own] * len(d), failed=lost, groups=self.groups)
        return met, told

    def audio_rows(
        self, x: NDArray[np.float32], attacked: NDArray[np.float32]
    ) -> Iterator[dict[str, Any]]:
        """Ask where the attacked clips lie in the audio space."""
        session, plan = self.session, self.session.plan
        at_working = audio.resample(
            attacked, from_sr=self.encoder.sample_rate, to_sr=plan.working_rate
        )
        frames = [frames_of(plan, stored(plan, y)) for y in at_working]
        rows = iter_pairwise_audio(
            frames, session.space, measures=tuple(AUDIO_DISTANCES), m=plan.simple_window
        )
        for snr, frame, row in zip(SNRS_DB, frames, rows, strict=True):
            if plan.dtw == "fast":
                row["dtw"] = fast_dtw_row(frame, session.space)
            for measure in AUDIO_DISTANCES:
                met = neighbours(row[measure][None], own=[self.own], groups=self.groups)
                yield _row(ATTACKED, snr, AUDIO, measure) | _found(met, 0)


def _row(code: str, snr: float, space: str, distance: str, *, status: str = OK) -> dict[str, Any]:
    return {
        "transformation": code,
        "magnitude": snr,
        "effective": snr,
        "space": space,
        "distance": distance,
        "asked": 0,
        "status": status,
    }


def _found(met: Any, at: int) -> dict[str, Any]:
    return {
        "rank": int(met.rank[at]),
        "nearest": int(met.nearest[at]),
        "d_own": float(met.d_own[at]),
        "d_nearest": float(met.d_nearest[at]),
    }


def _tried(make: Any) -> NDArray[np.float32] | str:
    try:
        made: NDArray[np.float32] = make()
    except NearkinError as error:
        return " ".join(str(error).split())
    return made


def attack_seconds(session: Session, encoder: ResolvedEncoder, original: Original) -> float:
    """Measure what attacking one clip takes, at the most, in core-seconds; nothing is written.

    A search by questions that leads the clip astray early takes less.
    """
    plan = session.plan
    heard = centre(original.context, plan.clip_samples)
    first = original.vectors[encoder.label].array
    if heard is None or first is None:
        return 0.0
    x = audio.resample(heard[None], from_sr=plan.working_rate, to_sr=encoder.sample_rate)[0]
    rng = np.random.default_rng(0)
    originals = np.concatenate([first, rng.standard_normal((1, first.shape[1]))])
    aim = Aim.of(originals, 0)
    radii = [radius(x, snr_db=snr) for snr in SNRS_DB]
    keys = [Key(original.clip_id, ATTACKED, 0.0)] * (2 * DIRECTIONS)
    begun = time.perf_counter()
    embed(encoder, np.stack([x] * 10), keys[:10])
    embedded = (time.perf_counter() - begun) / 10
    module, _ = session.twin(encoder.label)
    if module is None:
        questions = len(SNRS_DB) * (1 + 2 * DIRECTIONS * NES_STEPS)
        return (questions + 13) * embedded
    start = rng.standard_normal(len(x))
    pgd(module, x, aim, radii, start, steps=0)
    begun = time.perf_counter()
    pgd(module, x, aim, radii, start, steps=2)
    return (time.perf_counter() - begun) / 3 * (PGD_STEPS + 1) + 13 * embedded
