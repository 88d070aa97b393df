"""The audio space and the MFCC encoder: librosa's features with nearkin's settings.

Signals are ``float32[samples]``, features ``float32[frames, values]`` (time first), at librosa's
definition (centred frames, Slaney's mel scale, decibels of power floored at 1e-10 and 80 dB below
the clip's own maximum, orthonormal DCT-II). Paper, sections 3.1.2 and 4.1.

The spectrograms of the clips heard last are kept: the audio space and an encoder that takes the
same one ask for it at different times.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.audio import SAMPLE_RATE
from nearkin.audio.numba_cache import imported_librosa
from nearkin.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float32]

N_MFCC = 25
"""Coefficients computed; the first (the level) is dropped, 24 remain."""


def log_mel(
    y: ArrayLike,
    *,
    sr: int = SAMPLE_RATE,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
) -> Features:
    """Return the mel spectrogram in decibels.

    Parameters
    ----------
    y : array_like, shape [samples]
        The signal, at least `n_fft` samples.
    sr : int
        Its rate in Hz.
    n_fft, hop_length : int
        Window and hop in samples.
    n_mels : int
        Number of mel bands.

    Returns
    -------
    numpy.ndarray of float32, shape [1 + samples // hop_length, n_mels]
        dB relative to 1.

    Raises
    ------
    InputError
        If the signal is too short, not mono or not finite.
    """
    signal = _checked(y, sr=sr, n_fft=n_fft)
    return _time_first(_kept(signal, (sr, n_fft, hop_length, n_mels)))


def mfcc(
    y: ArrayLike,
    *,
    sr: int = SAMPLE_RATE,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    n_mfcc: int = N_MFCC,
) -> Features:
    """Return the MFCCs of the audio space: `n_mfcc` coefficients less the first.

    Parameters
    ----------
    y : array_like, shape [samples]
        The signal, at least `n_fft` samples.
    sr : int
        Its rate in Hz.
    n_fft, hop_length : int
        Window and hop in samples.
    n_mels, n_mfcc : int
        Mel bands, and coefficients before the first is dropped.

    Returns
    -------
    numpy.ndarray of float32, shape [1 + samples // hop_length, n_mfcc - 1]
        87 x 24 for 2 s at 22,050 Hz and the default settings.

    Raises
    ------
    InputError
        If the signal is too short, not mono or not finite.
    """
    if not 1 < n_mfcc <= n_mels:
        raise InputError(f"n_mfcc={n_mfcc}: must be from 2 to n_mels={n_mels}; pass another")
    signal = _checked(y, sr=sr, n_fft=n_fft)
    return _coefficients(_kept(signal, (sr, n_fft, hop_length, n_mels)), n_mfcc)


def mfcc_statistics(y: ArrayLike, *, sr: int = SAMPLE_RATE) -> Features:
    """Return the vector of the MFCC encoder.

    24 MFCCs (STFT 1024 / 256), their first and second differences of neighbouring frames, and of
    each the mean and the standard deviation over time.

    Parameters
    ----------
    y : array_like, shape [samples]
        The signal, at least 1,024 samples.
    sr : int
        Its rate in Hz.

    Returns
    -------
    numpy.ndarray of float32, shape [144]
        24 means of the coefficients, 24 of the first differences, 24 of the second, then the
        standard deviations in the same order.

    Raises
    ------
    InputError
        If the signal is too short, not mono or not finite.
    """
    signal = _checked(y, sr=sr, n_fft=1024)
    frames = _coefficients(_decibels(signal, sr, 1024, 256, 128), N_MFCC).astype(np.float64)
    tracks = [np.diff(frames, n=order, axis=0) for order in range(3)]
    values = [track.mean(axis=0) for track in tracks] + [track.std(axis=0) for track in tracks]
    return np.concatenate(values).astype(np.float32)


def _coefficients(decibels: NDArray[np.float32], n_mfcc: int) -> Features:
    return _time_first(imported_librosa().feature.mfcc(S=decibels, n_mfcc=n_mfcc)[1:])


def _decibels(
    signal: Features, sr: int, n_fft: int, hop_length: int, n_mels: int
) -> NDArray[np.float32]:
    """The mel spectrogram in decibels, [n_mels, frames], by librosa's own steps.

    librosa builds the filters anew at every call, a fifth of its time here: they are kept, and
    sparse, since the last bits of a dense product hang on how many threads share it.
    """
    librosa = imported_librosa()

    power = np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=hop_length)) ** 2
    mel = _mel_filters(sr, n_fft, n_mels) @ np.ascontiguousarray(power)
    decibels: NDArray[np.float32] = librosa.power_to_db(mel)
    return decibels


_KEPT_BYTES = 32_000_000
"""Of spectrograms that are kept, each counted as large as the newest: some 700 of 2 s, so all
versions of a clip at any grid."""
_last: OrderedDict[tuple[object, ...], NDArray[np.float32]] = OrderedDict()
_at_work = threading.Lock()


def _kept(signal: Features, settings: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return `_decibels` of a signal, read-only, computed once while it is among the last."""
    key = (hashlib.sha256(signal.tobytes()).digest(), *settings)
    with _at_work:
        found = _last.get(key)
    if found is not None:
        return found
    made = _decibels(signal, *settings)
    made.flags.writeable = False
    with _at_work:
        _last[key] = made
        while len(_last) * made.nbytes > _KEPT_BYTES and len(_last) > 1:
            _last.popitem(last=False)
    return made


@functools.lru_cache(maxsize=8)
def _mel_filters(sr: int, n_fft: int, n_mels: int) -> Any:
    """The filters as float32[n_mels, bins], sparse: 1.5 % of them are not zero."""
    from scipy.sparse import csr_array

    return csr_array(imported_librosa().filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels))


def _checked(y: ArrayLike, *, sr: int, n_fft: int) -> Features:
    signal = np.ascontiguousarray(y, dtype=np.float32)
    if sr <= 0:
        raise InputError(f"sr={sr}: must be > 0; pass the signal's rate in Hz")
    if signal.ndim != 1:
        raise InputError(f"y of shape {signal.shape}: must be [samples]; pass one channel")
    if signal.shape[0] < n_fft:
        raise InputError(
            f"y of {signal.shape[0]} samples: must have at least n_fft={n_fft}; pass a longer clip"
        )
    if not np.isfinite(signal).all():
        raise InputError("y has NaN or infinite samples: must be finite; repair the signal")
    return signal


def _time_first(values: NDArray[Any]) -> Features:
    return np.array(values.T, dtype=np.float32, order="C")
