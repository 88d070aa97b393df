"""Python on pages: every block is Python, and every name it takes from nearkin is there.

Pages whose blocks are scripts are run by the test of that page; what is left here needs a cluster,
or the study's own folder.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import nearkin
from nearkin.maps.files import NUMPY
from support.pages import DOCS, sections
from support.places import ROOT

BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
BLOCKS = [
    pytest.param(inspect.cleandoc("\n" + code), id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    if page.relative_to(ROOT).parts[:2] != ("docs", "api")
    for number, code in enumerate(BLOCK.findall(page.read_text("utf-8")))
]


def imported(tree: ast.Module) -> list[tuple[str, str]]:
    """The module and name of everything that a block takes from nearkin."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nearkin":
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "nearkin":
            found.append(("nearkin", node.attr))
    return found


def test_blocks_are_found() -> None:
    assert len(BLOCKS) > 25


@pytest.mark.parametrize("code", BLOCKS)
def test_names_exist_and_calls_name_what_there_is(code: str) -> None:
    tree = ast.parse(code)
    for module, name in imported(tree):
        try:
            home: Any = importlib.import_module(module)
        except ImportError as error:
            if (error.name or "").split(".")[0] == "nearkin":
                raise
            pytest.skip(f"needs {error.name}")
        if not hasattr(home, name):
            importlib.import_module(f"{module}.{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("nearkin."):
            parameters = inspect.signature(_of(ast.unparse(node.func))).parameters.values()
            known = {one.name for one in parameters}
            if all(one.kind is not one.VAR_KEYWORD for one in parameters):
                assert {word.arg for word in node.keywords if word.arg} <= known, known


def _of(dotted: str) -> Any:
    found: Any = nearkin
    for name in dotted.split(".")[1:]:
        found = getattr(found, name)
    return found


def test_the_lines_that_apply_a_map_are_those_the_command_tells() -> None:
    (code,) = BLOCK.findall((DOCS / "repair.md").read_text("utf-8"))
    assert [line for line in code.splitlines() if line] == NUMPY.format(
        name=Path("map.safetensors")
    ).splitlines()


def test_the_columns_of_the_claims_are_those_the_page_names() -> None:
    from nearkin.study import claims

    text = next(part for part in sections("reproduce.md").values() if "decide(" in part)
    (code,) = BLOCK.findall(text)
    named = ast.literal_eval(re.findall(r"\[(\[.*?\])\]", code)[0])
    assert set(named) <= set(re.findall(r"\w+", inspect.getsource(claims.decide)))
