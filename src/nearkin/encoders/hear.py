"""HEAR submissions, unmodified: modules with ``load_model`` and ``get_scene_embeddings`` in torch.

The API is that of the HEAR challenge (https://hearbenchmark.com/hear-api.html): audio is
Tensor[n_sounds, n_samples] at the model's rate, scene embeddings are [n_sounds,
scene_embedding_size]. Where a module has timestamp embeddings only, they are pooled over time.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from nearkin.encoders.model import ModelEncoder
from nearkin.encoders.options import Options
from nearkin.encoders.tensors import checked_device, in_training, placed, without_gradients
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
        if Path(weights).is_file():
            sha256 = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    device = checked_device(options.handling.device, spec=spec)
    try:
        model = module.load_model(weights) if weights else module.load_model()
    except Exception as error:  # the border to foreign code: anything may come
        text = " ".join(str(error).split())
        raise InputError(
            f"encoder '{spec}': load_model() raised {type(error).__name__}: {text}"
        ) from error
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
        training=in_training(model),
    )
    how = "" if scenes else f", timestamps pooled by {options.handling.pool}"
    return encoder, f"{encoder.sample_rate} Hz, {size} values{how}"
