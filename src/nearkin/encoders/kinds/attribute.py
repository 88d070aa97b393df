"""Encoders from code: ``package.module:attribute``, ``./file.py:attribute`` or an object in hand.

What the attribute may be, in the order tried: (1) an object or class with ``sample_rate``,
``embedding_size`` and ``embed(audio)``; (2) a HEAR module or model; (3) an X-ARES encoder; (4) a
torch module; (5) a plain callable ``f(audio, sample_rate)`` that takes float32[samples] and returns
[D], or [T, D] whose time axis is pooled. A module named without an attribute must be (2), or itself
have the attributes of (1). Loading such a SPEC runs its code: use files you trust.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nearkin.encoders.calling.forward import ModelEncoder
from nearkin.encoders.calling.options import Options, read_options
from nearkin.encoders.foreign import ForeignExitError, foreign_code, told
from nearkin.encoders.identity import files_in, joined, sha256_of_files
from nearkin.encoders.imported import imported_files, root_of
from nearkin.encoders.kinds import hear, xares
from nearkin.encoders.kinds.definitions import choose, definitions
from nearkin.encoders.kinds.module import from_module, is_torch_module, weights_sha256
from nearkin.encoders.own_modules import OwnModules, sha256_of_imported, sha256_of_modules
from nearkin.encoders.protocol import Handling, ResolvedEncoder
from nearkin.errors import InputError, NearkinError
from nearkin.registry import suggest

NO_ENCODER = (
    "must be an object with sample_rate, embedding_size and embed(audio), a HEAR module "
    "(load_model, get_scene_embeddings), an X-ARES encoder (sampling_rate, output_dim, forward), "
    "a torch module, or a callable f(audio, sample_rate)"
)


LARGEST_RATE = 9_999_999
_ARGUMENTS = (
    "; pass what it takes with --encoder-options '{\"NAME\": VALUE}', or make the object in a file "
    "and name that, as ./file.py:OBJECT"
)


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Resolve ``package.module:attribute``, ``path/file.py:attribute``, or a module by itself.

    Raises
    ------
    InputError
        If the module or attribute does not exist, raises on import, or is no encoder.
    """
    place, _, attribute = spec.rpartition(":")
    if spec.endswith(".py"):
        place, attribute = spec, ""
    elif ":" not in spec:
        place = spec
        attribute = ""
    elif not place or not attribute:
        raise InputError(f"encoder '{spec}': must be MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE")
    if not place.endswith(".py") and ("/" in place or place.startswith(".")):
        raise InputError(
            f"encoder '{spec}': {place} is neither FILE.py nor a module's name; write "
            f"{place}.py:{attribute or 'ATTRIBUTE'} for a file, or package.module:ATTRIBUTE"
        )
    if not attribute:
        _require_whole(place, spec=spec)
    module, sha256 = load_module(place, spec=spec)
    stem = Path(place).stem if place.endswith(".py") else place
    if not attribute:
        return from_object(
            module, spec=spec, name=stem, options=options, handling=handling, sha256=sha256
        )
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"encoder '{spec}': {place} has no '{attribute}'; "
                         f"{suggest(attribute, names)}")  # fmt: skip
    return from_object(
        getattr(module, attribute),
        spec=spec,
        name=f"{stem}:{attribute}",
        options=options,
        handling=handling,
        sha256=sha256,
    )


def _require_whole(place: str, *, spec: str) -> None:
    """Refuse a file that is no encoder by itself before it is run, and say what to write."""
    path = Path(place)
    if not place.endswith(".py") or not path.is_file():
        return
    found = definitions(path)
    if found is not None and not found.is_whole:
        raise InputError(
            f"encoder '{spec}': names a file, but not what in it is the encoder; "
            f"{choose(spec, found)}"
        )


def from_hear_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Resolve ``hear:package.module[@weights]`` or ``hear:./file.py[@weights]``.

    Raises
    ------
    InputError
        If the module cannot be imported or is no HEAR module.
    """
    place, _, weights = spec.removeprefix("hear:").partition("@")
    module, sha256 = load_module(place, spec=spec)
    if not hear.is_module(module):
        raise InputError(
            f"encoder '{spec}': {place} is no HEAR module; it must have load_model and "
            "get_scene_embeddings"
        )
    chosen = read_options(options, handling, spec=spec)
    encoder, matched, of_weights = hear.from_module(
        module, spec=spec, weights=weights, options=chosen
    )
    name = Path(place).stem if place.endswith(".py") else place
    return ResolvedEncoder(
        name=name, spec=spec, matched=matched, encoder=encoder, sha256=joined(sha256, of_weights)
    )


def from_object(
    thing: Any,
    *,
    spec: str,
    name: str,
    options: Mapping[str, Any],
    handling: Handling,
    sha256: str = "",
) -> ResolvedEncoder:
    """Recognise an object as an encoder, constructing it first if it is a class.

    Raises
    ------
    InputError
        If it is neither an encoder object nor a callable.
    """
    kind = "an object"
    given = dict(options)
    if inspect.isclass(thing):
        kind, given = "a class", {}
        try:
            with foreign_code():
                thing = thing(**options)
        except Exception as error:  # the border to foreign code: anything may come
            raise InputError(
                f"encoder '{spec}': {told(error).replace(':', ' while constructing it:', 1)}"
                f"{_ARGUMENTS if isinstance(error, TypeError) else ''}"
            ) from error
    try:
        with foreign_code():
            encoder, matched = _match(thing, kind=kind, spec=spec, options=given, handling=handling)
            told_of = {name: getattr(thing, name, None) for name in ("encoder_name", "task")}
            trial = getattr(thing, "trial", None)
    except (NearkinError, ForeignExitError):
        raise
    except Exception as error:  # the border to foreign code: a property may raise anything
        raise InputError(
            f"encoder '{spec}': {told(error).replace(':', ' while its attributes were read:', 1)}"
        ) from error
    if told_of["encoder_name"] is not None and not str(told_of["encoder_name"]).strip():
        raise InputError(
            f"encoder '{spec}': encoder_name is empty; write what tables shall call it"
        )
    if any("\ud800" <= character <= "\udfff" for character in str(told_of["encoder_name"])):
        raise InputError(
            f"encoder '{spec}': encoder_name {str(told_of['encoder_name'])!r} is no UTF-8, which "
            "tables need; write another name"
        )
    number = 1 if trial is None else _count(int(trial) if _is_digits(trial) else trial)
    if not number:
        raise InputError(
            f"encoder '{spec}': trial={trial!r}: must be an int > 0, because tables call the mean "
            "over trials 0; count from 1"
        )
    # its weights are what such a model is; others have files, or answers, to be known by
    weights = weights_sha256(thing) if matched.startswith("a torch module") else ""
    return ResolvedEncoder(
        name=name if told_of["encoder_name"] is None else str(told_of["encoder_name"]),
        task=str(told_of["task"] or ""),
        trial=number,
        spec=spec,
        matched=matched,
        encoder=encoder,
        sha256=joined(sha256, weights, sha256_of_files(files_in(options))),
    )


def _match(
    thing: Any, *, kind: str, spec: str, options: Mapping[str, Any], handling: Handling
) -> tuple[ModelEncoder, str]:
    """Try the forms in their order."""
    if callable(getattr(thing, "embed", None)):
        return _own(thing, kind=kind, spec=spec, options=read_options(options, handling, spec=spec))
    if hear.is_module(thing):
        chosen = read_options(options, handling, spec=spec)
        encoder, matched, _ = hear.from_module(thing, spec=spec, weights="", options=chosen)
        return encoder, matched
    if hear.is_model(thing):
        home = sys.modules[type(thing).__module__]
        chosen = read_options(options, handling, spec=spec)
        encoder, matched = hear.from_model(thing, home, spec=spec, options=chosen)
        return encoder, f"matched a HEAR model: {matched}"
    if xares.is_xares(thing):
        chosen = read_options(options, handling, spec=spec)
        return xares.from_xares(thing, spec=spec, options=chosen)
    if is_torch_module(thing):
        return from_module(thing, spec=spec, options=read_options(options, handling, spec=spec))
    if isinstance(thing, ModuleType):
        file = source_of(thing)
        found = definitions(file[0]) if file else None
        raise InputError(
            f"encoder '{spec}': the module itself is no encoder; it has neither load_model and "
            "get_scene_embeddings (HEAR) nor sample_rate, embedding_size and embed; "
            + (f"name what in it is one, as {spec}:NAME" if found is None else choose(spec, found))
        )
    if callable(thing):
        return _plain(thing, kind=kind, spec=spec, options=options, handling=handling)
    raise InputError(f"encoder '{spec}': {type(thing).__name__} is no encoder; {NO_ENCODER}")


def _own(thing: Any, *, kind: str, spec: str, options: Options) -> tuple[ModelEncoder, str]:
    """Take an object with ``sample_rate``, ``embedding_size`` and ``embed(audio)``.

    Optional attributes: ``fixed_samples`` (the only length it takes), ``minimum_samples``, and
    ``torch_module()``, the same as a differentiable function of a tensor [batch, samples].
    """
    missing = [name for name in ("sample_rate", "embedding_size") if not hasattr(thing, name)]
    if missing:
        raise InputError(
            f"encoder '{spec}': has embed() but no {' and no '.join(missing)}; add it as an int"
        )
    try:
        rate, size = int(thing.sample_rate), int(thing.embedding_size)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"encoder '{spec}': sample_rate={thing.sample_rate!r} and embedding_size="
            f"{thing.embedding_size!r} must be ints"
        ) from error
    if rate < 1 or size < 1:
        raise InputError(
            f"encoder '{spec}': sample_rate={rate} and embedding_size={size} must be > 0"
        )
    if rate > LARGEST_RATE:
        raise InputError(
            f"encoder '{spec}': sample_rate={rate}: must be at most {LARGEST_RATE} Hz; correct it"
        )
    lengths = {}
    for name in ("fixed_samples", "minimum_samples"):
        length = getattr(thing, name, None)
        lengths[name] = _count(length) or None  # 0 is none
        if length is not None and _count(length) is None:
            raise InputError(f"encoder '{spec}': {name}={length!r}: must be an int > 0; correct it")
    encoder = ModelEncoder(
        thing.embed,
        sample_rate=rate,
        reading=options.reading(size=size),
        samples=options.samples or lengths["fixed_samples"],
        pad=options.handling.pad,
        minimum_samples=lengths["minimum_samples"],
        training=lambda: bool(getattr(thing, "training", False)),
        gradient=_gradient(thing),
    )
    return encoder, f"{kind} with embed(): {rate} Hz, {size} values"


def _count(value: Any) -> int | None:
    """Return a whole number from 0 on, whatever its type; None for all else."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        number = int(value)
        return number if number >= 0 and bool(number == value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isdecimal()


def _gradient(thing: Any) -> Callable[[Any], Any] | None:
    """Return what an object's own ``torch_module()`` computes; it is made on first use."""
    make = getattr(thing, "torch_module", None)
    if not callable(make):
        return None
    made: list[Callable[[Any], Any]] = []

    def gradient(audio: Any) -> Any:
        if not made:
            made.append(make())
        return made[0](audio)

    return gradient


def _plain(
    thing: Any, *, kind: str, spec: str, options: Mapping[str, Any], handling: Handling
) -> tuple[ModelEncoder, str]:
    """Take a plain callable, called clip by clip."""
    try:
        chosen = read_options(options, handling, spec=spec)
    except InputError as error:
        raise InputError(f"{error}; only a class takes options of its own") from error
    rate = chosen.handling.rate
    encoder = ModelEncoder(
        lambda clip: thing(clip, rate),
        sample_rate=rate,
        reading=chosen.reading(time_axis=1),
        samples=chosen.samples,
        pad=chosen.handling.pad,
        single=True,
        training=lambda: bool(getattr(thing, "training", False)),
        at_rate=thing if chosen.handling.sample_rate is None else None,
    )
    pool = chosen.handling.pool
    return encoder, f"a plain callable f(audio, sample_rate): {rate} Hz, pooled by {pool}"


def load_module(place: str, *, spec: str) -> tuple[Any, str]:
    """Import a module by name or from a file; return it with the SHA-256 of what it is made of.

    That is its file, and the modules of its own folder or package that it imports.

    Raises
    ------
    InputError
        If it does not exist or raises on import.
    """
    if place.endswith(".py"):
        return _module_from_file(spec, Path(place))
    before = set(sys.modules)
    module = _module_by_name(spec, place)
    return sha256_of_imported(module, before, lambda: _module_by_name(spec, place))


def source_of(module: Any) -> list[Path]:
    """Return the file a module was read from; none for what has no file."""
    file = getattr(module, "__file__", None)
    return [Path(file)] if file and Path(file).is_file() else []


def _module_by_name(spec: str, name: str) -> Any:
    try:
        with foreign_code(argv=name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise InputError(
                f"encoder '{spec}': no module '{error.name}'; install it, or give a path like "
                f"./{name.replace('.', '/')}.py:ATTRIBUTE"
            ) from error
        raise InputError(
            f"encoder '{spec}': importing it needs '{error.name}', which is not installed"
        ) from error
    except Exception as error:  # the border to foreign code: anything may come
        raise InputError(
            f"encoder '{spec}': {told(error).replace(':', ' while importing it:', 1)}"
        ) from error


def _module_from_file(spec: str, path: Path) -> tuple[Any, str]:
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    root, own = root_of(path), imported_files(path)
    sha256 = joined(sha256_of_files([path]), sha256_of_modules(own, root))
    # one module object a place and content, under a name that cannot shadow an installed package
    address = os.fsencode(path.resolve()) + sha256.encode()
    name = f"nearkin_encoder_{hashlib.sha256(address).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name], sha256
    try:
        with foreign_code(argv=str(path)):
            module = OwnModules(own, root).load(name, path)
    except Exception as error:  # the border to foreign code: anything may come
        raise InputError(
            f"encoder '{spec}': {told(error).replace(':', ' while importing it:', 1)}"
        ) from error
    return module, sha256
