"""A pipe or a device never ends: whatever file is named, only a regular one is read."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nearkin.cli import settings
from nearkin.corpora.collect import collect
from nearkin.encoders import resolve
from nearkin.errors import NearkinError
from nearkin.gallery.vectors import read_vectors
from nearkin.maps.files import read_map
from nearkin.networks.files import read_header
from nearkin.runs.schema import read_export, read_performance_record, read_run_record
from nearkin.transforms.grids import grid

READERS: dict[str, Callable[[Path], Any]] = {
    "a.onnx": lambda path: resolve(str(path)),
    "a.safetensors": lambda path: resolve(str(path)),
    "b.safetensors": lambda path: resolve(f"map:{path}+mfcc"),
    "c.safetensors": read_map,
    "d.safetensors": read_header,
    "a.pt": lambda path: resolve(f"torchscript:{path}"),
    "a.npy": lambda path: resolve(f"embeddings:{path}"),
    "a.parquet": lambda path: resolve(f"embeddings:{path}"),
    "b.npy": lambda path: read_vectors([f"mfcc={path}"], {"mfcc": 3}),
    "b.parquet": lambda path: read_vectors([f"mfcc={path}"], {"mfcc": 3}),
    "a.csv": lambda path: collect([path]),
    "a.py": lambda path: resolve(f"{path}:embed"),
    "a.yaml": lambda path: grid(str(path)),
    "b.yaml": lambda path: settings.merged({}, path),
    "run.json": read_run_record,
    "export.json": read_export,
    "performance.json": read_performance_record,
}


@pytest.fixture
def hurry() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError("it waits for the pipe")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(NearkinError) as raised:
        READERS[name](tmp_path / name)
    assert "\n" not in str(raised.value)
