"""What runs units, and what a unit is: ``unit(session, item)`` returns something small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Unit = Callable[[Any, Any], Any]


class Workers(Protocol):
    """Something that runs units."""

    def map(self, unit: Unit, items: Iterable[Item]) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in any order."""
        ...
