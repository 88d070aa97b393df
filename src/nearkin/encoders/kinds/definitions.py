"""What a Python file defines at its top, read from its text: nothing of it is run.

So that a SPEC which names a file, but not what in it is the encoder, is answered before the file's
imports (torch, weights) cost minutes, or its code does what nobody asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SHOWN = 8
"""Names that a sentence lists."""
WHOLE = (("load_model", "get_scene_embeddings"), ("embed", "sample_rate", "embedding_size"))
"""What a module has that is an encoder by itself: HEAR's names, or nearkin's."""


class Definitions(NamedTuple):
    """Names that a file binds when it is run.

    Attributes
    ----------
    functions, classes, values : tuple of str
        Defined in it under a public name, in their order; imported ones are not among them.
    is_whole : bool
        Whether the module by itself may be an encoder; also where that cannot be known.
    """

    functions: tuple[str, ...]
    classes: tuple[str, ...]
    values: tuple[str, ...]
    is_whole: bool


def definitions(path: Path) -> Definitions | None:
    """Read what a file defines; None where it is no Python that can be read.

    Examples
    --------
    >>> definitions(Path("nowhere.py")) is None
    True
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    functions: list[str] = []
    classes: list[str] = []
    values: list[str] = []
    imported: set[str] = set()
    unknown = False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions.append(node.name)
        elif isinstance(node, ast.ClassDef):
            classes.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values += [
                name.id
                for target in targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            ]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
            unknown |= "*" in names
            imported.update(names)
        elif not isinstance(node, ast.Expr):
            unknown |= _binds(node)
    bound = {*functions, *classes, *values, *imported}
    unknown |= "__getattr__" in functions
    is_whole = unknown or any(bound.issuperset(names) for names in WHOLE)
    return Definitions(_public(functions), _public(classes), _public(values), is_whole)


def choose(spec: str, found: Definitions) -> str:
    """Say what to write where a SPEC names a module, and which of its names is not said.

    Examples
    --------
    >>> choose("./my.py", Definitions(("embed",), (), (), False))
    'it defines the function embed: write ./my.py:embed'
    >>> choose("./my.py", Definitions(("a", "b"), ("Net",), (), False))
    'it defines the functions a, b and the class Net: write ./my.py:NAME with one of them'
    """
    kinds = (("function", found.functions), ("class", found.classes))
    told = [_counted(kind, names) for kind, names in kinds if names]
    names = [*found.functions, *found.classes]
    if not names:
        if not found.values:
            return (
                "it defines nothing: write a function def embed(audio, sample_rate) in it that "
                f"returns a vector, and give {spec}:embed"
            )
        told, names = [_counted("value", found.values)], list(found.values)
    one = f"write {spec}:{names[0]}" if len(names) == 1 else f"write {spec}:NAME with one of them"
    return f"it defines {' and '.join(told)}: {one}"


def _public(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if not name.startswith("_"))


def _counted(kind: str, names: tuple[str, ...]) -> str:
    several = {"function": "functions", "class": "classes", "value": "values"}[kind]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"the {kind if len(names) == 1 else several} {shown}"


def _binds(node: ast.AST) -> bool:
    """Tell whether a statement such as "if" or "try" may bind more names at the top."""
    makers = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return any(
        isinstance(inner, makers) or (isinstance(inner, ast.Name) and _stores(inner))
        for inner in ast.walk(node)
    )


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store) and name.id in {n for names in WHOLE for n in names}
