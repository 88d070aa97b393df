"""Preview clips of the Million Song Dataset with the 50 most frequent Last.fm tags (paper, 4.3).

Clips are sound files named by their track (``A/B/C/TRABCDE128F4245E0A.mp3``); tags come from the
published ``lastfm_tags.db``: tables ``tids(tid)``, ``tags(tag)`` and ``tid_tag(tid, tag, val)``,
whose numbers are the row ids of the first two.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from nearkin.audio import sound_files
from nearkin.corpora.files import existing, indexed, measured
from nearkin.corpora.splits import limited
from nearkin.errors import InputError, printable
from nearkin.progress import Progress
from nearkin.seeds import stream

if TYPE_CHECKING:
    import pandas as pd

TAG_FILE = "lastfm_tags.db"
N_TAGS = 50
TRAIN_PERCENT = 70
_LAYOUT = {"tids": {"tid"}, "tags": {"tag"}, "tid_tag": {"tid", "tag", "val"}}
_TRACK = re.compile(r"(TR[A-Z]{5}[0-9A-F]{11})(?![0-9A-Za-z])")


def msd_lastfm50(
    root: Path, *, hours: float | None, seed: int, workers: int, progress: Progress
) -> pd.DataFrame:
    """Million Song Dataset previews with Last.fm's 50 most frequent tags, 70 % of them to train on.

    As in the paper, the split is drawn over clips: each is a group of its own, and an artist may be
    in several splits. What is not drawn for training is halved into valid and test.

    Parameters
    ----------
    root : Path
        The folder that holds the clips, at any depth, and ``lastfm_tags.db``.
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
        ``path`` (relative to `root`), ``clip_id`` and ``group`` (the track's id), ``split``,
        ``tags``, ``duration_s``. Clips that are not sound, have none of the tags, or are there
        twice are listed in ``attrs["left_out"]``.

    Raises
    ------
    InputError
        If the tag file is missing, not the published one or holds fewer than 50 tags, or if no clip
        has a track's name and one of the tags.
    """
    tag_file = _tag_file(existing(root))
    clips, left_out = _clips(root)
    tags = read_tags(tag_file, clips)
    left_out += [
        f"{printable(file)}: has none of the {N_TAGS} tags"
        for track, file in clips.items()
        if track not in tags
    ]
    found = measured([clips[track] for track in sorted(tags)], progress=progress, strict=False)
    left_out += found.left_out
    tracks = [track for track in sorted(tags) if clips[track] in found.seconds]
    if len(tracks) < 4:
        raise InputError(
            f"{printable(root)}: holds {len(tracks)} clips with one of the {N_TAGS} tags: must be "
            f"at least 4, named by their track as TRABCDE128F4245E0A.mp3 is"
            + (f" ({left_out[0]})" if left_out else "")
        )
    splits = _splits(tracks, seed)
    table = indexed(
        {
            "path": [clips[track].relative_to(root).as_posix() for track in tracks],
            "clip_id": tracks,
            "split": [splits[track] for track in tracks],
            "group": tracks,
            "tags": [";".join(tags[track]) for track in tracks],
            "duration_s": [found.seconds[clips[track]] for track in tracks],
        }
    )
    table = limited(table, hours=hours, seed=seed)
    table.attrs["left_out"] = tuple(left_out)
    return table


def read_tags(path: Path, tracks: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Read which of the file's 50 most frequent tags each track has.

    Frequency is counted over the whole file, whatever clips there are; tags that are equally
    frequent come in the order of the alphabet.

    Parameters
    ----------
    path : Path
        The published SQLite file.
    tracks : collection of str
        The tracks to return.

    Returns
    -------
    dict of str to tuple of str
        The most frequent first; a track without one of the tags is left out.

    Raises
    ------
    InputError
        If the file is not a SQLite file of the published layout, or holds fewer than 50 tags.
    """
    # Read as it is: nothing beside it is looked for or written.
    address = f"file:{quote(str(path.absolute()), errors='surrogateescape')}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            for name, columns in _LAYOUT.items():
                there = {row[1] for row in database.execute(f"PRAGMA table_info({name})")}
                if not columns <= there:
                    raise InputError(
                        f"{printable(path)}: table '{name}' must have {' '.join(sorted(columns))} "
                        f"(it has: {' '.join(sorted(there)) or 'nothing'}); use the published "
                        f"{TAG_FILE}"
                    )
            top = database.execute(
                "SELECT counted.tag, tags.tag FROM "
                "(SELECT tag, COUNT(*) AS n FROM tid_tag GROUP BY tag) AS counted "
                "JOIN tags ON tags.ROWID = counted.tag ORDER BY n DESC, tags.tag LIMIT ?",
                (N_TAGS,),
            ).fetchall()
            if len(top) < N_TAGS:
                raise InputError(
                    f"{printable(path)}: holds {len(top)} tags that a track has: must be at least "
                    f"{N_TAGS}; use the published {TAG_FILE}"
                )
            names = {number: str(tag).replace(";", ",").strip() for number, tag in top}
            places = ",".join("?" * N_TAGS)
            rows = database.execute(
                "SELECT tids.tid, tid_tag.tag FROM tid_tag JOIN tids ON tids.ROWID = tid_tag.tid "
                f"WHERE tid_tag.tag IN ({places})",
                list(names),
            )
            had: dict[str, set[int]] = {}
            for track, number in rows:
                if track in tracks:
                    had.setdefault(track, set()).add(number)
    except sqlite3.Error as error:
        raise InputError(
            f"{printable(path)}: cannot be read as a SQLite file ({error}); use the published "
            f"{TAG_FILE}"
        ) from error
    return {
        track: tuple(name for number, name in names.items() if number in numbers)
        for track, numbers in had.items()
    }


def _tag_file(root: Path) -> Path:
    found = root / TAG_FILE
    if not found.is_file():
        raise InputError(
            f"{printable(found)}: no such file: must be the Last.fm dataset's SQLite file; put it "
            "beside the clips"
        )
    return found


def _clips(root: Path) -> tuple[dict[str, Path], list[str]]:
    clips: dict[str, Path] = {}
    files, unused = sound_files(root)
    left_out = [str(file) for file in unused]
    for file in files:
        track = _TRACK.match(file.name)
        if track is None:
            left_out.append(f"{printable(file)}: is not named by a track")
        elif track[1] in clips:
            left_out.append(f"{printable(file)}: its track is there twice")
        else:
            clips[track[1]] = file
    return clips, left_out


def _splits(tracks: list[str], seed: int) -> dict[str, str]:
    """Draw 70 % (rounded down: 71,512 of the paper's 102,161) and halve the rest."""
    drawn = stream(seed, "split", "msd-lastfm50").permutation(len(tracks)).tolist()
    n_train = len(tracks) * TRAIN_PERCENT // 100
    n_valid = (len(tracks) - n_train) // 2
    names = ["train"] * n_train + ["valid"] * n_valid
    names += ["test"] * (len(tracks) - len(names))
    return {tracks[place]: name for place, name in zip(drawn, names, strict=True)}
