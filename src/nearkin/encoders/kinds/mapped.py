"""``map:FILE+SPEC``: an encoder whose embeddings pass a linear map that ``nearkin repair`` learned.

The map belongs to one encoder: it is refused for one with other files, other answers for the
test clips, or another embedding size. The whole is an encoder of its own, ``LABEL+FILE``, and no
trial of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.identity import joined, sha256_of_files
from nearkin.encoders.protocol import (
    Encoder,
    EncoderError,
    Handling,
    Key,
    ResolvedEncoder,
    as_array,
)
from nearkin.errors import InputError, printable
from nearkin.maps.files import read_map
from nearkin.maps.linear import LinearMap
from nearkin.optional import need

PREFIX, SUFFIX = "map:", ".safetensors+"
_WHOLE = ("training", "minimum_samples")
"""What the quick check asks of an encoder, where it has it."""


class MappedEncoder:
    """An encoder and the map that its embeddings pass.

    Parameters
    ----------
    encoder : Encoder
    found : LinearMap
    """

    def __init__(self, encoder: Encoder, found: LinearMap) -> None:
        self.encoder = encoder
        self.found = found
        self.sample_rate = int(encoder.sample_rate)
        self.embedding_size = found.size
        for name in _WHOLE:
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[np.float32]:
        """Embed float32[batch, samples] and map, float32[batch, D]."""
        vectors = as_array(self.encoder.embed(audio, keys=keys))
        if vectors.ndim != 2 or vectors.shape[1] != self.found.size:
            raise EncoderError(
                f"returned shape {list(vectors.shape)}: its map is for {self.found.size} values, "
                f"of '{self.found.origin.encoder}'; learn a map for this encoder"
            )
        return self.found.apply(vectors).astype(np.float32)

    def torch_module(self) -> Callable[[Any], Any]:
        """Return the mapped encoder as a differentiable function of a tensor.

        Raises
        ------
        EncoderError
            If the encoder behind the map has no gradient.
        """
        make = getattr(self.encoder, "torch_module", None)
        if not callable(make):
            raise EncoderError("the encoder behind its map gives no gradient")
        torch = need("torch", extra="torch")
        module = make()
        centre, matrix = (torch.from_numpy(a) for a in (self.found.centre, self.found.matrix))
        return lambda audio: (module(audio).double() - centre) @ matrix


def split_spec(spec: str) -> tuple[Path, str]:
    """Take ``map:FILE+SPEC`` apart.

    Raises
    ------
    InputError
        If it has no file, or no SPEC after it.

    Examples
    --------
    >>> file, inner = split_spec("map:a/map.safetensors+map:b.safetensors+mfcc")
    >>> file.name, inner
    ('map.safetensors', 'map:b.safetensors+mfcc')
    """
    rest = spec.removeprefix(PREFIX)
    at = rest.find(SUFFIX)
    inner = rest[at + len(SUFFIX) :] if at > 0 else ""
    if not inner:
        raise InputError(
            f"encoder '{spec}': must be map:FILE.safetensors+SPEC, such as map:map.safetensors+mfcc"
        )
    return Path(rest[: at + len(SUFFIX) - 1]), inner


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Resolve the encoder behind a map, and hold the two to one another.

    Raises
    ------
    InputError
        If the map cannot be read or is for another encoder, or the encoder cannot be had.
    ExtraError
        If the encoder needs a package that is not installed.
    """
    from nearkin.encoders.resolve import is_table, resolve

    path, inner = split_spec(spec)
    found = read_map(path)
    encoder = resolve(inner, options=options, **asdict(handling))
    if is_table(encoder):
        raise InputError(
            f"encoder '{spec}': a table hears nothing; map its vectors yourself, with the three "
            "lines of numpy that nearkin repair prints"
        )
    _require_own(spec, found, encoder)
    sha256 = sha256_of_files([path])
    return replace(
        encoder,
        name=f"{encoder.label}+{printable(path.stem)}",
        task="",
        trial=1,
        spec=spec,
        matched=f"{encoder.matched}; mapped by {printable(path)}, learned from "
        f"{found.origin.n_clips} clips under {', '.join(found.origin.transformations)}",
        encoder=MappedEncoder(encoder.encoder, found),
        sha256=joined(encoder.sha256, sha256),
    )


def _require_own(spec: str, found: LinearMap, encoder: ResolvedEncoder) -> None:
    origin = found.origin
    whose = f"encoder '{spec}': the map was learned for '{origin.encoder}'"
    remedy = "learn one for this encoder with nearkin repair"
    if origin.sha256 != encoder.sha256:
        was, now = (
            f"sha256 {text[:12]}" if text else "no file" for text in (origin.sha256, encoder.sha256)
        )
        raise InputError(f"{whose} of {was}, this one has {now}; {remedy}")
    size = getattr(encoder.encoder, "embedding_size", None)
    if size is not None and int(size) != found.size:
        raise InputError(f"{whose}, {found.size} values; this one returns {int(size)}; {remedy}")
    if not origin.sha256 and origin.spec != encoder.spec:
        raise InputError(f"{whose}, '{origin.spec}', this one is '{encoder.spec}'; {remedy}")
    if origin.sample_rate != encoder.sample_rate:
        raise InputError(
            f"{whose} at {origin.sample_rate} Hz, this one takes {encoder.sample_rate} Hz; {remedy}"
        )
    _require_same_answers(whose, origin.digest, encoder, origin.seconds, remedy)


def _require_same_answers(
    whose: str,
    digest: Mapping[str, Any] | None,
    encoder: ResolvedEncoder,
    seconds: float,
    remedy: str,
) -> None:
    """Ask the encoder for the test clips again, where its answers were kept."""
    if not digest:
        return
    from nearkin.encoders.quick_check import changed_answers, steadiness

    told = changed_answers({"digest": digest}, steadiness(encoder, seconds=seconds))
    if told:
        raise InputError(f"{whose}, and this one {told}; {remedy}")
