"""From notes to sound: one mono stem a part, played by a SoundFont through tinysoundfont.

Sound is ``float64[samples]`` at 22.05 kHz until `written` makes 16 bits of it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearkin.audio import SAMPLE_RATE
from nearkin.corpora.rendered import soundfonts
from nearkin.corpora.rendered.arrangement import Timed
from nearkin.files import write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

DRUMS = -1
"""Stands for a program: the standard drum kit."""

_BEND_S = 0.012
_PEAK = 0.9


def stem(
    notes: Sequence[Timed],
    *,
    program: int,
    seconds: float,
    tuning_cents: float = 0.0,
    vibrato_cents: float = 0.0,
    vibrato_hz: float = 5.5,
    soundfont: Path | None = None,
) -> Samples:
    """Play a part.

    Parameters
    ----------
    notes : sequence of Timed
        What to play; pitches are drums where `program` is `DRUMS`.
    program : int
        General MIDI program, 0 to 127, or `DRUMS`.
    seconds : float
        How long to listen; what sounds on is cut.
    tuning_cents : float
        All notes sound so much higher.
    vibrato_cents, vibrato_hz : float
        Depth to either side and rate.
    soundfont : Path, optional
        What plays it; TimGM6mb.sf2 by default.

    Returns
    -------
    numpy.ndarray of float64, shape [round(seconds * 22050)]
        The mean of both channels.
    """
    n = round(seconds * SAMPLE_RATE)
    synth = soundfonts.library().Synth(samplerate=SAMPLE_RATE, gain=-6)
    synth.sfload(soundfonts.loaded(soundfont or soundfonts.own()))
    channel = 9 if program == DRUMS else 0
    synth.program_change(channel, max(program, 0), is_drums=program == DRUMS)
    if tuning_cents and program != DRUMS:
        synth.set_tuning(channel, tuning_cents / 100.0)

    # Releases before attacks, so that a repeated note begins anew.
    events: list[tuple[int, int, int, int]] = []
    for note in notes:
        begin, end = round(note.start_s * SAMPLE_RATE), round(note.end_s * SAMPLE_RATE)
        events.append((begin, 2, note.pitch, note.velocity))
        events.append((max(end, begin + 1), 0, note.pitch, 0))
    if vibrato_cents:
        synth.pitchbend_range(channel, 2.0)
        for at in np.arange(0.0, seconds, _BEND_S):
            depth = vibrato_cents / 200.0 * np.sin(2.0 * np.pi * vibrato_hz * at)
            events.append((round(at * SAMPLE_RATE), 1, int(8192 + round(8191 * depth)), 0))

    sounds = np.zeros(n)
    now = 0
    for at, what, value, velocity in sorted(events):
        if at >= n:
            break
        if at > now:
            sounds[now:at] = _generated(synth, at - now)
            now = at
        if what == 2:
            synth.noteon(channel, value, velocity)
        elif what == 0:
            synth.noteoff(channel, value)
        else:
            synth.pitchbend(channel, value)
    sounds[now:] = _generated(synth, n - now)
    return sounds


def room(rng: np.random.Generator, *, decay_s: float, wet_db: float) -> Samples:
    """Make a room's impulse response: the direct sound, then noise that dies away.

    `decay_s` is the time in which it falls by 60 dB, `wet_db` its energy beside the direct sound's.
    """
    n = round(decay_s * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    tail = rng.standard_normal(n) * 10.0 ** (-3.0 * t / decay_s)
    tail[: round(0.004 * SAMPLE_RATE)] = 0.0
    # A room swallows the treble first.
    tail = np.convolve(tail, (0.25, 0.5, 0.25), mode="same")
    tail *= 10.0 ** (wet_db / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def heard_in(y: Samples, response: Samples) -> Samples:
    """Play a sound in a room; the length stays."""
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(y, response)[: y.shape[0]])


def rms(y: Samples) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(y**2)))


def levelled(y: Samples, db: float) -> Samples:
    """Bring a sound to a level in dB (RMS, beside 1); silence stays silence."""
    level = rms(y)
    return y * (10.0 ** (db / 20.0) / level) if level > 0.0 else y


def gain_for(mix: Samples, db: float) -> float:
    """Return the factor that brings a mixture to a level, or its peak to 0.9 where that is less."""
    level, peak = rms(mix), float(np.max(np.abs(mix)))
    if level == 0.0:
        return 1.0
    return min(float(10.0 ** (db / 20.0)) / level, _PEAK / peak)


def as_16_bits(y: Samples) -> NDArray[np.int16]:
    """Round to 16 bits."""
    return np.round(y * 32767.0).astype(np.int16)


def write(files: Mapping[Path, NDArray[np.int16]]) -> None:
    """Write FLAC files, each as a whole or not at all."""
    import soundfile

    for path, y in files.items():
        data = io.BytesIO()
        soundfile.write(data, y, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        replace(path, data.getvalue())


def replace(path: Path, content: bytes) -> None:
    """Put a file in place in one step.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    write_whole(path, lambda file: file.write(content))


def check() -> None:
    """Make sure that there is something to play with.

    Raises
    ------
    ExtraError
        If tinysoundfont or pretty_midi is not installed.
    InputError
        If pretty_midi comes without its SoundFont.
    """
    soundfonts.library()
    soundfonts.own()


def _generated(synth: Any, n: int) -> Samples:
    if n <= 0:
        return np.zeros(0)
    both = np.frombuffer(synth.generate(n), dtype=np.float32).reshape(-1, 2)
    return np.asarray(both.mean(axis=1), dtype=np.float64)
