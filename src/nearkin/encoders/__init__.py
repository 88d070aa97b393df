"""Encoders: from a SPEC, or an object, to something a run can ask for embeddings.

`ENCODERS` names the built-in ones; every other SPEC form has a file of its own here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearkin.encoders.protocol import (
    POOLINGS,
    Embedded,
    Encoder,
    EncoderError,
    Key,
    ResolvedEncoder,
    embed,
)
from nearkin.errors import InputError
from nearkin.registry import lookup, suggest

__all__ = [
    "ENCODERS",
    "POOLINGS",
    "REFERENCES",
    "Embedded",
    "Encoder",
    "EncoderError",
    "Key",
    "ResolvedEncoder",
    "embed",
    "resolve",
]

ENCODERS = {
    "mfcc": "nearkin.encoders.builtin:MfccEncoder",
    "random": "nearkin.encoders.builtin:RandomEncoder",
    "constant": "nearkin.encoders.builtin:ConstantEncoder",
}

REFERENCES = ("mfcc", "random", "constant")


def resolve(
    spec: Any,
    *,
    options: Mapping[str, Any] | None = None,
    sample_rate: int = 22_050,
    pool: str = "mean",
) -> ResolvedEncoder:
    """Turn a SPEC into an encoder.

    Parameters
    ----------
    spec : str or object
        ``mfcc``, ``random``, ``constant``, ``package.module:attribute``, ``./file.py:attribute``,
        ``embeddings:FILE.parquet``, or an encoder object or callable itself.
    options : mapping, optional
        Keyword arguments for a class.
    sample_rate : int
        The rate, in Hz, at which a plain callable takes audio.
    pool : {"mean", "max", "meanstd", "first"}
        How a time axis is pooled.

    Returns
    -------
    ResolvedEncoder

    Raises
    ------
    InputError
        If the SPEC is unknown, cannot be imported, or is no encoder.

    Examples
    --------
    >>> resolve("constant").name
    'constant'
    """
    options = dict(options or {})
    if pool not in POOLINGS:
        raise InputError(f"pool '{pool}': {suggest(pool, POOLINGS)}")
    if not isinstance(spec, str):
        from nearkin.encoders.attribute import from_object

        name = getattr(spec, "__name__", type(spec).__name__)
        return from_object(
            spec,
            spec=f"object {name}",
            name=str(name),
            options=options,
            sample_rate=sample_rate,
            how=pool,
        )
    if spec.startswith("embeddings:"):
        from nearkin.encoders.vectors import from_file

        path = Path(spec.removeprefix("embeddings:"))
        return from_file(path, spec=spec, sample_rate=sample_rate)
    if ":" in spec:
        from nearkin.encoders.attribute import from_spec

        return from_spec(spec, options=options, sample_rate=sample_rate, how=pool)
    encoder = lookup(ENCODERS, spec, kind="encoder")(**options)
    return ResolvedEncoder(
        name=spec,
        spec=spec,
        matched=f"built in: {encoder.sample_rate} Hz, {encoder.embedding_size} values",
        encoder=encoder,
    )
