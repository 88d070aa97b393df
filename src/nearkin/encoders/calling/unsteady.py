"""Encoders whose answers are not a function of the clip alone, made usable where that was asked.

One that is random from call to call is averaged over several calls; one whose answer for a clip
depends on the clips beside it is given one clip at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Encoder, EncoderError, Key, ResolvedEncoder, as_array
from nearkin.optional import need


class AveragedEncoder:
    """The mean of several calls of an encoder that is random from call to call."""

    def __init__(self, encoder: Encoder, calls: int) -> None:
        self.encoder = encoder
        self.calls = calls
        self.sample_rate = int(encoder.sample_rate)

    def torch_module(self) -> Callable[[Any], Any]:
        """Say that a mean of random calls has no gradient that could be followed.

        Raises
        ------
        EncoderError
            Always.
        """
        raise EncoderError("it is random from call to call")

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[Any]:
        """Embed float32[batch, samples] as the mean of `calls` answers, [batch, D]."""
        answers = [as_array(self.encoder.embed(audio.copy(), keys=keys)) for _ in range(self.calls)]
        mean: NDArray[Any] = np.stack(answers).astype(np.float64).sum(axis=0) / self.calls
        return mean


class OneByOneEncoder:
    """An encoder that is given one clip at a time."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.sample_rate = int(encoder.sample_rate)

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[Any]:
        """Embed float32[batch, samples] clip by clip, [batch, D]."""
        answers = [
            as_array(self.encoder.embed(audio[i : i + 1], keys=keys[i : i + 1]))
            for i in range(len(audio))
        ]
        return np.concatenate(answers)

    def torch_module(self) -> Callable[[Any], Any]:
        """Return the encoder as a differentiable function of a tensor, one clip at a time.

        Raises
        ------
        EncoderError
            If it gives no gradient.
        """
        make = getattr(self.encoder, "torch_module", None)
        if not callable(make):
            raise EncoderError("its kind gives no gradient")
        torch = need("torch", extra="torch")
        module = make()
        return lambda audio: torch.cat([module(clip[None]) for clip in audio])


def averaged(found: ResolvedEncoder, *, calls: int) -> ResolvedEncoder:
    """Average a stochastic encoder, and say so in its name, which stands in every table."""
    return replace(
        found,
        name=f"{found.name} (stochastic)",
        matched=f"{found.matched}; stochastic: the mean of {calls} calls",
        encoder=AveragedEncoder(found.encoder, calls),
    )


def one_by_one(found: ResolvedEncoder) -> ResolvedEncoder:
    """Give an encoder one clip at a time, and say so where its match is told."""
    return replace(
        found,
        matched=f"{found.matched}; changes with the batch: embedded one clip at a time",
        encoder=OneByOneEncoder(found.encoder),
    )
