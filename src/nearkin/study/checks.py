"""What is refused before a study's first step, or before its first training: bad data, a full disk.

Everything here reads and counts; nothing is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nearkin.audio import sha256_file
from nearkin.corpora.collect import collect
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.manifest_table import SPLITS
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError, printable
from nearkin.optional import need
from nearkin.performance.sets import columns_of
from nearkin.results.trials import MIN_MAGNITUDES
from nearkin.study.plan import StudyPlan
from nearkin.tasks import TASKS, task
from nearkin.transforms.grids import grid

MB = 1e6
MODEL_MB = {"vgg": 60.0, "mfcc": 40.0}
"""Of a model with its checkpoint and curve, at the most."""
HOUR_MB = 75.0
"""Of an hour of rendered FLAC."""
CACHE_HOUR_MB = 2 * 22_050 * 3600 / MB
VOCALS = 2.0
"""Of sound files beside each other in the corpus of voices: the mixture and the voice."""


def require_programs(plan: StudyPlan) -> None:
    """Refuse a study whose libraries are not installed, or whose grid the analysis cannot use.

    Raises
    ------
    ExtraError
        Naming the command that installs them.
    InputError
    """
    need("torch", extra="torch")
    need("lightning.pytorch", extra="torch")
    if plan.rendered:
        need("music21", extra="render")
        need("pretty_midi", extra="render")
        from nearkin.corpora.rendered import synthesis

        synthesis.check()
    points = grid(plan.grid)
    curves = [code for code in points.codes if len(points.magnitudes(code)) >= MIN_MAGNITUDES]
    if len(curves) < 2:
        held = f"only {curves[0]} has" if curves else "no transformation has"
        raise InputError(
            f"--grid {printable(plan.grid)}: {held} {MIN_MAGNITUDES} magnitudes: the paper's model "
            "of scores needs two transformations with so many; take --grid paper, or write one "
            "with more"
        )


def require_corpora(manifests: Mapping[str, Path]) -> None:
    """Refuse manifests that a task cannot be trained and scored with.

    Parameters
    ----------
    manifests : mapping of str to Path
        By task.

    Raises
    ------
    InputError
        If a split is empty, holds a class that training does not, or only one.
    """
    for name, path in manifests.items():
        what = task(name)
        rows = read_labelled(path, column=what.column).rows
        by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
        for split, mine in by_split.items():
            if not mine:
                raise InputError(
                    f"{printable(path)}: has no row of split '{split}', but task {name} is "
                    "trained, validated and scored; give the rows splits"
                )
        if what.column in ("instrument", "tags"):
            _require_labels(name, path, by_split)
    if "ae" in manifests:
        _require_first(manifests)


def _require_labels(name: str, path: Path, by_split: Mapping[str, Sequence[Row]]) -> None:
    def labels(rows: Sequence[Row]) -> set[str]:
        if name == "ir":
            return {row.instrument for row in rows}
        return {tag for row in rows for tag in row.tags}

    known = {split: labels(rows) for split, rows in by_split.items()}
    if len(known["train"]) < 2:
        raise InputError(
            f"{printable(path)}: its training rows hold {len(known['train'])} label, but task "
            f"{name} tells two or more apart; add recordings"
        )
    word, words = ("class", "classes") if name == "ir" else ("tag", "tags")
    for split in ("valid", "test"):
        lacking = sorted(known["train"] - known[split])
        beyond = sorted(known[split] - known["train"])
        if name == "ir" and beyond:
            raise InputError(
                f"{printable(path)}: {split} has the {word} '{printable(beyond[0])}' that no "
                "training row has; add recordings of it, or leave it out"
            )
        if (name == "ir" and lacking) or len(known[split] & known["train"]) < 2:
            first = lacking[0] if lacking else sorted(known["train"])[0]
            raise InputError(
                f"{printable(path)}: {split} lacks {len(lacking)} of {len(known['train'])} "
                f"{words}, such as '{printable(first)}': its score would be of other {words} "
                "than training; add recordings, or render more --hours"
            )


def _require_first(manifests: Mapping[str, Path]) -> None:
    """Refuse a manifest of AE that another task would be scored on."""
    own = manifests["ae"]
    columns = columns_of(own)
    for name, path in manifests.items():
        column = task(name).column
        if path != own and column in columns:
            raise InputError(
                f"{printable(own)}: has the column '{column}', so that task {name} would be "
                f"scored on it and not on {printable(path)}; leave that column out for ae"
            )


def require_unseen(
    manifests: Mapping[str, Path], audio: Sequence[Path], *, split: str | None, least: int = 2
) -> None:
    """Refuse test clips that some network was trained on: the same content, whatever its name.

    Parameters
    ----------
    manifests : mapping of str to Path
        By task.
    audio : sequence of Path
        Where the test clips come from.
    split : str or None
        Of a manifest among `audio`.
    least : int
        Recordings there must be.

    Raises
    ------
    InputError
        Naming the first.
    """
    recordings = collect(audio, split=split)
    if len(recordings) < least:
        raise InputError(
            f"--clips-from: {len(recordings)} recordings, but {least} test clips are needed; "
            "name more"
        )
    training: dict[int, list[tuple[Path, str, Path]]] = {}
    for name, path in manifests.items():
        for row in read_labelled(path, column=task(name).column).rows:
            if row.split in ("train", "valid") and row.path.is_file():
                size = row.path.stat().st_size
                training.setdefault(size, []).append((row.path, row.split, path))
    hashes: dict[Path, str] = {}

    def content(path: Path) -> str:
        if path not in hashes:
            hashes[path] = sha256_file(path)
        return hashes[path]

    for recording in recordings:
        if not recording.path.is_file():
            continue
        for path, where, manifest in training.get(recording.path.stat().st_size, []):
            if content(path) == content(recording.path):
                raise InputError(
                    f"'{recording.name}': is a test clip, and the same sound as "
                    f"{printable(path)} in split '{where}' of {printable(manifest)}: no network "
                    "may have heard it; take it out of one of them"
                )


def disk_mb(plan: StudyPlan, hours: Mapping[str, float]) -> float:
    """Return about how many megabytes (1e6 bytes) a whole study takes.

    Parameters
    ----------
    plan : StudyPlan
    hours : mapping of str to float
        Hours of music by task where there is a manifest.
    """
    sound = sum(
        plan.n_hours * HOUR_MB * (VOCALS if name == "vocals" else 1) for name in plan.rendered
    )
    cached = sum(
        CACHE_HOUR_MB * plan.n_hours * (VOCALS if name == "vocals" else 1) for name in plan.rendered
    )
    cached += sum(
        CACHE_HOUR_MB * hours[name] * (VOCALS if name == "vs" else 1) for name in plan.manifests
    )
    models = sum(MODEL_MB[features] for features, _, _ in plan.models)
    points = len(grid(plan.grid).points) + 1
    encoders = plan.trials * len(TASKS) + 3
    cells = plan.n_clips * points
    # contexts and distances, embeddings twice, rows of queries; scores of the tasks' clips
    run = plan.n_clips * 88_200 * 4 + 8 * cells * min(plan.n_clips, 2000)
    run += 2 * encoders * cells * 256 * 4 + encoders * cells * 240
    scores = len(plan.models) * plan.n_task_clips * points * 30
    return sound + cached + models + (run + scores) / MB


def require_disk(out: Path, needed_mb: float) -> None:
    """Refuse a study that the disk cannot hold.

    Raises
    ------
    InputError
    """
    there = out
    while not there.exists():
        there = there.parent
    used = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / MB
    free = shutil.disk_usage(there).free / MB
    if free + used < needed_mb:
        raise InputError(
            f"--out {printable(out)}: {free + used:.0f} MB can be used there, but the study takes "
            f"about {needed_mb:.0f} MB; free some, pass fewer --hours or --trials, or name a "
            "folder on another disk"
        )
