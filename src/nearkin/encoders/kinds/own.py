"""``FILE.safetensors``: a network that ``nearkin train`` wrote; opening it runs no code.

Encoder, task and trial come from inside the file, so that files which share encoder and task are
trials of one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearkin.encoders.calling.forward import ModelEncoder
from nearkin.encoders.calling.options import read_options
from nearkin.encoders.calling.tensors import (
    checked_device,
    placed,
    with_gradients,
    without_gradients,
)
from nearkin.encoders.protocol import Handling, ResolvedEncoder
from nearkin.errors import InputError


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Load a model file's encoder.

    Raises
    ------
    InputError
        If it is no such file, or the device is not there.
    ExtraError
        If torch is not installed.
    """
    from nearkin.networks.files import learned_from, load, read_header

    path = Path(spec)
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    read_header(path)  # a foreign file is told as such before torch is asked for
    chosen = read_options(options, handling, spec=spec)
    device = checked_device(chosen.handling.device, spec=spec)
    model = load(path)
    from nearkin.networks.front_end import MINIMUM_SAMPLES, SAMPLE_RATE

    network = placed(model.network, device)
    encoder = ModelEncoder(
        without_gradients(network.embed, device),
        sample_rate=SAMPLE_RATE,
        reading=chosen.reading(size=network.encoder.n_outputs),
        pad=chosen.handling.pad,
        alone=device.type == "cpu",
        minimum_samples=MINIMUM_SAMPLES,
        gradient=with_gradients(network.embed, device),
    )
    changes = learned_from(model.changes)
    return ResolvedEncoder(
        name=model.encoder,
        task=model.task,
        trial=model.trial,
        spec=spec,
        matched=f"matched a model of nearkin train's: {model.features}, task {model.task}, trial "
        f"{model.trial}, {model.steps} steps{f', {changes}' if changes else ''}",
        encoder=encoder,
        sha256=model.sha256,
    )
