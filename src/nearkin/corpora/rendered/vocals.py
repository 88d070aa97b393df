"""Clips for voice separation: a voice stem, and the mixture it is part of, sample by sample.

The voice (choir "aahs", "oohs" or a synthetic voice; or Festival's, which sings syllables) has a
melody and, in half of the clips, rests for a while, as singers do; what accompanies goes on. Both
are rounded to 16 bits before they are added up, so that the mixture is exactly the voice and the
accompaniment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nearkin.corpora.rendered import arrangement, ensemble, singing, synthesis
from nearkin.corpora.rendered.ensemble import Performance
from nearkin.corpora.rendered.orchestra import FAMILIES, kindred
from nearkin.corpora.rendered.scores import MusicScore, Note
from nearkin.seeds import stream

SECONDS = 10.0
CLIPS_PER_SCORE = 3

_VOICE = FAMILIES["choir"]


def clip(
    score: MusicScore,
    *,
    number: int,
    seed: int,
    soundfont: Path | None = None,
    singers: Sequence[str] = (),
) -> ensemble.Clip:
    """Render a clip of a score.

    Parameters
    ----------
    score : MusicScore
        What is sung and played.
    number : int
        Which clip it is; names the draws together with `seed`.
    seed : int
        The corpus's seed.
    soundfont : Path, optional
        What plays it; TimGM6mb.sf2 by default.
    singers : sequence of str
        Voices of Festival, of which one sings; the SoundFont's choirs by default.

    Returns
    -------
    Clip
        ``"mix"`` and ``"vocals"`` of 10 s; labels ``voices`` (how many sing) and ``vocals_db``, the
        voice's level beside the accompaniment's.
    """
    rng = stream(seed, "vocals", number)
    lead = ensemble.drawn_lead(score, rng)
    performance = ensemble.drawn_performance(score, lead, rng, seconds=SECONDS, soundfont=soundfont)
    # Sung more slowly than played, and never staccato.
    quarter_s = max(performance.quarter_s, 0.24 / _median_quarters(score, lead))
    performance = performance._replace(
        quarter_s=quarter_s, legato=float(rng.choice((0.85, 0.95, 1.0)))
    )
    taken = ensemble.passage_for(score, performance, rng, lead=lead)
    lines = ensemble.accompaniment(
        score, taken, rng, lead=lead, without=kindred("voice"), drums=0.4
    )
    sung = [list(taken.parts[lead])]
    others = [part for k, part in enumerate(taken.parts) if k != lead and part]
    if others and rng.random() < 0.25:
        sung.append(list(others[int(rng.integers(len(others)))]))
    if rng.random() < 0.5:
        rest_s = float(rng.uniform(1.0, 4.0))
        start_s = float(rng.uniform(-0.5 * rest_s, SECONDS - 0.5 * rest_s))
        sung = [
            _without(part, start_s / quarter_s, (start_s + rest_s) / quarter_s) for part in sung
        ]
    if singers:
        singer = singers[int(rng.integers(len(singers)))]
        voices = [_sung(part, singer, performance, rng) for part in sung if part]
    else:
        program = ensemble.drawn_program(_VOICE, rng)
        voices = [ensemble.played(part, _VOICE, program, performance, rng) for part in sung if part]
    others_played, _ = ensemble.played_together(lines, performance, rng)
    n = others_played[0].shape[0]
    voice, rest = ensemble.in_room(
        [np.sum([np.zeros(n), *voices], axis=0), np.sum(others_played, axis=0)], performance, rng
    )
    vocals_db = float(rng.uniform(-4.0, 7.0))
    voice, rest = synthesis.levelled(voice, vocals_db), synthesis.levelled(rest, 0.0)
    gain = synthesis.gain_for(voice + rest, float(rng.uniform(-26.0, -15.0)))
    vocals, accompaniment = synthesis.as_16_bits(gain * voice), synthesis.as_16_bits(gain * rest)
    return ensemble.Clip(
        {"mix": vocals + accompaniment, "vocals": vocals},
        {"voices": len(voices), "vocals_db": vocals_db},
    )


def _sung(
    part: list[Note], singer: str, performance: Performance, rng: np.random.Generator
) -> synthesis.Samples:
    """Have a part sung, dry, moved into the voice's compass."""
    moved = [note._replace(pitch=note.pitch + performance.semitones) for note in part]
    tones = arrangement.timed(
        arrangement.fitted(moved, singing.LOW, singing.HIGH),
        quarter_s=performance.quarter_s,
        rng=rng,
        legato=performance.legato,
    )
    return singing.sung(
        tones,
        voice=singer,
        seconds=performance.seconds,
        rng=rng,
        tuning_cents=performance.tuning_cents,
    )


def _median_quarters(score: MusicScore, lead: int) -> float:
    return float(np.median([note.duration for note in score.parts[lead]]))


def _without(part: list[Note], start: float, end: float) -> list[Note]:
    """Leave out the notes that begin in a stretch, and cut those that last into it."""
    return [
        note._replace(duration=min(note.duration, max(start - note.onset, 0.25)))
        if note.onset < start
        else note
        for note in part
        if not start <= note.onset < end
    ]
