"""From a SPEC, or an object, to an encoder that a run can ask for embeddings.

`ENCODERS` names the built-in and the registered ones; every other SPEC form has a file of its own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearkin.encoders.foreign import ForeignExitError, foreign_code
from nearkin.encoders.protocol import Handling, ResolvedEncoder
from nearkin.errors import InputError
from nearkin.registry import Table, load, lookup

ENCODERS = Table(
    {
        "mfcc": "nearkin.encoders.references.untrained:MfccEncoder",
        "logmel-projection": "nearkin.encoders.references.untrained:LogmelProjectionEncoder",
        "constant": "nearkin.encoders.references.untrained:ConstantEncoder",
        "vgg-ae": "nearkin.encoders.references.trained:vgg_ae",
        "vgg-at": "nearkin.encoders.references.trained:vgg_at",
        "vgg-ir": "nearkin.encoders.references.trained:vgg_ir",
        "vgg-vs": "nearkin.encoders.references.trained:vgg_vs",
    },
    group="nearkin.encoders",
)
"""Name to ``"module:attribute"``; packages add theirs as entry points of ``nearkin.encoders``."""

ALIASES = {"random": "logmel-projection"}
"""Names that some encoders had before, to those they have."""
REFERENCES = ("mfcc", "logmel-projection", "constant")
"""The reference lines that need no training."""
TRAINED = ("vgg-ae", "vgg-at", "vgg-ir", "vgg-vs")
"""The trained ones: the paper's tasks, one network each."""

_PREFIXES = {
    "embeddings": "nearkin.encoders.kinds.vectors:from_spec",
    "hear": "nearkin.encoders.kinds.attribute:from_hear_spec",
    "hf": "nearkin.encoders.kinds.huggingface:from_spec",
    "map": "nearkin.encoders.kinds.mapped:from_spec",
    "torchscript": "nearkin.encoders.kinds.torchscript:from_spec",
}
_SUFFIXES = {
    ".onnx": "nearkin.encoders.kinds.onnx:from_spec",
    ".safetensors": "nearkin.encoders.kinds.own:from_spec",
}
_PICKLES = frozenset(
    {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".dill", ".npy", ".h5", ".keras"}
)


def resolve(
    spec: Any, *, options: Mapping[str, Any] | None = None, **handling: Any
) -> ResolvedEncoder:
    """Turn a SPEC into an encoder.

    Parameters
    ----------
    spec : str or object
        ``mfcc``, ``logmel-projection``, ``constant``, ``vgg-ae``, ``vgg-at``, ``vgg-ir``,
        ``vgg-vs``, ``package.module:attribute``, ``./file.py:attribute``,
        ``hear:package.module[@weights]``, ``FILE.onnx``, ``FILE.safetensors``,
        ``torchscript:FILE.pt``, ``hf:PATH_OR_NAME``, ``embeddings:FILE.parquet``,
        ``map:FILE+SPEC``, or an encoder object, HEAR module, X-ARES encoder, class or callable
        itself.
    options : mapping, optional
        Keyword arguments for a class; settings for the other forms.
    **handling
        Fields of `Handling`: ``sample_rate``, ``pool``, ``pad``, ``layer``, ``device``, ``trust``.

    Returns
    -------
    ResolvedEncoder

    Raises
    ------
    InputError
        If the SPEC is unknown, cannot be imported or opened, or is no encoder.
    ExtraError
        If it needs a package that is not installed.

    Examples
    --------
    >>> resolve("constant").name
    'constant'
    """
    found = resolve_all(spec, options=options, **handling)
    if len(found) > 1:
        raise InputError(f"layer 'all' of '{found[0].spec}' is {len(found)} encoders: name one")
    return found[0]


def resolve_all(
    spec: Any, *, options: Mapping[str, Any] | None = None, **handling: Any
) -> tuple[ResolvedEncoder, ...]:
    """Turn a SPEC into encoders: one, or with ``layer="all"`` one for every layer of the model.

    Layers share one pass of the model over a batch. Parameters and errors are those of `resolve`.
    """
    try:
        with foreign_code():
            found = _resolved(spec, dict(options or {}), Handling(**handling))
    except ForeignExitError as error:
        raise InputError(f"encoder '{spec}': {error}") from error
    reading = getattr(found.encoder, "reading", None)
    if reading is None or reading.layer != "all":
        return (found,)
    from nearkin.encoders.calling.layers import every_layer

    return every_layer(found)


def is_table(found: ResolvedEncoder) -> bool:
    """Tell whether an encoder is a table of embeddings, which hears nothing."""
    return found.spec.startswith("embeddings:")


def takes_layers(found: ResolvedEncoder) -> bool:
    """Tell whether ``layer`` means something to an encoder; not to built-in ones and tables."""
    return hasattr(found.encoder, "reading") or hasattr(found.encoder, "shared")


def _resolved(spec: Any, options: dict[str, Any], handling: Handling) -> ResolvedEncoder:
    if not isinstance(spec, str):
        from nearkin.encoders.kinds.attribute import from_object

        name = getattr(spec, "__name__", type(spec).__name__)
        return from_object(
            spec, spec=f"object {name}", name=str(name), options=options, handling=handling
        )
    kind = _kind(spec)
    if kind:
        found: ResolvedEncoder = load(kind)(spec, options=options, handling=handling)
        return found
    spec = ALIASES.get(spec, spec)
    made = lookup(ENCODERS, spec, kind="encoder")
    provider = ENCODERS.provider(spec)
    if provider:
        from nearkin.encoders.kinds.attribute import from_object

        found = from_object(made, spec=spec, name=spec, options=options, handling=handling)
        return replace(found, matched=f"{found.matched} (of {provider})")
    try:
        encoder = made(**options)
    except TypeError as error:
        raise InputError(f"encoder '{spec}': options {sorted(options)}: {error}") from error
    return ResolvedEncoder(
        name=getattr(encoder, "encoder_name", spec),
        task=getattr(encoder, "task", ""),
        spec=spec,
        matched=f"built in: {encoder.sample_rate} Hz, {encoder.embedding_size} values",
        encoder=encoder,
        sha256=getattr(encoder, "sha256", ""),
    )


def _kind(spec: str) -> str:
    """Return what resolves a SPEC, empty for the name of a built-in or registered encoder."""
    prefix, colon, _ = spec.partition(":")
    if colon and prefix in _PREFIXES:
        return _PREFIXES[prefix]
    suffix = Path(spec).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if suffix in _PICKLES:
        return "nearkin.encoders.kinds.pickles:refuse"
    if spec in ENCODERS or spec in ALIASES:
        return ""
    if colon or suffix == ".py" or _is_module(spec):
        return "nearkin.encoders.kinds.attribute:from_spec"
    return ""


def _is_module(name: str) -> bool:
    """Tell whether a dotted name is an installed module, importing its parents at most."""
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False
