"""How long the front door takes: help, imports, the first and the cached call of the kernels.

python benchmarks/startup.py [--repeats 7] [--save]

Peers in the same run: the interpreter alone and ``import numpy``. Wall seconds of whole processes,
medians of interleaved repeats; one JSON line with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata

from machine import machine, save

KERNELS = (
    "import numpy as np; from nearkin.distances import pairwise_audio; "
    "x = np.random.default_rng(0).random((2, 60, 24), dtype=np.float32); pairwise_audio(x, x)"
)
QUESTIONS = {
    "python (nothing)": [sys.executable, "-c", "pass"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import nearkin": [sys.executable, "-c", "import nearkin"],
    "nearkin --help": [sys.executable, "-m", "nearkin", "--help"],
    "nearkin list grids": [sys.executable, "-m", "nearkin", "list", "grids"],
    "import numba": [sys.executable, "-c", "import numba"],
    "kernels, cached": [sys.executable, "-c", KERNELS],
}


def seconds(command: list[str], **environment: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in [*QUESTIONS, "kernels, compiled anew"]}
    seconds(QUESTIONS["kernels, cached"])
    for _ in range(arguments.repeats):
        for name, command in QUESTIONS.items():
            times[name].append(seconds(command))
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            found = seconds(QUESTIONS["kernels, cached"], NUMBA_CACHE_DIR=cache)
        times["kernels, compiled anew"].append(found)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:24} {value:7.3f} s")
    record = {
        "benchmark": "startup",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": medians,
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("nearkin", "numpy", "numba", "typer")},
        },
    }
    print(json.dumps(record))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
