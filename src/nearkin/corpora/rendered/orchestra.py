"""Who can play: families of General MIDI programs, with the pitches they sound natural at."""

from __future__ import annotations

from typing import NamedTuple

from nearkin.corpora.irmas import INSTRUMENTS


class Family(NamedTuple):
    """Programs that a listener would call by one name.

    Attributes
    ----------
    programs : tuple of int
        General MIDI, from 0.
    low, high : int
        The pitches it plays here, in MIDI numbers.
    sustains : bool
        Whether a note sounds for as long as it is held.
    vibrato_cents : float
        How far it is given to vibrate (most samples carry a vibrato of their own).
    """

    programs: tuple[int, ...]
    low: int
    high: int
    sustains: bool = True
    vibrato_cents: float = 0.0


FAMILIES = {
    "piano": Family((0, 1, 2, 3), 36, 96, sustains=False),
    "electric piano": Family((4, 5), 40, 91, sustains=False),
    "harpsichord": Family((6,), 41, 89, sustains=False),
    "mallets": Family((11, 12, 13), 53, 96, sustains=False),
    "organ": Family((16, 17, 18, 19, 20), 36, 91),
    "accordion": Family((21, 23), 48, 91),
    "acoustic guitar": Family((24, 25), 40, 84, sustains=False),
    "electric guitar": Family((26, 27, 28), 40, 84, sustains=False),
    "distorted guitar": Family((29, 30), 40, 81),
    "bass": Family((32, 33, 34, 35), 28, 55, sustains=False),
    "violin": Family((40, 110), 55, 96, vibrato_cents=12.0),
    "cello": Family((42,), 36, 74, vibrato_cents=12.0),
    "string ensemble": Family((48, 49), 36, 91),
    "harp": Family((46,), 36, 93, sustains=False),
    "choir": Family((52, 53, 54), 43, 81, vibrato_cents=30.0),
    "trumpet": Family((56, 59), 54, 84, vibrato_cents=8.0),
    "saxophone": Family((64, 65, 66, 67), 46, 83, vibrato_cents=12.0),
    "clarinet": Family((71,), 50, 89),
    "flute": Family((73,), 60, 96, vibrato_cents=12.0),
}
"""The families, which are tags, too."""

SAXOPHONES = {64: (56, 87), 65: (49, 81), 66: (44, 76), 67: (37, 69)}
"""Soprano, alto, tenor and baritone: each has its own compass."""

CLASSES = {name: FAMILIES[{"voice": "choir"}.get(name, name)] for name in INSTRUMENTS} | {
    "electric guitar": Family((26, 27, 28, 29, 30), 40, 84, sustains=False)
}
"""What the eleven classes of predominant instruments are played by."""

KINDRED = {
    "cello": {"cello", "violin", "string ensemble"},
    "violin": {"cello", "violin", "string ensemble"},
    "piano": {"piano", "electric piano"},
    "electric guitar": {"electric guitar", "distorted guitar"},
    "voice": {"choir"},
    "organ": {"organ", "accordion"},
}
"""Families that could be mistaken for a class: they do not accompany it."""


def kindred(instrument: str) -> set[str]:
    """Return the families that do not accompany an instrument, its own among them."""
    return KINDRED.get(instrument, {instrument})


def compass(family: Family, program: int) -> tuple[int, int]:
    """Return the lowest and highest pitch of a program."""
    return SAXOPHONES.get(program, (family.low, family.high))
