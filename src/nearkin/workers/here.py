"""Units in this process, one after the other, with one BLAS thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nearkin.workers.protocol import Done, Item, Lost, Unit


class Here:
    """Runs units in this process."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def map(
        self,
        unit: Unit,
        items: Iterable[Item],
        *,
        done: Done | None = None,
        lost: Lost | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in order."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            for item in items:
                yield item, unit(self._session, item)
