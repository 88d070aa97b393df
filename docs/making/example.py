"""The example report, made from a run's tables: to be opened before anything is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nearkin


def write(folder: Path, *, run: str) -> None:
    """Write a run's report into `folder`; without a run, that of ``nearkin demo``.

    The demo's run is kept beside the folder: built again, it is done at once.
    """
    source = Path(run) if run else folder.parents[2] / "build" / "nearkin-demo"
    if not run:
        demo = [sys.executable, "-m", "nearkin", "demo", "--out", str(source), "--quiet"]
        subprocess.run(demo, check=True)
    folder.mkdir(parents=True, exist_ok=True)
    nearkin.load(source).report(folder / "report.html")
