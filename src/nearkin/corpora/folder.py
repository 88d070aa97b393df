"""Any folder of music, without labels: what an autoencoder is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearkin.audio import sound_files
from nearkin.corpora.files import existing, indexed, measured
from nearkin.corpora.splits import EIGHTY_TEN_TEN, limited, split_by_group
from nearkin.errors import InputError, printable
from nearkin.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


def folder(
    root: Path, *, hours: float | None, seed: int, workers: int, progress: Progress
) -> pd.DataFrame:
    """Any folder of music; what lies in one of its folders stays in one split (80/10/10).

    A group is a folder directly in `root` with all that is in it: an artist, composer or album. A
    file directly in `root` is a group of its own.

    Parameters
    ----------
    root : Path
        The folder, searched to the bottom; hidden files are left out.
    hours : float or None
        Keep about so many.
    seed : int
        Equal seeds, equal manifests.
    workers : int
        Not used: headers are read one after the other.
    progress : callable
        Told how many files were looked at.

    Returns
    -------
    pandas.DataFrame
        ``path`` (relative to `root`), ``split``, ``group``, ``duration_s``; files that are not
        sound are listed in ``attrs["left_out"]``.

    Raises
    ------
    InputError
        If the folder is missing, holds no sound, or fewer than three groups.
    """
    files, left_out = sound_files(existing(root))
    if not files:
        raise InputError(f"{printable(root)}: holds no sound file; name a folder of music")
    found = measured(files, progress=progress, strict=False)
    if not found.seconds:
        raise InputError(f"{found.left_out[0]} (and none of {len(files)} files is sound)")
    paths = [file.relative_to(root) for file in found.seconds]
    groups = [path.parts[0] for path in paths]
    if len(set(groups)) < len(EIGHTY_TEN_TEN):
        named = sorted(set(groups))
        count = "1 group" if len(named) == 1 else f"{len(named)} groups"
        raise InputError(
            f"{printable(root)}: holds {count} ({printable(', '.join(named))}), and a "
            "folder in it is a group, which stays in one split: train, valid and test need 3; "
            "divide them by artist or album, or name a folder of single files (nearkin run needs "
            "no manifest: give it the folder itself)"
        )
    splits = split_by_group(groups, EIGHTY_TEN_TEN, seed=seed, purpose="folder")
    table = indexed(
        {
            "path": [path.as_posix() for path in paths],
            "split": [splits[group] for group in groups],
            "group": groups,
            "duration_s": list(found.seconds.values()),
        }
    )
    table = limited(table, hours=hours, seed=seed)
    table.attrs["left_out"] = (*map(str, left_out), *found.left_out)
    return table
