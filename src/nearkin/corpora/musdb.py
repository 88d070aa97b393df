"""MUSDB18: 150 songs with their singing voice, as stems in one file or as WAV files.

Both editions as published: ``train/Artist - Title.stem.mp4``, whose five audio streams are mixture,
drums, bass, other and vocals, and ``train/Artist - Title/mixture.wav`` beside ``vocals.wav``
(MUSDB18-HQ, or decoded). The test split is the published one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nearkin.corpora.files import existing, indexed, measured
from nearkin.corpora.splits import limited, split_by_group
from nearkin.errors import InputError, printable
from nearkin.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

VOCALS_STREAM = 4
TRAIN_VALID = {"train": 0.7, "valid": 0.3}
_SUFFIX = ".stem.mp4"
# One AAC packet at 44.1 kHz: streams of equal sources may be padded differently.
_PACKET_S = 1024 / 44_100
_MILLISECOND = 0.001


class _Song(NamedTuple):
    title: str
    mixture: Path
    vocals: Path


def musdb18(
    root: Path, *, hours: float | None, seed: int, workers: int, progress: Progress
) -> pd.DataFrame:
    """MUSDB18 (stem.mp4) or MUSDB18-HQ (wav): mixtures and their vocals, train split 7:3 by song.

    Parameters
    ----------
    root : Path
        The folder that holds ``train`` and ``test``; where one holds both editions, its stem.mp4
        files are taken.
    hours : float or None
        Keep about so many, every split in proportion.
    seed : int
        Equal seeds, equal manifests.
    workers : int
        Not used: headers are read one after the other.
    progress : callable
        Told how many files were looked at.

    Returns
    -------
    pandas.DataFrame
        ``path`` (relative to `root`), ``split``, ``group`` (the song), ``vocals_path`` (a file, or
        ``song.stem.mp4#stream=4``), ``duration_s``.

    Raises
    ------
    InputError
        If it is not laid out as published, a stem is missing, not sound, or of another length than
        its mixture.
    """
    songs = {split: _songs(existing(root), split) for split in ("train", "test")}
    titles = [song.title for song in songs["train"]]
    splits = split_by_group(titles, TRAIN_VALID, seed=seed, purpose="MUSDB18's train")
    splits |= {song.title: "test" for song in songs["test"]}
    twice = sorted(set(titles) & {song.title for song in songs["test"]})
    if twice:
        raise InputError(
            f"{printable(root)}: '{printable(twice[0])}' is in train and test: must be in one; "
            "remove one of them"
        )
    everything = songs["train"] + songs["test"]
    files = [file for song in everything for file in (song.mixture, song.vocals)]
    seconds = measured(files, progress=progress, strict=True).seconds
    for song in everything:
        _check_lengths(song, seconds[song.mixture], seconds[song.vocals])
    table = indexed(
        {
            "path": [song.mixture.relative_to(root).as_posix() for song in everything],
            "split": [splits[song.title] for song in everything],
            "group": [song.title for song in everything],
            "vocals_path": [song.vocals.relative_to(root).as_posix() for song in everything],
            "duration_s": [seconds[song.mixture] for song in everything],
        }
    )
    return limited(table, hours=hours, seed=seed)


def _songs(root: Path, split: str) -> list[_Song]:
    folder = root / split
    if not folder.is_dir():
        raise InputError(
            f"{printable(root)}: has no folder '{split}': must hold MUSDB18's train and test; "
            "name the folder that holds both"
        )
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    stems = [entry for entry in entries if entry.name.endswith(_SUFFIX)]
    if stems:
        return [
            _Song(
                file.name.removesuffix(_SUFFIX),
                file,
                file.with_name(f"{file.name}#stream={VOCALS_STREAM}"),
            )
            for file in stems
        ]
    songs = []
    for entry in entries:
        if entry.is_dir():
            song = _Song(entry.name, entry / "mixture.wav", entry / "vocals.wav")
            for file in (song.mixture, song.vocals):
                if not file.is_file():
                    raise InputError(
                        f"{printable(file)}: no such file: every song must have its mixture and "
                        "its vocals; unpack the song again"
                    )
            songs.append(song)
    if not songs:
        raise InputError(
            f"{printable(folder)}: holds neither {_SUFFIX} files nor folders with mixture.wav and "
            "vocals.wav: must be laid out as MUSDB18 is published; unpack it again"
        )
    return songs


def _check_lengths(song: _Song, mixture_s: float, vocals_s: float) -> None:
    tolerance = _PACKET_S if song.mixture.name.endswith(_SUFFIX) else _MILLISECOND
    if abs(mixture_s - vocals_s) > tolerance:
        raise InputError(
            f"{printable(song.vocals)}: lasts {vocals_s:.3f} s and its mixture {mixture_s:.3f} s: "
            "must be equally long; unpack the song again"
        )
