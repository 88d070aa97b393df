"""Griffin and Lim: the spectrogram comes back with more iterations, the phase does not."""

from __future__ import annotations

import numpy as np
from scipy.signal import stft

from nearkin.transforms import GriffinLim
from support import signals

SR = 22_050


def spectrogram(y):
    """Magnitudes as scipy has them, in librosa's frames."""
    return np.abs(stft(y, nperseg=1024, noverlap=768, boundary="zeros")[2])


def test_more_iterations_come_nearer_to_the_spectrogram():
    y = signals.music(1.5).astype(np.float32)
    wanted = spectrogram(y)
    off = []
    for iterations in (1, 4, 16, 32):
        out = GriffinLim(iterations)(y, sr=SR, rng=np.random.default_rng(0))
        assert out.shape == y.shape
        off.append(np.linalg.norm(spectrogram(out) - wanted) / np.linalg.norm(wanted))
    assert off[0] > off[1] > off[2] > off[3]
    assert off[3] < 0.15
    assert np.corrcoef(out, y)[0, 1] < 0.9, "its phase is another"


def test_channels_begin_alike():
    y = signals.music(0.5).astype(np.float32)
    out = GriffinLim(2)(np.stack([y, y]), sr=SR, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(out[0], out[1])
