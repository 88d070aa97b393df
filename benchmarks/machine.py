"""What every result states of the machine, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path


def machine() -> dict[str, object]:
    """The processor, its cores, and how busy they were."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    return {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def versions() -> dict[str, str]:
    """The versions that a result is of."""
    names = ("nearkin", "numpy")
    return {"python": platform.python_version()} | {n: metadata.version(n) for n in names}


def save(record: dict) -> None:
    """Keep a result under its date and the benchmark's name."""
    path = Path(__file__).parent / "results" / f"{record['date']}-{record['benchmark']}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
