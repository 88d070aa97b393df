"""Progress: plain lines with the remaining time, bars on a terminal, silence on request."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ET

import pytest

from nearkin.bars import Clock, StageTable, fitting_bars
from nearkin.cli.bars import show
from nearkin.progress import duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    time = [0.0]
    for clock in ("nearkin.bars.time.monotonic", "rich.console.monotonic"):
        monkeypatch.setattr(clock, lambda: time[0])
    return time


def test_lines_begin_and_end_a_stage(monkeypatch: object) -> None:
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in range(0, 101):
            tell("queries", done, 100)
        tell("scores", 3, 9)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "clips transformed and compared: 0/100"
    assert lines[-2].startswith("clips transformed and compared: 100/100 in ")
    assert lines[-1] == "points scored: 3/9"
    assert len(lines) == 3, "what takes no time is not told a hundred times"


def test_lines_tell_what_remains(monkeypatch: object) -> None:
    import nearkin.bars

    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(nearkin.bars.time, "monotonic", lambda: next(clock))  # type: ignore[attr-defined]
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in range(4):
            tell("queries", done, 10)
    assert stream.getvalue().splitlines()[-1] == (
        "clips transformed and compared: 3/10, 2 min 20 s remaining"
    )


def test_lines_tell_no_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings side by side are asked every few seconds, also while they are scored."""
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("nearkin.bars.time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in (0, 0, 1, 1, 2, 2, 2):
            tell("steps", done, 2)
        tell("steps", 0, 2)  # another of the same name
    counts = [line.split()[1].rstrip(",") for line in stream.getvalue().splitlines()]
    assert counts == ["0/2", "1/2", "2/2", "0/2"]


def test_what_remains_is_told_by_the_speed_of_late() -> None:
    """660 units were there and pass in 10 s; each further one takes a second: 1 h 46 min alone."""
    clock = Clock(1, 7000, 0.0)
    told = [clock.said(660, 7000, 10.0)]
    told += [clock.said(650 + now, 7000, float(now)) for now in (40, 80, 130, 1000, 3600)]
    assert told[0] == "1 min 36 s remaining", "nobody knows yet that they were there"
    assert told[3:] == ["1 h 43 min remaining", "1 h 29 min remaining", "45 min 50 s remaining"]
    assert clock.said(7000, 7000, 6350.0) == "in 1 h 45 min"


def test_a_stage_that_stands_still_slows_down() -> None:
    """A unit every five seconds, then none for an hour: the last one took that long."""
    clock = Clock(0, 20, 0.0)
    for now in range(5, 60, 5):
        told = clock.said(now // 5, 20, float(now))
    assert told == "45 s remaining"
    assert clock.said(11, 20, 3650.0) == "9 h 0 min remaining"
    assert clock.said(12, 20, 3655.0) == "8 h 0 min remaining"


def test_stages_in_turns_are_told_no_oftener(now: list[float]) -> None:
    """A study tells its kind of step and the whole whenever one of them gets on."""
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in range(61):
            tell("steps", done, 60)
            tell("the study", done // 2, 30)
            now[0] += 1
    lines = stream.getvalue().splitlines()
    for stage, total in (("steps", 60), ("the study", 30)):
        counts = [line.split(": ")[1] for line in lines if line.startswith(stage)]
        assert counts[0] == f"0/{total}"
        assert counts[-1].startswith(f"{total}/{total} in ")
        assert len(counts) == len(set(counts)) <= 8


def test_stages_in_turns_keep_their_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study tells how far the whole is whenever a training ends."""
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("nearkin.bars.time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in range(0, 4):
            tell("steps", 100 * done, 400)
            tell("the study", done, 4)
    assert stream.getvalue().splitlines()[-2:] == [
        "steps: 300/400, 40 s remaining",
        "the study: 3/4, 40 s remaining",
    ]


def test_a_stage_of_the_same_name_has_a_clock_of_its_own() -> None:
    """Recordings of one corpus are decoded, then of the next."""
    clock = Clock(1, 901, 0.0)
    for done, now in ((301, 30.0), (901, 90.0)):
        told = clock.said(done, 901, now)
    assert told == "in 1 min 30 s"
    assert clock.said(901, 901, 95.0) == "in 1 min 35 s", "told again, it is the same stage"
    assert clock.said(0, 2000, 90.0) == ""
    assert clock.said(100, 2000, 110.0) == "6 min 20 s remaining"
    assert clock.said(2000, 2000, 490.0) == "in 6 min 40 s"


def test_a_stage_of_the_same_name_may_begin_further_on(now: list[float]) -> None:
    """A small corpus is decoded, then a larger one of which an earlier command did the most."""
    stream = io.StringIO()
    with show(quiet=False, stream=stream) as tell:
        for done in range(301):
            now[0] += 1
            tell("queries", done, 300)
        for done in range(700, 2001):
            now[0] += 1
            tell("queries", done, 2000)
    counts = [line.split(": ")[1] for line in stream.getvalue().splitlines()]
    ended = counts.index("300/300 in 5 min 0 s")
    assert counts[ended + 1 : ended + 3] == ["700/2000", "710/2000, 21 min 30 s remaining"]
    assert counts[-1] == "2000/2000 in 21 min 40 s"


@pytest.mark.parametrize("counts", [[(0, 2), (2, 2), (1, 2)], [(0, 2), (2, 2), (3, 5)]])
def test_a_bar_of_the_same_name_begins_anew(
    counts: list[tuple[int, int]], now: list[float]
) -> None:
    stream = Terminal()
    with show(quiet=False, stream=stream) as tell:
        for done, total in counts:
            now[0] += 100.0
            tell("queries", done, total)
        now[0] += 3.0
    assert "0:00:03" in stream.getvalue(), "the time since the second began"
    assert "0:03:2" not in stream.getvalue()


def test_bars_on_a_terminal() -> None:
    stream = Terminal()
    with show(quiet=False, stream=stream) as tell:
        tell("queries", 0, 2)
        tell("queries", 2, 2)
    assert "clips transformed and compared" in stream.getvalue()
    assert "2/2" in stream.getvalue()


def test_quiet() -> None:
    stream = Terminal()
    with show(quiet=True, stream=stream) as tell:
        tell("queries", 0, 2)
    assert stream.getvalue() == ""


def test_a_notebook_s_table_has_a_row_a_stage() -> None:
    table = StageTable()
    assert table.html() == "<table></table>"
    for now in range(5):
        table.put("queries", now, 10, float(now))
    table.put("<b>", 3, 3, 9.0)
    root = ET.fromstring(table.html())
    cells = [[cell.text for cell in row.iter("td")] for row in root.iter("tr")]
    assert cells[0] == ["clips transformed and compared", None, "4/10", "6 s remaining"]
    assert cells[1][0] == "<b>"
    bars = [dict(bar.attrib) for bar in root.iter("progress")]
    assert [(bar["value"], bar["max"]) for bar in bars] == [("4", "10"), ("3", "3")]


def test_python_shows_bars_on_a_terminal_and_nothing_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with fitting_bars() as tell:
            tell("queries", 2, 2)
        assert ("2/2" in stream.getvalue()) == shown


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 59, 61, 3600, 86_399)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h 0 min",
        "23 h 59 min",
    ]
