"""HEAR submissions, unmodified: modules with ``load_model`` and ``get_scene_embeddings`` in torch.

The API is that of the HEAR challenge (https://hearbenchmark.com/hear-api.html): audio is
Tensor[n_sounds, n_samples] at the model's rate, scene embeddings are [n_sounds,
scene_embedding_size]. Where a module has timestamp embeddings only, they are pooled over time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.calling.forward import ModelEncoder
from nearkin.encoders.calling.options import Options
from nearkin.encoders.calling.tensors import (
    checked_device,
    in_training,
    placed,
    with_gradients,
    without_gradients,
)
from nearkin.encoders.foreign import foreign_code, told
from nearkin.encoders.identity import sha256_of_files
from nearkin.encoders.protocol import as_array
from nearkin.errors import InputError

SCENES, STAMPS = "get_scene_embeddings", "get_timestamp_embeddings"


def is_module(thing: Any) -> bool:
    """Tell whether a module (or what stands for one) follows the API."""
    return callable(getattr(thing, "load_model", None)) and (
        callable(getattr(thing, SCENES, None)) or callable(getattr(thing, STAMPS, None))
    )


def is_model(thing: Any) -> bool:
    """Tell whether an object is a model that the module of its class embeds with."""
    home = sys.modules.get(type(thing).__module__)
    return hasattr(thing, "scene_embedding_size") and callable(getattr(home, SCENES, None))


def from_module(
    module: Any, *, spec: str, weights: str, options: Options
) -> tuple[ModelEncoder, str, str]:
    """Load a HEAR module's model.

    Parameters
    ----------
    module : module
        With ``load_model(model_file_path="")`` and ``get_scene_embeddings(audio, model)``.
    spec : str
        For messages.
    weights : str
        Path for ``load_model``; empty for its default.
    options : Options

    Returns
    -------
    ModelEncoder, str, str
        The encoder, the match in words, and the SHA-256 of the weights.

    Raises
    ------
    InputError
        If loading raises, or the model lacks what the API demands.
    """
    sha256 = ""
    if weights:
        if not Path(weights).exists():
            raise InputError(f"encoder '{spec}': no file {weights}; check the path after '@'")
        sha256 = sha256_of_files([Path(weights)])
    device = checked_device(options.handling.device, spec=spec)
    try:
        with foreign_code(argv=str(getattr(module, "__file__", "") or spec)):
            model = module.load_model(weights) if weights else module.load_model()
    except Exception as error:  # the border to foreign code: anything may come
        raise InputError(f"encoder '{spec}': load_model() raised {told(error)}") from error
    encoder, matched = from_model(model, module, spec=spec, options=options, device=device)
    return encoder, f"matched a HEAR module: {matched}", sha256


def from_model(
    model: Any, module: Any, *, spec: str, options: Options, device: Any = None
) -> tuple[ModelEncoder, str]:
    """Take a HEAR model that is already loaded, with the module that embeds with it.

    Raises
    ------
    InputError
        If the model lacks what the API demands.
    """
    if device is None:
        device = checked_device(options.handling.device, spec=spec)
    model = placed(model, device)
    scenes = callable(getattr(module, SCENES, None))
    wanted = ("sample_rate", "scene_embedding_size" if scenes else "timestamp_embedding_size")
    for name in wanted:
        value = getattr(model, name, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"encoder '{spec}': the HEAR model has {name}={value!r}: must be an int > 0"
            )
    size = int(getattr(model, wanted[1]))
    if scenes:
        function = getattr(module, SCENES)

        def embedded(audio: Any) -> Any:
            return function(audio, model)
    else:
        stamped = getattr(module, STAMPS)

        def embedded(audio: Any) -> Any:
            return stamped(audio, model)[0]

    encoder = ModelEncoder(
        without_gradients(embedded, device),
        sample_rate=int(model.sample_rate),
        reading=options.reading(size=size, declared=wanted[1], time_axis=None if scenes else 1),
        samples=options.samples,
        pad=options.handling.pad,
        alone=device.type == "cpu",
        training=in_training(model),
        gradient=with_gradients(embedded, device),
        audit=_timestamps(model, module, device)
        if callable(getattr(module, STAMPS, None))
        else None,
    )
    how = "" if scenes else f", timestamps pooled by {options.handling.pool}"
    return encoder, f"{encoder.sample_rate} Hz, {size} values{how}"


def _timestamps(model: Any, module: Any, device: Any) -> Callable[[NDArray[np.float32]], list[str]]:
    """Check the other half of the API: timestamp embeddings, and their times in milliseconds."""
    call = without_gradients(lambda audio: getattr(module, STAMPS)(audio, model), device)

    def audit(audio: NDArray[np.float32]) -> list[str]:
        try:
            with foreign_code():
                embeddings, times = (as_array(part) for part in call(audio))
        except Exception as error:  # the border to foreign code: anything may come
            return [f"{STAMPS} raised {told(error)}"]
        faults = []
        size = getattr(model, "timestamp_embedding_size", None)
        if embeddings.ndim != 3 or embeddings.shape[::2] != (len(audio), size):
            faults.append(
                f"embeddings of shape {list(embeddings.shape)}: must be [{len(audio)}, "
                f"n_timestamps, timestamp_embedding_size={size}]"
            )
        if times.shape != embeddings.shape[:2]:
            return [
                *faults,
                f"times of shape {list(times.shape)}: must be [n_sounds, n_timestamps]",
            ]
        length_ms = 1000 * audio.shape[1] / model.sample_rate
        if not np.isfinite(embeddings).all():
            faults.append("embeddings hold NaN or infinite values")
        if (np.diff(times, axis=1) <= 0).any():
            faults.append("times do not grow")
        if times.size and not 0 <= times.min() <= times.max() <= 1.1 * length_ms:
            faults.append(
                f"times from {times.min():g} to {times.max():g} for {length_ms:g} ms of sound: "
                "must be milliseconds within it"
            )
        elif times.size and times.max() < 0.05 * length_ms:
            faults.append(
                f"times up to {times.max():g} for {length_ms:g} ms of sound: must be milliseconds"
            )
        return faults

    return audit
