"""The shortest plug-in: a plain function is an encoder.

nearkin run music/ --encoder examples/chroma.py:chroma
"""

import librosa
import numpy as np


def chroma(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return float[T, 12], the energy of the pitch classes over time; nearkin pools the time."""
    spectrum = np.abs(librosa.stft(audio, n_fft=4096, hop_length=1024))
    return librosa.feature.chroma_stft(S=spectrum**2, sr=sample_rate, tuning=0.0).T
