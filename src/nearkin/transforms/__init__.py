"""Exact transformations of sound: one frozen record each, one verb (paper, section 3.2).

``TRANSFORMATIONS`` names them; listing it imports nothing. A transformation knows nothing of
clips, loudness or encoders: signal in, signal out.
"""

from __future__ import annotations

from typing import Any

from nearkin.errors import InputError
from nearkin.registry import Table, lookup, suggest
from nearkin.transforms.codec import MP3
from nearkin.transforms.identity import Identity
from nearkin.transforms.noise import EnvironmentalNoise, NoiseLibrary, PinkNoise
from nearkin.transforms.protocol import Transformation, Transformed
from nearkin.transforms.stretch import PitchShift, TempoShift

__all__ = [
    "MP3",
    "OPTIONS",
    "TRANSFORMATIONS",
    "EnvironmentalNoise",
    "Identity",
    "NoiseLibrary",
    "PinkNoise",
    "PitchShift",
    "TempoShift",
    "Transformation",
    "Transformed",
    "transformation",
    "transformation_class",
]

TRANSFORMATIONS = Table(
    {
        "OG": "nearkin.transforms.identity:Identity",
        "PN": "nearkin.transforms.noise:PinkNoise",
        "EN": "nearkin.transforms.noise:EnvironmentalNoise",
        "TS": "nearkin.transforms.stretch:TempoShift",
        "PS": "nearkin.transforms.stretch:PitchShift",
        "MP": "nearkin.transforms.codec:MP3",
    },
    group="nearkin.transformations",
)
"""Code to ``"module:class"``; packages add theirs in the group ``nearkin.transformations``."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "engine": ("TS", "PS"),
    "noise": ("EN",),
    "rate": ("MP",),
}
"""What besides its magnitude a transformation can be told, and which ones listen."""


def transformation_class(code: str) -> type[Transformation]:
    """Return the class behind a code.

    Raises
    ------
    InputError
        If no transformation has that code.
    """
    found: type[Transformation] = lookup(TRANSFORMATIONS, code, kind="transformation")
    return found


def transformation(code: str, magnitude: float, **options: Any) -> Transformation:
    """Build a transformation from its code and magnitude.

    Parameters
    ----------
    code : str
        One of ``TRANSFORMATIONS``.
    magnitude : float
        In the unit of that transformation; OG's is 0.
    **options
        Any of ``OPTIONS``, the same for every transformation of a run: each takes its own and
        leaves the others'.

    Raises
    ------
    InputError
        If the code or an option is unknown, or a value is out of range.

    Examples
    --------
    >>> transformation("TS", 1.1, engine="rubberband", rate="true")
    TempoShift(ratio=1.1, engine='rubberband')
    """
    made: Any = transformation_class(code)
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"unknown option '{name}': {suggest(name, OPTIONS)}")
    if not made.parameter:
        if magnitude != 0:
            raise InputError(f"{code} {magnitude!r}: its only magnitude is 0; pass 0")
        return made()  # type: ignore[no-any-return]
    own = {name: value for name, value in options.items() if code in OPTIONS[name]}
    return made(**{made.parameter: magnitude}, **own)  # type: ignore[no-any-return]
