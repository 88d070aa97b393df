"""A run told on a model's page: a block for its card, the metadata of a hub, a badge.

Tables in, text out. The metadata is the ``model-index`` that Hugging Face reads from the head of a
README: one result an assumption's number. The badge says at how many of the mildest changes
assumption (i) holds; its colour is the verdict's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results.badge import BAD, GOOD, badge_svg
from nearkin.results.crosstab import crosstab, render
from nearkin.results.systems import System, named, systems_of
from nearkin.results.verdicts import Verdict, verdict

COLOURS = {
    "holds": GOOD,
    "not settled": "#8a6d1a",
    "does not hold": BAD,
    "undefined": "#5f6670",
}
TASK = "feature-extraction"
METRIC = "nearest-original-rate"


def of_encoder(
    run: Mapping[str, Any], consistency: pd.DataFrame, encoder: str | None = None
) -> System:
    """Return the encoder a card is about: the named one, or the only one that was tested.

    Raises
    ------
    InputError
        If there is no such encoder, or none or several were tested and none is named.
    """
    systems = systems_of(run, consistency)
    if encoder is not None:
        match = named(encoder, systems, run)
        if len(match) == 1:
            return match[0]
        known = [one.label for one in systems]
        raise InputError(f"encoder '{encoder}': {suggest(encoder, known)}")
    tested = [one for one in systems if one.role == "tested"]
    if len(tested) != 1:
        names = ", ".join(one.label for one in tested or systems)
        raise InputError(
            f"{len(tested)} encoders were tested: a card is about one; pass --encoder ({names})"
        )
    return tested[0]


def card(
    consistency: pd.DataFrame,
    queries: pd.DataFrame,
    run: Mapping[str, Any],
    system: System,
    *,
    distance: str | None = None,
) -> str:
    """Return the block for a model card: YAML head, verdicts, table, how to read it.

    Parameters
    ----------
    consistency, queries : pandas.DataFrame
        The run's tables.
    run : mapping
        The run's record.
    system : System
        Whose card.
    distance : str, optional
        The latent distance of the numbers; cosine by default.

    Returns
    -------
    str
        Markdown that opens with a YAML block, as Hugging Face reads it.
    """
    found = verdict(consistency, queries, run, system.encoder, task=system.task)
    table = crosstab(consistency, run, distance=distance, encoders=[system.label])
    results = []
    cells = zip(table.labels, table.value[0], table.low[0], table.high[0], strict=True)
    name = f"{table.n} clips of recorded or given audio"
    for label, value, low, high in cells:
        if math.isnan(value):
            continue
        interval = "" if math.isnan(low) else f", 95 % interval {low:.3f} to {high:.3f}"
        results.append(
            {
                "task": {"type": TASK, "name": "Distance consistency (nearkin)"},
                "dataset": {"type": "audio", "name": name},
                "metrics": [
                    {
                        "type": METRIC,
                        "value": round(float(value), 4),
                        "name": f"C_W at {label}, {table.distance}{interval}",
                    }
                ],
            }
        )
    head = {
        "tags": ["music", "audio-embedding", "robustness"],
        "model-index": [{"name": system.label, "results": results}],
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=100)
    lines = [
        f"---\n{text}---",
        "",
        "## Does a changed clip stay with its original?",
        "",
        f"Tested with nearkin {run.get('nearkin', '')} on {table.n} clips: each was changed, and "
        "looked for among the originals.",
        "",
        f"- **A small change moves a clip very little**: {_told(found.near.line, found.near.word)}",
        "- **A more severe change moves it further**: "
        f"{_told(found.further.line, found.further.word)}",
        "",
        f"Share of changed clips nearest their own original (C_W, {table.distance} distance, 95 % "
        f"interval; chance is {1 / table.n:.3g}), at the mildest change of each kind:",
        "",
        render(table, "markdown").rstrip("\n"),
        "",
        "C_W falls as a collection grows: compare numbers of equal N only. Method: Kim, Urbano, "
        "Liem and Hanjalic (2019), doi:10.3389/fams.2019.00053.",
        "",
    ]
    return "\n".join(lines)


def badge(found: Verdict) -> str:
    """Return an SVG badge: at how many of the mildest changes assumption (i) holds."""
    places: dict[tuple[str, str], bool] = {}
    for number in found.near.numbers:
        place = number.code, number.side
        places[place] = places.get(place, True) and number.word == "holds"
    told = f"small changes: {sum(places.values())} of {len(places)} hold" if places else "undefined"
    title = f"{found.label}: {found.near.line or found.near.word}"
    return badge_svg(told, colour=COLOURS[found.near.word], title=title)


def _told(line: str, word: str) -> str:
    return f"{line}." if line else f"{word}."
