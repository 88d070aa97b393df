"""What packages of others do in a run: exit, raise, or are not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nearkin.errors import ExtraError
from nearkin.performance import perform
from nearkin.performance.run import make_performance_plan
from nearkin.runs import queries
from nearkin.transforms import TRANSFORMATIONS
from support.runs import small_run


class Exits:
    """A transformation of another package that ends the program, or raises."""

    loudness = "matched"
    moves_time = of_every_part = False

    def __init__(self, error: BaseException, *, at_once: bool) -> None:
        self.error = error
        self.at_once = at_once

    def spare(self, n: int, *, heard: int, sr: int) -> int:
        if self.at_once:
            raise self.error
        return 0

    def apply(self, y: Any, *, sr: int, rng: Any = None) -> Any:
        raise self.error


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit("bye"), "MP 64 raised SystemExit: it calls exit('bye')"),
        (SystemExit(), "MP 64 raised SystemExit: it calls exit()"),
        (RuntimeError("no model"), "MP 64 raised RuntimeError: no model"),
        (KeyError("x"), "MP 64 raised KeyError: 'x'"),
    ],
)
def test_a_plug_in_that_fails_costs_its_queries(
    error: BaseException,
    told: str,
    at_once: bool,
    tmp_path: Path,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = queries.transformation_at
    monkeypatch.setattr(
        queries,
        "transformation_at",
        lambda plan, point, **more: (
            Exits(error, at_once=at_once) if point.code == "MP" else made(plan, point, **more)
        ),
    )
    monkeypatch.setattr(
        type(TRANSFORMATIONS), "provider", lambda self, name: "other 1" if name == "MP" else ""
    )
    small_run(music, tmp_path / "run")
    table = pd.read_parquet(tmp_path / "run" / "queries.parquet")
    lost = table[table["transformation"] == "MP"]
    assert len(lost)
    assert lost["status"].str.startswith(told).all()
    kept = table[(table["transformation"] == "PN") & (table["encoder"] == "audio")]
    assert (kept["status"] == "ok").all()


def test_a_missing_engine_is_said_once_before_the_run(
    tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pedalboard", None)
    (tmp_path / "g.yaml").write_text("{TS: [1.1]}")
    settings = {"grid": str(tmp_path / "g.yaml"), "engine": "rubberband"}
    with pytest.raises(ExtraError, match=r"pip install 'nearkin\[rubberband\]'"):
        small_run(music, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ExtraError, match="pedalboard"):
        perform([], [], tmp_path / "run", plan=make_performance_plan(settings))
    small_run(music, tmp_path / "run", engine="rubberband")  # no TS, no PS: not needed
