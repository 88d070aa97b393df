"""The three untrained reference encoders: mfcc, logmel-projection and constant.

They need no weights and bracket every other encoder: ``mfcc`` is the paper's hand-crafted baseline,
``logmel-projection`` keeps the log-mel spectrogram, ``constant`` must score zero.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Key
from nearkin.seeds import stream

RATE = 22_050


class MfccEncoder:
    """Mean and standard deviation over time of 24 MFCCs and their differences (paper, 4.2)."""

    what = "means and standard deviations of 24 MFCCs and of their differences"
    sample_rate = RATE
    embedding_size = 144

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key] = ()) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as float32[batch, 144]."""
        from nearkin.audio.features import mfcc_statistics

        return np.stack([mfcc_statistics(clip, sr=self.sample_rate) for clip in audio])

    def torch_module(self) -> Callable[[Any], Any]:
        """Return the same as a differentiable function of a tensor."""
        from nearkin.encoders.references.twins import mfcc_twin

        return mfcc_twin()


class LogmelProjectionEncoder:
    """A Gaussian random projection of the whole log-mel spectrogram to 256 values.

    It is no random encoder: by the Johnson-Lindenstrauss lemma it keeps the spectrogram's own
    distances up to a few per cent, and so beats many a trained network. The projection depends on
    the seed and on the number of frames, on nothing else.
    """

    what = "a seeded random projection of the log-mel spectrogram, untrained"
    sample_rate = RATE
    embedding_size = 256

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key] = ()) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as float32[batch, 256]."""
        from nearkin.audio.features import log_mel

        rows = []
        for clip in audio:  # one product a clip: a batched one rounds differently with its size
            spectrogram = log_mel(clip, sr=self.sample_rate).ravel()
            rows.append(_projection(self.seed, len(spectrogram), self.embedding_size) @ spectrogram)
        return np.stack(rows)


class ConstantEncoder:
    """The same vector for every clip: all distances tie, so its consistency is zero."""

    what = "the same vector for every clip"
    sample_rate = RATE
    embedding_size = 16

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key] = ()) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as ones, float32[batch, 16]."""
        return np.ones((len(audio), self.embedding_size), np.float32)


@functools.lru_cache(maxsize=4)
def _projection(seed: int, n_inputs: int, n_outputs: int) -> NDArray[np.float32]:
    rng = stream(seed, "random encoder", n_inputs)  # its first name: the numbers stay
    matrix = rng.standard_normal((n_outputs, n_inputs), dtype=np.float32)
    return matrix / np.float32(np.sqrt(n_outputs))
