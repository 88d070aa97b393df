"""Clips for models of one fixed length: longer ones cut in windows, shorter ones padded if asked.

Lengths are in samples at the model's rate. Windows have equal distances and cover the whole clip:
the first begins with it, the last ends with it, and as few as possible are taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import EncoderError


def cut(
    audio: NDArray[np.float32], *, length: int, pad: str | None, sample_rate: int
) -> NDArray[np.float32]:
    """Cut clips in windows.

    Parameters
    ----------
    audio : float32[batch, samples]
        The clips.
    length : int
        Samples of a window.
    pad : {"zero", "loop"} or None
        How a shorter clip is lengthened at its end.
    sample_rate : int
        For the message.

    Returns
    -------
    float32[batch, windows, length]

    Raises
    ------
    EncoderError
        If the clips are shorter than a window and no padding was asked for.

    Examples
    --------
    >>> cut(np.arange(5.0)[None], length=3, pad=None, sample_rate=8000)[0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    n_samples = audio.shape[1]
    if n_samples < length:
        if pad is None or n_samples == 0:
            raise EncoderError(
                f"takes {length} samples ({length / sample_rate:.3f} s), the clip has {n_samples} "
                f"({n_samples / sample_rate:.3f} s): pass --pad zero or --pad loop, or longer "
                "clips with --clip-seconds"
            )
        if pad == "loop":
            audio = np.tile(audio, (1, -(-length // n_samples)))[:, :length]
        else:
            audio = np.pad(audio, ((0, 0), (0, length - n_samples)))
        return np.ascontiguousarray(audio[:, None])
    count = -(-n_samples // length)
    starts = np.linspace(0, n_samples - length, count).round().astype(int)
    return np.stack([audio[:, start : start + length] for start in starts], axis=1)
