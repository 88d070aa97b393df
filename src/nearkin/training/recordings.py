"""The recordings of a split, lined up in the cache's flat file with the task's targets.

Audio is float32[batch, samples] at 22,050 Hz.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError, printable
from nearkin.optional import need
from nearkin.tasks import Batch, Task
from nearkin.training.cache import AudioCache, Cached

torch: Any = need("torch", extra="torch")

_TOLERATED_S = 0.05
"""A stem may end this much earlier or later than its mixture (a codec's last frame)."""


@dataclass(frozen=True)
class Recordings:
    """The recordings of a split, in the cache's flat file.

    Attributes
    ----------
    samples_path : Path
        The flat file.
    starts, lengths : int64[n]
        First sample and number of samples of each.
    scales : float32[n]
        Samples times this are the sound.
    vocal_starts, vocal_scales : int64[n] and float32[n], or None
        The same for the vocals.
    targets : array [n, ...] or None
        The task's target for each.
    """

    samples_path: Path
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    scales: NDArray[np.float32]
    vocal_starts: NDArray[np.int64] | None = None
    vocal_scales: NDArray[np.float32] | None = None
    targets: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @functools.cached_property
    def _samples(self) -> NDArray[np.int16]:
        return np.memmap(self.samples_path, dtype="<i2", mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_samples"}

    def batch(self, which: Sequence[int], offsets: Sequence[int], n_samples: int) -> Batch:
        """Return crops of recordings, with their targets.

        Parameters
        ----------
        which : sequence of int
            Recordings, by number.
        offsets : sequence of int
            The first sample of each crop, within its recording.
        n_samples : int
            Samples of a crop.
        """
        audio = self._crops(self.starts, self.scales, which, offsets, n_samples)
        target = None
        if self.vocal_starts is not None and self.vocal_scales is not None:
            target = self._crops(self.vocal_starts, self.vocal_scales, which, offsets, n_samples)
        elif self.targets is not None:
            target = torch.from_numpy(self.targets[list(which)])
        return Batch(audio, target)

    def context(
        self, index: int, offset: int, n_samples: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return a crop with what surrounds it, and the same of its vocals; None if it has none.

        The crop lies in the middle; on either side stands up to half a crop, equally much on both.

        Parameters
        ----------
        index, offset, n_samples : int
            The recording, and the crop in it.
        """
        room = int(self.lengths[index]) - offset - n_samples
        margin = min(n_samples // 2, offset, room)
        place = offset - margin, n_samples + 2 * margin
        mixture = self._crop(self.starts, self.scales, index, *place)
        if self.vocal_starts is None or self.vocal_scales is None:
            return mixture, None
        return mixture, self._crop(self.vocal_starts, self.vocal_scales, index, *place)

    def _crop(
        self,
        starts: NDArray[np.int64],
        scales: NDArray[np.float32],
        index: int,
        offset: int,
        n_samples: int,
    ) -> NDArray[np.float32]:
        first = int(starts[index]) + offset
        samples: NDArray[np.float32] = self._samples[first : first + n_samples].astype(np.float32)
        samples *= scales[index]
        return samples

    def _crops(
        self,
        starts: NDArray[np.int64],
        scales: NDArray[np.float32],
        which: Sequence[int],
        offsets: Sequence[int],
        n_samples: int,
    ) -> Any:
        crops = np.empty((len(which), n_samples), np.float32)
        for crop, index, offset in zip(crops, which, offsets, strict=True):
            first = int(starts[index]) + offset
            np.multiply(self._samples[first : first + n_samples], scales[index], out=crop)
        return torch.from_numpy(crops)


def recordings(
    task: Task,
    rows: Sequence[Row],
    labels: Sequence[str],
    cache: AudioCache,
    found: dict[Path, Cached | str],
    *,
    n_samples: int,
) -> tuple[Recordings, list[Row], list[tuple[Row, str]]]:
    """Line up the recordings of a split that can be trained on.

    Parameters
    ----------
    task : Task
        The task whose targets are made.
    rows : sequence of Row
        The manifest's.
    labels : sequence of str
        The task's tags or classes.
    cache : AudioCache
        The cache that holds them.
    found : dict
        What `AudioCache.fill` returned.
    n_samples : int
        The shortest length that can be used.

    Returns
    -------
    recordings : Recordings
    used : list of Row
        The rows they come from, in order.
    left_out : list of (Row, str)
        The others, each with the reason.

    Raises
    ------
    InputError
        If vocals are not as long as their mixture, or a class is unknown.
    """
    used: list[Row] = []
    left_out: list[tuple[Row, str]] = []
    mixtures: list[tuple[int, int, float]] = []
    voices: list[tuple[int, int, float]] = []
    for row in rows:
        mixture = found[row.path]
        vocals = found[row.vocals_path] if task.column == "vocals_path" and row.vocals_path else ""
        if isinstance(mixture, str):
            left_out.append((row, mixture))
            continue
        begin = round((row.start_s or 0.0) * SAMPLE_RATE)
        length = mixture.samples - begin
        if task.column == "vocals_path":
            if isinstance(vocals, str):
                left_out.append((row, vocals))
                continue
            _check_lengths(row, mixture, vocals)
            length = min(length, vocals.samples - begin)
        if length < n_samples:
            shortest = n_samples / SAMPLE_RATE
            left_out.append((row, f"{row.name}: is shorter than {shortest:g} s"))
            continue
        used.append(row)
        mixtures.append((mixture.start + begin, length, mixture.scale))
        if not isinstance(vocals, str):
            voices.append((vocals.start + begin, length, vocals.scale))
    targets = [task.target(row, labels) for row in used]
    known = [target for target in targets if target is not None]
    starts, lengths, scales = _columns(mixtures)
    vocal_starts, _, vocal_scales = _columns(voices) if voices else (None, None, None)
    lined_up = Recordings(
        cache.samples_path,
        starts,
        lengths,
        scales,
        vocal_starts,
        vocal_scales,
        np.stack(known) if known else None,
    )
    return lined_up, used, left_out


def _columns(
    places: list[tuple[int, int, float]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    table = np.array(places, np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype("f4")


def _check_lengths(row: Row, mixture: Cached, vocals: Cached) -> None:
    if abs(mixture.samples - vocals.samples) > _TOLERATED_S * SAMPLE_RATE:
        lasts = f"lasts {mixture.samples / SAMPLE_RATE:.2f} s"
        raise InputError(
            f"{printable(row.path)} {lasts} and its vocals {printable(row.vocals_path or '')} "
            f"{vocals.samples / SAMPLE_RATE:.2f} s: must be equally long; mend or drop the row"
        )
