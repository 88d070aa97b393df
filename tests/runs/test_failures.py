"""What the report's players play: as loud beside one another as in the run, and never clipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest

import nearkin
from conftest import RATE, tune
from nearkin.audio import decode_mp3
from support.signals import write_float


def test_players_keep_the_loudness_of_a_changed_clip(tmp_path: Path) -> None:
    """Loud recordings peak above full scale when changed; pyloudnorm measures what is played."""
    folder = tmp_path / "music"
    folder.mkdir()
    for seed in range(5):
        y = tune(seed)
        loud = np.tanh(12 * y / np.abs(y).max()).astype(np.float32)
        write_float(folder / f"{seed}.wav", loud, RATE)
    grid = tmp_path / "grid.yaml"
    grid.write_text("{PN: [-15], PS: [-12, 12], MP: [8]}")
    result = nearkin.evaluate(["mfcc"], folder, grid=str(grid), out=tmp_path / "run")
    assert len(result.failures)
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")

    def played(name: str) -> tuple[float, float]:
        y, _, _ = decode_mp3((result.path / "audio" / name).read_bytes())
        assert len(y) == 2 * RATE
        return meter.integrated_loudness(y.astype(float)), float(np.abs(y).max())

    quieter = 0
    for row in result.failures.itertuples():
        query, own = played(row.query_audio), played(row.own_audio)
        assert query[0] == pytest.approx(own[0], abs=0.3), row  # MP3 at 64 kb/s moves it a little
        assert max(query[1], own[1], played(row.nearest_audio)[1]) < 1.2
        quieter += own[1] < 0.9
    assert quieter, "no sound was near clipping: the test shows nothing"
