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
    "audio": 2,
    "simd": 1,
    "kernels": 2,
    "consistency": 2,
    "statistics": 3,
    "transforms": 3,
    "features": 3,
    "distances": 3,
    "grids": 4,
    "magnitudes": 4,
    "corpora": 4,
    "encoders": 4,
    "plan": 5,
    "experiment": 6,
    "scoring": 7,
    "store": 7,
    "execution": 7,
    "series": 7,
    "figures": 8,
    "verdicts": 8,
    "listening": 8,
    "report": 9,
    "evaluation": 9,
    "api": 10,
    "settings": 11,
    "progress": 11,
    "summary": 11,
    "estimate": 12,
    "catalogue": 12,
    "cli": 13,
    "__init__": 14,
    "__main__": 14,
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
