"""The command line called in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nearkin.cli import app


def command(*arguments: str | Path) -> Any:
    """Run a command; a run without the trained references, where it says nothing of them."""
    words = [str(argument) for argument in arguments]
    if words[0] == "run" and "--references" not in words:
        words += ["--references", "untrained"]
    return CliRunner().invoke(app, words)


def refused(*arguments: str | Path) -> str:
    """Run what must be refused; return its one sentence."""
    done = command(*arguments)
    assert done.exit_code == 2, (done.stdout, done.stderr, done.exception)
    sentences = [line for line in done.stderr.splitlines() if line.startswith("nearkin: ")]
    assert len(sentences) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return sentences[0]
