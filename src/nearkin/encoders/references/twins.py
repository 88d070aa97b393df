"""Differentiable twins of the reference encoders, in torch.

The trained ones are built anew from the weights in their ONNX files, the untrained ones from their
definitions. Each takes a tensor [batch, samples] at 22,050 Hz and answers [batch, D].
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nearkin.optional import need

Module = Callable[[Any], Any]


def vgg_twin(path: Path) -> Module:
    """Return the VGG-like network of an ONNX file that nearkin wrote, its normalisation folded in.

    Raises
    ------
    ExtraError
        If torch or onnx is not installed.
    """
    torch = need("torch", extra="torch")
    from nearkin.networks.encoders import CHANNELS
    from nearkin.networks.front_end import FrontEnd
    from nearkin.networks.onnx import read_weights

    weights, _ = read_weights(path)
    front = FrontEnd()
    front.mean.copy_(weights["encoder.front.mean"])
    front.std.copy_(weights["encoder.front.std"])
    functional = torch.nn.functional

    def twin(audio: Any) -> Any:
        image = front(audio)[:, None]
        for number in range(len(CHANNELS)):
            kernel, bias = (weights[f"encoder.blocks.{number}.0.{w}"] for w in ("weight", "bias"))
            image = functional.relu(functional.conv2d(image, kernel, bias, padding=1))
            image = functional.max_pool2d(image, 2)
        last, bias = (weights[f"encoder.latent.0.{w}"] for w in ("weight", "bias"))
        return functional.relu(functional.linear(image.mean(dim=(2, 3)), last, bias))

    return twin


def mfcc_twin() -> Module:
    """Return the MFCC encoder.

    Raises
    ------
    ExtraError
        If torch is not installed.
    """
    need("torch", extra="torch")
    from nearkin.networks.encoders import MFCCEncoder

    module: Module = MFCCEncoder().eval().statistics
    return module
