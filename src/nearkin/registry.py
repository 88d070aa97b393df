"""Names to objects: tables of ``"module:attribute"`` strings, imported only on use.

Listing a table imports, builds and downloads nothing; a name that is not in it ends in one
sentence that suggests the nearest names.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

from nearkin.errors import InputError


class Table(Mapping[str, str]):
    """Built-in names, and after them those that installed packages register as entry points.

    Entry points are looked for at the first use, once; none is imported before it is asked for. A
    built-in name cannot be taken by a package.

    Parameters
    ----------
    built_in : mapping of str to str
        Names to ``"module:attribute"``.
    group : str
        The entry points' group, ``"nearkin.transformations"`` for instance.
    """

    def __init__(self, built_in: Mapping[str, str], *, group: str) -> None:
        self.built_in = dict(built_in)
        self.group = group

    def __getitem__(self, name: str) -> str:
        return self.built_in[name] if name in self.built_in else self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Table({dict(self)!r}, group={self.group!r})"

    def provider(self, name: str) -> str:
        """Return the package and version that registers a name; empty for a built-in one."""
        return self._providers.get(name, "")

    @functools.cached_property
    def _points(self) -> dict[str, metadata.EntryPoint]:
        found = sorted(metadata.entry_points(group=self.group), key=lambda point: point.name)
        return {point.name: point for point in found if point.name not in self.built_in}

    @functools.cached_property
    def _rows(self) -> dict[str, str]:
        added = {name: f"{point.module}:{point.attr}" for name, point in self._points.items()}
        return {**self.built_in, **added}

    @functools.cached_property
    def _providers(self) -> dict[str, str]:
        return {
            name: f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            for name, point in self._points.items()
        }


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
        If the table does not know the name, or an installed package's cannot be imported.
    """
    if name not in table:
        raise InputError(f"unknown {kind} '{name}': {suggest(name, table)}")
    provider = table.provider(name) if isinstance(table, Table) else ""
    if not provider:
        return load(table[name])
    try:
        return load(table[name])
    except (Exception, SystemExit) as error:  # the border to foreign code: anything may come
        raise InputError(
            f"{kind} '{name}' of {provider}: {table[name]} cannot be imported "
            f"({type(error).__name__}: {error}); mend or remove that package"
        ) from error


def load(path: str) -> Any:
    """Import ``"package.module:attribute"`` and return the attribute."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
