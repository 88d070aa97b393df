"""Small data sets made exactly in their published layouts: tones instead of music."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from nearkin.audio import encode_mp3

STEMS = ("mixture", "drums", "bass", "other", "vocals")
STEM_HZ = {"mixture": 300.0, "drums": 500.0, "bass": 700.0, "other": 900.0, "vocals": 1100.0}
CLASSES = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")


def tone(hz: float, seconds: float, rate: int) -> NDArray[np.float32]:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def irmas_tree(root: Path, songs: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Three excerpts a song; 44.1 kHz stereo WAV as published, shortened to 0.1 s."""
    number = 0
    for code in CLASSES:
        names = [
            name
            for k in range(5)
            for name in (f"[{code}][cla]{k:04d}", f"{k:03d}__[{code}][nod][pop_roc]{k + 500:04d}")
        ]
        for name in songs[code] if songs else names:
            number += 1
            stem = name if songs else name[:-4] + f"{number:04d}"
            for excerpt in (1, 2, 3):
                path = root / code / f"{stem}__{excerpt}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                y = tone(200.0 + number, 0.1, 44_100)
                soundfile.write(path, np.stack([y, y], 1), 44_100, subtype="PCM_16")
    (root / "README.txt").write_text("IRMAS")
    return root


def stem_file(path: Path, seconds: Mapping[str, float] | None = None, n: int = 5) -> None:
    """Write five AAC streams, 44.1 kHz stereo, in the order of MUSDB18's stems."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        streams = [
            container.add_stream("aac", rate=44_100, layout="stereo", bit_rate=128_000)
            for _ in STEMS[:n]
        ]
        for name, stream in zip(STEMS, streams, strict=False):
            y = tone(STEM_HZ[name], (seconds or {}).get(name, 1.0), 44_100)
            frame = av.AudioFrame.from_ndarray(np.stack([y, y]), format="fltp", layout="stereo")
            frame.sample_rate = 44_100
            frame.time_base = Fraction(1, 44_100)
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def musdb_tree(root: Path, *, stems: bool, train: int = 10, test: int = 3) -> Path:
    for split, n in (("train", train), ("test", test)):
        for number in range(n):
            title = f"Band {number} - The {split} song, no. {number}"
            if stems:
                stem_file(root / split / f"{title}.stem.mp4")
                continue
            for name in STEMS:
                path = root / split / title / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                y = tone(STEM_HZ[name], 0.5, 44_100)
                soundfile.write(path, np.stack([y, y], 1), 44_100, subtype="PCM_16")
    return root


def track_id(number: int) -> str:
    return f"TR{'ABCDEFGHIJ'[number % 10]}{'QWERT'[number % 5]}XYZ128F4{number:06X}"[:18]


def lastfm_file(path: Path, tags: Mapping[str, Sequence[str]]) -> None:
    """Write track id -> tags in the published schema, where numbers are row ids."""
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE tags (tag TEXT);"
            "CREATE TABLE tids (tid TEXT);"
            "CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT, "
            "FOREIGN KEY(tid) REFERENCES tids(ROWID), FOREIGN KEY(tag) REFERENCES tags(ROWID));"
            "CREATE INDEX idx_tid_tag_tag ON tid_tag (tag);"
        )
        names = list(dict.fromkeys(name for had in tags.values() for name in had))
        database.executemany("INSERT INTO tags VALUES (?)", [(name,) for name in names])
        for number, (track, had) in enumerate(tags.items(), start=1):
            database.execute("INSERT INTO tids VALUES (?)", (track,))
            database.executemany(
                "INSERT INTO tid_tag VALUES (?, ?, ?)",
                [(number, names.index(name) + 1, 100.0) for name in had],
            )
    database.close()


def msd_tree(root: Path) -> tuple[Path, dict[str, list[str]]]:
    """Tag k is on tracks k, k + 1, ...: tag00 is the most frequent; 55 tags, 80 tracks, 20 clips.

    The last track and clip has only the five rare tags.
    """
    root.mkdir(parents=True, exist_ok=True)
    tags = {
        track_id(number): [f"tag{k:02d}" for k in range(50) if k <= number] for number in range(79)
    }
    tags[track_id(79)] = [f"rare{k}" for k in range(5)]
    lastfm_file(root / "lastfm_tags.db", tags)
    data = encode_mp3(tone(440.0, 0.5, 22_050), sr=22_050, kbps=32)
    for number in [*range(0, 76, 4), 79]:
        track = track_id(number)
        path = root / "audio" / track[2] / track[3] / track[4] / f"{track}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root, tags
