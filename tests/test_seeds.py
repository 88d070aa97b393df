"""Random streams: equal names equal draws, other names independent ones, on every platform."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearkin.seeds import stream


@given(st.integers(0, 2**63 - 1), st.lists(st.text() | st.integers(), max_size=4))
def test_equal_names_equal_draws(seed: int, names: list[str | int]) -> None:
    assert stream(seed, *names).random() == stream(seed, *names).random()


def test_names_are_not_run_together() -> None:
    draws = [
        stream(0, "ab").random(),
        stream(0, "a", "b").random(),
        stream(0, "a").random(),
        stream(0, 1).random(),
        stream(0, "1").random(),
        stream(1, "a").random(),
        stream(0).random(),
    ]
    assert len(set(draws)) == len(draws)


def test_streams_are_uncorrelated() -> None:
    a = stream(0, "clip", "PN").standard_normal(100_000)
    b = stream(0, "clip", "EN").standard_normal(100_000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(100_000)


def test_draws_do_not_depend_on_the_process() -> None:
    """Python's own hash is salted anew in every process; ours is not."""
    code = "from nearkin.seeds import stream; print(repr(float(stream(3, 'x', 7).random())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == stream(3, "x", 7).random()


def test_names_with_bytes_that_are_not_utf8() -> None:
    assert 0 <= stream(0, "\udcff").random() < 1
