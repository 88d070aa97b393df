"""The first unit of a run: the clips of one recording, described in every space.

A unit is a function of the plan and one recording; it neither writes nor remembers, so units may
run anywhere, in any order, again after an interruption, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    try:
        sha256 = audio.sha256_file(recording.path)
        contexts = audio.read_excerpts(
            recording.path,
            lambda total: _places(plan, recording, sha256, total),
            sr=plan.working_rate,
        )
    except (InputError, OSError) as error:
        return [_unusable(recording.name, recording, f"failed: {_reason(error, recording)}")]
    except _TooShortError as error:
        return [_unusable(recording.name, recording, f"skipped: {error}")]
    clips = []
    for number, (start_s, context) in enumerate(contexts, start=1):
        clip_id = recording.name if len(contexts) == 1 else f"{recording.name}#{number}"
        clips.append(_original(plan, recording, encoders, clip_id, sha256, start_s, context))
    return clips


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
    start_s: float,
    context: NDArray[np.float32] | InputError,
) -> Original:
    rate = plan.working_rate
    if isinstance(context, InputError):
        return _unusable(clip_id, recording, f"failed: {_reason(context, recording)}", sha256)
    seconds = len(context) / rate
    if len(context) < round(plan.shortest_seconds * rate):
        reason = f"skipped: breaks off after {seconds:.2f} s of its excerpt, needs "
        return _unusable(clip_id, recording, f"{reason}{plan.shortest_seconds:g} s", sha256)
    heard = centre(context, plan.clip_samples)
    if heard is None or np.std(heard, dtype=np.float64) < SILENCE:
        reason = "skipped: silent or constant excerpt"
        return _unusable(clip_id, recording, reason, sha256, start_s, seconds)
    try:
        measured = context if plan.loudness_window == "full" else heard
        loudness = audio.loudness_lufs(measured, sr=rate)
    except InputError as error:
        reason = f"skipped: near-silent excerpt ({error})"
        return _unusable(clip_id, recording, reason, sha256, start_s, seconds)
    kept = stored(plan, heard)
    compared = stored(plan, context) if plan.audio_window == "full" else kept
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=start_s,
        duration_s=seconds,
        loudness_lufs=loudness,
        content_sha256=sha256,
        status=OK,
        context=context,
        frames=frames_of(plan, compared),
        vectors=embed_all(plan, encoders, kept[None], [Key(clip_id, *IDENTITY)], [OK]),
    )


def _unusable(
    clip_id: str,
    recording: Recording,
    status: str,
    sha256: str = "",
    start_s: float = float("nan"),
    duration_s: float = float("nan"),
) -> Original:
    nothing = np.zeros(0, np.float32)
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=start_s,
        duration_s=duration_s,
        loudness_lufs=float("nan"),
        content_sha256=sha256,
        status=status,
        context=nothing,
        frames=nothing.reshape(0, 0),
    )


def _reason(error: Exception, recording: Recording) -> str:
    """Return the error's text in one line, without the path that stands in the row anyway."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{printable(recording.path)}: ")
