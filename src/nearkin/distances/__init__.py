"""Distances of the audio space (DTW, SiMPle) and of the latent space (Euclidean, cosine).

All differences are taken directly, so a sequence and itself are exactly 0 apart and near-identical
ones keep their digits. Importing this costs no numba: kernels are imported on first use.
"""

from __future__ import annotations

from nearkin.distances.audio import (
    MEASURES,
    WINDOW_FRAMES,
    PackedOriginals,
    dtw,
    iter_pairwise_audio,
    pairwise_audio,
    simple,
)
from nearkin.distances.latent import cosine, euclidean
from nearkin.distances.table import (
    AUDIO_DISTANCES,
    COSINE,
    DISTANCES,
    DTW,
    EUCLIDEAN,
    LATENT_DISTANCES,
    SIMPLE,
    Distance,
    distance_title,
    latent_distance,
)

__all__ = [
    "AUDIO_DISTANCES",
    "COSINE",
    "DISTANCES",
    "DTW",
    "EUCLIDEAN",
    "LATENT_DISTANCES",
    "MEASURES",
    "SIMPLE",
    "WINDOW_FRAMES",
    "Distance",
    "PackedOriginals",
    "cosine",
    "distance_title",
    "dtw",
    "euclidean",
    "iter_pairwise_audio",
    "latent_distance",
    "pairwise_audio",
    "simple",
]
