"""Names to objects: tables of ``"module:attribute"`` strings, imported only on use.

Listing a table imports, builds and downloads nothing; a name that is not in it ends in one
sentence that suggests the nearest names.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from nearkin.errors import InputError


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a near miss, else what is known.

    Examples
    --------
    >>> suggest("mfc", ["mfcc", "random"])
    "did you mean 'mfcc'?"
    >>> suggest("zzz", ["mfcc", "random"])
    'known: mfcc, random'
    """
    names = sorted(known)
    lowered = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{lowered[close[0]]}'?"
    return "known: " + ", ".join(names)


def lookup(table: Mapping[str, str], name: str, *, kind: str) -> Any:
    """Import and return the object a table names.

    Parameters
    ----------
    table : Mapping of str to str
        Names to ``"module:attribute"``.
    name : str
        The name asked for.
    kind : str
        What the table holds, for the error ("transformation").

    Raises
    ------
    InputError
        If the table does not know the name.
    """
    if name not in table:
        raise InputError(f"unknown {kind} '{name}': {suggest(name, table)}")
    return load(table[name])


def load(path: str) -> Any:
    """Import ``"package.module:attribute"`` and return the attribute."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
