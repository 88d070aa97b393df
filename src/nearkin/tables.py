"""The columns of every table of a run, and the words that have a meaning in them.

Writers (runs, performance) and readers (results, report) take both from here. A measure's values
lie in ``low``..``high``; it has one distance column filled (a space of its own) or two (the audio
space's and the latent space's).
"""

from __future__ import annotations

from typing import NamedTuple

OK = "ok"
"""The status of what went well; any other status says what happened."""
AUDIO = "audio"
"""``encoder`` and ``space`` of the audio space's own rows; its latent distance is empty."""
ORIGINAL = "OG"
"""The transformation that changes nothing."""
MEAN_TRIAL = 0
"""``trial`` of the mean over several trials; the trials themselves count from 1."""

CLIPS = (
    *("clip_id", "path", "start_s", "duration_s", "loudness_lufs", "content_sha256"),
    *("group", "status", "note", "sound_sha256"),
)
QUERIES = (
    *("encoder", "task", "trial", "space", "distance", "transformation", "magnitude"),
    *("effective_magnitude", "clip_id", "error", "rank", "margin", "d_own", "d_nearest"),
    *("nearest_id", "status"),
)
CONSISTENCY = (
    *("encoder", "task", "trial", "measure", "audio_distance", "latent_distance"),
    *("transformation", "magnitude", "value", "ci_low", "ci_high", "ci_method", "n", "n_failed"),
    *("chance", "status", "side"),
)
PERFORMANCE = CONSISTENCY[:-1]
PERCEPTION = (
    *("clip_id", "transformation", "magnitude", "effective_magnitude"),
    *("scale", "mos", "zimtohrli", "jnd", "status"),
)
TRAJECTORIES = (
    *("encoder", "task", "trial", "transformation", "side", "n_magnitudes", "n"),
    *("measure", "value", "ci_low", "ci_high", "status"),
)
TRAJECTORY_AGREEMENT = (
    *("encoder", "task", "trial", "transformation_a", "side_a", "transformation_b", "side_b"),
    *("n", "cosine", "ci_low", "ci_high", "cosine_of_means", "status"),
)
TRAJECTORY_PATHS = ("encoder", "task", "trial", "name", "step", "x", "y", "magnitude")
GALLERY = (
    *("encoder", "task", "trial", "latent_distance", "transformation", "magnitude"),
    *("size", "kind", "value", "ci_low", "ci_high", "ci_method", "n", "n_failed", "chance"),
    "status",
)
GALLERY_QUERIES = (
    *("encoder", "task", "trial", "clip_id", "transformation", "magnitude", "distance"),
    *("rank", "n_nearer", "nearest_row", "d_nearest", "status"),
)
AUDIBILITY = (
    *("encoder", "task", "trial", "measure", "latent_distance", "transformation", "side"),
    *("scale", "level", "magnitude", "value", "ci_low", "ci_high", "ci_method", "n"),
    *("n_beyond", "status"),
)
PERFORMANCE_CLIPS = (
    *("encoder", "task", "trial", "clip_id", "transformation", "magnitude"),
    *("value", "chance", "status"),
)
ATTACKS = (
    *("encoder", "task", "trial", "method", "space", "distance", "transformation", "magnitude"),
    *("effective_magnitude", "clip_id", "error", "rank", "margin", "d_own", "d_nearest"),
    *("nearest_id", "asked", "mos", "status"),
)
ATTACK_SCORES = (
    *("encoder", "task", "trial", "method", "measure", "space", "distance", "transformation"),
    *("magnitude", "value", "ci_low", "ci_high", "ci_method", "n", "n_failed", "chance", "status"),
)
ATTACK_SOUNDS = (
    *("encoder", "task", "trial", "method", "magnitude", "clip_id", "nearest_id", "margin"),
    *("query_audio", "own_audio", "nearest_audio"),
)


class Measure(NamedTuple):
    """The least and greatest value of a measure, and how many distances it has."""

    low: float
    high: float
    distances: int


MEASURES = {
    "C_W": Measure(0.0, 1.0, 1),
    "C_B_acc": Measure(0.0, 1.0, 2),
    "C_B_rho": Measure(-1.0, 1.0, 2),
    "kappa": Measure(-1.0, 1.0, 2),
    "monotonicity": Measure(-1.0, 1.0, 1),
}
"""The measures of the consistency table."""
