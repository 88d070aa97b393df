"""From a score to who plays what: passages, keys, chords, drums; notes only, no sound.

Passages are in quarters until `timed` makes seconds of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nearkin.corpora.rendered.scores import MusicScore, Note

# Krumhansl & Kessler (1982), as in Krumhansl: Cognitive foundations of musical pitch (1990), p. 30.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
# Triads of a key by semitones above its tonic, and how welcome each is.
_TRIADS = {
    "major": (
        *(((0, 4, 7), 1.0), ((5, 9, 0), 0.7), ((7, 11, 2), 0.9)),
        *(((9, 0, 4), 0.4), ((2, 5, 9), 0.4), ((4, 7, 11), 0.1)),
    ),
    "minor": (
        *(((0, 3, 7), 1.0), ((5, 8, 0), 0.6), ((7, 11, 2), 0.6), ((7, 10, 2), 0.5)),
        *(((8, 0, 3), 0.5), ((3, 7, 10), 0.6), ((10, 2, 5), 0.5)),
    ),
}
# Where the kick, the snare and the hi-hat fall in a bar: shares of the bar.
_BEATS = {
    2: ((0.0,), (0.5,), (0.0, 0.25, 0.5, 0.75)),
    3: ((0.0,), (1 / 3, 2 / 3), (0.0, 1 / 3, 2 / 3)),
    4: ((0.0, 0.5), (0.25, 0.75), tuple(k / 8 for k in range(8))),
    6: ((0.0,), (0.5,), tuple(k / 6 for k in range(6))),
}
_KICK, _SNARE, _SIDE_STICK, _CLOSED_HAT, _RIDE = 36, 38, 37, 42, 51

PATTERNS = ("block", "arpeggio", "offbeat", "drone")
"""How chords are laid out in time."""


class Passage(NamedTuple):
    """A stretch of a score.

    Attributes
    ----------
    parts : tuple of tuple of Note
        From high to low; onsets from the passage's beginning, a note that has begun before begins
        with it. Parts may be empty.
    bars : tuple of float
        Onsets of the bars, the first possibly before 0.
    quarters : float
        Its length.
    """

    parts: tuple[tuple[Note, ...], ...]
    bars: tuple[float, ...]
    quarters: float


class Key(NamedTuple):
    """A tonic's pitch class (C: 0) and ``"major"`` or ``"minor"``."""

    tonic: int
    mode: str


class Timed(NamedTuple):
    """A note to be played: from and to seconds, a MIDI pitch, a velocity up to 127."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int


def bar_quarters(score: MusicScore) -> float:
    """Return the length of a bar in quarters, 4 where the score does not say."""
    numerator, denominator = score.metre
    return 4.0 * numerator / denominator if denominator else 4.0


def note_quarters(part: Sequence[Note]) -> float:
    """Return the mean time from onset to onset within a part, rests of a bar or more left out."""
    onsets = np.unique([note.onset for note in part])
    gaps = np.diff(onsets)
    gaps = gaps[gaps <= max(4.0, 4.0 * float(np.median(gaps)))] if gaps.size else gaps
    return float(np.mean(gaps)) if gaps.size else 1.0


def passage(
    score: MusicScore, *, quarters: float, rng: np.random.Generator, lead: int = 0
) -> Passage:
    """Take a passage in which the part `lead` is busy; a score that is too short is repeated."""
    bar = bar_quarters(score)
    length = max(bar, np.ceil(score.length / bar) * bar)
    turns = int(np.ceil(quarters / length)) + 1
    onsets = [note.onset for note in score.parts[lead]]
    last = score.length - quarters
    choices = [onset for onset in onsets if onset <= last] or onsets[: max(1, len(onsets) // 2)]
    drawn = [choices[int(k)] for k in rng.integers(len(choices), size=4)]

    def cut(start: float) -> Passage:
        parts = []
        for part in score.parts:
            notes = []
            for turn in range(turns):
                for note in part:
                    onset = note.onset + turn * length - start
                    end = min(onset + note.duration, quarters)
                    onset = max(onset, 0.0)
                    if end - onset > 1e-3:
                        notes.append(Note(onset, end - onset, note.pitch))
            parts.append(tuple(sorted(notes)))
        bars = [at + turn * length - start for turn in range(turns) for at in score.bars]
        within = [at for at in bars if at < quarters]
        before = [at for at in within if at <= 0.0]
        kept = ([max(before)] if before else []) + [at for at in within if at > 0.0]
        return Passage(tuple(parts), tuple(sorted(set(kept))), quarters)

    passages = [cut(start) for start in dict.fromkeys(drawn)]
    return max(passages, key=lambda one: sum(note.duration for note in one.parts[lead]))


def key_of(notes: Sequence[Note]) -> Key:
    """Find the key whose profile the durations correlate with best (Krumhansl-Schmuckler)."""
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += min(note.duration, 4.0)
    best = (-2.0, Key(0, "major"))
    if np.ptp(weights) == 0.0:
        return best[1]
    for mode, profile in (("major", _MAJOR), ("minor", _MINOR)):
        for tonic in range(12):
            r = float(np.corrcoef(np.roll(profile, tonic), weights)[0, 1])
            best = max(best, (round(r, 9), Key(tonic, mode)))
    return best[1]


def chords(
    taken: Passage, melody: Sequence[Note], key: Key, bar: float
) -> list[tuple[float, float, tuple[int, ...]]]:
    """Harmonise a melody, a chord or two a bar: onset, duration, pitch classes, the root first."""
    places = sorted({max(at, 0.0) for at in taken.bars} | {0.0})
    step = bar / 2.0 if bar >= 4.0 else bar
    spans = []
    for at, until in zip(places, [*places[1:], taken.quarters], strict=True):
        while until - at > 1.5 * step:
            spans.append((at, step))
            at += step
        if until - at > 1e-3:
            spans.append((at, until - at))
    played: list[tuple[float, float, tuple[int, ...]]] = []
    for onset, duration in spans:
        weights = np.zeros(12)
        for note in melody:
            overlap = min(note.onset + note.duration, onset + duration) - max(note.onset, onset)
            if overlap > 0.0:
                on_the_beat = 1.5 if abs(note.onset - onset) < 1e-6 else 1.0
                weights[(note.pitch - key.tonic) % 12] += overlap * on_the_beat
        weights /= max(float(weights.sum()), 1e-9)
        fits = [
            (float(sum(weights[p] for p in triad)) + 0.25 * welcome, triad)
            for triad, welcome in _TRIADS[key.mode]
        ]
        triad = max(fits)[1]
        played.append((onset, duration, tuple((p + key.tonic) % 12 for p in triad)))
    return played


def chord_part(
    harmony: Sequence[tuple[float, float, tuple[int, ...]]], *, pattern: str, low: int, bar: float
) -> list[Note]:
    """Lay chords out as notes upwards from the pitch `low`, in one of `PATTERNS`."""
    notes = []
    for onset, duration, classes in harmony:
        pitches = sorted(low + (c - low) % 12 for c in classes)
        if pattern == "block":
            notes += [Note(onset, duration, pitch) for pitch in pitches]
            continue
        if pattern == "drone":
            root = low + (harmony[0][2][0] - low) % 12
            notes += [Note(onset, duration, pitch) for pitch in (root, root + 7)]
            continue
        step = bar / (6 if abs(bar % 1.5) < 1e-6 and bar % 1.0 else 8)
        for k in range(max(1, round(duration / step))):
            at = onset + k * step
            if pattern == "arpeggio":
                notes.append(Note(at, step, pitches[(0, 1, 2, 1)[k % 4]]))
            elif k % 2 == 1:
                notes += [Note(at, 0.6 * step, pitch) for pitch in pitches]
    return notes


def bass_part(
    harmony: Sequence[tuple[float, float, tuple[int, ...]]], *, low: int, fifths: bool
) -> list[Note]:
    """Play the chords' roots, and the fifth in the second half where `fifths` is set."""
    notes = []
    for onset, duration, classes in harmony:
        root = low + (classes[0] - low) % 12
        if fifths and duration >= 1.0:
            notes.append(Note(onset, duration / 2, root))
            notes.append(Note(onset + duration / 2, duration / 2, low + (classes[2] - low) % 12))
        else:
            notes.append(Note(onset, duration, root))
    return notes


def drum_part(taken: Passage, score: MusicScore, rng: np.random.Generator) -> list[Note]:
    """Beat time: kick, snare and hi-hat as the metre has it, some strokes left out for good."""
    numerator, _ = score.metre
    kind = 6 if numerator in (6, 9, 12) else numerator if numerator in (2, 3) else 4
    kick, snare, hat = _BEATS[kind]
    cymbal = _CLOSED_HAT if rng.random() < 0.7 else _RIDE
    back = _SNARE if rng.random() < 0.8 else _SIDE_STICK
    bar = bar_quarters(score)
    strokes = [
        *((at, _KICK) for at in kick),
        *((at, back) for at in snare if rng.random() < 0.9),
        *((at, cymbal) for at in hat if rng.random() < 0.85),
    ]
    bars = list(taken.bars) or [0.0]
    while bars[-1] + bar < taken.quarters - 1e-6:
        bars.append(bars[-1] + bar)
    return sorted(
        Note(start + at * bar, 0.25, pitch)
        for start, end in zip(bars, [*bars[1:], taken.quarters], strict=True)
        for at, pitch in strokes
        if 0.0 <= start + at * bar < min(end, taken.quarters) - 1e-6
    )


def fitted(notes: Sequence[Note], low: int, high: int) -> list[Note]:
    """Move a part by octaves into a compass; single notes that stay outside are folded into it."""
    if not notes:
        return []
    middle = float(np.median([note.pitch for note in notes]))
    shifts = range(-60, 61, 12)
    shift = min(
        shifts,
        key=lambda s: (
            sum(not low <= note.pitch + s <= high for note in notes),
            abs(middle + s - (low + high) / 2),
        ),
    )
    moved = []
    for note in notes:
        pitch = note.pitch + shift
        while pitch < low:
            pitch += 12
        while pitch > high:
            pitch -= 12
        moved.append(note._replace(pitch=pitch))
    return moved


def timed(
    notes: Sequence[Note],
    *,
    quarter_s: float,
    rng: np.random.Generator,
    loudness: float = 0.75,
    legato: float = 0.95,
    looseness_s: float = 0.008,
) -> list[Timed]:
    """Play notes as people do: not quite in time, not all equally loud.

    Parameters
    ----------
    notes : sequence of Note
        In quarters.
    quarter_s : float
        Seconds a quarter.
    rng : numpy.random.Generator
        What the deviations are drawn from.
    loudness : float
        Middle velocity, of 1.
    legato : float
        Share of its duration for which a note is held.
    looseness_s : float
        Standard deviation of the onsets.
    """
    played = []
    for note in notes:
        start = note.onset * quarter_s
        if note.onset > 0.0:
            start = max(0.0, start + looseness_s * float(np.clip(rng.standard_normal(), -2.5, 2.5)))
        end = max(start + 0.04, start + note.duration * quarter_s * legato)
        accent = 0.06 if abs(note.onset - round(note.onset)) < 1e-6 else 0.0
        velocity = 127 * (loudness + accent + 0.06 * float(rng.standard_normal()))
        played.append(Timed(start, end, note.pitch, int(np.clip(round(velocity), 20, 127))))
    return played
