"""A ``torch.nn.Module`` in hand, or named in a file: ``forward([B, T])``, at a rate that is stated.

Its rate is the attribute ``sample_rate`` where it has one, else what the user says: no rate is
guessed, because a model at another rate than its own is heard as a worse one. It is asked in eval
mode and without gradients, and left as it was. Its identity is the hash of its weights.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nearkin.encoders.calling.forward import Forward, ModelEncoder
from nearkin.encoders.calling.options import Options
from nearkin.encoders.calling.probing import probe, time_axis_of
from nearkin.encoders.calling.tensors import (
    checked_device,
    placed,
    with_gradients,
    without_gradients,
)
from nearkin.errors import InputError


def is_torch_module(thing: Any) -> bool:
    """Tell whether an object is one; torch is not imported for it."""
    modules = getattr(sys.modules.get("torch"), "nn", None)
    kind = getattr(modules, "Module", None)
    return kind is not None and isinstance(thing, kind)


def from_module(model: Any, *, spec: str, options: Options) -> tuple[ModelEncoder, str]:
    """Take a torch module.

    Raises
    ------
    InputError
        If its rate is not stated, or it takes no batch of clips.
    """
    rate, said = _rate(model, options, spec=spec)
    device = checked_device(options.handling.device, spec=spec)
    place = next((weight.device for weight in model.parameters()), device)
    if device.type == "cpu" and place.type != "cpu":
        device = place  # where the user has put it, unless he names a device
    ask = evaluated(placed(model, device))
    form = _form(spec, without_gradients(ask, device), rate=rate, samples=options.samples)

    def shaped(audio: Any) -> Any:
        return ask(audio[:, None] if form.channel else audio)

    encoder = ModelEncoder(
        without_gradients(shaped, device),
        sample_rate=rate,
        reading=options.reading(time_axis=form.time_axis),
        samples=options.samples,
        pad=options.handling.pad,
        alone=device.type == "cpu",
        single=form.single,
        gradient=None if form.single else with_gradients(shaped, device),
    )
    return encoder, f"a torch module that takes {form}: {rate} Hz ({said}), in eval mode"


def weights_sha256(model: Any) -> str:
    """Hash names, types, shapes and values of a module's weights and buffers; empty without any."""
    digest = hashlib.sha256()
    weights = model.state_dict()
    for name, value in weights.items():
        tensor = value if hasattr(value, "detach") else None
        told = (
            f"{name} {getattr(tensor, 'dtype', type(value))} {tuple(getattr(tensor, 'shape', ()))}"
        )
        digest.update(told.encode() + b"\0")
        if tensor is None:
            digest.update(repr(value).encode())
        else:
            whole = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(whole.view(sys.modules["torch"].uint8).numpy().tobytes())
    return digest.hexdigest() if weights else ""


def evaluated(model: Any) -> Callable[[Any], Any]:
    """Call a module in eval mode, and give every part of it back the mode it had."""

    def call(audio: Any) -> Any:
        training = [part for part in model.modules() if part.training]
        for part in training:
            part.training = False
        try:
            return model(audio)
        finally:
            for part in training:
                part.training = True

    return call


def _rate(model: Any, options: Options, *, spec: str) -> tuple[int, str]:
    """Return the rate, and who says so."""
    stated = options.handling.sample_rate
    own = getattr(model, "sample_rate", None)
    has = isinstance(own, int | np.integer) and not isinstance(own, bool) and own > 0
    if stated is not None and (options.rate_stated or not has):
        return stated, "as given"
    if has:
        return int(own), "its sample_rate"  # type: ignore[arg-type]
    raise InputError(
        f"encoder '{spec}': a torch module that does not say at which rate it takes audio: pass "
        "--sample-rate N (sample_rate=N from Python), or give it an attribute sample_rate"
    )


class _Form(NamedTuple):
    """What a module takes, and the axis of time in its answer where that is known."""

    time_axis: int | None
    channel: bool = False
    single: bool = False

    def __str__(self) -> str:
        if self.single:
            return "[samples]"
        return "[batch, 1, samples]" if self.channel else "[batch, samples]"


def _form(spec: str, forward: Forward, *, rate: int, samples: int | None) -> _Form:
    """Find out by running it what it takes, and which axis of its answer is time."""
    n_samples = samples or 2 * rate

    def with_channel(audio: Any) -> Any:
        return forward(audio[:, None])

    first = probe(forward, (2, n_samples))
    for channel, ask in ((False, forward), (True, with_channel)):
        if not isinstance(probe(ask, (2, n_samples)), Exception):
            return _Form(None if samples else time_axis_of(ask, n_samples), channel)
    if not isinstance(probe(forward, (n_samples,)), Exception):
        return _Form(1, single=True)
    text = " ".join(str(first).split())[-300:]
    raise InputError(
        f"encoder '{spec}': the torch module takes neither [batch, samples] nor [batch, 1, "
        f"samples] nor [samples] of {n_samples} samples ({text}); write a function f(audio, "
        "sample_rate) that makes what it takes, calls it, and returns a vector"
    )
