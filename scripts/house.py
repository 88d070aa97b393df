"""Count the house: rooms, floors, arrows and circles, from the import statements of src/nearkin.

python scripts/house.py [PACKAGE_FOLDER] [--svg docs/architecture.svg]

A room is a folder or a file directly under the package. An arrow leads from the room whose file
imports to the room it imports from, wherever in the file the statement stands (inside functions
too). A floor is the length of the longest way down from a room. The package's own face, which
opens rooms on first use, is left out. ``--svg`` draws the floors,
with the arrows that no longer way implies.
"""

from __future__ import annotations

import argparse
import ast
import functools
import graphlib
from pathlib import Path


def parts(path: Path, package: Path) -> tuple[str, ...]:
    relative = path.relative_to(package).with_suffix("").parts
    return relative[:-1] if relative[-1] == "__init__" else relative


def arrows_between_files(package: Path) -> dict[str, set[str]]:
    """Return file -> the files it imports, as dotted names under the package."""
    files = {".".join(parts(path, package)): path for path in sorted(package.rglob("*.py"))}
    del files[""]
    arrows: dict[str, set[str]] = {}
    for name, path in files.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                base, *rest = node.module.split(".")
                if base != package.name:
                    continue
                for alias in node.names:
                    whole = ".".join([*rest, alias.name])
                    found.add(whole if whole in files else ".".join(rest))
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    base, *rest = alias.name.split(".")
                    if base == package.name:
                        found.add(".".join(rest))
        arrows[name] = (found & files.keys()) - {name}
    return arrows


def room(name: str) -> str:
    return name.split(".")[0]


def arrows_between_rooms(files: dict[str, set[str]]) -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for name, found in files.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in found)
    return {name: others - {name} for name, others in rooms.items()}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """Return the floor of every room; those of a circle share what can be said: floor -1."""
    if circle(arrows):
        return dict.fromkeys(arrows, -1)

    @functools.cache
    def floor(name: str) -> int:
        return 1 + max((floor(other) for other in arrows[name]), default=-1)

    return {name: floor(name) for name in arrows}


def picture(rooms: dict[str, set[str]], level: dict[str, int]) -> str:
    """Return an SVG: a row a floor, an arrow a direct dependence."""

    @functools.cache
    def below(name: str) -> frozenset[str]:
        return frozenset(rooms[name]).union(*(below(other) for other in rooms[name]))

    rows = [sorted(n for n, at in level.items() if at == f) for f in range(max(level.values()) + 1)]
    width, height, step = 124, 34, 92
    wide = max(map(len, rows)) * (width + 22)
    place = {
        name: (wide / 2 + (i - (len(row) - 1) / 2) * (width + 22), (len(rows) - 1 - floor) * step)
        for floor, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    lines, boxes = [], []
    for name, (x, y) in place.items():
        implied = frozenset[str]().union(*(below(other) for other in rooms[name]))
        for other in sorted(rooms[name] - implied):
            a, b = place[other]
            lines.append(f'<path d="M{x:g} {y + height:g}L{a:g} {b:g}" marker-end="url(#tip)"/>')
        boxes.append(
            f'<rect x="{x - width / 2:g}" y="{y:g}" width="{width}" height="{height}" rx="6"/>'
            f'<text x="{x:g}" y="{y + 22:g}">{name}</text>'
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 {wide + 16:g} '
            f'{(len(rows) - 1) * step + height + 16:g}" font-family="sans-serif" font-size="14">',
            "<title>The rooms of nearkin: every arrow points down</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a93a0"/></marker>'
            "</defs>",
            '<rect x="-8" y="-8" width="100%" height="100%" fill="#ffffff"/>',
            f'<g stroke="#8a93a0" fill="none">{"".join(lines)}</g>',
            '<g fill="#eef2f7" stroke="#44526a">',
            *(
                box.replace("<text", '<text fill="#1c2633" stroke="none" text-anchor="middle"')
                for box in boxes
            ),
            "</g>",
            "</svg>",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    here = Path(__file__).parents[1] / "src" / "nearkin"
    parser.add_argument("package", type=Path, nargs="?", default=here)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    files = arrows_between_files(given.package)
    rooms = arrows_between_rooms(files)
    level = floors(rooms)
    if given.svg:
        given.svg.write_text(picture(rooms, level), "utf-8")
        return
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in given.package.rglob("*.py"))
    print(f"{len(rooms)} rooms, {max(level.values()) + 1} floors, ", end="")
    print(f"{sum(map(len, rooms.values()))} arrows between rooms, {lines:,} lines of Python")
    print(f"circle of rooms: {' -> '.join(circle(rooms)) or 'none'}")
    print(f"circle of files: {' -> '.join(circle(files)) or 'none'}")
    for number in sorted(set(level.values()), reverse=True):
        print(f"floor {number}: {', '.join(sorted(n for n, at in level.items() if at == number))}")


if __name__ == "__main__":
    main()
