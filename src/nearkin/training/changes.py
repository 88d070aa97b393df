"""Crops changed at random, for training: which change is drawn for a crop, and what it does.

A crop is changed as a run changes a clip: within its context (up to half a crop on either side),
cut out of the middle, and made as loud as it was where the transformation says so. What is drawn
hangs on the seed and the crop's number alone: any number of processes draw the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE, loudness_lufs
from nearkin.encoders.foreign import foreign_code, told
from nearkin.errors import InputError, NearkinError
from nearkin.optional import need
from nearkin.seeds import stream
from nearkin.tasks import Batch
from nearkin.training.recordings import Recordings
from nearkin.transforms import TRANSFORMATIONS, NoiseLibrary, Transformation
from nearkin.transforms.grids import Grid, Point

torch: Any = need("torch", extra="torch")

UNCHANGED = 0.25
"""Share of the crops that augmentation leaves as they are."""

Signal = NDArray[np.float32]


class Changed(NamedTuple):
    """A changed crop, and the vocals that stay with it.

    Attributes
    ----------
    audio : float32[samples]
    vocals : float32[samples] or None
        None where the recordings have none.
    point : Point
        What was done.
    """

    audio: Signal
    vocals: Signal | None
    point: Point


@dataclass(frozen=True)
class Changes:
    """Draws a point of a grid for every crop, and changes it.

    Every transformation is drawn as often, however many magnitudes of it the grid has. One that
    cannot be applied to a crop (a faster tempo at a recording's edge, noise on silence) gives way
    to the next; where none can, the crop stays as it is.

    Attributes
    ----------
    grid : Grid
    seed : int
    purpose : tuple of str or int
        Names the stream, beside the seed and a crop's number.
    unchanged : float
        Share of the crops that stay as they are, from 0 to 1.
    """

    grid: Grid
    seed: int
    purpose: tuple[str | int, ...]
    unchanged: float = 0.0

    def version(
        self, mixture: Signal, vocals: Signal | None, n_samples: int, *, number: int
    ) -> Changed | None:
        """Return the changed version of a crop; None where it stays as it is.

        Parameters
        ----------
        mixture, vocals : float32[context]
            The crop in its context, in the middle; the vocals, where the recording has them.
        n_samples : int
            Samples of the crop.
        number : int
            The crop's, over the whole training.
        """
        rng = stream(self.seed, *self.purpose, number)
        if rng.random() < self.unchanged:
            return None
        codes = self.grid.codes
        for place in rng.permutation(len(codes)):
            code = codes[int(place)]
            magnitudes = self.grid.magnitudes(code)
            point = Point(code, magnitudes[int(rng.integers(len(magnitudes)))])
            noise = stream(self.seed, *self.purpose, number, code)
            try:
                return Changed(*changed(self.grid, point, mixture, vocals, n_samples, noise), point)
            except NearkinError:
                continue
        return None

    def require_usable(self, n_samples: int) -> None:
        """Try the ends of every transformation on noise, before a training begins.

        Raises
        ------
        InputError
            If one of them cannot be applied to a crop and its context.
        """
        rng = stream(0, "a crop to try changes on")
        context = (0.1 * rng.standard_normal(2 * n_samples)).astype(np.float32)
        for code in self.grid.codes:
            magnitudes = self.grid.magnitudes(code)
            for magnitude in dict.fromkeys((magnitudes[0], magnitudes[-1])):
                try:
                    changed(self.grid, Point(code, magnitude), context, None, n_samples, rng)
                except InputError as error:
                    raise InputError(
                        f"grid '{self.grid.name}': {code} {magnitude:g} cannot be trained with "
                        f"({error}); take a grid without it"
                    ) from error


def changed(
    grid: Grid,
    point: Point,
    mixture: Signal,
    vocals: Signal | None,
    n_samples: int,
    rng: np.random.Generator,
) -> tuple[Signal, Signal | None]:
    """Change a crop within its context, as a run does, its vocals with it.

    Vocals go through what moves time or pitch, and through what does the same to every part of a
    mixture, together with it; beside other changes they stay as they are. The loudness is matched
    on the crop, and the vocals get the mixture's gain.

    Parameters
    ----------
    grid, point : Grid, Point
        The point, and the grid that builds it.
    mixture, vocals : float32[context]
        At 22,050 Hz, the crop in their middle.
    n_samples : int
        Samples of the crop.
    rng : numpy.random.Generator

    Returns
    -------
    mixture, vocals : float32[n_samples]

    Raises
    ------
    InputError
        If it cannot be applied, the result does not fill the crop, or has no loudness.
    """
    change = grid.made(point, noise=_noise())
    together = vocals is not None and (change.moves_time or change.of_every_part)
    signal = np.vstack([mixture, vocals]) if together and vocals is not None else mixture
    out = _applied(change, point, signal, rng)
    if together:
        out, vocals = out[0], out[1]
    heard = middle(out, n_samples)
    if heard is None:
        raise InputError(f"the result lasts {len(out) / SAMPLE_RATE:.2f} s, less than the crop")
    voice = None if vocals is None else middle(vocals, n_samples)
    if vocals is not None and (voice is None or len(vocals) != len(out)):
        raise InputError(f"{point.code} does not keep the length, and the vocals have to fit")
    if not np.isfinite(heard).all():
        raise InputError(f"{point.code} {point.magnitude:g} returns values that are not finite")
    if change.loudness == "kept":
        return heard, voice
    spare = len(mixture) - n_samples
    before = mixture[spare // 2 : spare // 2 + n_samples]
    gain_db = loudness_lufs(before, sr=SAMPLE_RATE) - loudness_lufs(heard, sr=SAMPLE_RATE)
    gain = np.float32(10 ** (gain_db / 20))
    return heard * gain, None if voice is None else voice * gain


def middle(y: Signal, n_samples: int) -> Signal | None:
    """Cut the middle `n_samples` out of y[samples]; None if it is shorter.

    Examples
    --------
    >>> middle(np.arange(6, dtype=np.float32), 2)
    array([2., 3.], dtype=float32)
    """
    spare = len(y) - n_samples
    return None if spare < 0 else y[spare // 2 : spare // 2 + n_samples]


def _applied(
    change: Transformation, point: Point, signal: Signal, rng: np.random.Generator
) -> Signal:
    if not TRANSFORMATIONS.provider(point.code):
        return change(signal, sr=SAMPLE_RATE, rng=rng)
    try:
        with foreign_code():
            return change(signal, sr=SAMPLE_RATE, rng=rng)
    except (NearkinError, MemoryError):
        raise
    except Exception as error:  # the border to foreign code: anything may come
        raise InputError(f"{point.code} {point.magnitude:g} raised {told(error)}") from error


@functools.cache
def _noise() -> NoiseLibrary:
    return NoiseLibrary.babble()


@dataclass(frozen=True)
class Views:
    """What a batch holds of its crops: the crops, changed or not, and perhaps a second version.

    Attributes
    ----------
    augment : Changes or None
        Changes the crops that the task learns from.
    second : Changes or None
        Makes the changed versions that consistency compares with them.
    """

    augment: Changes | None = None
    second: Changes | None = None

    def batch(
        self,
        part: Recordings,
        which: Sequence[int],
        offsets: Sequence[int],
        n_samples: int,
        *,
        numbers: Sequence[int],
    ) -> Batch:
        """Return crops of recordings with their targets, and their second versions.

        Labels stay as they are. An autoencoder's target is what it hears; vocals stay with their
        mixture.

        Parameters
        ----------
        part : Recordings
        which, offsets : sequence of int
            The recordings, and the first sample of each crop.
        n_samples : int
            Samples of a crop.
        numbers : sequence of int
            The crops' numbers over the whole training.
        """
        clips = part.batch(which, offsets, n_samples)
        if self.augment is None and self.second is None:
            return clips
        again: Any = clips.audio.clone() if self.second else None
        crops = zip(which, offsets, numbers, strict=True)
        for row, (index, offset, number) in enumerate(crops):
            mixture, vocals = part.context(index, offset, n_samples)
            if self.augment:
                made = self.augment.version(mixture, vocals, n_samples, number=number)
                if made is not None:
                    clips.audio[row] = torch.from_numpy(made.audio)
                    if made.vocals is not None:
                        clips.target[row] = torch.from_numpy(made.vocals)
            if self.second:
                made = self.second.version(mixture, vocals, n_samples, number=number)
                if made is not None:
                    again[row] = torch.from_numpy(made.audio)
        if again is None:
            return clips
        return clips._replace(changed=again, recordings=torch.tensor(list(which)))
