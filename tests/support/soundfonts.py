"""A SoundFont made by hand (SoundFont 2.04): one looped sine wave under every program asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_RATE, _PERIOD, _KEY = 22_050, 50, 69  # 441 Hz, said to be A4


def write_soundfont(
    path: Path, *, programs: Iterable[int] = range(128), drums: bool = True
) -> Path:
    """Write a SoundFont whose presets all play one sine wave; return the path."""
    presets = [(0, program) for program in programs] + ([(128, 0)] if drums else [])
    wave = np.round(12_000 * np.sin(2 * np.pi * np.arange(20 * _PERIOD) / _PERIOD)).astype("<i2")
    headers = b"".join(
        struct.pack("<20sHHHIII", b"p", program, bank, place, 0, 0, 0)
        for place, (bank, program) in enumerate(presets)
    )
    n = len(presets)
    pdta = [
        ("phdr", headers + struct.pack("<20sHHHIII", b"EOP", 0, 0, n, 0, 0, 0)),
        ("pbag", b"".join(struct.pack("<HH", place, 0) for place in range(n + 1))),
        ("pmod", bytes(10)),
        ("pgen", struct.pack("<HH", 41, 0) * n + bytes(4)),  # 41: which instrument
        ("inst", struct.pack("<20sH", b"i", 0) + struct.pack("<20sH", b"EOI", 1)),
        ("ibag", struct.pack("<HHHH", 0, 0, 2, 0)),
        ("imod", bytes(10)),
        ("igen", struct.pack("<HHHH", 54, 1, 53, 0) + bytes(4)),  # looped; which sample
        (
            "shdr",
            struct.pack(
                "<20sIIIIIBbHH", b"s", 0, len(wave), _PERIOD, len(wave), _RATE, _KEY, 0, 0, 1
            )
            + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
        ),
    ]
    body = _listed("INFO", [("ifil", struct.pack("<HH", 2, 4)), ("INAM", b"by hand\0")])
    body += _listed("sdta", [("smpl", wave.tobytes() + bytes(92))])
    body += _listed("pdta", pdta)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"sfbk" + body)
    return path


def _listed(kind: str, chunks: list[tuple[str, bytes]]) -> bytes:
    content = b"".join(name.encode() + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"LIST" + struct.pack("<I", len(content) + 4) + kind.encode() + content
