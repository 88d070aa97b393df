"""Encoders: what turns clips into vectors, how a SPEC names one, and how it is checked.

Audio is float32[batch, samples] at the encoder's own rate; embeddings are float32[batch,
embedding_size]. Here stand the public names only.
"""

from nearkin.encoders.protocol import (
    DEVICES,
    PADDINGS,
    POOLINGS,
    Embedded,
    Encoder,
    EncoderError,
    Handling,
    Key,
    ResolvedEncoder,
    embed,
)
from nearkin.encoders.resolve import (
    ALIASES,
    ENCODERS,
    REFERENCES,
    TRAINED,
    is_table,
    resolve,
    resolve_all,
    takes_layers,
)

__all__ = [
    "ALIASES",
    "DEVICES",
    "ENCODERS",
    "PADDINGS",
    "POOLINGS",
    "REFERENCES",
    "TRAINED",
    "Embedded",
    "Encoder",
    "EncoderError",
    "Handling",
    "Key",
    "ResolvedEncoder",
    "embed",
    "is_table",
    "resolve",
    "resolve_all",
    "takes_layers",
]
