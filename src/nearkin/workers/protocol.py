"""What runs units, and what a unit is: ``unit(session, item)`` returns something small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Unit = Callable[[Any, Any], Any]
Done = Callable[[Any], bool]
"""Tells whether what a unit leaves of an item is there: another process may have made it."""
Lost = Callable[[Any, Any, str], None]
"""Notes, ``lost(session, item, reason)``, an item whose unit ends the process that runs it."""


class Workers(Protocol):
    """Something that runs units."""

    def map(
        self,
        unit: Unit,
        items: Iterable[Item],
        *,
        done: Done | None = None,
        lost: Lost | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in any order.

        Parameters
        ----------
        unit : callable
        items : iterable
        done : callable, optional
            For units that leave files: tells whether those of an item are there. Needed where
            several commands share the work.
        lost : callable, optional
            Takes the items whose units end their process again and again. Without it such a unit
            ends the work, and workers of this machine end it at the first such unit.
        """
        ...
