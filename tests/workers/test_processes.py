"""Several processes of this machine keep what a session made for all of their units."""

from __future__ import annotations

from pathlib import Path

from nearkin.workers import open_workers
from support.units import Toy, keeps_much


def test_a_worker_that_keeps_much_for_later_units_is_not_replaced(tmp_path: Path) -> None:
    with open_workers(Toy(tmp_path), workers=2) as pool:
        assert len({process for _, process in pool.map(keeps_much, range(8))}) == 2
