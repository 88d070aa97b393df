"""A clip in every space: what both units of a run do with audio once it is cut.

Audio is float32[samples] at the plan's working rate, embeddings are float32[n, D].
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.audio import features
from nearkin.audio.mu_law import through_mu_law
from nearkin.encoders import EncoderError, Key, ResolvedEncoder, embed
from nearkin.progress import at, is_watched
from nearkin.runs.clips import Vectors
from nearkin.runs.plan import Plan
from nearkin.tables import OK


def centre(y: NDArray[np.float32], n_samples: int) -> NDArray[np.float32] | None:
    """Cut the central `n_samples` out of y[..., samples]; None if it is shorter.

    Examples
    --------
    >>> centre(np.arange(6, dtype=np.float32), 2).tolist()
    [2.0, 3.0]
    """
    spare = y.shape[-1] - n_samples
    return None if spare < 0 else y[..., spare // 2 : spare // 2 + n_samples]


def stored(plan: Plan, y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a clip as it is kept before anything hears it: as it is, or after 8-bit mu-law."""
    return through_mu_law(y) if plan.storage == "mu-law" else y


def frames_of(plan: Plan, y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute float32[T, n_mfcc - 1], the MFCCs with the plan's settings."""
    return features.mfcc(
        y,
        sr=plan.working_rate,
        n_fft=plan.n_fft,
        hop_length=plan.hop_length,
        n_mels=plan.n_mels,
        n_mfcc=plan.n_mfcc,
    )


def embed_all(
    plan: Plan,
    encoders: Sequence[ResolvedEncoder],
    heard: NDArray[np.float32],
    keys: Sequence[Key],
    status: Sequence[str],
) -> dict[str, Vectors]:
    """Embed the rows whose status is ok with every encoder, resampling once a rate."""
    good = [index for index, text in enumerate(status) if text == OK]
    good_keys = [keys[index] for index in good]
    at_rate: dict[int, NDArray[np.float32]] = {}
    vectors = {}
    for encoder in encoders:
        rate = encoder.sample_rate
        if rate not in at_rate:
            at_rate[rate] = audio.resample(heard[good], from_sr=plan.working_rate, to_sr=rate)
        rows = list(status)
        if is_watched():
            _one_by_one(encoder, at_rate[rate], good_keys)
        at(f"encoder {encoder.label}, {len(good)} clips at once")
        try:
            embedded = embed(encoder, at_rate[rate], good_keys)
        except EncoderError as error:
            for index in good:
                rows[index] = str(error)
            vectors[encoder.label] = Vectors(None, tuple(rows), failure=str(error))
            continue
        values = np.full((len(keys), embedded.vectors.shape[1]), np.nan, np.float32)
        values[good] = embedded.vectors
        for index, text in zip(good, embedded.status, strict=True):
            rows[index] = text
        vectors[encoder.label] = Vectors(values, tuple(rows))
    return vectors


def _one_by_one(encoder: ResolvedEncoder, heard: NDArray[np.float32], keys: Sequence[Key]) -> None:
    """Find the clip at which an encoder ends its process; what it answers is not used.

    The answers that count are those to all clips at once, as in every other unit.
    """
    for row, key in zip(heard, keys, strict=True):
        at(f"encoder {encoder.label}, {key.transformation} {key.magnitude:g}")
        with contextlib.suppress(EncoderError):
            embed(encoder, row[None], [key])
