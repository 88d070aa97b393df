"""The eleven classes of predominant instruments: in words, and by the codes of IRMAS's folders."""

from __future__ import annotations

IRMAS_CODES = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
"""IRMAS's folder names, and the classes they stand for."""

INSTRUMENTS = tuple(IRMAS_CODES.values())
"""The classes, in IRMAS's order."""
