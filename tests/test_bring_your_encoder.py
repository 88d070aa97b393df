"""Every example of the page "Bring your encoder" is written down, run, and must end well."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import write_tunes

PAGE = Path(__file__).parent.parent / "docs" / "bring-your-encoder.md"
SECTIONS = {
    part.splitlines()[0]: part
    for part in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
}
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("title", [t for t, text in SECTIONS.items() if BLOCK.search(text)])
def test_the_example(title: str, tmp_path: Path) -> None:
    text = SECTIONS[title]
    for needed in re.findall(r"<!-- needs: (.*?) -->", text):
        for package in needed.split():
            pytest.importorskip(package)
    write_tunes(tmp_path / "music", 3)
    commands = []
    for language, code in BLOCK.findall(text):
        if language == "bash":
            commands += [shlex.split(line) for line in code.splitlines()]
        elif code.startswith("# file: "):
            name = code.splitlines()[0].removeprefix("# file: ")
            (tmp_path / name).write_text(code)
        else:
            commands.append(["python", "-c", code])
    assert commands
    for words in commands:
        program = {"nearkin": [sys.executable, "-m", "nearkin"], "python": [sys.executable]}
        done = subprocess.run(
            [*program[words[0]], *words[1:]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)


def test_every_kind_has_an_example() -> None:
    assert {"A function", "An object or class", "A HEAR submission", "An X-ARES encoder", "ONNX",
            "TorchScript", "Hugging Face"} < set(SECTIONS)  # fmt: skip
