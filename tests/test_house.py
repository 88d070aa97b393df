"""The house's own rules: every arrow points down, and the front door stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nearkin

PACKAGE = Path(nearkin.__file__).parent

RANK = {
    "errors": 0,
    "seeds": 0,
    "registry": 1,
    "optional": 1,
    "files": 1,
    "simd": 1,
    "decoding": 1,
    "audio": 2,
    "kernels": 2,
    "networks": 2,
    "consistency": 2,
    "statistics": 3,
    "transforms": 3,
    "features": 3,
    "models": 3,
    "distances": 3,
    "grids": 4,
    "magnitudes": 4,
    "corpora": 4,
    "encoders": 4,
    "plan": 5,
    "tasks": 5,
    "series": 5,
    "task_scores": 5,
    "experiment": 6,
    "fitness": 5,
    "exchange": 11,
    "verdicts": 6,
    "figures": 6,
    "contestants": 6,
    "requirements": 2,
    "gates": 6,
    "analysis": 6,
    "effects": 7,
    "comparison": 7,
    "methods": 6,
    "spaces": 7,
    "execution": 7,
    "listings": 7,
    "scoring": 8,
    "training": 8,
    "store": 8,
    "rendering": 8,
    "report": 8,
    "listening": 9,
    "session": 9,
    "record": 10,
    "stages": 10,
    "demo": 10,
    "evaluation": 11,
    "api": 12,
    "progress": 12,
    "settings": 13,
    "summary": 13,
    "estimate": 13,
    "catalogue": 13,
    "performance": 13,
    "cli": 14,
    "__init__": 15,
    "__main__": 15,
}


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


def test_only_execution_knows_worker_processes() -> None:
    for path in modules():
        if room(path) != "execution":
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
