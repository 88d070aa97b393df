"""The tables of distances: name -> ``"module:attribute"`` of a `Distance`, imported on use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nearkin.distances.audio import WINDOW_FRAMES, dtw, simple
from nearkin.distances.latent import cosine, euclidean
from nearkin.errors import InputError
from nearkin.registry import Table, lookup


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance and the properties it claims; the contract tests hold each row to its claims.

    Parameters
    ----------
    name : str
        The name in the tables and in the results.
    title : str
        The name in figures.
    space : {"audio", "latent"}
        What it compares: sequences of frames or embeddings.
    symmetric : bool
        Whether d(a, b) equals d(b, a).
    zero_on_self : bool
        Whether d(a, a) is exactly 0.
    minimum_frames : int
        Frames both sequences must have at least (0 in the latent space).
    function : callable
        Audio space: ``(a[La, D], b[Lb, D]) -> float``. Latent space:
        ``(a[nQ, D], b[N, D]) -> float64[nQ, N]``.

    Examples
    --------
    >>> from nearkin.registry import lookup
    >>> row = lookup(AUDIO_DISTANCES, "simple", kind="distance")
    >>> row.title, row.minimum_frames, row.symmetric
    ('SiMPle', 50, False)
    """

    name: str
    title: str
    space: Literal["audio", "latent"]
    symmetric: bool
    zero_on_self: bool
    minimum_frames: int
    function: Callable[..., Any]


AUDIO_DISTANCES: dict[str, str] = {
    "dtw": "nearkin.distances:DTW",
    "simple": "nearkin.distances:SIMPLE",
}
"""Audio-space distances: name -> ``"module:attribute"`` of a `Distance`."""

LATENT_DISTANCES: dict[str, str] = {
    "euclidean": "nearkin.distances:EUCLIDEAN",
    "cosine": "nearkin.distances:COSINE",
}
"""Latent-space distances: name -> ``"module:attribute"`` of a `Distance`."""

DISTANCES = Table(AUDIO_DISTANCES | LATENT_DISTANCES, group="nearkin.distances")
"""Both tables, and what packages add as entry points of ``nearkin.distances``.

A run takes the built-in ones, and a package's where it is asked for by name: an installed package
changes nobody's results.
"""


def latent_distance(name: str) -> Distance:
    """Return a distance of the latent space by name.

    Raises
    ------
    InputError
        If there is none, or it is one of the audio space.
    """
    found = lookup(DISTANCES, name, kind="distance")
    if not isinstance(found, Distance) or found.name != name:
        raise InputError(
            f"distance '{name}' of {DISTANCES.provider(name)}: {DISTANCES[name]} is "
            f"{type(found).__name__}: must be a nearkin.distances.Distance of that name"
        )
    if found.space != "latent":
        raise InputError(
            f"distance '{name}': compares the audio space; only distances of the latent space can "
            "be added"
        )
    return found


def distance_title(name: str) -> str:
    """Return how a distance is written in figures and text; its name where no row has it.

    Tables may come from elsewhere: a package that is not installed here, or is broken, costs its
    distances their titles and nothing else.

    Examples
    --------
    >>> distance_title("simple"), distance_title("of-another-package")
    ('SiMPle', 'of-another-package')
    """
    try:
        found = lookup(DISTANCES, name, kind="distance")
    except InputError:
        return name
    return found.title if isinstance(found, Distance) else name


DTW = Distance(
    name="dtw",
    title="DTW",
    space="audio",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=1,
    function=dtw,
)
SIMPLE = Distance(
    name="simple",
    title="SiMPle",
    space="audio",
    symmetric=False,
    zero_on_self=True,
    minimum_frames=WINDOW_FRAMES,
    function=simple,
)
EUCLIDEAN = Distance(
    name="euclidean",
    title="Euclidean",
    space="latent",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=0,
    function=euclidean,
)
COSINE = Distance(
    name="cosine",
    title="cosine",
    space="latent",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=0,
    function=cosine,
)
