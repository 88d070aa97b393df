"""The worst case on the page: a table for every attacked encoder, and clips led astray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nearkin.report.data import ReportData
from nearkin.report.listings import (
    Failure,
    FailureGroup,
    Player,
    clip_names,
    players_of,
)
from nearkin.results.attacks import WorstCase, worst_cases
from nearkin.results.systems import System

SOUND_BUDGET = 3_000_000
"""Bytes of base64 that the players of this section may take."""


@dataclass(frozen=True)
class WorstBlock:
    """One encoder: what is said of it, its table, and clips to listen to (empty: none)."""

    case: WorstCase
    heard: FailureGroup


def worst_blocks(data: ReportData) -> list[WorstBlock]:
    """Return the worst case of every attacked encoder, in the order of the table."""
    names = clip_names(data)
    spent = 0
    blocks = []
    for case in worst_cases(data.attack_scores):
        failures: list[Failure] = []
        sounds = [] if data.attack_sounds is None else data.attack_sounds.to_dict("records")
        for one in sounds:
            row = {str(column): value for column, value in one.items()}
            name = System(str(row["encoder"]), str(row["task"] or ""), "tested").label
            if case.label not in (name, f"{name}, trial {row['trial']}"):
                continue
            found, size = players_of(row, names, data.audio, SOUND_BUDGET - spent)
            spent += size
            failures.append(Failure(_sentence(row, names), "", tuple(map(_named, found))))
        heard = FailureGroup(case.label, False, tuple(failures), len(failures))
        blocks.append(WorstBlock(case, heard))
    return blocks


def _named(player: Player) -> Player:
    role = "attacked clip" if player.role == "transformed clip" else player.role
    return Player(role, player.name, player.source)


def _sentence(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    taken = names.get(str(row["nearest_id"]), str(row["nearest_id"]))
    least = f"A change {row['magnitude']:g} dB below the clip"
    return f"{least} makes the embedding take it for “{taken}”."
