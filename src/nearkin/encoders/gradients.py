"""Encoders as differentiable functions of a tensor, for those who search along the gradient.

An encoder that has a gradient has ``torch_module()``: it returns a function of a tensor [batch,
samples] on the CPU, at the encoder's rate, whose answer [batch, D] carries the gradient. It need
not be the code that embeds (a twin may stand in for an ONNX graph): `twin_of` asks both for the
same clips before it is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.foreign import foreign_code, told
from nearkin.encoders.protocol import EncoderError, ResolvedEncoder, embed
from nearkin.encoders.quick_check import clip_keys
from nearkin.errors import NearkinError
from nearkin.optional import need

Module = Callable[[Any], Any]

AGREES = 1e-3
"""Largest distance between the two answers for a clip, over the answer's length."""


class Twin(NamedTuple):
    """A differentiable function, or why there is none."""

    module: Module | None
    reason: str


def twin_of(found: ResolvedEncoder, audio: NDArray[np.float32]) -> Twin:
    """Return an encoder's differentiable twin, if it has one that answers as the encoder does.

    Parameters
    ----------
    found : ResolvedEncoder
    audio : float32[batch, samples]
        Clips at the encoder's rate, for which both are asked.

    Returns
    -------
    Twin
    """
    make = getattr(found.encoder, "torch_module", None)
    if not callable(make):
        return Twin(None, "it gives no gradient (it has no torch_module())")
    try:
        expected = embed(found, audio, clip_keys(len(audio))).vectors
        torch = need("torch", extra="torch")
        with foreign_code():
            module: Module = make()
            heard = torch.from_numpy(audio.copy()).requires_grad_(True)
            answer = module(heard)
            if not getattr(answer, "requires_grad", False):
                return Twin(None, "its code stops gradients")
            seen = answer.detach().cpu().numpy().astype(np.float64)
    except EncoderError as error:
        return Twin(None, str(error))
    except NearkinError as error:
        return Twin(None, str(error))
    except Exception as error:  # the border to foreign code: anything may come
        return Twin(None, f"its torch_module() raised {told(error)}")
    if seen.shape != expected.shape:
        shapes = list(seen.shape), list(expected.shape)
        return Twin(None, f"its torch_module() answers {shapes[0]}, the encoder {shapes[1]}")
    length = np.linalg.norm(expected, axis=1)
    apart = np.linalg.norm(seen - expected, axis=1)
    worst = float((apart / np.where(length > 0, length, 1)).max())
    if not worst <= AGREES:
        return Twin(None, f"its torch_module() is {worst:.2g} of a vector's length off")
    return Twin(module, "")
