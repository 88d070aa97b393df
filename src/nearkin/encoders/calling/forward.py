"""A model and everything around it: windows, batches that fit the memory, layers, pooling.

Every kind of encoder but the built-in ones and tables hands its model to `ModelEncoder` as one
function of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.calling.answers import Reading, read_answer
from nearkin.encoders.calling.windows import cut
from nearkin.encoders.foreign import told
from nearkin.encoders.protocol import EncoderError, Key, pool

BATCH = 32
"""Clips a model is given at once, at most; fewer where the memory does not suffice."""

Forward = Callable[[NDArray[np.float32]], Any]


class ModelEncoder:
    """Embeds with a function of a batch.

    Parameters
    ----------
    forward : callable
        Takes float32[batch, samples], or float32[samples] where `single`; returns what
        `read_answer` reads.
    sample_rate : int
        Hz.
    reading : Reading
        How its answers are read.
    samples : int, optional
        The only length it takes.
    pad : {"zero", "loop"}, optional
        How shorter clips are lengthened.
    single : bool
        Whether it takes one clip without a batch axis.
    batch : int
        Clips at once, at most.
    alone : bool
        Give it one clip at a time: a batch rounds differently with its size, and on a CPU it is
        no faster. `nearkin.encoders.check` sets this aside to see what a batch changes.
    minimum_samples : int, optional
        The shortest clip it declares to take.
    training : callable, optional
        Tells whether the model is in training mode.
    gradient : callable, optional
        The same function of a tensor [batch, samples] on the CPU, whose answer carries gradients.
    audit : callable, optional
        What else its interface promises, checked on float32[batch, samples]: a sentence a fault.
    at_rate : callable, optional
        ``f(float32[samples], sample_rate)`` of a model whose rate nobody has stated.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        sample_rate: int,
        reading: Reading,
        samples: int | None = None,
        pad: str | None = None,
        single: bool = False,
        batch: int = BATCH,
        alone: bool = False,
        minimum_samples: int | None = None,
        training: Callable[[], bool] = lambda: False,
        audit: Callable[[NDArray[np.float32]], list[str]] | None = None,
        gradient: Callable[[Any], Any] | None = None,
        at_rate: Callable[[NDArray[np.float32], int], Any] | None = None,
    ) -> None:
        self.forward = forward
        self.sample_rate = sample_rate
        self.reading = reading
        self.samples = samples
        self.pad = pad
        self.single = single
        self.batch = batch
        self.alone = alone
        self.minimum_samples = minimum_samples
        self.training = training
        self.audit = audit
        self.gradient = gradient
        self.at_rate = at_rate

    def torch_module(self) -> Callable[[Any], Any]:
        """Return the model as a differentiable function, Tensor[batch, samples] to [batch, D].

        Raises
        ------
        EncoderError
            If it gives no gradient, or takes one length only.
        """
        from nearkin.encoders.calling.tensor_answers import tensor_vectors

        gradient = self.gradient
        if gradient is None:
            raise EncoderError("its kind gives no gradient")
        if self.samples is not None:
            raise EncoderError("a gradient through windows is not had")
        return lambda audio: tensor_vectors(gradient(audio), self.reading)

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[Any]:
        """Embed float32[batch, samples] as [batch, D]."""
        return self.embed_layers(audio)[0]

    def embed_layers(self, audio: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Embed float32[batch, samples]: [batch, D] for every layer asked for."""
        if self.samples is None:
            return self._in_batches(audio)
        windows = cut(audio, length=self.samples, pad=self.pad, sample_rate=self.sample_rate)
        n_clips, n_windows = windows.shape[:2]
        layers = self._in_batches(windows.reshape(n_clips * n_windows, self.samples))
        if n_windows == 1:
            return layers
        return [pool(layer.reshape(n_clips, n_windows, -1), how="mean") for layer in layers]

    def _in_batches(self, audio: NDArray[np.float32]) -> list[NDArray[Any]]:
        parts: list[list[NDArray[Any]]] = []
        done = 0
        while done < len(audio):
            step = 1 if self.single or self.alone else min(self.batch, len(audio) - done)
            try:
                parts.append(self._once(audio[done : done + step]))
            except Exception as error:
                if not out_of_memory(error) or step == 1:
                    raise
                self.batch = step // 2  # found once, kept for all that follows
                continue
            done += step
        layers = []
        for same_layer in zip(*parts, strict=True):
            sizes = {part.shape[1] for part in same_layer}
            if len(sizes) > 1:
                listed = ", ".join(map(str, sorted(sizes)))
                raise EncoderError(
                    f"returned vectors of different sizes ({listed}): must be one size for all"
                )
            layers.append(np.concatenate(same_layer))
        return layers

    def _once(self, audio: NDArray[np.float32]) -> list[NDArray[Any]]:
        answer = self.forward(audio[0] if self.single else audio)
        return read_answer(answer, n_rows=len(audio), single=self.single, how=self.reading)


class LayerEncoder:
    """One layer of a model whose layers are all embedded in one pass."""

    def __init__(self, shared: SharedPass, layer: int) -> None:
        self.shared = shared
        self.layer = layer
        self.sample_rate = shared.model.sample_rate

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[Any]:
        """Embed float32[batch, samples] as [batch, D]."""
        return self.shared.embed(audio, self.layer)


class SharedPass:
    """Runs a model once for a batch and hands out its layers.

    Each layer is handed out once a pass: asked again, the model runs again, so that a model that is
    random from call to call is seen to be.
    """

    def __init__(self, model: ModelEncoder) -> None:
        self.model = model
        self._batch = b""
        self._layers: dict[int, NDArray[Any]] = {}

    def embed(self, audio: NDArray[np.float32], layer: int) -> NDArray[Any]:
        """Return one layer's embeddings of a batch."""
        batch = hashlib.sha256(audio.tobytes()).digest() + str(audio.shape).encode()
        if batch != self._batch or layer not in self._layers:
            self._layers = dict(enumerate(self.model.embed_layers(audio)))
            self._batch = batch
        if layer not in self._layers:
            raise EncoderError(f"returned {len(self._layers)} layers: none of number {layer}")
        return self._layers.pop(layer)


def out_of_memory(error: Exception) -> bool:
    """Tell whether a model ran out of memory, on any device."""
    if isinstance(error, MemoryError):
        return True
    text = told(error).lower()
    return any(
        sign in text
        for sign in ("out of memory", "can't allocate memory", "failed to allocate memory")
    )
