"""Recordings, and the rows of manifests: what clips are taken from, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nearkin.errors import InputError


@dataclass(frozen=True)
class Recording:
    """One file to take clips from.

    Attributes
    ----------
    name : str
        Unique and printable: the clip's id where one clip is taken.
    path : Path
        Where the file is; may hold bytes that are not UTF-8.
    start_s : float or None
        Where the excerpt starts; None leaves the place to the seed.
    group : str
        What it belongs with: the manifest's ``group``, else its file. Empty where the recording
        stands for itself.
    """

    name: str
    path: Path
    start_s: float | None = None
    group: str = ""


class Row(NamedTuple):
    """A clip and what is known about it.

    Attributes
    ----------
    name : str
        Unique in its manifest.
    path : Path
        The sound file.
    start_s : float or None
        Where the clip starts; None where all of the file is meant.
    split : str
        ``"train"``, ``"valid"``, ``"test"``; empty where the manifest has no splits.
    group : str
        Song, artist or composer: never in two splits. The file where the manifest has no groups.
    tags : tuple of str
        In the manifest's order, each once.
    instrument : str
        The predominant instrument.
    vocals_path : Path or None
        The singing voice alone, as long as `path` and aligned with it. It may name a stream of a
        file (``song.stem.mp4#stream=4``), which `nearkin.audio.read` understands.
    """

    name: str
    path: Path
    start_s: float | None = None
    split: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    instrument: str = ""
    vocals_path: Path | None = None


@dataclass(frozen=True)
class Labelled:
    """The rows of a manifest that a task learns from or is scored on.

    Attributes
    ----------
    name : Path
        The manifest.
    rows : tuple of Row
        In the manifest's order.
    """

    name: Path
    rows: tuple[Row, ...]


def refuse_twins(recordings: Sequence[Recording | Row]) -> None:
    """Refuse two recordings of one name."""
    seen: set[str] = set()
    for recording in recordings:
        if recording.name in seen:
            raise InputError(
                f"clip_id '{recording.name}': stands for two recordings; "
                "give each row of the manifest its own"
            )
        seen.add(recording.name)
