"""Which clips a rendered corpus has, and how one score's clips come to be files.

A unit is one score and the clips rendered from it. Its result lies beside the sound files as JSON,
written last: a unit that has one is done.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from nearkin.audio import SAMPLE_RATE
from nearkin.corpora.rendered import scores, soundfonts, synthesis
from nearkin.corpora.rendered.ensemble import Clip
from nearkin.errors import InputError, RunError, printable
from nearkin.files import read_regular, sha256_of
from nearkin.ownership import OwnFolder
from nearkin.seeds import stream

HOURS = 3.0
"""How much is rendered unless asked otherwise."""

KINDS = {
    "rendered-tags": "tags",
    "rendered-instruments": "predominant",
    "rendered-vocals": "vocals",
}
"""The corpora, and the modules that render their clips."""

_RECIPE = 2  # counted up with every change that alters a rendering
_SETTINGS = "rendering.json"
_TRIES = 8


@dataclass(frozen=True)
class Rendering:
    """A corpus to be rendered: what every unit needs to know.

    Attributes
    ----------
    name : str
        A key of `KINDS`.
    root : Path
        Where the files go.
    seed : int
        What everything is drawn from.
    hours : float
        How much sound; another amount only adds clips or leaves some out. However little, every
        split gets the clips of one score.
    test_soundfont : Path, optional
        What plays the test split; TimGM6mb.sf2, which plays the others, by default.
    singers : tuple of str
        Voices of Festival that sing; the SoundFont's choirs do by default.
    """

    name: str
    root: Path
    seed: int
    hours: float
    test_soundfont: Path | None = None
    singers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise InputError(f"{self.name}: no rendered corpus; one of {', '.join(KINDS)}")
        if not 0.0 < self.hours < 10_000.0:
            raise InputError(
                f"hours={self.hours:g}: must be above 0 and below 10000; pass --hours 3, say"
            )

    @property
    def recipe(self) -> Any:
        """The module that renders clips: `SECONDS`, `CLIPS_PER_SCORE` and `clip`."""
        return import_module(f"nearkin.corpora.rendered.{KINDS[self.name]}")

    @property
    def clips(self) -> int:
        """How many clips there are."""
        return max(1, round(self.hours * 3600.0 / float(self.recipe.SECONDS)))

    @property
    def units(self) -> list[int]:
        """The scores that are played: as many as the clips need, and one a split at least."""
        units = list(range(-(-self.clips // int(self.recipe.CLIPS_PER_SCORE))))
        missing = {"train", "valid", "test"} - {_turn(self, unit).split for unit in units}
        later = itertools.count(len(units))
        while missing:
            unit = next(later)
            split = _turn(self, unit).split
            if split in missing:
                missing.remove(split)
                units.append(unit)
        return units


def begun(root: Path, key: str) -> str | None:
    """Return a setting of the corpus that a folder was taken for: empty where it has none.

    None where the folder holds no corpus yet.
    """
    there = _read(root / _SETTINGS)
    if not isinstance(there, dict) or "corpus" not in there:
        return None
    return str(there.get(key, ""))


def begin(rendering: Rendering) -> None:
    """Take a folder for a corpus, or find that it was taken for the same one.

    Raises
    ------
    RunError
        If the folder holds clips of another seed, recipe or library.
    """
    scores.corpus_folder()
    synthesis.check()
    settings = {
        "corpus": rendering.name,
        "seed": rendering.seed,
        "recipe": _RECIPE,
        "sample_rate": SAMPLE_RATE,
        "music21": version("music21"),
        "tinysoundfont": version("tinysoundfont"),
    }
    font = rendering.test_soundfont
    if font is not None:
        settings["test_soundfont"] = soundfonts.known_by(font)
    if rendering.singers:
        settings["singers"] = ", ".join(rendering.singers)
    path, clips = rendering.root / _SETTINGS, rendering.root / "clips"
    owned = OwnFolder(rendering.root, "corpus", (_SETTINGS, "clips"), option="--root")
    if not owned.is_own() and _read(path) == settings:
        owned.adopt(path, clips)  # rendered before folders were marked
    owned.claim()
    clips.mkdir(exist_ok=True)
    owned.own(clips)
    if not path.is_file():
        text = (json.dumps(settings, indent=2) + "\n").encode()
        owned.write(path, lambda file: file.write(text))
        return
    there = _read(path)
    there = there if isinstance(there, dict) else {}
    for name in settings.keys() | there.keys():
        if there.get(name) != settings.get(name):
            raise RunError(
                f"{printable(rendering.root)}: holds clips rendered with {name} "
                f"{there.get(name)!r}, not {settings.get(name)!r}; give another --root"
            )


def render_unit(rendering: Rendering, unit: int) -> list[dict[str, Any]]:
    """Render the clips of one score, unless they are there.

    Returns
    -------
    list of dict
        A manifest row each: ``path`` relative to the root, ``split``, ``group`` and labels.
    """
    record = rendering.root / "clips" / f"{unit:05d}.json"
    rows = _there(rendering, record)
    if rows is not None:
        return rows
    recipe = rendering.recipe
    render: Callable[..., Clip] = recipe.clip
    source, score, split = _score(rendering, unit)
    font = rendering.test_soundfont if split == "test" else None
    further = {"singers": rendering.singers} if rendering.singers else {}
    rows = []
    for place in range(recipe.CLIPS_PER_SCORE):
        number = unit * recipe.CLIPS_PER_SCORE + place
        clip = render(score, number=number, seed=rendering.seed, soundfont=font, **further)
        files = {
            sound: f"clips/{unit:05d}-{place}{'' if sound == 'mix' else '-' + sound}.flac"
            for sound in clip.sounds
        }
        synthesis.write({rendering.root / files[name]: y for name, y in clip.sounds.items()})
        row = {"path": files["mix"], "split": split, "group": source.work, **clip.labels}
        if "vocals" in files:
            row["vocals_path"] = files["vocals"]
        rows.append(row)
    names = [row[name] for row in rows for name in ("path", "vocals_path") if name in row]
    content = {
        "score": source._asdict(),
        "clips": rows,
        "sha256": {name: sha256_of(rendering.root / name) for name in names},
        "clips_sha256": _digest(rows),
    }
    synthesis.replace(record, json.dumps(content, indent=1).encode())
    return rows


def _there(rendering: Rendering, record: Path) -> list[dict[str, Any]] | None:
    """Return the rows of a unit whose record and files are there, as they were written."""
    found = _read(record)
    try:
        rows: list[dict[str, Any]] = found["clips"]
        names = [row[name] for row in rows for name in ("path", "vocals_path") if name in row]
        files = [rendering.root / name for name in names]
        if "sha256" in found:
            if found["clips_sha256"] != _digest(rows):
                return None
            wanted = found["sha256"]
            whole = all(sha256_of(f) == wanted[n] for n, f in zip(names, files, strict=True))
        else:  # of before checksums were kept
            whole = all(file.is_file() for file in files)
    except (KeyError, TypeError):
        return None
    return rows if whole else None


def _digest(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Any:
    """Return what a file of JSON holds; nothing where it is not there, or is none."""
    try:
        return json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}


class _Turn(NamedTuple):
    """Where a unit's score is drawn from, and how many units before were drawn from there."""

    collection: str
    split: str
    members: list[scores.Source]
    earlier: int


def _turn(rendering: Rendering, unit: int) -> _Turn:
    """Say which collection and split a unit is of: both in turn."""
    sources = scores.catalogue()
    split_of = scores.splits(rendering.seed)
    cycle = [name for name, share in scores.SHARES.items() for _ in range(share)]
    order = stream(rendering.seed, "collections").permutation(len(cycle))
    turn, place = divmod(unit, len(cycle))
    collection = cycle[int(order[place])]
    # How many units before this one were of the collection.
    share = scores.SHARES[collection]
    count = turn * share + sum(cycle[int(k)] == collection for k in order[:place])
    splits = [*["train"] * 15, *["valid"] * 2, *["test"] * 3]
    block, within = divmod(count, len(splits))
    mixed = stream(rendering.seed, "turns", collection, block).permutation(len(splits))
    split = splits[int(mixed[within])]
    members = [source for source in sources[collection] if split_of[source.work] == split]
    if not members:
        split = "train"
        members = [source for source in sources[collection] if split_of[source.work] == split]
    earlier = sum(splits[int(k)] == split for k in mixed[:within]) + block * splits.count(split)
    return _Turn(collection, split, members, earlier)


def _score(rendering: Rendering, unit: int) -> tuple[scores.Source, scores.MusicScore, str]:
    """Draw the score of a unit: works by chance."""
    collection, split, members, earlier = _turn(rendering, unit)
    permuted = stream(rendering.seed, "scores", collection, split).permutation(len(members))
    for attempt in range(_TRIES):
        # Past a score that cannot be played: one from further on, which comes up late by itself.
        index = (earlier + attempt * (1 + len(members) // _TRIES)) % len(members)
        source = members[int(permuted[index])]
        score = scores.read_score(source)
        if score is not None:
            return source, score, split
    raise RunError(
        f"{collection}: {_TRIES} scores in a row cannot be read; reinstall music21 with its corpus"
    )
