"""Batches as a function of the step: crops, orders, shares of processes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from nearkin.training.batches import (  # noqa: E402
    FixedBatches,
    Order,
    TrainingBatches,
    fixed_places,
)
from nearkin.training.recordings import Recordings  # noqa: E402


def order(**changed: Any) -> Order:
    lengths = np.array([40_000, 50_000, 33_075, 70_000, 60_000])
    settings = {"seed": 0, "task": "ir", "trial": 1, "lengths": lengths, "batch": 4}
    return Order(**{**settings, "n_samples": 33_075, **changed})


def test_a_batch_is_a_function_of_its_step() -> None:
    forwards = order()
    seen = [forwards.places(step) for step in range(40)]
    backwards = order()
    assert [backwards.places(step) for step in reversed(range(40))] == seen[::-1]
    assert order().places(17) == seen[17]


def test_an_epoch_is_one_crop_of_every_recording() -> None:
    drawn = order()
    places = [drawn.places(step) for step in range(50)]
    which = [index for chosen, _ in places for index in chosen]
    offsets = [offset for _, chosen in places for offset in chosen]
    for epoch in range(40):
        assert sorted(which[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    room = drawn.lengths - 33_075
    assert all(0 <= offset <= room[index] for index, offset in zip(which, offsets, strict=True))
    assert len({tuple(which[5 * epoch : 5 * epoch + 5]) for epoch in range(40)}) > 20
    of_longest = [o for i, o in zip(which, offsets, strict=True) if i == 3]
    assert max(of_longest) > 0.8 * room[3]
    assert min(of_longest) < 0.2 * room[3]


@pytest.mark.parametrize("changed", [{"seed": 1}, {"trial": 2}, {"task": "at"}])
def test_seeds_trials_and_tasks_see_other_crops(changed: dict[str, Any]) -> None:
    assert order().places(0) != order(**changed).places(0)


def ramp(tmp_path: Path, lengths: list[int], **changed: Any) -> Recordings:
    """Recordings whose samples are their places in the flat file."""
    path = tmp_path / "samples.i16"
    np.arange(sum(lengths)).astype("<i2").tofile(path)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Recordings(path, starts, np.array(lengths), np.full(len(lengths), 0.5, "f4"), **changed)


def test_crops_come_from_their_places(tmp_path: Path) -> None:
    recordings = ramp(tmp_path, [100, 200], targets=np.array([7, 8]))
    batch = recordings.batch([1, 0], [5, 90], 10)
    assert batch.audio.dtype == torch.float32
    np.testing.assert_array_equal(batch.audio[0], np.arange(105, 115) * 0.5)
    np.testing.assert_array_equal(batch.audio[1], np.arange(90, 100) * 0.5)
    assert batch.target.tolist() == [8, 7]
    voiced = ramp(tmp_path, [100, 200], vocal_starts=np.array([50, 0]), vocal_scales=np.ones(2))
    np.testing.assert_array_equal(voiced.batch([0], [3], 4).target[0], [53, 54, 55, 56])


def test_processes_share_a_batch(tmp_path: Path) -> None:
    recordings = ramp(tmp_path, [100] * 6)
    drawn = order(lengths=recordings.lengths, n_samples=20)
    whole = TrainingBatches(recordings, drawn, rank=0, world=1)[3].audio
    parts = [TrainingBatches(recordings, drawn, rank=k, world=2)[3].audio for k in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    assert {tuple(row.tolist()) for row in whole} == {
        tuple(row.tolist()) for part in parts for row in part
    }
    fixed = [
        FixedBatches(recordings, n_samples=20, batch=4, most=5, rank=k, world=2) for k in range(2)
    ]
    assert [len(part.places) for part in fixed] == [2, 2]
    assert not set(fixed[0].places) & set(fixed[1].places)


@pytest.mark.parametrize("most", [1, 3, 10, 100])
def test_fixed_clips_lie_within_their_recordings_and_apart(most: int) -> None:
    lengths = np.array([20, 20, 95, 300, 33, 47])
    places = fixed_places(lengths, n_samples=20, most=most)
    assert len(places) <= most
    for index, offset in places:
        assert 0 <= offset <= lengths[index] - 20
    for (one, at), (other, after) in itertools.pairwise(places):
        assert one < other or after - at >= 20
    assert fixed_places(np.array([30]), n_samples=10, most=1) == [(0, 10)]
