"""Where environmental noise comes from: the user's recordings, or the built-in babble.

A library is known by the hash of its content; it carries paths and hashes, no samples. Levels are
RMS without the mean; a recording's own level is that of its whole length.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nearkin.audio import SAMPLE_RATE, read, sha256_file, sound_files, sound_info
from nearkin.errors import InputError, printable
from nearkin.transforms.babble import BABBLE_SHA256, babble_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

_WHOLE_S = 600.0
"""Recordings up to this long are kept in memory whole; of longer ones excerpts are read."""
_BLOCK_S = 60.0
"""Of a longer recording so much is read at a time to learn its level."""
_SILENT = 10 ** (-80 / 20)
"""RMS below which a recording is silent: what is left are the rounding and dither of 16 bits."""
_QUIET = 10 ** (-40 / 20)
"""Times a recording's own level: below this, nothing of it is used."""
_PARTS = 4
"""Parts of an excerpt, each of which must not be quiet; the clip is cut from the middle ones."""


@dataclass(frozen=True, slots=True)
class NoiseLibrary:
    """Recordings environmental noise is taken from, known by the hash of their content.

    Build one with `from_path` or `babble`. Two libraries of equal content are equal, whatever
    their files are called. A library carries paths and hashes, no samples: they are read when
    first needed and kept for the life of the process.

    Parameters
    ----------
    name : str
        What the run's tables call it.
    sha256 : str
        The hash of the content.
    files : tuple of (str, str)
        Path and SHA-256 of each recording, ordered by the latter; none for the built-in babble.
    left_out : tuple of str
        A sentence for each file of the folder that looks like sound and is not used.
    """

    name: str = field(compare=False)
    sha256: str
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)
    left_out: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def from_path(cls, path: str | Path) -> NoiseLibrary:
        """Take a recording, or every recording in a folder and the folders in it.

        Hidden files of a folder are left out (see `nearkin.audio.sound_files`), and silent ones.

        Raises
        ------
        InputError
            If there is none, or one of them cannot be read, or all are silent.
        """
        path = Path(path)
        left_out: list[str] = []
        if path.is_dir():
            found, unused = sound_files(path)
            left_out += map(str, unused)
        else:
            found = (path,)
        # By content: a renamed file or a copy of one draws the same noise.
        by_hash = {sha256_file(file): str(file.absolute()) for file in found}
        files = []
        for sha, file in sorted(by_hash.items()):
            if _level(file, sha) < _SILENT:
                left_out.append(f"{printable(file)}: is silent, so it has no SNR")
            else:
                files.append((file, sha))
        if not files:
            told = f" ({left_out[0]})" if path.is_dir() and left_out else ""
            what = f"no sound files in it that can be used{told}" if path.is_dir() else "is silent"
            raise InputError(
                f"{printable(path)}: {what}: noise needs sound to have an SNR; name another "
                "recording or a folder of recordings"
            )
        if not path.is_dir():
            return cls(path.name, files[0][1], tuple(files))
        together = hashlib.sha256("".join(sha for _, sha in files).encode()).hexdigest()
        return cls(path.name or str(path), together, tuple(files), tuple(left_out))

    def told(self) -> list[str]:
        """Return a line for a terminal that names what is left out; none where nothing is."""
        if not self.left_out:
            return []
        more = f" (and {len(self.left_out) - 1} more)" if len(self.left_out) > 1 else ""
        return [f"left out of '{self.name}': {self.left_out[0]}{more}"]

    @classmethod
    def babble(cls) -> NoiseLibrary:
        """Return the built-in noise: 24 s of synthesised babble and clatter, as in a crowded bar.

        Twelve voices of harmonics with formants and syllables, cutlery and glasses, and the hum of
        a room, with the average spectrum of speech. It is synthetic, not a recording (the paper
        used one of a pub): take your own with `from_path` where that matters.
        """
        return cls("babble (synthesised)", BABBLE_SHA256)

    def excerpt(self, n: int, *, sr: int, rng: np.random.Generator) -> Signal:
        """Return so many samples from a place drawn by chance, looped if the recording is short.

        No place is drawn where a quarter of the excerpt lies more than 40 dB below the recording's
        own level; of a recording that has no other places, none where the whole excerpt does.

        Parameters
        ----------
        n : int
            Number of samples.
        sr : int
            The rate wanted in Hz.
        rng : numpy.random.Generator
            Draws the recording and the place.

        Returns
        -------
        numpy.ndarray of float32, shape [n]
            Mono, never silent.

        Raises
        ------
        InputError
            If a file cannot be read, has changed since, or is too quiet wherever one looks.
        """
        if not self.files:
            return _piece(babble_at(sr), _places("", BABBLE_SHA256, sr, n), n, rng)
        path, sha = self.files[int(rng.integers(len(self.files)))]
        length_s = _length_s(path, sha)
        if length_s <= _WHOLE_S:
            return _piece(_recording(path, sha, sr), _places(path, sha, sr, n), n, rng)
        loud, second = _QUIET * _level(path, sha), None
        for _ in range(100):
            start = float(rng.uniform(0.0, max(length_s - n / sr, 0.0)))
            noise = np.resize(read(path, sr=sr, start_s=start, duration_s=n / sr), n)
            parts = [_rms(part) for part in np.array_split(noise, _PARTS) if len(part)]
            if min(parts) >= loud:
                return noise
            if second is None and _rms(noise) >= loud:
                second = noise
        if second is not None:
            return second
        raise InputError(
            f"noise '{self.name}': {printable(path)} is more than 40 dB below its own level at 100 "
            "places drawn; take a recording with more sound"
        )


class _Places(NamedTuple):
    """The places of a recording where an excerpt may start, as runs of samples."""

    first: NDArray[np.int64]
    """The first place of each run."""
    before: NDArray[np.int64]
    """How many places lie in the runs before."""
    total: int


def _piece(whole: Signal, places: _Places, n: int, rng: np.random.Generator) -> Signal:
    """Cut an excerpt at one of the places; a recording that is shorter goes round in a loop."""
    number = int(rng.integers(places.total))
    run = int(np.searchsorted(places.before, number, side="right")) - 1
    place = int(places.first[run] + number - places.before[run])
    if whole.shape[0] >= n:
        return whole[place : place + n]
    return np.resize(np.roll(whole, -place), n)


@functools.lru_cache(maxsize=64)
def _places(path: str, sha256: str, sr: int, n: int) -> _Places:
    """Find where excerpts of so many samples may start."""
    whole = _recording(path, sha256, sr) if path else babble_at(sr)
    count = whole.shape[0] - n + 1
    if count <= 0:  # all of it is in every excerpt
        return _Places(np.zeros(1, np.int64), np.zeros(1, np.int64), whole.shape[0])
    centred = whole.astype(np.float64) - whole.mean(dtype=np.float64)
    energy = np.concatenate([[0.0], np.cumsum(centred**2)])
    threshold = _QUIET**2 * energy[-1] / whole.shape[0]
    good = np.ones(count, np.bool_)
    for edges in (np.linspace(0, n, _PARTS + 1).round().astype(int), np.array([0, n])):
        good[:] = True
        for a, b in pairwise(edges):
            if b > a:
                good &= energy[b : b + count] - energy[a : a + count] >= threshold * (b - a)
        if good.any():
            break
    starts = np.flatnonzero(good)
    breaks = np.flatnonzero(np.diff(starts) > 1) + 1
    before = np.concatenate([[0], breaks])
    return _Places(starts[before], before, len(starts))


def _rms(y: Signal) -> float:
    return float(np.std(y, dtype=np.float64))


@functools.lru_cache(maxsize=4096)
def _length_s(path: str, sha256: str) -> float:
    """Return a recording's duration; asked once a process, checks that it is still the same."""
    if sha256_file(path) != sha256:
        raise InputError(f"{printable(path)}: has changed since the run knew it; start a new run")
    return sound_info(path).duration_s


@functools.lru_cache(maxsize=4096)
def _level(path: str, sha256: str) -> float:
    """Return a recording's own level; of a long one it is read block by block."""
    length_s = _length_s(path, sha256)
    if length_s <= _WHOLE_S:
        return _rms(_recording(path, sha256, SAMPLE_RATE))
    count, total, squares = 0, 0.0, 0.0
    for number in range(math.ceil(length_s / _BLOCK_S)):
        try:
            block = read(path, sr=SAMPLE_RATE, start_s=number * _BLOCK_S, duration_s=_BLOCK_S)
        except InputError:
            if number == 0:
                raise
            break  # the header promised more than there is
        samples = block.astype(np.float64)
        count, total = count + len(samples), total + float(samples.sum())
        squares += float(np.dot(samples, samples))
    return math.sqrt(max(squares / count - (total / count) ** 2, 0.0))


@functools.lru_cache(maxsize=16)
def _recording(path: str, sha256: str, sr: int) -> Signal:
    samples = read(path, sr=sr)
    samples.flags.writeable = False
    return samples
