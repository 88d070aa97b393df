"""Every command line of the README and of every page is one that the command line understands."""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nearkin.cli import app
from nearkin.results.requirements import parse
from support.pages import DOCS
from support.places import ROOT

COMMANDS: dict[str, Any] = dict(typer.main.get_group(app).commands)
MADE = ("api", "commands", "transformations")
PAGES = [
    *(ROOT / "README.md", ROOT / "examples" / "ci" / "README.md"),
    *(page for page in sorted(DOCS.rglob("*.md")) if page.relative_to(DOCS).parts[0] not in MADE),
]


def lines(page: Path) -> list[list[str]]:
    """The nearkin commands of a page, in its blocks and in its text, as words."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```(?:bash|yaml|)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = [line for block in blocks for line in block.splitlines()]
    found += re.findall(r"`([^`]+)`", prose.replace("\n", " "))
    found = [part for line in found for part in line.split("&&")]
    return [shlex.split(line, comments=True) for line in found if is_command(line.strip())]


def is_command(line: str) -> bool:
    return line.startswith("nearkin ") and re.match(r"nearkin [a-z]+( |$)", line) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in lines(page):
        _, name, *rest = words
        assert name in COMMANDS, words
        options = {one for p in COMMANDS[name].params for one in p.opts} | {"--help"}
        for word in rest:
            assert not word.startswith("--") or word in options, words
        for option, value in itertools.pairwise(rest):
            if option == "--require":
                parse(value)


def test_the_readme_has_commands() -> None:
    assert {words[1] for words in lines(ROOT / "README.md")} >= {"demo", "run", "gate"}


def test_one_page_lists_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's index of commands names what --help names."""
    monkeypatch.syspath_prepend(str(DOCS))
    making = importlib.import_module("making.commands")
    making.write(tmp_path / "commands")
    index = (tmp_path / "commands" / "index.md").read_text("utf-8")
    assert set(re.findall(r"^\| \[`nearkin (\w+)`\]", index, re.MULTILINE)) == set(COMMANDS)
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(re.search(rf"\b{name}\b", shown) for name in COMMANDS)
