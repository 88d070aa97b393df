"""A gallery of music: its recordings embedded by the encoders of a finished run, unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Recording
from nearkin.encoders.check import changed_answers
from nearkin.errors import InputError, RunError, printable
from nearkin.gallery.vectors import Gallery
from nearkin.progress import Progress, Tell
from nearkin.runs.distractors import content_of_music, heard_before
from nearkin.runs.exchange import plan_of
from nearkin.runs.folder import RunFolder
from nearkin.runs.opening import Opened, open_session
from nearkin.runs.plan import EncoderChoice, references_for
from nearkin.runs.session import Session
from nearkin.runs.shards import AGAIN
from nearkin.runs.sources import EncoderSource
from nearkin.runs.stages import originals_unit
from nearkin.tables import OK
from nearkin.workers import Place, open_workers


def embed_music(
    folder: RunFolder,
    record: Mapping[str, Any],
    clips: pd.DataFrame,
    music: Path,
    labels: Collection[str],
    *,
    encoders: Sequence[EncoderSource],
    workers: Place,
    progress: Progress,
    tell: Tell,
) -> Gallery:
    """Embed one excerpt of every recording of a folder, as a run embeds its originals.

    Recordings whose content is that of one of the run's are left out: they would be the same clip.
    `labels` are the encoders that count: those that embedded the run's own clips. `encoders` are
    what the run's were made from, in their order, where they are at hand; else none.

    Raises
    ------
    InputError
        If the run's encoders cannot be made again, or are not what they were.
    """
    opened = _reopened(folder, record, encoders, tell)
    plan = opened.session.plan
    recordings = collect([music], out=folder.root)
    for sentence in recordings.told():
        tell(sentence)
    told = content_of_music(recordings)
    of = hashlib.sha256(json.dumps(["gallery", plan.settings(), told]).encode()).hexdigest()
    session = opened.session.bound(of)
    todo = [one for one in recordings if not session.shards.has_originals(one.name)]
    n_done, total = len(recordings) - len(todo), len(recordings)
    progress("gallery", n_done, total)
    with open_workers(session, workers=workers, folder=folder.work, tell=tell) as pool:
        for done, _ in enumerate(
            pool.map(originals_unit, todo, done=lambda one: session.shards.has_originals(one.name)),
            start=n_done + 1,
        ):
            progress("gallery", done, total)
    return _joined(session, recordings, labels, set(clips["content_sha256"].astype(str)), tell)


def _joined(
    session: Session,
    recordings: tuple[Recording, ...],
    labels: Collection[str],
    own: set[str],
    tell: Tell,
) -> Gallery:
    rows: dict[str, list[Any]] = {label: [] for label in labels}
    same = unusable = 0
    for recording in recordings:
        made = session.shards.read_originals(recording.name, audio=False)
        if made is None:
            raise RunError(f"'{printable(recording.name)}': its shard is missing; {AGAIN}")
        for clip in made:
            if clip.content_sha256 and clip.content_sha256 != heard_before(recording.path):
                raise RunError(
                    f"'{printable(recording.name)}': changed while the gallery was embedded; give "
                    "the same command again"
                )
            if clip.content_sha256 in own:
                same += 1
                continue
            arrays = [clip.vectors[label].array for label in rows] if clip.status == OK else []
            vectors = [array[0] for array in arrays if array is not None]
            if len(vectors) < len(rows) or not all(np.isfinite(one).all() for one in vectors):
                unusable += 1
                continue
            for label, vector in zip(rows, vectors, strict=True):
                rows[label].append(vector)
    if same:
        tell(f"{same} recordings of the gallery are the run's own; they are left out")
    if unusable:
        tell(f"{unusable} recordings of the gallery cannot be used; they are left out")
    if not any(rows.values()):
        raise InputError("the gallery holds no recording that can be used and is not the run's own")
    return {label: np.stack(found) for label, found in rows.items()}


def _reopened(
    folder: RunFolder, record: Mapping[str, Any], encoders: Sequence[EncoderSource], tell: Tell
) -> Opened:
    """Make a run's encoders again, and see that they are what they were."""
    choices = tuple(EncoderChoice(**choice) for choice in record["plan"]["encoders"])
    plan = plan_of(
        {**record["plan"], "excerpts_per_file": 1, "clips": None, "split": None}, choices
    )
    sources = list(encoders)
    for choice in plan.encoders if not sources else ():
        if choice.spec.startswith("object "):
            raise InputError(
                f"encoder '{choice.spec.removeprefix('object ')}' was given to the run as an "
                "object and cannot be made again; give the gallery's vectors instead of its music"
            )
        sources.append(EncoderSource(choice.spec, json.loads(choice.options or "{}")))
    sources += [EncoderSource(name, {}, "reference") for name in references_for(plan)]
    opened = open_session(plan, folder.root, sources, tell=tell)
    before = {str(row.get("label") or row["name"]): row for row in record["encoders"]}
    for encoder in opened.session.resolved:
        row = before.get(encoder.label)
        if row is None:
            raise InputError(f"encoder '{encoder.label}' is none of the run's; run it anew")
        told = "its files changed" if row.get("sha256") != encoder.sha256 else ""
        if not told and encoder.label in opened.checked:
            told = changed_answers(row.get("check"), opened.checked[encoder.label])
        if told:
            raise InputError(
                f"encoder '{encoder.label}': is not what the run embedded its clips with ({told}); "
                "run it anew"
            )
    return opened
