"""Built-in music: short pieces made from chords, bass, melody and drums, for ``nearkin demo``.

Each clip is ``float32[samples]`` mono, full scale at 1.0, between -20 and -14 LUFS. It follows from
its seed and number alone; numpy makes all of it, nothing is downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nearkin.audio import SAMPLE_RATE, loudness_lufs
from nearkin.errors import InputError
from nearkin.seeds import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_DORIAN = (0, 2, 3, 5, 7, 9, 10)
_SCALES = {"major": _MAJOR, "minor": _MINOR, "dorian": _DORIAN}
# Degrees of the scale, a chord a bar.
_PROGRESSIONS = (
    *((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (5, 3, 0, 4), (0, 2, 3, 4)),
    *((1, 4, 0, 5), (0, 6, 5, 4), (0, 3, 0, 4), (0, 5, 1, 4), (3, 4, 2, 5)),
)
# Partials' weights, attack and decay in seconds (0: held), for each instrument.
_TIMBRES: dict[str, tuple[tuple[float, ...], float, float]] = {
    "piano": ((1.0, 0.55, 0.35, 0.2, 0.12, 0.08, 0.05), 0.004, 0.7),
    "organ": ((1.0, 0.8, 0.1, 0.6, 0.0, 0.3, 0.0, 0.3), 0.02, 0.0),
    "strings": ((1.0, 0.7, 0.55, 0.4, 0.33, 0.26, 0.2, 0.15, 0.1), 0.12, 0.0),
    "clarinet": ((1.0, 0.05, 0.7, 0.05, 0.4, 0.04, 0.2), 0.03, 0.0),
    "flute": ((1.0, 0.3, 0.08, 0.02), 0.06, 0.0),
    "pluck": ((1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1), 0.002, 0.25),
    "bell": ((1.0, 0.0, 0.6, 0.0, 0.0, 0.45, 0.0, 0.0, 0.25), 0.002, 0.9),
    "brass": ((0.7, 1.0, 0.9, 0.7, 0.5, 0.35, 0.22, 0.15), 0.05, 0.0),
}
# Where in a bar of 16 steps the kick, the snare and the hi-hat fall.
_GROOVES = (
    ((0, 8), (4, 12), (0, 2, 4, 6, 8, 10, 12, 14)),
    ((0, 6, 10), (4, 12), (2, 6, 10, 14)),
    ((0, 4, 8, 12), (4, 12), (2, 6, 10, 14)),
    ((0, 3, 10), (8,), (0, 3, 6, 8, 11, 14)),
    ((0, 7), (4, 13), tuple(range(16))),
    ((0,), (), (4, 12)),
    ((), (), ()),
)


def clips(
    n: int = 16, *, seed: int = 0, seconds: float = 6.0, sr: int = SAMPLE_RATE
) -> list[tuple[str, NDArray[np.float32]]]:
    """Make built-in pieces of music.

    Parameters
    ----------
    n : int
        How many, at least 1. The first few are the same whatever `n`.
    seed : int
        Another seed makes other pieces.
    seconds : float
        Length of each, at least 0.5.
    sr : int
        Rate in Hz, at least 8,000.

    Returns
    -------
    list of (str, numpy.ndarray of float32, shape [round(seconds * sr)])
        A name that says what it is (``"synthetic-00-minor-d-142bpm-organ"``), and the sound.

    Raises
    ------
    InputError
        If a number is too small.

    Examples
    --------
    >>> [(name, y)] = clips(1, seconds=1.0)
    >>> name, y.shape, y.dtype
    ('synthetic-00-minor-d-142bpm-organ', (22050,), dtype('float32'))
    """
    if n < 1 or seconds < 0.5 or sr < 8_000:
        raise InputError(
            f"n={n}, seconds={seconds}, sr={sr}: must be at least 1, 0.5 and 8000; pass more"
        )
    return [_clip(number, seed, round(seconds * sr), sr) for number in range(n)]


def _clip(number: int, seed: int, n: int, sr: int) -> tuple[str, NDArray[np.float32]]:
    rng = stream(seed, "synthetic", number)
    # Walked through in turn, so that neighbours in the list are as unlike as they can be.
    instruments = list(_TIMBRES)
    chords = instruments[(3 * number + int(rng.integers(2))) % len(instruments)]
    lead = instruments[(5 * number + 2 + int(rng.integers(3))) % len(instruments)]
    mode = list(_SCALES)[int(rng.integers(len(_SCALES)))]
    tonic = (7 * number + int(rng.integers(12))) % 12
    bpm = int(rng.integers(68, 150))
    progression = _PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))]
    groove = _GROOVES[number % len(_GROOVES)]
    scale = _SCALES[mode]

    step_s = 60.0 / bpm / 4.0
    bars = int(np.ceil(n / sr / (16 * step_s)))
    parts = {name: np.zeros(n) for name in ("chords", "bass", "lead", "drums")}
    chord_hits = [(0,), (0, 8), (0, 6, 12), (0, 4, 8, 12), (2, 6, 10, 14)][int(rng.integers(5))]
    bass_hits = [(0, 8), (0, 3, 8, 11), (0, 4, 8, 12), (0, 2, 4, 6, 8, 10, 12, 14)][
        int(rng.integers(4))
    ]
    motif = [(int(at), int(rng.integers(-2, 5))) for at in _rhythm(rng)]
    degree_of_lead = int(rng.integers(7))

    def note(part: str, at: float, steps: float, degree: int, octave: int, timbre: str) -> None:
        midi = 12 * (octave + 1 + degree // 7) + tonic + scale[degree % 7]
        start = int(at * step_s * sr)
        hz = 440.0 * 2.0 ** ((midi - 69) / 12.0)
        level = rng.uniform(0.75, 1.0)
        _add(parts[part], start, level * _tone(hz, steps * step_s, _TIMBRES[timbre], sr))

    for bar in range(bars):
        root = progression[bar % len(progression)]
        begin = bar * 16

        for place, hit in enumerate(chord_hits):
            until = (*chord_hits, 16)[place + 1]
            for degree in (root, root + 2, root + 4):
                note("chords", begin + hit, until - hit, degree, 4 if degree < 5 else 3, chords)
        for hit in bass_hits:
            note("bass", begin + hit, 2.5, root + (4 if hit % 8 == 3 else 0), 2, "brass")
        if bar % 4 == 3:
            motif = [(at, int(rng.integers(-2, 5))) for at in _rhythm(rng)]
        for at, move in motif:
            # On the beat a note of the chord, between beats steps of the scale.
            target = root + 2 * (move % 3) if at % 4 == 0 else degree_of_lead + move
            degree_of_lead = int(np.clip(target, -3, 9))
            note("lead", begin + at, 2 + (at % 3), degree_of_lead, 5, lead)
        _drums(parts["drums"], begin, groove, step_s, sr, rng)

    gains = {"chords": 0.5, "bass": 0.55, "lead": rng.uniform(0.4, 0.8), "drums": 0.7}
    mix = sum(gains[name] * y / (np.sqrt(np.mean(y**2)) + 1e-9) for name, y in parts.items())
    name = f"synthetic-{number:02d}-{mode}-{_KEYS[tonic]}-{bpm}bpm-{chords}"
    return name, _levelled(np.asarray(mix), rng.uniform(-19.0, -15.0), sr)


_KEYS = ("c", "c-sharp", "d", "e-flat", "e", "f", "f-sharp", "g", "a-flat", "a", "b-flat", "b")


def _rhythm(rng: np.random.Generator) -> list[int]:
    """Return where a melody's notes fall in a bar of 16 steps: mostly on the eighths."""
    weight = np.where(np.arange(16) % 4 == 0, 0.8, np.where(np.arange(16) % 2 == 0, 0.45, 0.08))
    return [int(at) for at in np.flatnonzero(rng.random(16) < weight)] or [0]


def _tone(
    hz: float, seconds: float, timbre: tuple[tuple[float, ...], float, float], sr: int
) -> Samples:
    weights, attack_s, decay_s = timbre
    t = np.arange(int((seconds + 0.08) * sr)) / sr
    y = np.zeros_like(t)
    # Partials by the recurrence of sines: two functions a tone, the rest multiplications.
    phase = 2.0 * np.pi * hz * t
    if not decay_s:
        phase += 0.004 * hz / 5.0 * np.sin(2.0 * np.pi * 5.0 * t)  # a little vibrato
    twice, before, now = 2.0 * np.cos(phase), np.zeros_like(t), np.sin(phase)
    for k, weight in enumerate(weights, start=1):
        if k * hz > 0.45 * sr:
            break
        if weight:
            y += weight * now
        before, now = now, twice * now - before
    shape = np.minimum(t / attack_s, 1.0) * np.clip((t[-1] - t) / 0.08, 0.0, 1.0)
    if decay_s:
        shape *= np.exp(-t / decay_s)
    y *= shape
    return y


def _add(target: Samples, start: int, y: Samples) -> None:
    if start < target.shape[0]:
        end = min(target.shape[0], start + y.shape[0])
        target[start:end] += y[: end - start]


def _drums(
    target: Samples,
    begin: int,
    groove: tuple[tuple[int, ...], ...],
    step_s: float,
    sr: int,
    rng: np.random.Generator,
) -> None:
    t = np.arange(int(0.25 * sr)) / sr
    kick = np.sin(2.0 * np.pi * (50.0 * t + 60.0 * 0.03 * (1.0 - np.exp(-t / 0.03))))
    kicks, snares, hats = groove
    for at in kicks:
        _add(target, int((begin + at) * step_s * sr), 2.0 * kick * np.exp(-t / 0.09))
    for at in snares:
        noise = rng.standard_normal(t.shape[0]) * np.exp(-t / 0.06)
        body = np.sin(2.0 * np.pi * 190.0 * t) * np.exp(-t / 0.05)
        _add(target, int((begin + at) * step_s * sr), 0.5 * noise + 0.5 * body)
    for at in hats:
        bright = np.diff(rng.standard_normal(t.shape[0] + 1)) * np.exp(-t / 0.025)
        _add(target, int((begin + at) * step_s * sr), 0.2 * bright)


def _levelled(y: Samples, lufs: float, sr: int) -> NDArray[np.float32]:
    """Bring a clip to a loudness, its peaks rounded off until they stay below 1."""
    for _ in range(4):
        y = y * 10.0 ** ((lufs - loudness_lufs(y, sr=sr)) / 20.0)
        if np.max(np.abs(y)) < 0.95:
            break
        y = 0.8 * np.tanh(y / 0.8)
    return np.asarray(y, dtype=np.float32)
