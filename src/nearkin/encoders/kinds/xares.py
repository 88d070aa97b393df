"""X-ARES encoders, unmodified: ``sampling_rate``, ``output_dim``, ``forward([B, T])`` in torch.

The answer is Tensor[B, T', output_dim] (https://github.com/jimbozhang/xares); the time axis T' is
pooled.
"""

from __future__ import annotations

from typing import Any

from nearkin.encoders.calling.forward import ModelEncoder
from nearkin.encoders.calling.options import Options
from nearkin.encoders.calling.tensors import (
    checked_device,
    in_training,
    placed,
    with_gradients,
    without_gradients,
)
from nearkin.errors import InputError


def is_xares(thing: Any) -> bool:
    """Tell whether an object follows the API."""
    return all(hasattr(thing, name) for name in ("sampling_rate", "output_dim")) and callable(thing)


def from_xares(model: Any, *, spec: str, options: Options) -> tuple[ModelEncoder, str]:
    """Take an X-ARES encoder.

    Raises
    ------
    InputError
        If its rate or size is no positive integer, or torch or the device is missing.
    """
    for name in ("sampling_rate", "output_dim"):
        value = getattr(model, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"encoder '{spec}': the X-ARES model has {name}={value!r}: must be an int > 0"
            )
    device = checked_device(options.handling.device, spec=spec)
    encoder = ModelEncoder(
        without_gradients(placed(model, device), device),
        sample_rate=int(model.sampling_rate),
        reading=options.reading(size=int(model.output_dim), declared="output_dim"),
        samples=options.samples,
        pad=options.handling.pad,
        alone=device.type == "cpu",
        training=in_training(model),
        gradient=with_gradients(placed(model, device), device),
    )
    pool = options.handling.pool
    matched = f"{encoder.sample_rate} Hz, {model.output_dim} values over time, pooled by {pool}"
    return encoder, f"matched an X-ARES encoder: {matched}"
