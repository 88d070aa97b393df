"""Count the house: rooms, floors, arrows and circles, from the import statements of src/nearkin.

python scripts/house.py [PACKAGE_FOLDER] [--walks] [--svg docs/architecture.svg]

A room is a folder or a file directly under the package. An arrow leads from the room whose file
imports to the room it imports from, wherever in the file the statement stands (inside functions
too). A floor is the length of the longest way down from a room. The package's own face, which
opens rooms on first use, is left out. ``--svg`` draws the floors,
with the arrows that no longer way implies.

``--walks`` follows a clip and a model from door to door, by the functions that take them on
(`WALKS`): how many rooms they pass, and how often they climb, that is, enter a room on a higher
floor than the one they leave. Where the package was built otherwise, a function stands under its
name of that time; every one has to be there, or the walk is refused.
"""

from __future__ import annotations

import argparse
import ast
import functools
import graphlib
import itertools
from collections.abc import Sequence
from pathlib import Path

WALKS = {
    "a clip": (
        "corpora/collect.py:collect|corpora/manifest.py:collect",
        "runs/stages.py:originals_stage|stages.py:originals_stage",
        "workers/__init__.py:open_workers|execution.py:open_workers",
        "runs/originals.py:originals|experiment.py:originals",
        "audio/reading.py:read_excerpts|audio.py:read_excerpts",
        "audio/decoding.py:opened|decoding.py:opened",
        "audio/signals.py:loudness_lufs|audio.py:loudness_lufs",
        "runs/describe.py:centre|experiment.py:centre",
        "audio/features.py:mfcc|features.py:mfcc",
        "encoders/protocol.py:embed",
        "runs/shards.py:clip_row|store.py:clip_row",
        "runs/stages.py:queries_stage|stages.py:queries_stage",
        "runs/queries.py:queries|experiment.py:queries",
        "transforms/magnitudes.py:severity|magnitudes.py:severity",
        "transforms/noise.py:PinkNoise",
        "encoders/protocol.py:embed",
        "distances/audio.py:dtw",
        "consistency/neighbours.py:neighbours|consistency.py:neighbours",
        "runs/stages.py:points_stage|stages.py:points_stage",
        "runs/spaces.py:latent_space|spaces.py:latent_space",
        "distances/latent.py:cosine",
        "runs/scoring.py:Scorer|scoring.py:Scorer",
        "consistency/within.py:within_space|consistency.py:within_space",
        "statistics/bootstrap.py:percentile_interval",
        "runs/finish.py:write_tables|stages.py:write_tables",
        "runs/folder.py:RunFolder|store.py:RunFolder",
        "api/result.py:Result|api.py:Result",
        "results/systems.py:systems_of|series.py:series_of",
        "results/verdicts.py:verdicts|verdicts.py:verdicts",
        "report/figures/curves.py:|figures/curves.py:",
        "report/listings.py:tables_of|listings.py:tables_of",
        "report/page.py:build|report.py:build",
    ),
    "a model": (
        "corpora/manifest.py:",
        "training/run.py:train",
        "training/trainer.py:fit|training/fitting.py:fit",
        "networks/network.py:build|networks.py:build",
        "networks/files.py:save|models.py:save",
        "performance/run.py:perform",
        "performance/scored.py:TrainedModel",
        "tasks/protocol.py:",
        "encoders/resolve.py:resolve|encoders/__init__.py:resolve",
        "encoders/quick_check.py:steadiness|fitness.py:steadiness",
        "runs/session.py:Session|session.py:Session",
        "encoders/calling/forward.py:ModelEncoder|encoders/model.py:ModelEncoder",
        "runs/scoring.py:Scorer|scoring.py:Scorer",
        "results/verdicts.py:verdicts|verdicts.py:verdicts",
        "report/page.py:build|report.py:build",
    ),
}
"""Who takes what on, as ``file:definition`` (no definition: the file), today's place first."""


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


def stands(package: Path, place: str) -> bool:
    """Tell whether a file is there and has a definition at its top."""
    file, _, name = place.partition(":")
    path = package / file
    if not path.is_file():
        return False
    body = ast.parse(path.read_text("utf-8")).body
    return not name or any(getattr(node, "name", "") == name for node in body)


def walk(package: Path, stations: Sequence[str], level: dict[str, int]) -> list[tuple[str, int]]:
    """Return the rooms that a walk enters, one after the other, each with its floor."""
    entered: list[tuple[str, int]] = []
    for station in stations:
        there = [place for place in station.split("|") if stands(package, place)]
        if not there:
            raise SystemExit(f"{station}: none of these is in {package}; name where it is now")
        here = room(".".join(parts(package / there[0].partition(":")[0], package)))
        if not entered or entered[-1][0] != here:
            entered.append((here, level[here]))
    return entered


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
    parser.add_argument("--walks", action="store_true")
    given = parser.parse_args()
    files = arrows_between_files(given.package)
    rooms = arrows_between_rooms(files)
    level = floors(rooms)
    if given.svg:
        given.svg.write_text(picture(rooms, level), "utf-8")
        return
    if given.walks:
        for what, stations in WALKS.items():
            way = walk(given.package, stations, level)
            climbs = sum(b > a for (_, a), (_, b) in itertools.pairwise(way))
            passed = len({name for name, _ in way})
            print(f"{what}: {passed} rooms, entered {len(way)} times, {climbs} climbs")
            print(f"  {' '.join(f'{name}({floor})' for name, floor in way)}")
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
