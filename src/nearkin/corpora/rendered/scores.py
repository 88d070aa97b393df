"""Which scores there are, and what is in them: notes in quarters of a bar's whole note.

Onsets and durations are in quarter notes from the beginning of the score, pitches in MIDI numbers.
Finding the scores (`catalogue`) reads names and headers only; `read_score` has music21 parse one.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from nearkin.corpora.rendered.incipits import incipit, joined
from nearkin.errors import InputError
from nearkin.optional import need
from nearkin.seeds import stream

EXTRA = "render"

SHARES = {
    "bach": 3,
    "palestrina": 2,
    "monteverdi": 1,
    "trecento": 1,
    "classical": 2,
    "ryansMammoth": 4,
    "oneills1850": 2,
    "airdsAirs": 1,
    "essen": 3,
    "han": 1,
}
"""How often a score is taken from each collection, in twentieths."""

_CLASSICAL = ("beethoven", "haydn", "mozart")
_KINDS = {
    "reel": "reel",
    "hornpipe": "hornpipe",
    "jig": "jig",
    "doublejig": "jig",
    "slipjig": "jig",
}
# Of 20 works in a row, which are for validation and for the test.
_VALID, _TEST = (6, 16), (2, 9, 13)
_WORDS_OF_KIND = re.compile(
    r"\b(reel|hornpipe|jig|strathspey|clog|fling|double|slip|single|the|a|or|version)\b"
)


class Note(NamedTuple):
    """A note of a part: onset and duration in quarters, MIDI pitch."""

    onset: float
    duration: float
    pitch: int


class Source(NamedTuple):
    """Where a score lies, and what its headers say.

    Attributes
    ----------
    collection : str
        A key of `SHARES`.
    work : str
        The mass, cantata, quartet or tune it belongs to: the group.
    path : str
        Relative to music21's corpus.
    number : int
        Which tune of the file, from 0; -1: the file is one score.
    """

    collection: str
    work: str
    path: str
    number: int


class MusicScore(NamedTuple):
    """A score as notes.

    Attributes
    ----------
    source : Source
        Where it comes from.
    parts : tuple of tuple of Note
        From high to low, each in order of onset; none is empty.
    bars : tuple of float
        Onsets of the bars, in quarters.
    metre : tuple of int
        Numerator and denominator; (0, 0) where the score has none.
    kind : str
        ``"reel"``, ``"hornpipe"``, ``"jig"`` or empty.
    length : float
        In quarters.
    """

    source: Source
    parts: tuple[tuple[Note, ...], ...]
    bars: tuple[float, ...]
    metre: tuple[int, int]
    kind: str
    length: float


def corpus_folder() -> Path:
    """Return the folder of music21's corpus.

    Raises
    ------
    ExtraError
        If music21 is not installed.
    InputError
        If it was installed without its corpus.
    """
    folder = Path(str(need("music21.corpus", extra=EXTRA).__file__)).parent
    if not (folder / "palestrina").is_dir():
        raise InputError(
            f"{folder}: holds no scores, but rendering needs music21's corpus; "
            "install the music21 of PyPI, which carries it"
        )
    return folder


@lru_cache(maxsize=1)
def catalogue() -> dict[str, tuple[Source, ...]]:
    """Return the scores of every collection, in an order of their own.

    Returns
    -------
    dict of str to tuple of Source
        One entry for each collection of `SHARES`.
    """
    folder = corpus_folder()
    found: dict[str, list[Source]] = {name: [] for name in SHARES}
    for path in sorted(folder.glob("bach/*.mxl")):
        cantata = re.match(r"bwv\d+", path.stem)
        found["bach"].append(_file("bach", cantata[0] if cantata else path.stem, path, folder))
    for path in sorted(folder.glob("palestrina/*.krn")):
        parent = re.search(r"^!!!OPR:\s*(.+)$", _text(path), re.MULTILINE)
        mass = _plain(parent[1] if parent else path.stem)
        found["palestrina"].append(_file("palestrina", mass, path, folder))
    for name, pattern in (("monteverdi", "*.mxl"), ("trecento", "*.xml")):
        for path in sorted(folder.glob(f"{name}/{pattern}")):
            found[name].append(_file(name, _plain(path.stem), path, folder))
    for composer in _CLASSICAL:
        for path in sorted((folder / composer).rglob("*.mxl")):
            place = path.relative_to(folder).parts
            opus = f"{composer} {place[1].removesuffix('.mxl')}"
            found["classical"].append(_file("classical", opus, path, folder))
    begins: list[tuple[str, tuple[int, ...] | None]] = []
    for name in ("ryansMammoth", "oneills1850", "airdsAirs", "essenFolksong"):
        for path in sorted(folder.glob(f"{name}/*.abc")):
            for number, tune in enumerate(tunes(_text(path))):
                collection = name
                if name == "essenFolksong":
                    collection = "han" if path.stem.startswith("han") else "essen"
                title = re.search(r"^T:\s*(.+)$", tune, re.MULTILINE)
                plain = _plain(title[1]) if title else ""
                # The same tune is in several books, under the same title: one group.
                name_of_tune = plain or f"{path.stem} {number}"
                relative = path.relative_to(folder).as_posix()
                source = Source(collection, f"tune {name_of_tune}", relative, number)
                found[collection].append(source)
                begins.append((source.work, incipit(tune)))
    # ... and so are tunes under other titles that begin alike.
    work_of = joined(begins)
    return {
        name: tuple(one._replace(work=work_of.get(one.work, one.work)) for one in sources)
        for name, sources in found.items()
    }


@lru_cache(maxsize=4)
def splits(seed: int) -> dict[str, str]:
    """Say which split each work is in: about 75 % train, 10 % valid, 15 % test.

    A work that occurs in several collections has one split.
    """
    split_of: dict[str, str] = {}
    for name, members in catalogue().items():
        works = sorted({source.work for source in members} - split_of.keys())
        order = stream(seed, "splits", name).permutation(len(works))
        for place, index in enumerate(order):
            turn = place % 20
            split_of[works[index]] = (
                "valid" if turn in _VALID else "test" if turn in _TEST else "train"
            )
    return split_of


def tunes(text: str) -> list[str]:
    """Split an ABC file into its tunes, each from its ``X:`` line on."""
    return re.split(r"(?m)^(?=X:)", text)[1:]


def read_score(source: Source) -> MusicScore | None:
    """Have music21 parse a score.

    Returns
    -------
    MusicScore or None
        None where there is nothing to play: music21 cannot read it, or it has next to no notes.
    """
    converter = need("music21.converter", extra=EXTRA)
    exceptions = need("music21.exceptions21", extra=EXTRA)
    path = corpus_folder() / source.path
    kind = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if source.number >= 0:
                text = tunes(_text(path))[source.number]
                rhythm = re.search(r"^R:\s*(.+)$", text, re.MULTILINE)
                if rhythm:
                    kind = _KINDS.get(re.sub(r'[" ]', "", rhythm[1].lower()), "")
                parsed = converter.parse(text, format="abc", forceSource=True, storePickle=False)
            else:
                parsed = converter.parse(path, forceSource=True, storePickle=False)
        except (exceptions.Music21Exception, ValueError, IndexError, KeyError, AttributeError):
            return None
    return _as_notes(source, parsed, kind)


def _as_notes(source: Source, parsed: Any, kind: str) -> MusicScore | None:
    streams = list(parsed.parts) if hasattr(parsed, "parts") else []
    parts = [part for part in (_notes(one) for one in streams or [parsed]) if len(part) >= 12]
    if not parts:
        return None
    parts.sort(key=lambda part: -sum(n.pitch for n in part) / len(part))
    first = streams[0] if streams else parsed
    bars = sorted({float(bar.offset) for bar in first.getElementsByClass("Measure")}) or [0.0]
    signature = next(iter(first.recurse().getElementsByClass("TimeSignature")), None)
    metre = (int(signature.numerator), int(signature.denominator)) if signature else (0, 0)
    length = max(note.onset + note.duration for part in parts for note in part)
    return MusicScore(source, tuple(parts), tuple(bars), metre, kind, float(length))


def _notes(part: Any) -> tuple[Note, ...]:
    """List a part's notes, with tied ones joined, without ornaments and chord symbols."""
    notes: list[Note] = []
    last: dict[int, int] = {}
    for element in part.flatten().notes:
        duration = float(element.duration.quarterLength)
        if duration <= 0.0 or "Harmony" in element.classes or "Unpitched" in element.classes:
            continue
        onset = float(element.offset)
        members = element.notes if element.isChord else (element,)
        for member in members:
            tie = member.tie or element.tie
            pitch = round(float(member.pitch.ps))
            if tie is not None and tie.type in ("stop", "continue") and pitch in last:
                before = notes[last[pitch]]
                if abs(before.onset + before.duration - onset) < 1e-6:
                    notes[last[pitch]] = before._replace(duration=before.duration + duration)
                    continue
            last[pitch] = len(notes)
            notes.append(Note(onset, duration, pitch))
    return tuple(sorted(notes))


def _file(collection: str, work: str, path: Path, folder: Path) -> Source:
    return Source(collection, f"{collection} {work}", path.relative_to(folder).as_posix(), -1)


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")


def _plain(title: str) -> str:
    words = re.sub(r"[^a-z0-9 ]+", " ", title.lower())
    return " ".join(_WORDS_OF_KIND.sub(" ", words).split())
