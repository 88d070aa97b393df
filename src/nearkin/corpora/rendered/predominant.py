"""Clips for instrument recognition: one instrument stands out, others are softer beside it.

The instrument is one of IRMAS's eleven classes. It has the melody; keyboards and guitars often
play more than one note at a time. What accompanies is never of a family that could be mistaken for
it, and is 6 to 12 dB softer (RMS over the clip).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearkin.corpora.irmas import INSTRUMENTS
from nearkin.corpora.rendered import ensemble, synthesis
from nearkin.corpora.rendered.arrangement import Passage
from nearkin.corpora.rendered.orchestra import CLASSES, kindred
from nearkin.corpora.rendered.scores import MusicScore, Note
from nearkin.seeds import stream

SECONDS = 6.0
CLIPS_PER_SCORE = 3

_CHORDAL = ("acoustic guitar", "electric guitar", "organ", "piano")


def instrument_of(number: int, *, seed: int) -> str:
    """Return the class of a clip: each once in eleven clips, in an order drawn anew."""
    block, place = divmod(number, len(INSTRUMENTS))
    return INSTRUMENTS[int(stream(seed, "classes", block).permutation(len(INSTRUMENTS))[place])]


def clip(
    score: MusicScore, *, number: int, seed: int, soundfont: Path | None = None
) -> ensemble.Clip:
    """Render a clip of a score.

    Parameters
    ----------
    score : MusicScore
        What is played.
    number : int
        Which clip it is; names the draws together with `seed`, and its instrument.
    seed : int
        The corpus's seed.
    soundfont : Path, optional
        What plays it; TimGM6mb.sf2 by default.

    Returns
    -------
    Clip
        ``"mix"`` of 6 s; labels ``instrument``, ``program`` and ``accompaniment_db``, the level of
        what accompanies beside the instrument's.
    """
    rng = stream(seed, "instruments", number)
    instrument = instrument_of(number, seed=seed)
    solo, accompaniment, known = stems(score, instrument, rng, soundfont=soundfont)
    mix = solo + accompaniment
    gain = synthesis.gain_for(mix, float(rng.uniform(-27.0, -15.0)))
    return ensemble.Clip(
        {"mix": synthesis.as_16_bits(gain * mix)}, {"instrument": instrument, **known}
    )


def stems(
    score: MusicScore,
    instrument: str,
    rng: np.random.Generator,
    *,
    soundfont: Path | None = None,
) -> tuple[synthesis.Samples, synthesis.Samples, dict[str, object]]:
    """Return the predominant instrument, its accompaniment, and what is known about both."""
    family = CLASSES[instrument]
    lead = ensemble.drawn_lead(score, rng)
    performance = ensemble.drawn_performance(score, lead, rng, seconds=SECONDS, soundfont=soundfont)
    taken = ensemble.passage_for(score, performance, rng, lead=lead)
    lines = ensemble.accompaniment(
        score, taken, rng, lead=lead, without=kindred(instrument), drums=0.35
    )
    notes = list(taken.parts[lead])
    if instrument in _CHORDAL and rng.random() < 0.5:
        notes = _fuller(notes, score, taken, lead, rng)
    program = ensemble.drawn_program(family, rng)
    solo = ensemble.played(notes, family, program, performance, rng)
    others, _ = ensemble.played_together(lines, performance, rng)
    solo, rest = ensemble.in_room([solo, np.sum(others, axis=0)], performance, rng)
    below_db = float(rng.uniform(6.0, 12.0))
    solo = synthesis.levelled(solo, 0.0)
    known: dict[str, object] = {"program": program, "accompaniment_db": -below_db}
    return solo, synthesis.levelled(rest, -below_db), known


def _fuller(
    notes: list[Note],
    score: MusicScore,
    taken: Passage,
    lead: int,
    rng: np.random.Generator,
) -> list[Note]:
    """Add the next part of the score to a melody, or chords under it."""
    others = [part for k, part in enumerate(taken.parts) if k != lead and part]
    if others:
        return sorted([*notes, *others[int(rng.integers(len(others)))]])
    under = ensemble.harmony(score, taken, rng, melody=notes)[0].notes
    return sorted([*notes, *under])
