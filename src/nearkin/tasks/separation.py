"""VS: separate the singing voice from a mixture (paper, sections 2.1.4 and 4.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE
from nearkin.tasks.protocol import NOT_FINITE, OK, Batch, Scores, Task, array

if TYPE_CHECKING:
    from typing import Any

    from nearkin.corpora.recordings import Row

SILENT, NOTHING_FOUND = "silent vocals", "silent estimate"


class VoiceSeparation(Task):
    """A mask on the mixture's magnitudes; the measure is the SDR of the vocals in dB.

    The vocals get the mixture's phase. A clip whose vocals (or whose estimate) are silent has no
    SDR: it is left out and counted.
    """

    name: ClassVar[str] = "vs"
    title: ClassVar[str] = "Singing-voice separation"
    level: ClassVar[int] = 2
    measure: ClassVar[str] = "SDR"
    axis: ClassVar[str] = "SDR, dB"
    unit: ClassVar[str] = "dB"
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    more_is_better: ClassVar[bool] = True
    average: ClassVar[str] = "median"
    column: ClassVar[str | None] = "vocals_path"
    head: ClassVar[str] = "mask"
    epochs: ClassVar[int] = 5000

    def labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return no label."""
        return ()

    def target(self, row: Row, labels: Sequence[str]) -> NDArray[Any] | None:
        """Return None: the vocals are read with the mixture."""
        return None

    def loss(self, network: Any, batch: Batch) -> Any:
        """Return the mean absolute error of the masked magnitudes."""
        front = network.front
        mixture, vocals = front.stft(batch.audio).abs(), front.stft(batch.target).abs()
        return (network(batch.audio).float() * mixture - vocals).abs().mean()

    def scores(self, network: Any, batch: Batch) -> Scores:
        """Score each clip by the SDR of its vocals, the median over frames of one second."""
        estimates = self.separated(network, batch.audio)
        return sdr_per_clip(array(batch.target), array(estimates))

    def separated(self, network: Any, audio: Any) -> Any:
        """Return the vocals [batch, samples] that the network finds in audio[batch, samples]."""
        spectrum = network.front.stft(audio) * network(audio).float()
        return network.front.istft(spectrum, samples=audio.shape[1])

    def chance(self, network: Any, batch: Batch) -> NDArray[np.float64]:
        """Return the SDR of the unchanged mixture."""
        return sdr_per_clip(array(batch.target), array(batch.audio)).values


def sdr_per_clip(
    references: NDArray[np.float64], estimates: NDArray[np.float64], *, sr: int = SAMPLE_RATE
) -> Scores:
    """Return the signal-to-distortion ratio of each clip, the median over frames of one second.

    For one source in one channel museval's SDR of a frame is the plain ratio of energies,
    10 log10(|s|^2 / |s - estimate|^2); museval leaves silent frames out, and so does this.

    Parameters
    ----------
    references, estimates : float64[clips, samples]
        True and estimated vocals.
    sr : int
        Rate in Hz.

    Returns
    -------
    Scores
        dB; ``"silent vocals"`` where no frame has any, ``"silent estimate"`` where nothing was
        found in those that have.

    Examples
    --------
    >>> vocals = np.ones((1, 44_100))
    >>> sdr_per_clip(vocals, 0.9 * vocals).values.round(6)
    array([20.])
    """
    n_frames = max(1, references.shape[1] // sr)
    length = min(sr, references.shape[1])
    shape = (len(references), n_frames, length)
    true = references[:, : n_frames * length].reshape(shape)
    found = estimates[:, : n_frames * length].reshape(shape)
    signal = (true**2).sum(axis=2)
    distortion = ((true - found) ** 2).sum(axis=2)
    audible = (signal > 0) & ((found**2).sum(axis=2) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(audible, 10 * np.log10(signal / distortion), np.nan)
    values, status = np.full(len(references), np.nan), []
    for index, row in enumerate(ratio):
        known = row[~np.isnan(row)]
        if len(known):
            values[index] = np.median(known)
            status.append(OK)
        else:
            status.append(NOTHING_FOUND if signal[index].any() else SILENT)
    for clip in np.flatnonzero(~np.isfinite(estimates).all(axis=1)):
        values[clip], status[clip] = np.nan, NOT_FINITE
    return Scores(values, tuple(status))
