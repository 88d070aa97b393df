"""The page from equations to tests: every function and every test that it names is there."""

from __future__ import annotations

import ast
import importlib
import re
from typing import Any

import pytest

from nearkin.tables import MEASURES
from support.pages import DOCS, sections
from support.places import ROOT

TEXT = (DOCS / "equations.md").read_text("utf-8")
FUNCTIONS = sorted(set(re.findall(r"`(nearkin\.[\w.]+)`", TEXT)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/.]+::\w+)`", TEXT)))


def found(path: str) -> Any:
    """Take a dotted path as attributes of its shortest module that has them."""
    parts = path.split(".")
    for n in range(1, len(parts)):
        thing: Any = importlib.import_module(".".join(parts[:n]))
        try:
            for name in parts[n:]:
                thing = getattr(thing, name)
        except AttributeError:
            continue
        if callable(thing):
            return thing
    raise AssertionError(path)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_is_there(path: str) -> None:
    assert callable(found(path))


@pytest.mark.parametrize("name", TESTS)
def test_a_test_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    body = ast.parse((ROOT / file).read_text("utf-8")).body
    assert function in {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_every_row_has_both_and_every_measure_a_row() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what ")]
    assert len(rows) > 30
    for row in rows:
        assert row.count("|") == 5, row
        assert "`nearkin." in row, row
        assert "`tests/" in row, row
    for measure in MEASURES:
        assert measure in sections("equations.md")["The measures"]
