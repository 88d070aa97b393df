"""A callable that is told another rate and answers the same: whether the rate is right is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearkin
from nearkin.encoders import resolve
from nearkin.encoders.quick_check import rate_ignored
from support.runs import small_run

QUESTION = "ignores sample_rate: is 22050 Hz what your model takes? pass --sample-rate"


def deaf(audio: Any, sample_rate: int) -> Any:
    return np.abs(np.fft.rfft(audio[:512]))


def hearing(audio: Any, sample_rate: int) -> Any:
    return np.abs(np.fft.rfft(audio[: sample_rate // 40]))[:100] * sample_rate


def strict(audio: Any, sample_rate: int) -> Any:
    if sample_rate != 22_050:
        raise ValueError("22050 Hz only")
    return deaf(audio, sample_rate)


def unsteady(audio: Any, sample_rate: int) -> Any:
    return deaf(audio, sample_rate) + np.random.default_rng().normal(size=257)


class Own:
    sample_rate = 22_050
    embedding_size = 257

    def embed(self, audio: Any) -> Any:
        return np.stack([deaf(row, 0) for row in audio])


def test_who_is_asked() -> None:
    assert rate_ignored(resolve(deaf)) == QUESTION
    for encoder in (hearing, strict, unsteady, Own(), "mfcc"):
        assert rate_ignored(resolve(encoder)) == "", encoder


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_who_states_a_rate_is_not_asked(rate: int) -> None:
    assert rate_ignored(resolve(deaf, sample_rate=rate)) == ""
    assert rate_ignored(resolve(deaf, options={"sample_rate": rate})) == ""


def test_check_and_run_say_it(music: Path, tmp_path: Path) -> None:
    found = nearkin.check(deaf)
    assert next(one.seen for one in found.checks if one.verdict == "note") == QUESTION
    assert found.fit
    assert not [one for one in nearkin.check(deaf, sample_rate=16_000).checks if "?" in one.seen]
    told = small_run(music, tmp_path / "run", encoders=(deaf,))
    assert f"encoder deaf: {QUESTION}" in told
    told = small_run(music, tmp_path / "stated", encoders=(deaf,), sample_rate=22_050)
    assert not [line for line in told if "ignores sample_rate" in line]
