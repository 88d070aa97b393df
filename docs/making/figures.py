"""Spectrograms and mean spectra of a few signals, side by side, as one SVG."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from numpy.typing import NDArray
from scipy.signal import stft

WIDTH, HEIGHT = 190, 170
LOWEST_HZ = 40.0
ROWS = 160
RANGE_DB = 70.0
COLOURS = ("#222222", "#d55e00", "#0072b2")
_HEAT = ("#0b0724", "#4a1079", "#a4357a", "#f1705c", "#fec287", "#fcfdbf")
"""From silent to loud."""

Signal = NDArray[np.float32]


def draw(signals: Mapping[str, Signal], *, sr: int) -> str:
    """Return an SVG: a spectrogram a signal, and beside them the mean spectra of all.

    Parameters
    ----------
    signals : mapping of str to float32[samples]
        By label, the original first.
    sr : int
        Their rate in Hz.
    """
    hz = np.geomspace(LOWEST_HZ, sr / 2, ROWS)
    levels = {label: _levels(y, hz, sr=sr) for label, y in signals.items()}
    top = max(float(level.max()) for level in levels.values())
    panels = [
        _spectrogram(level, label, seconds=len(signals[label]) / sr, sr=sr, top=top)
        for label, level in levels.items()
    ]
    chart = alt.hconcat(*panels, _spectra(levels, hz, sr=sr)).configure(
        font="sans-serif", background="white"
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def _levels(y: Signal, hz: NDArray[np.float64], *, sr: int) -> NDArray[np.float64]:
    """Return float64[rows, frames] in dB at frequencies hz[rows]."""
    bins, _, spectrum = stft(y, fs=sr, nperseg=2048, noverlap=2048 - 256)
    power = np.abs(spectrum) ** 2
    return 10 * np.log10(
        np.stack([np.interp(hz, bins, frame) for frame in power.T], axis=1) + 1e-12
    )


def _mean_db(level: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10 * np.log10((10 ** (level / 10)).mean(axis=1)))


def _frequency(sr: int) -> alt.Scale:
    return alt.Scale(type="log", domain=[LOWEST_HZ, sr / 2], nice=False)


def _spectrogram(
    level: NDArray[np.float64], label: str, *, seconds: float, sr: int, top: float
) -> alt.Chart:
    place = pd.DataFrame(
        {"s": [seconds / 2], "Hz": [np.sqrt(LOWEST_HZ * sr / 2)], "url": [_png(level, top)]}
    )
    axis = alt.Axis(values=[100, 1_000, 10_000], format="~s", title="Hz")
    return (
        alt.Chart(place, title=label)
        .mark_image(width=WIDTH, height=HEIGHT, aspect=False)
        .encode(
            x=alt.X("s:Q", scale=alt.Scale(domain=[0, seconds]), title="s"),
            y=alt.Y("Hz:Q", scale=_frequency(sr), axis=axis),
            url="url:N",
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def _spectra(
    levels: Mapping[str, NDArray[np.float64]], hz: NDArray[np.float64], *, sr: int
) -> alt.Chart:
    rows = [
        pd.DataFrame({"Hz": hz, "dB": _mean_db(level), "clip": label})
        for label, level in levels.items()
    ]
    axis = alt.Axis(values=[100, 1_000, 10_000], format="~s", title="Hz")
    legend = alt.Legend(title=None, orient="bottom")
    colours = alt.Scale(domain=list(levels), range=list(COLOURS[: len(levels)]))
    return (
        alt.Chart(pd.concat(rows), title="mean spectrum")
        .mark_line(strokeWidth=1.2)
        .encode(
            x=alt.X("Hz:Q", scale=_frequency(sr), axis=axis),
            y=alt.Y("dB:Q", scale=alt.Scale(zero=False)),
            color=alt.Color("clip:N", scale=colours, legend=legend),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def _png(level: NDArray[np.float64], top: float) -> str:
    """Return levels as a picture, low frequencies below, in a ``data:`` address."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _HEAT], float)
    place = np.clip((level[::-1] - (top - RANGE_DB)) / RANGE_DB, 0, 1) * (len(anchors) - 1)
    steps = np.arange(len(anchors))
    colour = np.stack([np.interp(place, steps, anchors[:, i]) for i in range(3)], axis=-1)
    pixels = np.round(colour).astype(np.uint8)
    height, width, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()
