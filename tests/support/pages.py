"""Pages of the documentation as scripts: their blocks are written down and run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(page: str) -> dict[str, str]:
    """Return a page's sections by title."""
    text = (DOCS / page).read_text("utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0]: part for part in parts}


def run_blocks(text: str, folder: Path) -> None:
    """Run a section's blocks in a folder; all must end well.

    Skips where a package is missing that a comment ``needs: ...`` names.
    """
    for needed in re.findall(r"<!-- needs: (.*?) -->", text):
        for package in needed.split():
            pytest.importorskip(package)
    commands = []
    for language, code in BLOCK.findall(text):
        if language == "bash":
            commands += [shlex.split(line) for line in code.splitlines()]
        elif code.startswith("# file: "):
            name = code.splitlines()[0].removeprefix("# file: ")
            (folder / name).write_text(code)
        elif language == "python":
            commands.append(["python", "-c", code])
    assert commands
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    for words in commands:
        program = {"nearkin": [sys.executable, "-m", "nearkin"], "python": [sys.executable]}
        done = subprocess.run(
            [*program[words[0]], *words[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
