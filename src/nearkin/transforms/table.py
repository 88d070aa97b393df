"""The table of transformations: code -> ``"module:class"``, imported on use.

A transformation's code stands here and nowhere else; its other facts stand on its class. To add
one: a class of `nearkin.transforms.Transformation`, and a row.
"""

from __future__ import annotations

import functools
from typing import Any

from nearkin.errors import InputError
from nearkin.registry import Table, lookup, suggest
from nearkin.transforms.protocol import Transformation

TRANSFORMATIONS = Table(
    {
        "OG": "nearkin.transforms.identity:Identity",
        "PN": "nearkin.transforms.noise:PinkNoise",
        "EN": "nearkin.transforms.noise:EnvironmentalNoise",
        "TS": "nearkin.transforms.stretch:TempoShift",
        "PS": "nearkin.transforms.stretch:PitchShift",
        "MP": "nearkin.transforms.codec:MP3",
        "LP": "nearkin.transforms.filters:LowPass",
        "HP": "nearkin.transforms.filters:HighPass",
        "TI": "nearkin.transforms.filters:Tilt",
        "FM": "nearkin.transforms.filters:BandHole",
        "AP": "nearkin.transforms.filters:AllPass",
        "BD": "nearkin.transforms.sampling:BitDepth",
        "RS": "nearkin.transforms.sampling:Resampling",
        "AL": "nearkin.transforms.sampling:Aliasing",
        "GN": "nearkin.transforms.dynamics:Gain",
        "CL": "nearkin.transforms.dynamics:Clipping",
        "SC": "nearkin.transforms.dynamics:Saturation",
        "DR": "nearkin.transforms.dynamics:Compression",
        "TR": "nearkin.transforms.dynamics:Tremolo",
        "PO": "nearkin.transforms.dynamics:Polarity",
        "DC": "nearkin.transforms.dynamics:Offset",
        "RV": "nearkin.transforms.room:Reverberation",
        "FV": "nearkin.transforms.room:Freeverb",
        "EC": "nearkin.transforms.room:Echo",
        "SP": "nearkin.transforms.timing:Speed",
        "WF": "nearkin.transforms.timing:Wow",
        "TO": "nearkin.transforms.timing:TimeOffset",
        "RE": "nearkin.transforms.timing:Reversal",
        "TM": "nearkin.transforms.timing:TimeMask",
        "PL": "nearkin.transforms.timing:PacketLoss",
        "HU": "nearkin.transforms.interference:Hum",
        "MX": "nearkin.transforms.interference:OtherMusic",
        "VC": "nearkin.transforms.interference:Crackle",
        "OP": "nearkin.transforms.codecs:Opus",
        "AA": "nearkin.transforms.codecs:AAC",
        "VO": "nearkin.transforms.codecs:Vorbis",
        "GS": "nearkin.transforms.codecs:GSM",
        "AM": "nearkin.transforms.codecs:AMR",
        "GL": "nearkin.transforms.resynthesis:GriffinLim",
    },
    group="nearkin.transformations",
)
"""Code (two capitals, the name in every table) to ``"module:class"``, in the order of the pages;
packages add theirs in the group ``nearkin.transformations``."""


def transformation_class(code: str) -> type[Transformation]:
    """Return the class behind a code.

    Raises
    ------
    InputError
        If no transformation has that code, or a package registers something else under it.
    """
    found = lookup(TRANSFORMATIONS, code, kind="transformation")
    if not (isinstance(found, type) and issubclass(found, Transformation)):
        raise InputError(
            f"transformation '{code}' of {TRANSFORMATIONS.provider(code)}: "
            f"{TRANSFORMATIONS[code]} must be a subclass of nearkin.transforms.Transformation; "
            "mend or remove that package"
        )
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
        What any transformation can be told besides its magnitude (``engine``, ``rate``,
        ``noise``), the same for every transformation of a run: each takes its own and leaves the
        others'.

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
    own = {name: value for name, value in options.items() if name in made.options()}
    known = {*made.options(), *_options()}
    for name in options.keys() - known:
        raise InputError(f"unknown option '{name}': {suggest(name, known)}")
    if not made.parameter():
        if magnitude != 0:
            raise InputError(f"{code} {magnitude!r}: its only magnitude is 0; pass 0")
        return made()  # type: ignore[no-any-return]
    return made(magnitude, **own)  # type: ignore[no-any-return]


@functools.cache
def _options() -> frozenset[str]:
    """Return what the built-in transformations can be told."""
    kinds = [transformation_class(code) for code in TRANSFORMATIONS.built_in]
    return frozenset(name for kind in kinds for name in kind.options())
