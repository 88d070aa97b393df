"""From a waveform to the standardised spectrogram that the paper's networks take.

Conventions: audio is float32[batch, samples] at 22,050 Hz; spectrograms are [batch, frames, bins]
with 513 bins (STFT 1024 / 256, centred). The front end is part of a network, so that a saved model
takes a waveform. Kim et al. 2019, section 2.2.
"""

from __future__ import annotations

from typing import Any

from nearkin.errors import InputError
from nearkin.optional import need

torch: Any = need("torch", extra="torch")

SAMPLE_RATE = 22_050
N_FFT, HOP_LENGTH = 1024, 256
N_BINS = N_FFT // 2 + 1
MINIMUM_FRAMES = 128
MINIMUM_SAMPLES = (MINIMUM_FRAMES - 1) * HOP_LENGTH
"""The shortest clip, 1.47 s: with fewer frames the last pooling would leave nothing."""

FLOOR, RANGE_DB = 1e-10, 80.0


class FrontEnd(torch.nn.Module):
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
