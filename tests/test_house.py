"""The house's own rules: every arrow points down, and the front door stays light."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import nearkin

PACKAGE = Path(nearkin.__file__).parent
ROOT = Path(__file__).parents[1]

# From the ground up; a room imports rooms of lower layers only.
LAYERS = (
    ("errors", "memory", "seeds", "progress", "tables"),
    ("registry", "optional", "files", "parquet", "written", "bars"),
    ("ownership", "lease"),
    ("audio", "workers"),
    ("distances", "transforms", "networks", "corpora", "statistics", "maps"),
    ("attacks", "consistency", "encoders", "tasks"),
    ("training", "runs", "results"),
    ("gallery", "performance", "repair", "report"),
    ("listening",),
    ("api",),
    ("ask",),
    ("study",),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "nearkin":
                rooms |= {alias.name for alias in node.names}
            elif node.module.startswith("nearkin."):
                rooms.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {a.name.split(".")[1] for a in node.names if a.name.startswith("nearkin.")}
    return rooms & RANK.keys()


def test_every_room_has_a_rank() -> None:
    assert {room(path) for path in modules()} <= RANK.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path) -> None:
    own = room(path)
    upward = {r for r in imported_rooms(path) if r != own and RANK[r] >= RANK[own]}
    assert not upward, f"{own} (rank {RANK[own]}) imports {upward}"


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """Modules that a file names in its import statements, wherever they stand."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            whole = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= whole or ({node.module} & known)
    return found


def test_no_files_import_in_a_circle() -> None:
    files = {module(path): path for path in modules() if path.parent != PACKAGE}
    arrows = {name: imported_modules(path, set(files)) for name, path in files.items()}
    order = graphlib.TopologicalSorter(arrows)
    order.prepare()  # raises CycleError, which names the circle


def test_only_workers_know_processes() -> None:
    for path in modules():
        if room(path) != "workers":
            text = path.read_text("utf-8")
            assert "loky" not in text, path
            assert "multiprocessing" not in text, path


@pytest.mark.parametrize("module", ["nearkin", "nearkin.cli"])
def test_the_front_door_is_light(module: str) -> None:
    heavy = ["numpy", "scipy", "pandas", "librosa", "numba", "av", "altair", "torch", "pydantic"]
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_public_names_can_be_had() -> None:
    for name in nearkin.__all__:
        assert getattr(nearkin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nearkin.nothing  # noqa: B018


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert nearkin.__version__ == version("nearkin")


def test_the_walks_on_the_page_are_those_of_today() -> None:
    """Every function that takes a clip or a model on is there, and the page counts as we do."""
    root = Path(__file__).parents[1]
    script = root / "scripts" / "house.py"
    done = subprocess.run(
        [sys.executable, str(script), "--walks"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (root / "docs" / "architecture.md").read_text("utf-8")
    counts = [line.partition(": ")[2] for line in done.stdout.splitlines() if ": " in line]
    assert len(counts) == 2
    assert all(f"| {count} |" in page for count in counts)


def borrowed() -> list[tuple[str, str, str]]:
    """Return (file, module, name) of what scripts, benchmarks and examples take from nearkin."""
    found = []
    for folder in ("benchmarks", "scripts", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nearkin."):
                    names = [(str(node.module), alias.name) for alias in node.names]
                    found += [(path.relative_to(ROOT).as_posix(), *each) for each in names]
    return found


def test_what_scripts_and_benchmarks_take_from_nearkin_is_there() -> None:
    """Nothing else imports them: what moved was missed when they were next wanted."""
    known: dict[str, set[str]] = {}
    missing = []
    for path, module, name in borrowed():
        if module not in known:
            place = PACKAGE / Path(*module.split(".")[1:])
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            known[module] = names_of(file) if file.is_file() else set()
        if name not in known[module]:
            missing.append(f"{path}: {module}.{name}")
    assert len(known) > 40
    assert not missing


def names_of(file: Path) -> set[str]:
    """Return what a module's text binds at its top, and its submodules."""
    names = {path.stem for path in file.parent.iterdir()} if file.name == "__init__.py" else set()
    waiting: list[ast.AST] = [ast.parse(file.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # what a package gives out late stands in a table of names
    return names
