"""A made-up run as a folder, the way ``nearkin run`` leaves one."""

from __future__ import annotations

from pathlib import Path

from nearkin.report.data import ReportData
from nearkin.runs.folder import TABLES, RunFolder


def write_folder(data: ReportData, root: Path) -> Path:
    """Write the record, tables and sounds of a fabricated run; return the folder."""
    folder = RunFolder(root)
    folder.claim()
    folder.finish()
    folder.write_run({"finished": "2026-11-25T12:00:00+00:00", **data.run})
    for name in TABLES:
        folder.write_table(name, getattr(data, name), csv=name == "consistency")
    for name, sound in data.audio.items():
        folder.write(root / "audio" / name, lambda file, sound=sound: file.write(sound))
    return root
