"""Which columns every table of a run has: their kinds, and those that name a row.

A schema is data alone; `nearkin.results.schemas` holds tables to it. Conventions: text is never
missing where it names something, and else missing means empty; numbers are finite or missing (NaN);
whole numbers are 0 or more.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["name", "text", "number", "place", "real", "whole", "flag", "rank"]

DEMANDS: dict[str, str] = {
    "name": "text that is not empty",
    "text": "text, or missing",
    "number": "a finite number, or missing",
    "place": "a finite number",
    "real": "a number, or missing",
    "whole": "a whole number, 0 or more",
    "flag": "0, 1 or missing",
    "rank": "a whole number, 0 or more, or missing",
}


class Schema(NamedTuple):
    """Columns a table must have, those it may have, and the columns that name a row."""

    columns: dict[str, Kind]
    optional: dict[str, Kind]
    key: tuple[str, ...]
    again: str
    """The command that makes the table anew."""


RUN, PERFORM, ANALYZE = "the nearkin run command", "nearkin perform", "nearkin analyze"
GALLERY, PERCEIVE, TRAJECTORIES = "nearkin gallery", "nearkin perceive", "nearkin trajectories"
_WHO: dict[str, Kind] = {"encoder": "name", "task": "text", "trial": "whole"}
_SCORE: dict[str, Kind] = {
    **_WHO,
    **{"measure": "name", "audio_distance": "text", "latent_distance": "text"},
    **{"transformation": "name", "magnitude": "number", "value": "number"},
    **{"ci_low": "number", "ci_high": "number", "n": "whole", "chance": "number"},
    "status": "text",
}
_SCORE_KEY = (
    *("encoder", "task", "trial", "measure", "audio_distance", "latent_distance"),
    *("transformation", "magnitude"),
)
_OF: dict[str, Kind] = {"measure": "name", "audio_distance": "text", "latent_distance": "text"}
_MORE: dict[str, Kind] = {"ci_method": "text", "n_failed": "whole"}

SCHEMAS = {
    "clips": Schema(
        {
            **{"clip_id": "name", "path": "text", "start_s": "number", "duration_s": "number"},
            **{"loudness_lufs": "number", "content_sha256": "text", "status": "text"},
        },
        {"group": "text"},
        ("clip_id",),
        RUN,
    ),
    "queries": Schema(
        {
            **_WHO,
            **{"space": "name", "distance": "name", "transformation": "name"},
            **{"magnitude": "place", "effective_magnitude": "number", "clip_id": "name"},
            **{"error": "flag", "rank": "rank", "margin": "number", "d_own": "number"},
            **{"d_nearest": "number", "nearest_id": "text", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "space", "distance", "transformation", "magnitude"),
            "clip_id",
        ),
        RUN,
    ),
    "consistency": Schema({**_SCORE, "side": "text"}, _MORE, (*_SCORE_KEY, "side"), RUN),
    "failures": Schema(
        {
            **_WHO,
            **{"distance": "name", "transformation": "name", "magnitude": "place"},
            **{"clip_id": "name", "nearest_id": "text", "rank": "rank", "d_own": "number"},
            **{"d_nearest": "number", "margin": "number", "query_audio": "text"},
            **{"own_audio": "text", "nearest_audio": "text"},
        },
        {},
        (),
        RUN,
    ),
    "attacks": Schema(
        {
            **_WHO,
            **{"method": "name", "space": "name", "distance": "name", "transformation": "name"},
            **{"magnitude": "number", "effective_magnitude": "number", "clip_id": "name"},
            **{"error": "flag", "rank": "rank", "margin": "number", "d_own": "number"},
            **{"d_nearest": "number", "nearest_id": "text", "asked": "whole", "status": "text"},
        },
        {"mos": "number"},
        (
            *("encoder", "task", "trial", "space", "distance", "transformation", "magnitude"),
            "clip_id",
        ),
        RUN,
    ),
    "attack_scores": Schema(
        {
            **_WHO,
            **{"method": "name", "measure": "name", "space": "name", "distance": "name"},
            **{"transformation": "name", "magnitude": "number", "value": "real"},
            **{"ci_low": "real", "ci_high": "real", "ci_method": "text", "n": "whole"},
            **{"n_failed": "whole", "chance": "number", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "measure", "space", "distance", "transformation"),
            "magnitude",
        ),
        RUN,
    ),
    "attack_sounds": Schema(
        {
            **_WHO,
            **{"method": "name", "magnitude": "place", "clip_id": "name", "nearest_id": "text"},
            **{"margin": "number", "query_audio": "text", "own_audio": "text"},
            "nearest_audio": "text",
        },
        {},
        (),
        RUN,
    ),
    "gallery": Schema(
        {
            **_WHO,
            **{"latent_distance": "name", "transformation": "name", "magnitude": "place"},
            **{"size": "whole", "kind": "name", "value": "number", "ci_low": "number"},
            **{"ci_high": "number", "ci_method": "text", "n": "whole", "n_failed": "whole"},
            **{"chance": "number", "status": "text"},
        },
        {},
        ("encoder", "task", "trial", "latent_distance", "transformation", "magnitude", "size"),
        GALLERY,
    ),
    "gallery_queries": Schema(
        {
            **_WHO,
            **{"clip_id": "name", "transformation": "name", "magnitude": "place"},
            **{"distance": "name", "rank": "whole", "n_nearer": "whole", "nearest_row": "place"},
            **{"d_nearest": "number", "status": "text"},
        },
        {},
        ("encoder", "task", "trial", "clip_id", "transformation", "magnitude", "distance"),
        GALLERY,
    ),
    "perception": Schema(
        {
            **{"clip_id": "name", "transformation": "name", "magnitude": "place"},
            **{"effective_magnitude": "number", "scale": "text", "mos": "number"},
            **{"zimtohrli": "number", "jnd": "number", "status": "text"},
        },
        {},
        ("clip_id", "transformation", "magnitude"),
        PERCEIVE,
    ),
    "audibility": Schema(
        {
            **_WHO,
            **{"measure": "name", "latent_distance": "name", "transformation": "name"},
            **{"side": "text", "scale": "name", "level": "place", "magnitude": "number"},
            **{"value": "number", "ci_low": "number", "ci_high": "number", "ci_method": "text"},
            **{"n": "whole", "n_beyond": "whole", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "measure", "latent_distance", "transformation", "side"),
            "scale",
        ),
        PERCEIVE,
    ),
    "trajectories": Schema(
        {
            **_WHO,
            **{"transformation": "name", "side": "text", "n_magnitudes": "whole", "n": "whole"},
            **{"measure": "name", "value": "number", "ci_low": "number", "ci_high": "number"},
            "status": "text",
        },
        {},
        ("encoder", "task", "trial", "transformation", "side", "measure"),
        TRAJECTORIES,
    ),
    "trajectory_agreement": Schema(
        {
            **_WHO,
            **{"transformation_a": "name", "side_a": "text", "transformation_b": "name"},
            **{"side_b": "text", "n": "whole", "cosine": "number", "ci_low": "number"},
            **{"ci_high": "number", "cosine_of_means": "number", "status": "text"},
        },
        {},
        (
            *("encoder", "task", "trial", "transformation_a", "side_a", "transformation_b"),
            "side_b",
        ),
        TRAJECTORIES,
    ),
    "trajectory_paths": Schema(
        {
            **_WHO,
            **{"name": "name", "step": "whole", "x": "place", "y": "place"},
            "magnitude": "number",
        },
        {},
        ("encoder", "task", "trial", "name", "step"),
        TRAJECTORIES,
    ),
    "performance": Schema(
        {name: kind for name, kind in _SCORE.items() if name != "status"},
        {**_MORE, "status": "text", "side": "text"},
        _SCORE_KEY,
        PERFORM,
    ),
    "gam": Schema(
        {
            **_OF,
            **{"n": "whole", "r2": "real", "edf": "real", "residual_df": "real"},
            "residual_sd": "real",
        },
        {"k": "whole", "n_dropped": "whole", "r2_adj": "real"},
        (),
        ANALYZE,
    ),
    "anova": Schema(
        {**_OF, "term": "name", "df": "real", "F": "real", "p": "real", "status": "text"},
        {"residual_df": "real"},
        (),
        ANALYZE,
    ),
    "marginal_means": Schema(
        {
            **_OF,
            **{"factor": "name", "level": "name", "mean": "number", "se": "number"},
            **{"ci_low": "number", "ci_high": "number"},
        },
        {
            **{"clip_se": "number", "encoder": "text", "task": "text", "transformation": "text"},
            **{"clip_kind": "text", "status": "text", "at": "text", "trial_status": "text"},
            **{"trial_mean": "real", "trial_se": "real", "trials": "rank"},
            **{"trial_ci_low": "real", "trial_ci_high": "real"},
        },
        (),
        ANALYZE,
    ),
    "contrasts": Schema(
        {
            **_OF,
            **{"factor": "name", "level_a": "name", "level_b": "name", "difference": "real"},
            **{"se": "real", "ci_low": "real", "ci_high": "real", "t": "real", "p": "real"},
            "status": "text",
        },
        {"clip_se": "real", "clip_p": "real", "at": "text"},
        (),
        ANALYZE,
    ),
    "correlations": Schema(
        {
            **{"kind": "name", "measure": "text", "a": "text", "b": "text", "about": "text"},
            **{"n": "whole", "spearman": "real", "pearson": "real", "mean_difference": "real"},
        },
        {},
        (),
        ANALYZE,
    ),
}
