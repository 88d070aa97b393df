"""IRMAS: 6,705 excerpts of 3 s in eleven folders of predominant instruments (Bosch et al. 2012).

The training set as published: ``IRMAS-TrainingData/cel/[cel][cla]0001__1.wav``. Songs are numbered
through all folders; ``008__[cel][nod][cla]0058__2.wav`` is the second excerpt of song 0058.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nearkin.audio import sound_files
from nearkin.corpora.files import existing, indexed, measured
from nearkin.corpora.splits import EIGHTY_TEN_TEN, limited, split_by_group
from nearkin.errors import InputError, printable
from nearkin.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

IRMAS_CODES = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
"""IRMAS's folder names, and the classes they stand for."""

INSTRUMENTS = tuple(IRMAS_CODES.values())
"""The classes, in IRMAS's order."""

FOLDER = "IRMAS-TrainingData"
_NAME = re.compile(r"(?P<song>.+)__\d+")
_LABELS = re.compile(r"\[[^\]]*\]|^\d+__")


def irmas(
    root: Path, *, hours: float | None, seed: int, workers: int, progress: Progress
) -> pd.DataFrame:
    """IRMAS's training set: 11 predominant instruments, split by song (80/10/10 in every class).

    Parameters
    ----------
    root : Path
        ``IRMAS-TrainingData``, or the folder that holds it.
    hours : float or None
        Keep about so many, every class and split in proportion.
    seed : int
        Equal seeds, equal manifests.
    workers : int
        Not used: headers are read one after the other.
    progress : callable
        Told how many files were looked at.

    Returns
    -------
    pandas.DataFrame
        ``path`` (relative to `root`), ``split``, ``group`` (the song's number), ``instrument`` (in
        words), ``duration_s``.

    Raises
    ------
    InputError
        If a class folder is missing, misspelt or empty, a file's name is not IRMAS's, a file is not
        sound, or a class has fewer than three songs.
    """
    base = existing(root) / FOLDER if (root / FOLDER).is_dir() else existing(root)
    files = {code: _class_files(base, code) for code in _class_folders(base)}
    paths = [path for found in files.values() for path in found]
    songs = [song_number(path) for path in paths]
    codes = [code for code, found in files.items() for _ in found]
    seconds = measured(paths, progress=progress, strict=True).seconds
    # A song in two folders counts in the first.
    home = dict(zip(reversed(songs), reversed(codes), strict=True))
    splits: dict[str, str] = {}
    for code in files:
        own = [song for song in songs if home[song] == code]
        splits |= split_by_group(own, EIGHTY_TEN_TEN, seed=seed, purpose=f"IRMAS's class {code}")
    table = indexed(
        {
            "path": [path.relative_to(root).as_posix() for path in paths],
            "split": [splits[song] for song in songs],
            "group": songs,
            "instrument": [IRMAS_CODES[code] for code in codes],
            "duration_s": [seconds[path] for path in paths],
        }
    )
    return limited(table, hours=hours, seed=seed, by=("split", "instrument"))


def song_number(path: Path) -> str:
    """Return which song an excerpt is of: its name without labels and without its own number.

    Raises
    ------
    InputError
        If the name does not end in two underscores and the excerpt's number.

    Examples
    --------
    >>> song_number(Path("008__[cel][nod][cla]0058__2.wav"))
    '0058'
    """
    found = _NAME.fullmatch(path.stem)
    if found is None:
        raise InputError(
            f"{printable(path)}: must end in __ and the excerpt's number, as "
            "[cel][cla]0001__1.wav does; give it IRMAS's name, or its songs would cross splits"
        )
    return _LABELS.sub("", found["song"]) or found["song"]


def _class_folders(base: Path) -> list[str]:
    names = {entry.name for entry in base.iterdir() if entry.is_dir()}
    names = {name for name in names if not name.startswith((".", "__MACOSX"))}
    missing = [code for code in IRMAS_CODES if code not in names]
    if len(missing) == len(IRMAS_CODES):
        raise InputError(
            f"{printable(base)}: holds none of IRMAS's 11 folders ({' '.join(IRMAS_CODES)}); "
            f"name the folder {FOLDER}"
        )
    for name in sorted(names - IRMAS_CODES.keys()):
        raise InputError(
            f"{printable(base / name)}: must be one of IRMAS's 11 classes: "
            f"{_meant(name, missing)}; rename it or move it away"
        )
    if missing:
        raise InputError(
            f"{printable(base)}: has no folder {' '.join(missing)}: must hold IRMAS's 11 classes; "
            "unpack the data set again"
        )
    return list(IRMAS_CODES)


def _meant(name: str, missing: list[str]) -> str:
    """Suggest a code for a folder's name, which may be the instrument in words."""
    if len(missing) == 1:
        return f"did you mean '{missing[0]}'?"
    spelt = {key: code for code in missing for key in (code, IRMAS_CODES[code])}
    close = difflib.get_close_matches(name.lower(), spelt, n=1)
    return f"did you mean '{spelt[close[0]]}'?" if close else f"known: {', '.join(IRMAS_CODES)}"


def _class_files(base: Path, code: str) -> tuple[Path, ...]:
    files = sound_files(base / code).files
    if not files:
        raise InputError(f"{printable(base / code)}: holds no sound file; unpack it again")
    return files
