"""The first unit of a run: the clips of one recording, described in every space.

A unit is a function of the plan and one recording; it neither writes nor remembers, so units may
run anywhere, in any order, again after an interruption, with the same result.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.corpora.recordings import Recording
from nearkin.encoders import Key, ResolvedEncoder
from nearkin.errors import InputError, printable
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, embed_all, frames_of, stored
from nearkin.runs.plan import IDENTITY, Plan
from nearkin.seeds import stream
from nearkin.tables import OK

SILENCE = 10 ** (-70 / 20)
"""RMS, less the mean, below which an excerpt is silent: the -70 LUFS gate in amplitude."""
QUIETEST_LUFS = -60.0
"""A clip that is quieter is skipped: near the gate of BS.1770 loudness cannot be matched."""
FAR_BELOW_LU = 30.0
"""An excerpt that lies further below its file's loudness is not of the music: drawn again."""
REDRAWN = 20
"""How often an excerpt is drawn again."""
CANCELLED_DB = -20.0
"""Mono mix beside its channels, below which they cancel each other (-3 where they are unlike)."""
_SURELY_LOUD_LUFS = -5.0 - FAR_BELOW_LU
"""No file is louder than -5 LUFS: the loudness of a louder excerpt's file need not be measured."""
_BEGINNING_S = 10.0
_LOUDNESS_PLACES, _LOUDNESS_PLACE_S = 24, 5.0


def originals(
    plan: Plan, recording: Recording, encoders: Sequence[ResolvedEncoder]
) -> list[Original]:
    """Take a recording's clips and describe each in every space.

    Parameters
    ----------
    plan : Plan
        The run.
    recording : Recording
        The file.
    encoders : sequence of ResolvedEncoder
        All encoders of the run.

    Returns
    -------
    list of Original
        `plan.excerpts_per_file` clips where the file is long enough; a file that cannot be used
        is one row whose status says why (``failed: ...`` or ``skipped: ...``).
    """
    length_s = 0.0

    def choose(total: float) -> list[tuple[float, float]]:
        nonlocal length_s
        length_s = total
        return _places(plan, recording, sha256, total)

    try:
        sha256 = audio.sha256_file(recording.path)
        found = audio.read_excerpts(recording.path, choose, sr=plan.working_rate)
    except (InputError, OSError) as error:
        return [_unusable(recording.name, recording, f"failed: {_reason(error, recording)}")]
    except _TooShortError as error:
        return [_unusable(recording.name, recording, f"skipped: {error}")]
    beginning = audio.sound_sha256(recording.path, seconds=_BEGINNING_S)
    sound = hashlib.sha256(f"{beginning} {length_s:.9f}".encode()).hexdigest()
    starts = [excerpt.start_s for excerpt in found.excerpts]
    file = _File(plan, recording, sha256, length_s)
    clips, begin = [], 0.0
    for number, excerpt in enumerate(found.excerpts, start=1):
        clip_id = recording.name if len(starts) == 1 else f"{recording.name}#{number}"
        taken = _taken(plan, recording, excerpt)
        if recording.start_s is None and taken.lufs < _SURELY_LOUD_LUFS:
            end = starts[number] if number < len(starts) else length_s
            taken = file.louder(taken, number, begin, end)
        begin = (taken.start_s if taken.status == OK else excerpt.start_s) + plan.context_seconds
        notes = "; ".join(filter(None, (found.heard, taken.note)))
        clips.append(_original(plan, recording, encoders, clip_id, sha256, taken, notes))
    return [replace(clip, sound_sha256=sound) for clip in clips]


@dataclass(frozen=True)
class _Taken:
    """An excerpt, how loud its middle is, and why it cannot be used ("" where it can)."""

    start_s: float
    context: NDArray[np.float32]
    lufs: float
    status: str = OK
    note: str = ""


def _taken(plan: Plan, recording: Recording, excerpt: audio.Excerpt) -> _Taken:
    context, start_s = excerpt.signal, excerpt.start_s
    nothing = np.zeros(0, np.float32)
    if isinstance(context, InputError):
        return _Taken(math.nan, nothing, math.nan, f"failed: {_reason(context, recording)}")
    seconds = len(context) / plan.working_rate
    if len(context) < round(plan.shortest_seconds * plan.working_rate):
        reason = f"skipped: breaks off after {seconds:.2f} s of its excerpt, needs "
        return _Taken(math.nan, nothing, math.nan, f"{reason}{plan.shortest_seconds:g} s")
    if excerpt.mix_db < CANCELLED_DB:
        left = (
            f"the mono mix is {-excerpt.mix_db:.0f} dB below them"
            if math.isfinite(excerpt.mix_db)
            else "nothing is left in the mono mix"
        )
        reason = f"skipped: its channels cancel each other, {left}; invert one of them"
        return _Taken(start_s, context, math.nan, reason)
    heard = centre(context, plan.clip_samples)
    if heard is None or np.std(heard, dtype=np.float64) < SILENCE:
        return _Taken(start_s, context, -math.inf, "skipped: silent or constant excerpt")
    try:
        measured = context if plan.loudness_window == "full" else heard
        lufs = audio.loudness_lufs(measured, sr=plan.working_rate)
    except InputError as error:
        return _Taken(start_s, context, -math.inf, f"skipped: near-silent excerpt ({error})")
    if lufs < QUIETEST_LUFS:
        reason = f"near-silent excerpt of {lufs:.1f} LUFS: must be at least {QUIETEST_LUFS:g}"
        return _Taken(start_s, context, lufs, f"skipped: {reason}")
    return _Taken(start_s, context, lufs)


class _File:
    """A recording that excerpts are drawn from again, where one is far below its loudness."""

    def __init__(self, plan: Plan, recording: Recording, sha256: str, length_s: float) -> None:
        self._plan, self._recording = plan, recording
        self._sha256, self._length_s = sha256, length_s

    @functools.cached_property
    def lufs(self) -> float:
        """The file's loudness, over 24 places of 5 s where it is long; -inf if it is silent."""
        places = [(0.0, self._length_s)]
        if self._length_s > _LOUDNESS_PLACES * _LOUDNESS_PLACE_S:
            last = self._length_s - _LOUDNESS_PLACE_S
            starts = np.linspace(0.0, last, _LOUDNESS_PLACES).tolist()
            places = [(start, _LOUDNESS_PLACE_S) for start in starts]
        parts = [part.signal for part in self._read(places)]
        sounds = [part for part in parts if not isinstance(part, InputError)]
        whole = np.concatenate([np.zeros(0, np.float32), *sounds])
        if (
            not len(whole) or np.std(whole, dtype=np.float64) < SILENCE
        ):  # a constant has a loudness where it begins
            return -math.inf
        try:
            return audio.loudness_lufs(whole, sr=self._plan.working_rate)
        except InputError:
            return -math.inf

    def _read(self, places: list[tuple[float, float]]) -> Sequence[audio.Excerpt]:
        path, rate = self._recording.path, self._plan.working_rate
        return audio.read_excerpts(path, lambda _: places, sr=rate).excerpts

    def louder(self, first: _Taken, number: int, begin: float, end: float) -> _Taken:
        """Draw an excerpt again between two places until it is not far below its file's loudness.

        Parameters
        ----------
        first : _Taken
            What was drawn.
        number : int
            Which of the file's excerpts it is.
        begin, end : float
            Seconds between which it must lie.
        """
        plan = self._plan
        spare = end - begin - plan.context_seconds
        least = self.lufs - FAR_BELOW_LU
        if first.lufs >= least or not math.isfinite(least) or spare <= 0.0:
            return first
        level = "silent" if first.lufs == -math.inf else f"at {first.lufs:.1f} LUFS"
        for attempt in range(1, REDRAWN + 1):
            draw = stream(plan.seed, self._sha256, "excerpts", number, attempt).random()
            place = (begin + float(draw) * spare, plan.context_seconds)
            taken = _taken(plan, self._recording, self._read([place])[0])
            if taken.status == OK and taken.lufs >= least:
                where = f"the file of {self.lufs:.1f} LUFS is {level} at {first.start_s:.2f} s"
                return replace(taken, note=f"drawn again: {where}")
        reason = (
            f"skipped: {level} in a file of {self.lufs:.1f} LUFS, and {REDRAWN} other places are "
            "no louder"
        )
        return replace(first, status=reason)


class _TooShortError(Exception):
    pass


def _places(
    plan: Plan, recording: Recording, sha256: str, total: float
) -> list[tuple[float, float]]:
    """Draw where the contexts lie: K that do not overlap, uniform over all such placements."""
    if recording.start_s is not None:
        left = total - recording.start_s
        if left < plan.shortest_seconds:
            raise _TooShortError(
                f"too short: {max(left, 0):.2f} s from start_s={recording.start_s:g}, needs "
                f"{plan.shortest_seconds:g} s"
            )
        return [(recording.start_s, min(left, plan.context_seconds))]
    if total < plan.shortest_seconds:
        raise _TooShortError(f"too short: {total:.2f} s, needs {plan.shortest_seconds:g} s")
    if total < plan.context_seconds:
        return [(0.0, total)]
    count = min(plan.excerpts_per_file, int(total / plan.context_seconds))
    spare = total - count * plan.context_seconds
    draws = np.sort(stream(plan.seed, sha256, "excerpts").random(count)) * spare
    return [
        (float(draw) + index * plan.context_seconds, plan.context_seconds)
        for index, draw in enumerate(draws)
    ]


def _original(
    plan: Plan,
    recording: Recording,
    encoders: Sequence[ResolvedEncoder],
    clip_id: str,
    sha256: str,
    taken: _Taken,
    note: str,
) -> Original:
    seconds = len(taken.context) / plan.working_rate if len(taken.context) else math.nan
    heard = centre(taken.context, plan.clip_samples)
    if taken.status != OK or heard is None:
        return _unusable(clip_id, recording, taken.status, sha256, taken.start_s, seconds, note)
    kept = stored(plan, heard)
    compared = stored(plan, taken.context) if plan.audio_window == "full" else kept
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=taken.start_s,
        duration_s=seconds,
        loudness_lufs=taken.lufs,
        content_sha256=sha256,
        group=recording.group or recording.name,
        status=OK,
        note=note,
        context=taken.context,
        frames=frames_of(plan, compared),
        vectors=embed_all(plan, encoders, kept[None], [Key(clip_id, *IDENTITY)], [OK]),
    )


def unusable(recording: Recording, status: str) -> Original:
    """Return the row of a recording of which no clip can be used."""
    return _unusable(recording.name, recording, status)


def _unusable(
    clip_id: str,
    recording: Recording,
    status: str,
    sha256: str = "",
    start_s: float = float("nan"),
    duration_s: float = float("nan"),
    note: str = "",
) -> Original:
    nothing = np.zeros(0, np.float32)
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=start_s,
        duration_s=duration_s,
        loudness_lufs=float("nan"),
        content_sha256=sha256,
        group=recording.group or recording.name,
        status=status,
        note=note,
        context=nothing,
        frames=nothing.reshape(0, 0),
    )


def _reason(error: Exception, recording: Recording) -> str:
    """Return the error's text in one line, without the path that stands in the row anyway."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{printable(recording.path)}: ")
