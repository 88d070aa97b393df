"""``--layer all``: every hidden state of one model as an encoder of its own, in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nearkin.encoders.calling.forward import LayerEncoder, ModelEncoder, SharedPass
from nearkin.encoders.foreign import foreign_code, told
from nearkin.encoders.protocol import ResolvedEncoder
from nearkin.errors import InputError, NearkinError

PROBE_SECONDS = 2.0


def every_layer(found: ResolvedEncoder) -> tuple[ResolvedEncoder, ...]:
    """Count a model's layers by running it once on noise, and name an encoder for each.

    Raises
    ------
    InputError
        If the model cannot be run or returns no layers.
    """
    model = found.encoder
    if not isinstance(model, ModelEncoder):
        raise InputError(f"encoder '{found.spec}': has no layers; leave --layer out")
    n_samples = model.samples or round(PROBE_SECONDS * model.sample_rate)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, n_samples)).astype(np.float32)
    try:
        with foreign_code():
            n_layers = len(model.embed_layers(noise))
    except NearkinError as error:
        raise InputError(f"encoder '{found.spec}': {error}") from error
    except Exception as error:  # the border to foreign code: anything may come
        raise InputError(
            f"encoder '{found.spec}': raised {told(error)} (on {PROBE_SECONDS:g} s of noise)"
        ) from error
    shared = SharedPass(model)
    return tuple(
        replace(
            found,
            name=f"{found.name} layer {layer}",
            matched=f"{found.matched}, layer {layer} of 0 to {n_layers - 1}",
            encoder=LayerEncoder(shared, layer),
        )
        for layer in range(n_layers)
    )
