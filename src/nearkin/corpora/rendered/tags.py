"""Clips for auto-tagging: music with 50 tags, each exactly known because the clip was made so.

Where a tag comes from:

- style (7) and kind of tune (3): the collection and the tune's ``R:`` field;
- region (2): the two large parts of the Essen collection;
- metre (4): the score's (2/4 and 2/2 are duple; 6/8, 9/8, 12/8 and 6/4 compound; 3/8 triple);
- mode (2): the key profile (Krumhansl) that fits the score best;
- tempo, density, register, touch, room (2 + 1 + 2 + 2 + 1): the performance, by the thresholds
  below;
- texture (5) and instruments (19): what was set and played.

A style has its usual pace and, more often than others, its usual players (`RATES_HZ`, `IDIOMS`);
any instrument can play any style, and every tag is in some per cent of the clips at least.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearkin.corpora.rendered import arrangement, ensemble, synthesis
from nearkin.corpora.rendered.arrangement import Passage
from nearkin.corpora.rendered.ensemble import Line, Performance
from nearkin.corpora.rendered.orchestra import FAMILIES
from nearkin.corpora.rendered.scores import MusicScore, Note
from nearkin.seeds import stream

SECONDS = 10.0
CLIPS_PER_SCORE = 3

STYLES = {
    "bach": "chorale",
    "palestrina": "renaissance mass",
    "monteverdi": "madrigal",
    "trecento": "medieval",
    "classical": "classical",
    "ryansMammoth": "fiddle tune",
    "oneills1850": "fiddle tune",
    "airdsAirs": "fiddle tune",
    "essen": "folk song",
    "han": "folk song",
}
"""Collections, and the tags they give."""

IDIOMS = {
    "chorale": ("choir", "organ", "string ensemble", "harpsichord"),
    "renaissance mass": ("choir", "organ"),
    "madrigal": ("choir", "harpsichord", "acoustic guitar"),
    "medieval": ("harp", "flute", "violin"),
    "classical": ("violin", "cello", "string ensemble", "clarinet", "piano"),
    "fiddle tune": ("violin", "accordion", "flute", "acoustic guitar"),
    "European song": ("clarinet", "accordion", "acoustic guitar", "piano"),
    "Chinese song": ("mallets", "harp", "flute"),
}
"""Who often plays a style: as everywhere, styles are told by their players, too."""

RATES_HZ = {
    "chorale": 2.2,
    "renaissance mass": 2.0,
    "classical": 3.6,
    "folk song": 2.6,
    "reel": 5.0,
    "jig": 4.6,
    "hornpipe": 4.4,
    "fiddle tune": 4.0,
}
"""Notes a second of the melody, as a rule; 3 where nothing is said."""

METRES = ("duple metre", "triple metre", "quadruple metre", "compound metre")

TAGS = (
    *dict.fromkeys(STYLES.values()),
    *("reel", "hornpipe", "jig"),
    *("European song", "Chinese song"),
    *METRES,
    *("major", "minor"),
    *("slow", "fast", "busy"),
    *("high", "low", "staccato", "legato", "reverberant"),
    *("solo", "four voices", "block chords", "arpeggio", "drums"),
    *FAMILIES,
)
"""The 50 tags."""

SLOW_BPM, FAST_BPM = 75.0, 135.0
"""Beats a minute below which, and from which on, a clip is slow or fast."""
BUSY_HZ = 6.0
"""Onsets of notes a second (drums not counted) from which on a clip is busy."""
HIGH, LOW = 69.0, 58.0
"""Mean pitches (each note for as long as it sounds) above and below which a clip is high or low."""
STACCATO, LEGATO = 0.5, 0.99
"""Shares of their duration for which notes are held: at most and at least."""


def clip(
    score: MusicScore, *, number: int, seed: int, soundfont: Path | None = None
) -> ensemble.Clip:
    """Render a clip of a score.

    Parameters
    ----------
    score : MusicScore
        What is played.
    number : int
        Which clip it is; names the draws together with `seed`.
    seed : int
        The corpus's seed.
    soundfont : Path, optional
        What plays it; TimGM6mb.sf2 by default.

    Returns
    -------
    Clip
        ``"mix"`` of 10 s; label ``tags``, in the order of `TAGS`, with ``;`` between them.
    """
    rng = stream(seed, "tags", number)
    lead = ensemble.drawn_lead(score, rng)
    known = of_score(score)
    rate_hz = next((rate for tag, rate in RATES_HZ.items() if tag in known), 3.0)
    performance = ensemble.drawn_performance(
        score, lead, rng, seconds=SECONDS, rate_hz=rate_hz, soundfont=soundfont
    )
    preferred = next(families for tag, families in IDIOMS.items() if tag in known)
    if performance.decay_s:
        # A room one hears, or none.
        performance = performance._replace(wet_db=float(rng.uniform(-3.0, 2.0)))
    taken = ensemble.passage_for(score, performance, rng, lead=lead)
    if len(score.parts) == 1:
        lines, tags = _tune(score, taken, rng, preferred)
    else:
        lines, tags = _parts(score, taken, lead, rng, preferred)
    if rng.random() < 0.3:
        lines.append(Line("drums", tuple(arrangement.drum_part(taken, score, rng))))
    lines = [line for line in lines if line.notes]
    stems, played = _played(lines, performance, rng)
    stems = ensemble.in_room(stems, performance, rng)
    mix = np.sum(stems, axis=0)
    tags |= {line.family for line in lines}
    tags |= known | of_performance(score, performance, played)
    gain = synthesis.gain_for(mix, float(rng.uniform(-26.0, -15.0)))
    return ensemble.Clip(
        {"mix": synthesis.as_16_bits(gain * mix)},
        {"tags": ";".join(tag for tag in TAGS if tag in tags)},
    )


def of_score(score: MusicScore) -> set[str]:
    """Return the tags that follow from the score alone: style, kind, region, metre, mode."""
    tags = {STYLES[score.source.collection], ensemble.key_of(score).mode}
    if score.kind:
        tags.add(score.kind)
    if score.source.collection in ("essen", "han"):
        tags.add("Chinese song" if score.source.collection == "han" else "European song")
    numerator, denominator = score.metre
    if numerator in (6, 9, 12) and denominator >= 4:
        tags.add("compound metre")
    elif numerator in (2, 3, 4):
        tags.add(METRES[numerator - 2])
    return tags


def beat_quarters(score: MusicScore) -> float:
    """Return the length of a beat in quarters: dotted in compound metres, 1 where there is none."""
    numerator, denominator = score.metre
    if not denominator:
        return 1.0
    return (12.0 if numerator in (6, 9, 12) and denominator >= 4 else 4.0) / denominator


def of_performance(
    score: MusicScore, performance: Performance, played: list[tuple[str, list[Note]]]
) -> set[str]:
    """Return the tags that follow from how it is played.

    Parameters
    ----------
    score, performance
        What is played, and how.
    played : list of (str, list of Note)
        Families and the notes that sounded, onsets and durations in seconds.
    """
    bpm = 60.0 / (performance.quarter_s * beat_quarters(score))
    tones = [note for family, notes in played if family != "drums" for note in notes]
    onsets = {round(note.onset / 0.05) for note in tones}
    weights = np.array([note.duration for note in tones])
    mean = float(np.average([note.pitch for note in tones], weights=weights))
    held = performance.legato
    sustained = all(FAMILIES[f].sustains for f, _ in played if f != "drums")
    known = {
        "slow": bpm < SLOW_BPM,
        "fast": bpm >= FAST_BPM,
        "busy": len(onsets) / performance.seconds >= BUSY_HZ,
        "high": mean > HIGH,
        "low": mean < LOW,
        "staccato": held <= STACCATO,
        "legato": held >= LEGATO and sustained,
        "reverberant": performance.decay_s > 0.0,
    }
    return {tag for tag, holds in known.items() if holds}


def _tune(
    score: MusicScore, taken: Passage, rng: np.random.Generator, preferred: tuple[str, ...]
) -> tuple[list[Line], set[str]]:
    """Arrange a melody: alone, doubled, with chords and a bass."""
    melody = taken.parts[0]
    first, second = ensemble.drawn_families(2, rng, preferred=preferred)
    lines = [Line(first, melody)]
    if rng.random() < 0.25:
        return lines, {"solo"}
    if rng.random() < 0.2:
        lines.append(Line(second, melody))
    pattern = arrangement.PATTERNS[int(rng.integers(len(arrangement.PATTERNS)))]
    lines += ensemble.harmony(
        score, taken, rng, melody=melody, preferred=preferred, pattern=pattern
    )
    return lines, {{"block": "block chords"}.get(pattern, pattern)}


def _parts(
    score: MusicScore,
    taken: Passage,
    lead: int,
    rng: np.random.Generator,
    preferred: tuple[str, ...],
) -> tuple[list[Line], set[str]]:
    """Give some or all parts to one family, or to several."""
    sounding = [k for k, part in enumerate(taken.parts) if ensemble.sounding(part, taken) > 0.25]
    if lead not in sounding:
        sounding = sorted([*sounding, lead])
    n = len(sounding) if rng.random() < 0.5 else int(rng.integers(1, len(sounding) + 1))
    others = [k for k in sounding if k != lead]
    chosen = sorted([lead, *(others[int(k)] for k in rng.permutation(len(others))[: n - 1])])
    families = ensemble.drawn_families(int(rng.integers(1, 4)), rng, preferred=preferred)
    lines = [Line(families[k % len(families)], taken.parts[part]) for k, part in enumerate(chosen)]
    lowest = lines[-1]
    if len(lines) > 1 and rng.random() < 0.25:
        lines.append(Line("bass", lowest.notes))
    if len(chosen) == 1:
        return lines, {"solo"}
    return lines, {"four voices"} if len(chosen) >= 4 else set()


def _played(
    lines: list[Line], performance: Performance, rng: np.random.Generator
) -> tuple[list[synthesis.Samples], list[tuple[str, list[Note]]]]:
    """Return the stems, and what sounded: families and notes, in seconds."""
    stems, programs = ensemble.played_together(lines, performance, rng)
    played = []
    for line, program in zip(lines, programs, strict=True):
        notes = list(line.notes)
        if line.family != "drums":
            notes = ensemble.moved(notes, FAMILIES[line.family], program, performance)
        in_seconds = [
            note._replace(
                onset=note.onset * performance.quarter_s,
                duration=note.duration * performance.quarter_s,
            )
            for note in notes
        ]
        played.append((line.family, in_seconds))
    return stems, played
