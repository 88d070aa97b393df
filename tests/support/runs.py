"""Small runs for tests of what becomes of their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearkin.files import sealed, write_whole
from nearkin.ownership import MARKER
from nearkin.runs.run import run
from nearkin.runs.sources import make_sources
from nearkin.workers import Place

GRID = "{PN: [0], MP: [64]}"


def small_run(
    music: Path | list[Path],
    out: Path,
    *,
    encoders: tuple[Any, ...] = ("constant",),
    force: bool = False,
    workers: Place = 1,
    **settings: Any,
) -> list[str]:
    """Do a run of two points with one or a few encoders; return what it told."""
    told: list[str] = []
    points = out.parent / "small-grid.yaml"
    write_whole(points, lambda file: file.write(GRID.encode()))  # jobs of an array write it too
    wanted = {"grid": str(points), "references": "untrained", "resamples": 100, **settings}
    plan, sources = make_sources(list(encoders), [{} for _ in encoders], wanted)
    given = music if isinstance(music, list) else [music]
    run(plan, given, out, encoders=sources, force=force, workers=workers, tell=told.append)
    return told


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write run.json, performance.json or export.json as nearkin does: with its checksum."""
    path.write_text(json.dumps(sealed(record)))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def forget_checksums(run: Path) -> None:
    """Make the marker of a folder one that knows its files by their names alone, as older ones."""
    first, *lines = (run / MARKER).read_text().splitlines()
    names = [json.dumps(json.loads(line)[0]) for line in lines]
    (run / MARKER).write_text("\n".join([first, *names, ""]))
