"""Python on pages that go deeper: what can run is run, what needs a cluster names what exists."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from conftest import write_tunes
from support.pages import DOCS, run_blocks, sections

PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["perception.md", "trajectories.md", "adversarial.md"])
def test_the_block_runs(page: str, tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 3)
    run_blocks(sections(page)["From Python"], tmp_path)


def blocks() -> list[tuple[str, str]]:
    pages = sorted(DOCS.glob("*.md"))
    return [(page.name, code) for page in pages for code in PYTHON.findall(page.read_text("utf-8"))]


def imported(tree: ast.AST) -> dict[str, object]:
    """What a block imports of nearkin's, by the name that it is called there."""
    found: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nearkin":
            module = importlib.import_module(node.module or "")
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{module.__name__}.{name.name}")
                found[name.asname or name.name] = getattr(module, name.name)
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "nearkin":
                    found["nearkin"] = importlib.import_module("nearkin")
    return found


def called(node: ast.expr, names: dict[str, object]) -> object | None:
    """What `nearkin.evaluate` or an imported name stands for; None where it is not nearkin's."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = called(node.value, names)
        return None if owner is None else getattr(owner, node.attr)
    return None


@pytest.mark.parametrize("number", range(len(blocks())))
def test_every_block_names_what_exists(number: int) -> None:
    page, code = blocks()[number]
    tree = ast.parse(code)
    names = imported(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        target = called(node.func, names)
        if target is None or not callable(target):
            continue
        if isinstance(target, type) and issubclass(target, BaseException):
            continue  # has no signature
        known = inspect.signature(target).parameters.values()
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known):
            continue
        asked = {one.arg for one in node.keywords if one.arg}
        assert asked <= {one.name for one in known}, (page, ast.unparse(node))


def test_blocks_are_found() -> None:
    assert {page for page, _ in blocks()} > {"cluster.md", "repair.md", "reproduce.md"}
