"""A data set by its name becomes a manifest on disk, and a count of what is in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nearkin.audio.decoding import promised_s
from nearkin.corpora import CORPORA
from nearkin.corpora.manifest import write_manifest
from nearkin.corpora.manifest_table import MANIFEST_SUFFIXES, SPLITS
from nearkin.errors import InputError, printable
from nearkin.progress import Progress, silent
from nearkin.registry import lookup


class Part(NamedTuple):
    """How much is in one split."""

    clips: int
    hours: float
    groups: int


class Contents(NamedTuple):
    """What a manifest holds.

    Attributes
    ----------
    splits : dict of str to Part
        In the order train, valid, test.
    labels : dict of str to dict of str to int
        For every label column that is filled (``"tags"``, ``"instrument"``, ``"vocals_path"``), in
        how many clips each label is, the most frequent first; for ``"vocals_path"`` one count.
    left_out : tuple of str
        Why files of the data set are not in the manifest, a sentence each.
    notes : tuple of str
        What else is to be known about it, a sentence each.
    """

    splits: dict[str, Part]
    labels: dict[str, dict[str, int]]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


def index(
    name: str,
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    hours: float | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
    force: bool = False,
    **options: object,
) -> Contents:
    """Index or render a data set, and write its manifest.

    Parameters
    ----------
    name : str
        One of `nearkin.corpora.CORPORA`.
    root : path
        Where the data set lies, or where a rendered one is written.
    out : path
        The manifest, ``.csv`` or ``.parquet``.
    hours : float, optional
        About how much music; without it, everything.
    seed : int
        Equal seeds, equal manifests.
    workers : int
        Processes a rendered data set may use.
    progress : callable, optional
        Told ``(stage, done, total)``.
    force : bool
        Replace another manifest that is there.
    **options
        What only some data sets take (`nearkin.corpora.Corpus`): ``test_soundfont``,
        ``voices``.

    Returns
    -------
    Contents
        What the manifest holds.

    Raises
    ------
    InputError
        If the name is unknown, the data set is not as published or takes no such option, or another
        manifest is there.
    """
    function = lookup({key: row.function for key, row in CORPORA.items()}, name, kind="corpus")
    if hours is not None and not hours > 0:
        raise InputError(f"hours={hours:g}: must be above 0; pass more, or leave --hours out")
    for option in options:
        if option not in CORPORA[name].options:
            takers = [key for key, row in CORPORA.items() if option in row.options]
            raise InputError(
                f"--{option.replace('_', '-')}: is nothing that {name} takes, but "
                f"{', '.join(takers)}; leave it out"
            )
    root, out = Path(root), Path(out)
    if out.suffix.lower() not in MANIFEST_SUFFIXES:
        raise InputError(
            f"{printable(out)}: a manifest must end in {' or '.join(sorted(MANIFEST_SUFFIXES))}; "
            "name it so"
        )
    told = progress or silent
    table = function(root, hours=hours, seed=seed, workers=workers, progress=told, **options)
    left_out, notes = (tuple(table.attrs.get(name, ())) for name in ("left_out", "notes"))
    rows = table.to_dict("records")
    if "duration_s" in table.columns:
        table = table.drop(columns="duration_s")
    write_manifest(out, table, root=root, force=force)
    return Contents(_parts(rows, root), _labels(rows), left_out, notes)


def _parts(rows: list[Mapping[str, object]], root: Path) -> dict[str, Part]:
    parts = {}
    for split in SPLITS:
        own = [row for row in rows if row["split"] == split]
        seconds = 0.0
        for row in own:
            given = row.get("duration_s")
            seconds += given if isinstance(given, float) else promised_s(root / str(row["path"]))
        groups = {row.get("group") or row["path"] for row in own}
        parts[split] = Part(len(own), seconds / 3600.0, len(groups))
    return parts


def _labels(rows: list[Mapping[str, object]]) -> dict[str, dict[str, int]]:
    found = {
        "tags": Counter(
            tag for row in rows for tag in str(row.get("tags") or "").split(";") if tag
        ),
        "instrument": Counter(str(row["instrument"]) for row in rows if row.get("instrument")),
        "vocals_path": Counter("vocals" for row in rows if row.get("vocals_path")),
    }
    return {
        column: dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        for column, counts in found.items()
        if counts
    }
