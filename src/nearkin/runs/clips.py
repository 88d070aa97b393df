"""Clips of a run: as they are, transformed, and measured against all others.

Audio is float32[samples] at the plan's working rate. The *context* (twice the clip) is what a
transformation is applied to; the central ``clip_seconds`` of the result are *heard*: by the
encoders, and by the audio space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Neighbours
from nearkin.runs.plan import Plan
from nearkin.seeds import stream


@dataclass(frozen=True)
class Vectors:
    """One encoder's embeddings of a batch, and what became of each row."""

    array: NDArray[np.float32] | None
    status: tuple[str, ...]
    failure: str = ""
    """Why the encoder failed as a whole; empty if it did not."""


@dataclass(frozen=True)
class Original:
    """One clip as it is: a row of clips.parquet and, if usable, what the queries need of it.

    Attributes
    ----------
    clip_id, path, start_s, duration_s, loudness_lufs, content_sha256, group, status
        Columns of clips.parquet; start and duration are those of the context. The group is that of
        the recording: clips of one group are no independent draws.
    note, sound_sha256
        Further columns: what is to be known of a clip that is used (drawn again, or of a file that
        is heard in part), and the hash of the file's length and of what its beginning sounds like,
        whatever its tags and format.
    context : float32[samples]
        The excerpt.
    frames : float32[T, 24]
        MFCCs of what is compared in the audio space.
    vectors : mapping of encoder label to `Vectors`
        Embeddings of the heard clip, one row each.
    """

    clip_id: str
    path: str
    start_s: float
    duration_s: float
    loudness_lufs: float
    content_sha256: str
    group: str
    status: str
    context: NDArray[np.float32] = field(repr=False)
    frames: NDArray[np.float32] = field(repr=False)
    vectors: Mapping[str, Vectors] = field(default_factory=dict, repr=False)
    note: str = ""
    sound_sha256: str = ""

    def stream(self, plan: Plan, code: str) -> np.random.Generator:
        """Return the clip's random stream for one transformation, the same at every magnitude."""
        start = round(self.start_s * 1_000_000)
        return stream(plan.seed, self.content_sha256, start, code)


@dataclass(frozen=True)
class Version:
    """A transformed clip.

    Attributes
    ----------
    heard : float32[clip_samples]
        The central ``clip_seconds``, as loud as the original's.
    context : float32[samples]
        What was transformed, with the same gain: the whole context where the plan compares it.
    effective_magnitude : float
        What the transformation really did (an MP3's true rate).
    gain_db : float
        What loudness matching added.
    companions : float32[k, clip_samples] or None
        What was to stay with the clip, cut at the same place, with the same gain.
    """

    heard: NDArray[np.float32]
    context: NDArray[np.float32]
    effective_magnitude: float
    gain_db: float
    companions: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Queries:
    """Every transformed version of one clip, measured against all originals.

    Attributes
    ----------
    effective : float64[P]
        Effective magnitude at each point of the plan.
    status : tuple of P str
        ``"ok"``, or why the point has no transformed clip.
    audio : tuple of `Neighbours`, one an audio distance
        What every point's transformed clip found among all N originals; not valid where the
        status is not ``"ok"``.
    distances : float32[len(AUDIO_DISTANCES), P, K]
        Audio-space distances to the K originals asked for; NaN where the status is not ``"ok"``.
    vectors : mapping of encoder label to `Vectors`
        Embeddings, a row a point.
    processor : str
        What computed it; empty where that is not known.
    """

    effective: NDArray[np.float64]
    status: tuple[str, ...]
    audio: tuple[Neighbours, ...]
    distances: NDArray[np.float32]
    vectors: Mapping[str, Vectors]
    processor: str = ""
