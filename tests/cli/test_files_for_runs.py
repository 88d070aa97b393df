"""A file where a run's folder is asked for is told as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import refused


@pytest.mark.parametrize("words", [("report",), ("gate", "--require", "C_W>=0"), ("analyze",)])
def test_a_file_of_a_run_is_no_run(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text("{}")
    said = refused(words[0], str(file), *words[1:])
    assert f"{file}: is a file; name the folder in which run.json lies" in said
