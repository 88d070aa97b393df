"""Encoders from code: ``package.module:attribute``, ``./file.py:attribute`` or an object in hand.

What the attribute may be, in the order tried: an object or class with ``sample_rate``,
``embedding_size`` and ``embed(audio)``; else a plain callable ``f(audio, sample_rate)`` that takes
float32[samples] and returns [D], or [T, D] whose time axis is pooled. Loading such a SPEC runs its
code: use files you trust.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Key, ResolvedEncoder, as_array, pool
from nearkin.errors import InputError
from nearkin.registry import suggest


class ObjectEncoder:
    """An object with ``sample_rate``, ``embedding_size`` and ``embed(audio)``."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self.sample_rate = int(thing.sample_rate)
        self.embedding_size = int(thing.embedding_size)

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> Any:
        """Embed float32[batch, samples]; the answer is checked by the caller."""
        return self.thing.embed(audio)


class CallableEncoder:
    """A plain function of one clip, called clip by clip."""

    def __init__(self, function: Callable[..., Any], *, sample_rate: int, how: str) -> None:
        self.function = function
        self.sample_rate = sample_rate
        self.how = how

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> Any:
        """Embed float32[batch, samples] as [batch, D]; [T, D] answers are pooled over T."""
        rows = []
        for clip in audio:
            values = as_array(self.function(clip, self.sample_rate))
            if values.ndim not in (1, 2):
                raise InputError(
                    f"returned shape {list(values.shape)} for one clip: must be [D] or [T, D]"
                )
            rows.append(pool(values, how=self.how) if values.ndim == 2 else values)
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            listed = ", ".join(map(str, sorted(sizes)))
            raise InputError(
                f"returned vectors of different sizes ({listed}): must be one size for all"
            )
        return np.stack(rows)


def from_spec(
    spec: str, *, options: Mapping[str, Any], sample_rate: int, how: str
) -> ResolvedEncoder:
    """Resolve ``package.module:attribute`` or ``path/file.py:attribute``.

    Raises
    ------
    InputError
        If the module or attribute does not exist, raises on import, or is no encoder.
    """
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise InputError(f"encoder '{spec}': must be MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE")
    if place.endswith(".py"):
        module, sha256 = _module_from_file(spec, Path(place))
        stem = Path(place).stem
    else:
        module, sha256 = _module_by_name(spec, place), ""
        stem = place
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"encoder '{spec}': {place} has no '{attribute}'; "
                         f"{suggest(attribute, names)}")  # fmt: skip
    return from_object(
        getattr(module, attribute),
        spec=spec,
        name=f"{stem}:{attribute}",
        options=options,
        sample_rate=sample_rate,
        how=how,
        sha256=sha256,
    )


def from_object(
    thing: Any,
    *,
    spec: str,
    name: str,
    options: Mapping[str, Any],
    sample_rate: int,
    how: str,
    sha256: str = "",
) -> ResolvedEncoder:
    """Recognise an object as an encoder, constructing it first if it is a class.

    Raises
    ------
    InputError
        If it is neither an encoder object nor a callable.
    """
    kind = "an object"
    if inspect.isclass(thing):
        kind = "a class"
        try:
            thing = thing(**options)
        except Exception as error:  # the border to foreign code: anything may come
            raise InputError(
                f"encoder '{spec}': {type(error).__name__} while constructing it: {error}"
            ) from error
    encoder: ObjectEncoder | CallableEncoder
    if callable(getattr(thing, "embed", None)):
        missing = [
            field for field in ("sample_rate", "embedding_size") if not hasattr(thing, field)
        ]
        if missing:
            raise InputError(
                f"encoder '{spec}': has embed() but no {' and no '.join(missing)}; add it as an int"
            )
        encoder = ObjectEncoder(thing)
        matched = f"{kind} with embed(): {encoder.sample_rate} Hz, {encoder.embedding_size} values"
    elif callable(thing):
        if options and kind != "a class":
            raise InputError(
                f"encoder '{spec}': options {sorted(options)} given to a plain callable; "
                "only a class takes options"
            )
        encoder = CallableEncoder(thing, sample_rate=sample_rate, how=how)
        matched = f"a plain callable f(audio, sample_rate): {sample_rate} Hz, pooled by {how}"
    else:
        raise InputError(
            f"encoder '{spec}': {type(thing).__name__} is no encoder; must be an object with "
            "sample_rate, embedding_size and embed(audio), or a callable f(audio, sample_rate)"
        )
    return ResolvedEncoder(
        name=str(getattr(thing, "encoder_name", name)),
        task=str(getattr(thing, "task", "") or ""),
        trial=int(getattr(thing, "trial", 1)),
        spec=spec,
        matched=matched,
        encoder=encoder,
        sha256=sha256,
    )


def _module_by_name(spec: str, name: str) -> Any:
    try:
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
            f"encoder '{spec}': {type(error).__name__} while importing it: {error}"
        ) from error


def _module_from_file(spec: str, path: Path) -> tuple[Any, str]:
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    # one module object a file content, under a name that cannot shadow an installed package
    name = f"nearkin_encoder_{sha256[:16]}"
    if name in sys.modules:
        return sys.modules[name], sha256
    location = importlib.util.spec_from_file_location(name, path)
    if location is None or location.loader is None:
        raise InputError(f"encoder '{spec}': {path} cannot be imported as Python")
    module = importlib.util.module_from_spec(location)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        location.loader.exec_module(module)
    except Exception as error:  # the border to foreign code: anything may come
        del sys.modules[name]
        raise InputError(
            f"encoder '{spec}': {type(error).__name__} while importing it: {error}"
        ) from error
    finally:
        sys.path.remove(folder)
    return module, sha256
