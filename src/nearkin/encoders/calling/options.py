"""The options of encoders that take none of their own: ``--encoder-options`` as settings.

A class takes its options as keyword arguments; a model from a file, a module or a function takes
those named here, which go before the run's ``--layer``, ``--pool``, ``--pad``, ``--device`` and
``--sample-rate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nearkin.encoders.calling.answers import Reading
from nearkin.encoders.protocol import Handling
from nearkin.errors import InputError
from nearkin.registry import suggest

HANDLING = tuple(item.name for item in fields(Handling))
OWN = ("output", "samples", "time_axis")


@dataclass(frozen=True)
class Options:
    """Settings of one encoder.

    Attributes
    ----------
    handling : Handling
        The run's, with this encoder's own put before.
    output : str, int or None
        Which of several outputs.
    samples : int or None
        The only length the model takes, in samples.
    time_axis : int or None
        Axis of time in a three-dimensional answer.
    rate_stated : bool
        Whether this encoder's own options state a sample rate.
    others : mapping
        Options that only some kinds know.
    """

    handling: Handling
    output: str | int | None = None
    samples: int | None = None
    time_axis: int | None = None
    rate_stated: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)

    def reading(self, **known: Any) -> Reading:
        """Return how answers are read, with what the kind knows of them."""
        handling = self.handling
        given: dict[str, Any] = {} if self.time_axis is None else {"time_axis": self.time_axis}
        return Reading(
            pool=handling.pool, layer=handling.layer, output=self.output, **{**known, **given}
        )


def read_options(
    options: Mapping[str, Any], handling: Handling, *, spec: str, others: tuple[str, ...] = ()
) -> Options:
    """Read an encoder's options.

    Parameters
    ----------
    options : mapping
        As given with ``--encoder-options``.
    handling : Handling
        The run's.
    spec : str
        For messages.
    others : tuple of str
        What this kind knows beside the common ones.

    Raises
    ------
    InputError
        If an option is unknown or has the wrong type.
    """
    known = (*HANDLING, *OWN, *others)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InputError(
            f"encoder '{spec}': unknown option '{unknown[0]}': {suggest(unknown[0], known)}"
        )
    for name in ("samples", "time_axis"):
        value = options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InputError(f"encoder '{spec}': option {name}={value!r}: must be an integer")
    samples = options.get("samples")
    if samples is not None and samples < 1:
        raise InputError(f"encoder '{spec}': option samples={samples}: must be > 0")
    own = {name: options[name] for name in HANDLING if name in options}
    return Options(
        handling=replace(handling, **own),
        output=options.get("output"),
        samples=samples,
        time_axis=options.get("time_axis"),
        rate_stated="sample_rate" in options,
        others={name: options[name] for name in others if name in options},
    )
