"""Where a run's encoders come from: SPECs, objects, and the options that go with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearkin.corpora.recordings import Recording
from nearkin.encoders import ResolvedEncoder, resolve_all
from nearkin.encoders.resolve import ALIASES, ENCODERS
from nearkin.errors import InputError
from nearkin.runs.plan import EncoderChoice, Plan, make_plan

RESERVED = ("audio",)
"""Names that stand for something else in the tables' column `encoder`."""


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

    def files(self) -> list[Path]:
        """Return the files and folders that the SPEC and its options name, as far as there are."""
        texts = [self.spec] if isinstance(self.spec, str) and self.role == "tested" else []
        if texts and (self.spec in ENCODERS or self.spec in ALIASES):
            texts = []
        texts += [value for value in self.options.values() if isinstance(value, str)]
        parts = []
        for text in texts:
            named = text.partition(":")[2]
            parts += [text, named, named.partition("+")[0]]
            parts += [text.rpartition(":")[0], text.rpartition("@")[2]]
        # os.path takes any text for a path; Path.exists raises for some
        return [Path(part) for part in dict.fromkeys(parts) if part and os.path.exists(part)]  # noqa: PTH110


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


def resolve_sources(plan: Plan, sources: Sequence[EncoderSource]) -> tuple[ResolvedEncoder, ...]:
    """Make the encoders of a run, with labels that no two share.

    Raises
    ------
    InputError
        If one cannot be had, or takes the name of the audio space.
    """
    resolved: list[ResolvedEncoder] = []
    for source in sources:
        tested = {(one.name, one.task) for one in resolved if one.role == "tested"}
        for encoder in resolve_all(
            source.spec, options=source.options, **plan.handling(source.role)
        ):
            if encoder.name.strip().casefold() in RESERVED:
                raise InputError(
                    f"encoder '{encoder.name}': the tables call the audio space so; give it "
                    "another name (encoder_name of the object, --name, or the file's)"
                )
            if source.role == "tested":
                resolved.append(encoder)
            elif (encoder.name, encoder.task) not in tested:
                # a user's own trials of a trained reference take its place
                resolved.append(encoder.as_reference())
    return tuple(_distinct(resolved))


def refuse_shared_ids(plan: Plan, recordings: Sequence[Recording]) -> None:
    """Refuse names of recordings that the clips of another one would bear.

    Raises
    ------
    InputError
        For instance for ``a`` and ``a#1``, where several clips are taken of a file.
    """
    names = {recording.name for recording in recordings}
    for name in sorted(names):
        whole, mark, number = name.rpartition("#")
        several = plan.excerpts_per_file > 1 and mark and number.isdecimal()
        if several and whole in names and int(number) <= plan.excerpts_per_file:
            raise InputError(
                f"recordings '{whole}' and '{name}': a clip of the first would be called as the "
                "second; rename one, or take one clip of a file (--excerpts-per-file 1)"
            )


def _distinct(encoders: Sequence[ResolvedEncoder]) -> list[ResolvedEncoder]:
    """Number the names of encoders that would otherwise share a label."""
    taken: set[str] = set()
    distinct = []
    for encoder in encoders:
        new, number = encoder, 1
        while new.label in taken:
            number += 1
            new = replace(encoder, name=f"{encoder.name}~{number}")
        taken.add(new.label)
        distinct.append(new)
    return distinct
