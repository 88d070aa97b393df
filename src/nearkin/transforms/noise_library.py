"""Where environmental noise comes from: the user's recordings, or the built-in babble.

A library is known by the hash of its content; it carries paths and hashes, no samples.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearkin.audio import AUDIO_SUFFIXES, SAMPLE_RATE, read, sha256_file, sound_info
from nearkin.errors import InputError, printable
from nearkin.transforms.babble import BABBLE_SHA256, babble_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

_WHOLE_S = 600.0
"""Recordings up to this long are kept in memory whole; of longer ones excerpts are read."""


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
    """

    name: str = field(compare=False)
    sha256: str
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def from_path(cls, path: str | Path) -> NoiseLibrary:
        """Take a recording, or every recording in a folder and the folders in it.

        Raises
        ------
        InputError
            If there is none, or one of them cannot be read or is silent.
        """
        path = Path(path)
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()
            )
            if not found:
                raise InputError(
                    f"{printable(path)}: no sound files in it; name a recording or its folder"
                )
        else:
            found = [path]
        # By content: a renamed file or a copy of one draws the same noise.
        by_hash = {sha256_file(file): str(file.absolute()) for file in found}
        files = tuple((by_hash[sha], sha) for sha in sorted(by_hash))
        for file, sha in files:
            if _length_s(file, sha) <= _WHOLE_S and not np.any(_recording(file, sha, SAMPLE_RATE)):
                raise InputError(
                    f"{printable(file)}: is silent, so it has no SNR; name another recording"
                )
        if len(files) == 1 and not path.is_dir():
            return cls(path.name, files[0][1], files)
        together = hashlib.sha256("".join(sha for _, sha in files).encode()).hexdigest()
        return cls(path.name or str(path), together, files)

    @classmethod
    def babble(cls) -> NoiseLibrary:
        """Return the built-in noise: 24 s of synthesised babble and clatter, as in a crowded bar.

        Twelve voices of harmonics with formants and syllables, cutlery and glasses, and the hum of
        a room. It is synthetic, not a recording (the paper used one of a pub): take your own
        with `from_path` where that matters.
        """
        return cls("babble (synthesised)", BABBLE_SHA256)

    def excerpt(self, n: int, *, sr: int, rng: np.random.Generator) -> Signal:
        """Return so many samples from a place drawn by chance, looped if the recording is short.

        Parameters
        ----------
        n : int
            Number of samples.
        sr : int
            The rate wanted in Hz.
        rng : numpy.random.Generator
            Draws the recording and the place; where that is silent, another place.

        Returns
        -------
        numpy.ndarray of float32, shape [n]
            Mono, never all zero.

        Raises
        ------
        InputError
            If a file cannot be read, has changed since, or is silent wherever one looks.
        """
        for _ in range(100):
            noise = self._drawn(n, sr, rng)
            if np.any(noise):
                return noise
        raise InputError(
            f"noise '{self.name}': silent at 100 places drawn; take a recording with more sound"
        )

    def _drawn(self, n: int, sr: int, rng: np.random.Generator) -> Signal:
        if self.files:
            path, sha = self.files[int(rng.integers(len(self.files)))]
            length_s = _length_s(path, sha)
            if length_s > _WHOLE_S:
                start = float(rng.uniform(0.0, max(length_s - n / sr, 0.0)))
                return np.resize(read(path, sr=sr, start_s=start, duration_s=n / sr), n)
            whole = _recording(path, sha, sr)
        else:
            whole = babble_at(sr)
        if whole.shape[0] >= n:
            place = int(rng.integers(whole.shape[0] - n + 1))
            return whole[place : place + n]
        place = int(rng.integers(whole.shape[0]))
        return np.resize(np.roll(whole, -place), n)


@functools.lru_cache(maxsize=4096)
def _length_s(path: str, sha256: str) -> float:
    """Return a recording's duration; asked once a process, checks that it is still the same."""
    if sha256_file(path) != sha256:
        raise InputError(f"{printable(path)}: has changed since the run knew it; start a new run")
    return sound_info(path).duration_s


@functools.lru_cache(maxsize=16)
def _recording(path: str, sha256: str, sr: int) -> Signal:
    samples = read(path, sr=sr)
    samples.flags.writeable = False
    return samples
