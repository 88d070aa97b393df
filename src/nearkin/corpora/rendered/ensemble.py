"""What the three corpora have in common: how a clip is performed, and who accompanies.

Everything random is drawn from the clip's one generator, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nearkin.corpora.rendered import arrangement, synthesis
from nearkin.corpora.rendered.arrangement import Key, Passage
from nearkin.corpora.rendered.orchestra import FAMILIES, Family, compass
from nearkin.corpora.rendered.scores import MusicScore, Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

_BASSES = ("bass", "cello", "piano", "organ", "harp")
_IDIOMATIC = 0.2


class Performance(NamedTuple):
    """How a clip is played.

    Attributes
    ----------
    seconds : float
        Length.
    quarter_s : float
        Seconds a quarter note lasts.
    semitones : int
        How far everything is transposed.
    tuning_cents : float
        How far everything is off 440 Hz.
    legato : float
        Share of their duration for which notes are held.
    decay_s, wet_db : float
        The room: its reverberation time (0: none) and the reverberation's energy.
    soundfont : Path, optional
        What plays; TimGM6mb.sf2 where there is none.
    """

    seconds: float
    quarter_s: float
    semitones: int
    tuning_cents: float
    legato: float
    decay_s: float
    wet_db: float
    soundfont: Path | None = None


class Line(NamedTuple):
    """A part given to players: their family ("drums": the drum kit), and the notes in quarters."""

    family: str
    notes: tuple[Note, ...]


class Clip(NamedTuple):
    """A rendered clip.

    Attributes
    ----------
    sounds : dict of str to numpy.ndarray of int16, shape [samples]
        ``"mix"``, and ``"vocals"`` where they are asked for.
    labels : dict
        ``tags`` or ``instrument``, and what is known besides.
    """

    sounds: dict[str, NDArray[np.int16]]
    labels: dict[str, object]


def drawn_performance(
    score: MusicScore,
    lead: int,
    rng: np.random.Generator,
    *,
    seconds: float,
    rate_hz: float = 3.0,
    soundfont: Path | None = None,
) -> Performance:
    """Draw tempo (so that the part `lead` has about `rate_hz` notes a second), touch and room."""
    rate = float(np.clip(np.exp(rng.normal(np.log(rate_hz), 0.45)), 1.2, 7.0))
    return Performance(
        seconds=seconds,
        quarter_s=1.0 / (rate * arrangement.note_quarters(score.parts[lead])),
        semitones=int(rng.integers(-6, 6)),
        tuning_cents=float(rng.uniform(-12.0, 12.0)),
        legato=float(rng.choice((0.45, 0.8, 0.92, 1.0), p=(0.2, 0.25, 0.35, 0.2))),
        decay_s=float(rng.uniform(0.8, 2.5)) if rng.random() < 0.5 else 0.0,
        wet_db=float(rng.uniform(-10.0, -2.0)),
        soundfont=soundfont,
    )


def drawn_lead(score: MusicScore, rng: np.random.Generator) -> int:
    """Draw the part that has the melody: mostly the highest."""
    if len(score.parts) == 1 or rng.random() < 0.6:
        return 0
    return int(rng.integers(min(len(score.parts), 5)))


def passage_for(
    score: MusicScore, performance: Performance, rng: np.random.Generator, *, lead: int
) -> Passage:
    """Take the passage of a score that fills a clip."""
    quarters = performance.seconds / performance.quarter_s
    return arrangement.passage(score, quarters=quarters, rng=rng, lead=lead)


def key_of(score: MusicScore) -> Key:
    """Return a score's key."""
    return arrangement.key_of([note for part in score.parts for note in part])


def drawn_program(family: Family, rng: np.random.Generator) -> int:
    """Draw one of a family's programs."""
    return int(family.programs[int(rng.integers(len(family.programs)))])


def drawn_families(
    n: int,
    rng: np.random.Generator,
    *,
    without: Collection[str] = (),
    preferred: Collection[str] = (),
) -> list[str]:
    """Draw different families that can play a part or chords; mostly preferred ones, if any are."""
    names = [name for name in FAMILIES if name not in without and name != "bass"]
    drawn = [names[int(k)] for k in rng.permutation(len(names))]
    if preferred:
        first = [name for name in drawn if name in preferred and rng.random() < _IDIOMATIC]
        drawn = [*first, *(name for name in drawn if name not in first)]
    return drawn[:n]


def accompaniment(
    score: MusicScore,
    taken: Passage,
    rng: np.random.Generator,
    *,
    lead: int,
    without: Collection[str] = (),
    drums: float = 0.35,
) -> list[Line]:
    """Give what goes with a melody to players.

    The other parts of the score, or chords and mostly a bass where it has none that sounds.

    Parameters
    ----------
    score, taken
        The score and the passage of it.
    rng : numpy.random.Generator
        What is drawn from.
    lead : int
        The part that has the melody.
    without : collection of str
        Families that stay silent.
    drums : float
        How likely there are drums.

    Returns
    -------
    list of Line
        At least one.
    """
    others = [
        part for k, part in enumerate(taken.parts) if k != lead and sounding(part, taken) > 0.3
    ]
    lines = []
    if others:
        n = int(rng.integers(1, min(len(others), 4) + 1))
        chosen = [others[int(k)] for k in sorted(rng.permutation(len(others))[:n])]
        families = drawn_families(1 if rng.random() < 0.5 else n, rng, without=without)
        lines = [Line(families[k % len(families)], part) for k, part in enumerate(chosen)]
    else:
        lines = harmony(score, taken, rng, melody=taken.parts[lead], without=without)
    if rng.random() < drums:
        lines.append(Line("drums", tuple(arrangement.drum_part(taken, score, rng))))
    return lines


def harmony(
    score: MusicScore,
    taken: Passage,
    rng: np.random.Generator,
    *,
    melody: Sequence[Note],
    without: Collection[str] = (),
    preferred: Collection[str] = (),
    pattern: str | None = None,
) -> list[Line]:
    """Set chords, and mostly a bass, under a melody."""
    bar = arrangement.bar_quarters(score)
    harmonies = arrangement.chords(taken, melody, key_of(score), bar)
    pattern = pattern or arrangement.PATTERNS[int(rng.integers(len(arrangement.PATTERNS)))]
    low = int(rng.integers(48, 61))
    notes = arrangement.chord_part(harmonies, pattern=pattern, low=low, bar=bar)
    [family] = drawn_families(1, rng, without=without, preferred=preferred)
    lines = [Line(family, tuple(notes))]
    if rng.random() < 0.65:
        basses = [name for name in _BASSES if name not in without]
        family = basses[0] if rng.random() < 0.6 else basses[int(rng.integers(len(basses)))]
        fifths = bool(rng.random() < 0.5)
        notes = arrangement.bass_part(harmonies, low=int(rng.integers(33, 40)), fifths=fifths)
        lines.append(Line(family, tuple(notes)))
    return lines


def played(
    notes: Sequence[Note],
    family: Family | None,
    program: int,
    performance: Performance,
    rng: np.random.Generator,
) -> Samples:
    """Play a part by one program of a family (None: the drum kit), dry, moved into its compass."""
    if family is None:
        strokes = arrangement.timed(notes, quarter_s=performance.quarter_s, rng=rng, legato=0.9)
        return synthesis.stem(
            strokes,
            program=synthesis.DRUMS,
            seconds=performance.seconds,
            soundfont=performance.soundfont,
        )
    tones = arrangement.timed(
        moved(notes, family, program, performance),
        quarter_s=performance.quarter_s,
        rng=rng,
        loudness=float(rng.uniform(0.55, 0.9)),
        legato=performance.legato,
    )
    return synthesis.stem(
        tones,
        program=program,
        seconds=performance.seconds,
        tuning_cents=performance.tuning_cents,
        vibrato_cents=family.vibrato_cents * float(rng.uniform(0.0, 1.5)),
        vibrato_hz=float(rng.uniform(4.8, 6.5)),
        soundfont=performance.soundfont,
    )


def moved(
    notes: Sequence[Note], family: Family, program: int, performance: Performance
) -> list[Note]:
    """Transpose a part as the performance has it, and by octaves into a program's compass."""
    transposed = [note._replace(pitch=note.pitch + performance.semitones) for note in notes]
    return arrangement.fitted(transposed, *compass(family, program))


def played_together(
    lines: Sequence[Line], performance: Performance, rng: np.random.Generator
) -> tuple[list[Samples], list[int]]:
    """Play an accompaniment: a dry stem and the program for each line, levels drawn by chance."""
    stems, programs = [], []
    for line in lines:
        family = None if line.family == "drums" else FAMILIES[line.family]
        program = synthesis.DRUMS if family is None else drawn_program(family, rng)
        y = played(line.notes, family, program, performance, rng)
        stems.append(synthesis.levelled(y, float(rng.uniform(-4.0, 0.0))))
        programs.append(program)
    return stems, programs


def in_room(
    stems: Sequence[Samples], performance: Performance, rng: np.random.Generator
) -> list[Samples]:
    """Play stems in the performance's room: the same for all, so that their sum is in it, too."""
    if not performance.decay_s:
        return list(stems)
    response = synthesis.room(rng, decay_s=performance.decay_s, wet_db=performance.wet_db)
    return [synthesis.heard_in(y, response) for y in stems]


def sounding(part: Sequence[Note], taken: Passage) -> float:
    """Return about which share of a passage a part sounds in."""
    return sum(note.duration for note in part) / taken.quarters
