"""The paper's networks: a front end and a VGG-like or MFCC encoder, and the heads of four tasks.

Conventions: audio is float32[batch, samples] at 22,050 Hz; spectrograms are [batch, frames, bins]
with 513 bins (STFT 1024 / 256, centred); images inside the network are [batch, channels, frames,
bins]. The front end is part of the network, so that a saved model takes a waveform. Kim et al.
2019, section 2.2, Table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nearkin.errors import InputError
from nearkin.optional import need
from nearkin.seeds import stream

torch: Any = need("torch", extra="torch")
nn: Any = torch.nn

SAMPLE_RATE = 22_050
N_FFT, HOP_LENGTH = 1024, 256
N_BINS = N_FFT // 2 + 1
MINIMUM_FRAMES = 128
MINIMUM_SAMPLES = (MINIMUM_FRAMES - 1) * HOP_LENGTH
"""The shortest clip, 1.47 s: with fewer frames the last pooling would leave nothing."""

CHANNELS = (16, 32, 64, 128, 256, 256, 256)
"""Channels after each of the seven convolutions."""
LATENT = 256
N_MELS, N_MFCC = 128, 25
N_STATISTICS = 6 * (N_MFCC - 1)
"""Values of the MFCC encoder: mean and deviation of 24 coefficients and two differences."""

FLOOR, RANGE_DB = 1e-10, 80.0

Size = tuple[int, int]


@dataclass(frozen=True)
class NetworkConfig:
    """Which network: all that is needed to build it anew.

    Attributes
    ----------
    features : {"vgg", "mfcc"}
        The encoder.
    head : {"decoder", "mask", "classes"}
        What stands on the latent vector: the mirrored decoder, the same ending in a mask (with
        skip connections from a VGG-like encoder), or one fully connected layer.
    n_outputs : int
        Classes or tags; 0 for the other heads.

    Raises
    ------
    InputError
        If a field is none of these.
    """

    features: str
    head: str
    n_outputs: int = 0

    def __post_init__(self) -> None:
        """Check."""
        if self.features not in FEATURES:
            raise InputError(f"features={self.features!r}: must be one of {', '.join(FEATURES)}")
        if self.head not in HEADS:
            raise InputError(f"head={self.head!r}: must be one of {', '.join(HEADS)}")
        if (self.n_outputs > 0) != (self.head == "classes"):
            raise InputError(
                f"n_outputs={self.n_outputs}: must be > 0 for the head 'classes' and 0 for others"
            )


class Encoded(NamedTuple):
    """What an encoder makes of a batch.

    Attributes
    ----------
    z : Tensor[batch, D]
        The latent vector.
    sizes : list of (frames, bins)
        Of the input, and after each pooling.
    skips : list of Tensor[batch, channels, frames, bins]
        What each convolution block gave, before its pooling; empty for the MFCC encoder.
    """

    z: Any
    sizes: list[Size]
    skips: list[Any]


class FrontEnd(nn.Module):
    """From the waveform to the standardised spectrogram in decibels.

    The mean and the deviation of every bin over the training set are buffers of the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_BINS))
        self.register_buffer("std", torch.ones(N_BINS))

    def stft(self, audio: Any) -> Any:
        """Return the complex spectrum, [batch, frames, bins], librosa's centred STFT."""
        return self._spectrum(audio).to(torch.complex64)

    def istft(self, spectrum: Any, *, samples: int) -> Any:
        """Return the waveform [batch, samples] of a complex spectrum [batch, frames, bins]."""
        window = torch.hann_window(N_FFT, device=spectrum.device)
        return torch.istft(
            spectrum.transpose(1, 2), N_FFT, HOP_LENGTH, window=window, length=samples
        )

    def power(self, audio: Any) -> Any:
        """Return the power spectrogram, [batch, frames, bins]."""
        spectrum = self._spectrum(audio)
        return (spectrum.real**2 + spectrum.imag**2).float()

    def decibels(self, audio: Any) -> Any:
        """Return the spectrogram in dB, [batch, frames, bins], within 80 dB of each clip's peak."""
        return decibels(self.power(audio))

    def forward(self, audio: Any) -> Any:
        """Return the standardised spectrogram, [batch, frames, bins]."""
        return (self.decibels(audio) - self.mean) / self.std

    def _spectrum(self, audio: Any) -> Any:
        """Transform in double precision where the device has it.

        Single precision is 0.002 dB off in the quiet bins, 80 dB below the loudest.
        """
        kind = torch.float32 if audio.device.type == "mps" else torch.float64
        spectrum = torch.stft(
            audio.to(kind),
            N_FFT,
            HOP_LENGTH,
            window=torch.hann_window(N_FFT, dtype=kind, device=audio.device),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.transpose(1, 2)


class VGGEncoder(nn.Module):
    """Table 1: seven blocks of convolution, normalisation and pooling; 256 latent values."""

    n_outputs = LATENT

    def __init__(self) -> None:
        super().__init__()
        self.front = FrontEnd()
        before = (1, *CHANNELS[:-1])
        self.blocks = nn.ModuleList(
            _block(nn.Conv2d(n_in, n_out, 3, padding=1), n_out)
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
        from librosa.filters import mel

        self.front = FrontEnd()
        filters = mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
        cosines = scipy.fft.dct(_identity(N_MELS), axis=0, norm="ortho")[1:N_MFCC]
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


class Decoder(nn.Module):
    """The encoder mirrored: from the latent vector back to one value a frame and bin.

    A pooled value is repeated over its window; no pooling index is handed over, which would leak
    the input past the latent vector.

    Parameters
    ----------
    n_inputs : int
        Latent values.
    skips : bool
        Join what the encoder's blocks gave, as in U-Net.
    mask : bool
        End in a sigmoid.
    """

    def __init__(self, n_inputs: int, *, skips: bool, mask: bool) -> None:
        super().__init__()
        self.skips, self.mask = skips, mask
        self.latent = nn.Sequential(
            nn.Linear(n_inputs, CHANNELS[-1]), nn.BatchNorm1d(CHANNELS[-1]), nn.ReLU()
        )
        width = 2 if skips else 1
        self.blocks = nn.ModuleList(
            _block(nn.ConvTranspose2d(width * n_in, n_out, 3, padding=1), n_out)
            for n_in, n_out in zip(CHANNELS[:0:-1], CHANNELS[-2::-1], strict=True)
        )
        self.last = nn.ConvTranspose2d(width * CHANNELS[0], 1, 3, padding=1)

    def forward(self, encoded: Encoded) -> Any:
        """Decode to [batch, frames, bins], standardised decibels or a mask from 0 to 1."""
        image = self.latent(encoded.z)[:, :, None, None]
        image = image.expand(-1, -1, *encoded.sizes[-1])
        levels = range(len(CHANNELS) - 1, -1, -1)
        for level, block in zip(levels, (*self.blocks, self.last), strict=True):
            image = _unpooled(image, encoded.sizes[level])
            if self.skips:
                image = torch.cat([image, encoded.skips[level]], dim=1)
            image = block(image)
        values = image.squeeze(1)
        return torch.sigmoid(values) if self.mask else values


class Classifier(nn.Module):
    """One fully connected layer: a logit for every tag or class."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)

    def forward(self, encoded: Encoded) -> Any:
        """Return logits [batch, n_outputs]."""
        return self.linear(encoded.z)


class TaskNetwork(nn.Module):
    """An encoder and a head, from waveforms to a task's output.

    Parameters
    ----------
    config : NetworkConfig
        What it is built from.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VGGEncoder() if config.features == "vgg" else MFCCEncoder()
        n_inputs = self.encoder.n_outputs
        if config.head == "classes":
            self.head = Classifier(n_inputs, config.n_outputs)
        else:
            mask = config.head == "mask"
            self.head = Decoder(n_inputs, skips=mask and config.features == "vgg", mask=mask)

    @property
    def front(self) -> Any:
        """The front end."""
        return self.encoder.front

    def embed(self, audio: Any) -> Any:
        """Return the latent vectors [batch, D] of audio[batch, samples]."""
        require_length(audio.shape[1])
        return self.encoder(audio).z

    def forward(self, audio: Any) -> Any:
        """Return the head's output for audio[batch, samples]."""
        require_length(audio.shape[1])
        return self.head(self.encoder(audio))

    def standardise(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep the training set's statistics: 513 of bins, 144 for the MFCC encoder.

        A value that never changes gets the deviation 1.
        """
        part = self.encoder if len(mean) == N_STATISTICS else self.front
        part.mean.copy_(torch.as_tensor(mean))
        spread = torch.as_tensor(std)
        part.std.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))


FEATURES = ("vgg", "mfcc")
HEADS = ("decoder", "mask", "classes")


def build(config: NetworkConfig, *, seed: int) -> TaskNetwork:
    """Build a network with its first, random weights.

    Parameters
    ----------
    config : NetworkConfig
        Which.
    seed : int
        Equal seeds, equal weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "weights").integers(2**31)))
        return TaskNetwork(config)


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


def decibels(power: Any) -> Any:
    """Return power[batch, frames, values] in dB, floored 80 dB below each clip's own maximum."""
    values = 10.0 * torch.log10(torch.clamp(power, min=FLOOR))
    return torch.maximum(values, values.amax(dim=(1, 2), keepdim=True) - RANGE_DB)


def require_length(samples: int) -> None:
    """Refuse clips of fewer than 128 frames.

    Raises
    ------
    InputError
        If it is shorter.
    """
    if samples < MINIMUM_SAMPLES:
        raise InputError(
            f"a clip of {samples} samples: must have at least {MINIMUM_SAMPLES} "
            f"({MINIMUM_FRAMES} frames, {MINIMUM_SAMPLES / SAMPLE_RATE:.2f} s at "
            f"{SAMPLE_RATE} Hz); take longer clips"
        )


def _block(convolution: Any, n_channels: int) -> Any:
    return nn.Sequential(convolution, nn.BatchNorm2d(n_channels), nn.ReLU())


def _unpooled(image: Any, size: Size) -> Any:
    """Repeat every value over its pooling window; the row or bin that pooling lost, once more."""
    image = nn.functional.interpolate(image, scale_factor=2, mode="nearest")
    rest = (0, size[1] - image.shape[3], 0, size[0] - image.shape[2])
    return nn.functional.pad(image, rest, mode="replicate") if any(rest) else image


def _identity(n: int) -> Any:
    import numpy as np

    return np.eye(n)
