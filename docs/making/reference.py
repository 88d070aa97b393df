"""The API's pages: every public name of every public package, from its docstring."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
from pathlib import Path
from typing import Any

PACKAGES = {
    "nearkin": "The whole engine in a few names.",
    "nearkin.transforms": "Changes of sound.",
    "nearkin.distances": "Distances between signals, and between vectors.",
    "nearkin.consistency": "The measures, from distance matrices.",
    "nearkin.statistics": "Bootstrap, the additive model, marginal means.",
    "nearkin.encoders": "From a SPEC to an encoder.",
    "nearkin.audio": "Files and signals.",
}
"""Public packages, and what each is."""


def write(folder: Path) -> None:
    """Write a page a package, and the index."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    places: dict[int, str] = {}
    for name in PACKAGES:
        (folder / f"{name}.md").write_text(_page(name, places), "utf-8")
    rows = [f"| [{name}]({name}.md) | {what} |" for name, what in PACKAGES.items()]
    lines = [
        *("# Python reference", ""),
        "What `import nearkin` gives. Names that are not here may change without notice.",
        *("", "| package | |", "|---|---|", *rows, ""),
        *("```{toctree}", ":hidden:", "", *PACKAGES, "```", ""),
    ]
    (folder / "index.md").write_text("\n".join(lines), "utf-8")


def _page(name: str, places: dict[int, str]) -> str:
    """Return a package's page; `places` says what stands on a page already, and is added to."""
    package = importlib.import_module(name)
    lines = [f"# {name}", "", "```{eval-rst}"]
    lines += [f".. automodule:: {name}", "   :no-members:", ""]
    again: list[str] = []
    public = [one for one in package.__all__ if not one.startswith("__")]
    for one in sorted(public, key=lambda one: (not _documented(getattr(package, one)), one)):
        thing = getattr(package, one)
        first = places.setdefault(id(thing), f"{name}.{one}") if _documented(thing) else ""
        if first not in ("", f"{name}.{one}"):
            again.append(f":py:obj:`{first}`")
        elif inspect.isclass(thing) and issubclass(thing, BaseException):
            lines += [f".. autoexception:: {name}.{one}", ""]
        elif inspect.isclass(thing):
            lines += [f".. autoclass:: {name}.{one}", ""]
        elif callable(thing):
            lines += [f".. autofunction:: {name}.{one}", ""]
        else:
            lines += [f".. py:data:: {name}.{one}", ""]
            lines += [f"   {line}".rstrip() for line in _said(package, one).splitlines()] + [""]
    if again:
        lines += ["Also here: " + ", ".join(again) + ".", ""]
    return "\n".join([*lines, "```", ""])


def _documented(thing: Any) -> bool:
    return inspect.isclass(thing) or callable(thing)


def _said(package: Any, name: str) -> str:
    """Return the text under an assignment, wherever in the package it stands."""
    for path in sorted(Path(package.__file__).parent.glob("*.py")):
        body = ast.parse(path.read_text("utf-8")).body
        for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            if not any(isinstance(one, ast.Name) and one.id == name for one in targets):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return inspect.cleandoc(str(after.value.value))
    return ""
