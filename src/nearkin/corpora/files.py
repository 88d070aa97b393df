"""The sound files of a data set, and how long each says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nearkin.audio.decoding import promised_s
from nearkin.errors import InputError, printable
from nearkin.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

STAGE = "files looked at"


class Measured(NamedTuple):
    """The files that hold sound with their lengths, and why others were left out."""

    seconds: dict[Path, float]
    left_out: tuple[str, ...]


def existing(root: Path) -> Path:
    """Return a data set's folder.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"{printable(root)}: no such folder; name the one the data set lies in")
    return root


def indexed(columns: Mapping[str, Sequence[object]]) -> pd.DataFrame:
    """Return the columns of a manifest as a table that may hold file names of any bytes."""
    import pandas as pd

    return pd.DataFrame(columns, dtype=object).astype({"duration_s": float})


def measured(files: Sequence[Path], *, progress: Progress, strict: bool) -> Measured:
    """Read every file's header.

    Parameters
    ----------
    files : sequence of Path
        Sound files.
    progress : callable
        Told how many are done.
    strict : bool
        Whether a file that is not sound is an error, or left out.

    Returns
    -------
    Measured
        In the files' order.

    Raises
    ------
    InputError
        If a file is not sound and `strict` is True.
    """
    seconds, left_out = {}, []
    for done, file in enumerate(files):
        progress(STAGE, done, len(files))
        try:
            length = promised_s(file)
            if length <= 0:
                raise InputError(f"{printable(file)}: holds no sound; fetch it again")
        except InputError as error:
            if strict:
                raise
            left_out.append(str(error))
        else:
            seconds[file] = length
    progress(STAGE, len(files), len(files))
    return Measured(seconds, tuple(left_out))
