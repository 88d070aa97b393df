"""Neural codecs of transformers (EnCodec, DAC, Mimi, their kin): latents before quantisation.

What such a model answers is codes, which are indices without a distance, and decoded audio, which
is no embedding. Its latents, [batch, dimension, time], are what it hands to its quantiser; they
are taken there, so that its own normalisation, chunks and transformers are in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nearkin.encoders.protocol import EncoderError


def is_codec(model: Any) -> bool:
    """Tell whether a model encodes to codes with a quantiser of its own."""
    return hasattr(model, "quantizer") and callable(getattr(model, "encode", None))


def latents_of(model: Any, library: Any) -> Callable[[Mapping[str, Any], int], Any]:
    """Return a function from a model's inputs to its latents.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With ``encode`` and ``quantizer``; the quantiser tells from now on what it was given.
    library : module
        torch.

    Returns
    -------
    callable
        Takes the inputs of ``encode`` and the number of samples without padding; returns
        Tensor[batch, dimension, time].
    """
    given: list[Any] = []

    def keep(latents: Any) -> None:
        if not any(latents is one for one in given):
            given.append(latents)

    quantizer = model.quantizer
    quantizer.register_forward_pre_hook(lambda _, inputs: keep(inputs[0]))
    encode = getattr(quantizer, "encode", None)
    if encode is not None:

        def watched(latents: Any, *rest: Any, **named: Any) -> Any:
            keep(latents)
            return encode(latents, *rest, **named)

        quantizer.encode = watched

    def call(inputs: Mapping[str, Any], n_samples: int) -> Any:
        given.clear()
        model.encode(**inputs)
        parts = [part for part in given if getattr(part, "ndim", 0) == 3]
        given.clear()
        if not parts:
            raise EncoderError("returned codes, which are no embeddings, and showed no latents")
        stride = getattr(model.config, "chunk_stride", None)
        if stride and len(parts) > 1:
            # chunks are padded to their full length: what stands for padding is left out
            hop = model.config.chunk_length / parts[0].shape[-1]
            kept = [max(0, round((n_samples - i * stride) / hop)) for i in range(len(parts))]
            parts = [part[..., :n] for part, n in zip(parts, kept, strict=True)]
        return library.cat(parts, dim=-1)

    return call
