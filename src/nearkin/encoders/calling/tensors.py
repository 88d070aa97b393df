"""torch, for the kinds of encoders that need it: devices, tensors, and a quiet forward pass.

No setting of torch's is touched: threads, seeds, precision and gradients stay what they are outside
a call, and a user's model keeps its mode (train or eval) and, on the CPU, its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.optional import need


def torch() -> Any:
    """Import torch, or say how to install it."""
    return need("torch", extra="torch")


def checked_device(name: str, *, spec: str) -> Any:
    """Return a torch device that is there.

    Raises
    ------
    InputError
        If this machine has none of that kind.
    """
    library = torch()
    kind = name.split(":")[0]
    there = {
        "cpu": lambda: True,
        "cuda": library.cuda.is_available,
        "mps": library.backends.mps.is_available,
    }[kind]()
    if not there:
        raise InputError(
            f"encoder '{spec}': device '{name}' is not there (torch {library.__version__} finds "
            "none); use --device cpu"
        )
    try:
        return library.device(name)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise InputError(f"encoder '{spec}': device '{name}': {text}") from error


def placed(model: Any, device: Any) -> Any:
    """Move a model to a device other than the CPU, if it can be moved."""
    move = getattr(model, "to", None)
    return model if device.type == "cpu" or move is None else move(device)


def without_gradients(
    forward: Callable[[Any], Any], device: Any
) -> Callable[[NDArray[np.float32]], Any]:
    """Turn a function of a tensor into one of an array that records no gradients."""
    library = torch()

    def call(audio: NDArray[np.float32]) -> Any:
        with library.no_grad():
            return forward(library.from_numpy(np.ascontiguousarray(audio)).to(device))

    return call


def with_gradients(forward: Callable[[Any], Any], device: Any) -> Callable[[Any], Any]:
    """Turn a function of a tensor there into one of a tensor on the CPU; gradients flow through."""
    return lambda audio: forward(audio.to(device))


def in_training(model: Any) -> Callable[[], bool]:
    """Tell (later) whether a torch module is in training mode."""
    return lambda: bool(getattr(model, "training", False))
