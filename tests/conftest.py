"""Fixtures shared by all tests: a folder of small synthetic recordings, made once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from support.signals import write_float

RATE = 22_050


def tune(seed: int, *, seconds: float = 5.0, rate: int = RATE) -> NDArray[np.float32]:
    """A melody of decaying harmonic tones over a little noise, different for every seed."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    y = 0.002 * rng.standard_normal(len(t))
    n_notes = int(seconds / 0.25)
    for note in range(n_notes):
        f0 = 110 * 2 ** (rng.integers(0, 36) / 12)
        since = t - note * 0.25
        envelope = np.where(since >= 0, np.exp(-6 * np.maximum(since, 0)), 0)
        for partial in range(1, 6):
            if f0 * partial < rate / 2:
                level = 0.15 * rng.uniform(0.2, 1) / partial
                y += level * envelope * np.sin(2 * np.pi * f0 * partial * t)
    return y.astype(np.float32)


def write_tunes(folder: Path, n: int, *, seconds: float = 5.0, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + n):
        path = folder / f"tune{seed:02d}.wav"
        write_float(path, tune(seed, seconds=seconds), RATE)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run from an empty folder: what lies where the tests were started is not theirs."""
    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")):
        yield


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five recordings of five seconds."""
    return write_tunes(tmp_path_factory.mktemp("music"), 5)


@pytest.fixture(scope="session")
def small_run(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the built-in encoders on the five recordings; read it, never write it."""
    import nearkin

    folder = tmp_path_factory.mktemp("small")
    grid = folder / "small.yaml"
    grid.write_text(
        "{PN: [-15, -10, -3, 6, 12, 18, 30], TS: [0.5, 0.7, 0.9, 1.1, 1.3], MP: [8, 16, 24, 64]}"
    )
    nearkin.evaluate(["mfcc", "random"], music, grid=str(grid), out=folder / "run")
    return folder / "run"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a test skipped where none may, unless it wants a GPU."""
    if not os.environ.get("NEARKIN_TESTS_MUST_NOT_SKIP"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    for report in reporter.stats.get("skipped", []):
        reason = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
        if "GPU" not in reason:
            reporter.write_line(f"must not skip here: {report.nodeid}: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
