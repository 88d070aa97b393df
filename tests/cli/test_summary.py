"""What a run says at its end: of a grid with one magnitude of each kind, no more than it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import nearkin
from nearkin.cli.summary import summary


@pytest.mark.parametrize(
    ("grid", "severe"), [("{PN: [30], PS: [-1, 1]}", False), ("{PN: [30, 0], PS: [1]}", True)]
)
def test_severe_changes_are_told_where_there_are_some(
    grid: str, severe: bool, tmp_path: Path, music: Path
) -> None:
    """The same numbers stood twice, as C_W mild and C_W severe, and growth had "no such rows"."""
    (tmp_path / "g.yaml").write_text(grid)
    result = nearkin.evaluate(["mfcc"], music, grid=str(tmp_path / "g.yaml"), out=tmp_path / "run")
    head, columns, row, _, growth = summary(result).lines()[:5]
    assert ("C_W severe" in columns) == severe
    assert ("of the most severe changes" in head) == severe
    assert len(row.split()) == (7 if severe else 4)
    assert ("it takes two magnitudes of one kind of change" in growth) != severe
    page = result.report(sounds="none").read_text("utf-8")
    assert ("<h3>The most severe changes</h3>" in page) == severe
    assert ('">The mildest changes</a>' in page) != severe
