"""Where a run's encoders come from: SPECs, objects, and the options that go with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearkin.errors import InputError
from nearkin.runs.plan import EncoderChoice, Plan, make_plan


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from, so that every worker can make its own.

    Attributes
    ----------
    spec : object
        A SPEC string, or the encoder object or callable itself.
    options : mapping
        Keyword arguments for a class.
    role : str
        ``"tested"`` or ``"reference"``.
    """

    spec: Any
    options: Mapping[str, Any]
    role: str = "tested"


def make_sources(
    encoders: Sequence[Any], options: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> tuple[Plan, list[EncoderSource]]:
    """Build the plan and the encoders' sources from what a user gave.

    Raises
    ------
    InputError
        If encoders and options do not pair, or a setting is wrong.
    """
    if len(options) != len(encoders):
        raise InputError(
            f"{len(options)} encoder options for {len(encoders)} encoders: give one for each, in "
            "the same order"
        )
    choices = []
    for encoder, option in zip(encoders, options, strict=True):
        if isinstance(encoder, str):
            spec = encoder
        else:
            spec = f"object {getattr(encoder, '__name__', type(encoder).__name__)}"
        choices.append(EncoderChoice(spec=spec, options=json.dumps(dict(option), sort_keys=True)))
    plan = make_plan({**settings, "encoders": tuple(choices)})
    sources = [EncoderSource(e, dict(o)) for e, o in zip(encoders, options, strict=True)]
    return plan, sources
