"""The encoders of the paper's networks: VGG-like, and the hand-crafted MFCCs.

Conventions: audio is float32[batch, samples] at 22,050 Hz; images are [batch, channels, frames,
bins]; the latent vectors are [batch, D]. Kim et al. 2019, section 2.2, Table 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nearkin.audio.numba_cache import imported_librosa
from nearkin.networks.front_end import (
    HOP_LENGTH,
    N_BINS,
    N_FFT,
    SAMPLE_RATE,
    FrontEnd,
    decibels,
)
from nearkin.optional import need

torch: Any = need("torch", extra="torch")
nn: Any = torch.nn

CHANNELS = (16, 32, 64, 128, 256, 256, 256)
"""Channels after each of the seven convolutions."""
LATENT = 256
N_MELS, N_MFCC = 128, 25
N_STATISTICS = 6 * (N_MFCC - 1)
"""Values of the MFCC encoder: mean and deviation of 24 coefficients and two differences."""

Size = tuple[int, int]


class Encoded(NamedTuple):
    """What an encoder returns for a batch.

    Attributes
    ----------
    z : Tensor[batch, D]
        The latent vector.
    sizes : list of (frames, bins)
        Of the input, and after each pooling.
    skips : list of Tensor[batch, channels, frames, bins]
        The output of each convolution block before its pooling; empty for the MFCC encoder.
    """

    z: Any
    sizes: list[Size]
    skips: list[Any]


class VGGEncoder(nn.Module):
    """Table 1: seven blocks of convolution, normalisation and pooling; 256 latent values."""

    n_outputs = LATENT

    def __init__(self) -> None:
        super().__init__()
        self.front = FrontEnd()
        before = (1, *CHANNELS[:-1])
        self.blocks = nn.ModuleList(
            convolution_block(nn.Conv2d(n_in, n_out, 3, padding=1), n_out)
            for n_in, n_out in zip(before, CHANNELS, strict=True)
        )
        self.latent = nn.Sequential(
            nn.Linear(CHANNELS[-1], LATENT), nn.BatchNorm1d(LATENT), nn.ReLU()
        )

    def forward(self, audio: Any) -> Encoded:
        """Encode audio[batch, samples]."""
        return self.encode(self.front(audio))

    def encode(self, spectrogram: Any) -> Encoded:
        """Encode a standardised spectrogram [batch, frames, bins], 128 x 128 at the least."""
        image = spectrogram.unsqueeze(1)
        sizes: list[Size] = [(image.shape[2], image.shape[3])]
        skips = []
        for block in self.blocks:
            before = block(image)
            image = nn.functional.max_pool2d(before, 2)
            skips.append(before)
            sizes.append((image.shape[2], image.shape[3]))
        return Encoded(self.latent(image.mean(dim=(2, 3))), sizes, skips)


class MFCCEncoder(nn.Module):
    """The hand-crafted baseline: nothing in it is learnt but the standardisation.

    The latent vector is `nearkin.audio.features.mfcc_statistics`, standardised over the training
    set.
    """

    n_outputs = N_STATISTICS

    def __init__(self) -> None:
        super().__init__()
        import scipy.fft

        mel = imported_librosa().filters.mel

        self.front = FrontEnd()
        filters = mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
        cosines = scipy.fft.dct(np.eye(N_MELS), axis=0, norm="ortho")[1:N_MFCC]
        self.register_buffer("filters", torch.as_tensor(filters).float(), persistent=False)
        self.register_buffer("cosines", torch.as_tensor(cosines).float(), persistent=False)
        self.register_buffer("mean", torch.zeros(N_STATISTICS))
        self.register_buffer("std", torch.ones(N_STATISTICS))

    def statistics(self, audio: Any) -> Any:
        """Return mean and deviation over time of MFCCs and their differences, [batch, 144]."""
        power = self.front.power(audio)
        with torch.autocast(audio.device.type, enabled=False):  # half the bits are not enough here
            frames = decibels(power @ self.filters.T) @ self.cosines.T
        tracks = [frames, frames.diff(dim=1), frames.diff(n=2, dim=1)]
        means = [track.mean(dim=1) for track in tracks]
        return torch.cat(means + [track.std(dim=1, correction=0) for track in tracks], dim=1)

    def forward(self, audio: Any) -> Encoded:
        """Encode audio[batch, samples]."""
        sizes = pooled_sizes((1 + audio.shape[1] // HOP_LENGTH, N_BINS))
        return Encoded((self.statistics(audio) - self.mean) / self.std, sizes, [])


def pooled_sizes(size: Size) -> list[Size]:
    """Return the sizes of an input and after each of the seven poolings, which floor.

    Examples
    --------
    >>> pooled_sizes((173, 513))[1:3]
    [(86, 256), (43, 128)]
    """
    sizes = [size]
    for _ in CHANNELS:
        frames, bins = sizes[-1]
        sizes.append((frames // 2, bins // 2))
    return sizes


def convolution_block(convolution: Any, n_channels: int) -> Any:
    """Return a convolution with its batch normalisation and ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(n_channels), nn.ReLU())
