"""Files of any name on the command line: bytes that are no UTF-8, escapes, JavaScript's words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearkin
from conftest import write_tunes
from nearkin.cli.summary import summary
from support.commands import command, refused

CODE = (
    "import numpy as np\ndef f(audio, sample_rate):\n    return np.abs(np.fft.rfft(audio[:256]))\n"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    write_tunes(folder / "music", 3)
    (folder / "g.yaml").write_text("{PN: [0, 30]}")
    return folder


def words(place: Path, *encoders: str, out: str) -> list[str]:
    chosen = [word for name in encoders for word in ("--encoder", f"{place}/{name}.py:f")]
    more = ["--grid", str(place / "g.yaml"), "--workers", "1", "--out", out]
    return ["run", str(place / "music"), *chosen, *more]


def test_a_run_with_names_of_every_kind_ends_in_a_report(place: Path) -> None:
    names = ["constructor", "esc\x1b[31m", "line\u2028break"]
    for name in names:
        (place / f"{name}.py").write_text(CODE)
    out = os.fsdecode(os.fsencode(place) + b"/out\xff")
    done = command(*words(place, *names, out=out))
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert "\x1b" not in done.stdout + done.stderr
    assert r"esc\x1b[31m:f" in done.stdout
    assert r"out\xff/report.html" in done.stdout
    result = nearkin.load(out)
    assert {f"{name}:f" for name in names} <= set(result.consistency["encoder"])
    page = (result.path / "report.html").read_text("utf-8")
    assert r"esc\x1b[31m:f" in page
    assert command("report", out).exit_code == 0


def test_a_name_that_no_table_can_hold_is_refused(place: Path) -> None:
    path = os.fsencode(place) + b"/enc\xff.py"
    Path(os.fsdecode(path)).write_text(CODE)
    sentence = refused(*words(place, "enc\udcff", out=str(place / "other")))
    assert r"enc\xff.py:f': is no UTF-8" in sentence
    assert not (place / "other").exists()


def test_a_line_break_in_an_encoders_name_breaks_no_line(place: Path) -> None:
    class Named:
        encoder_name = "two\nlines"
        sample_rate = 22_050
        embedding_size = 8

        def embed(self, audio: Any) -> Any:
            return np.abs(np.fft.rfft(audio))[:, :8]

    result = nearkin.evaluate(
        Named(), place / "music", grid=str(place / "g.yaml"), references="untrained", progress=False
    )
    said = summary(result)
    assert not any("\n" in line for line in [*said.lines(), said.result()])
    assert any(line.startswith("two\\nlines ") for line in said.lines())
    assert said.encoders[0]["name"] == "two\nlines"
