"""A voice that sings words: Festival's singing mode, where it is installed with its diphone voices.

One part is sung by one voice, one syllable a note. Pitches are given to Festival as frequencies, so
that it sings the octave that is asked for; it joins one note to the next as singers do. Sound is
``float64[samples]`` at 22.05 kHz, of a voice that was recorded at 16 kHz.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearkin.audio import SAMPLE_RATE
from nearkin.corpora.rendered.arrangement import Timed
from nearkin.errors import InputError, RunError

if TYPE_CHECKING:
    from nearkin.corpora.rendered.synthesis import Samples

PROGRAM = "text2wave"
VOICES_AT = Path("/usr/share/festival/voices/english")
VOICES = ("kal_diphone", "ked_diphone")
"""Of Debian's festvox-kallpc16k and festvox-kdlpc16k; only diphone voices sing."""

CHOIR, FESTIVAL, FOUND = "choir", "festival", "found"
KINDS = (CHOIR, FESTIVAL, FOUND)
"""Who sings: the SoundFont's choirs, Festival, or Festival if it is there and else the choirs."""

SYLLABLES = ("la", "moon", "day", "no", "see", "low", "way", "sun", "rain", "lee", "doe", "may")
LOW, HIGH = 43, 64
"""The compass, G2 to E4: both voices are men's."""

_ALIKE_S = 0.06
_SHORTEST_S = 0.12
_TIMEOUT_S = 120.0


def singers(kind: str, *, begun: str | None = None) -> tuple[str, ...]:
    """Return the voices of Festival that are to sing; none where the choirs do.

    Parameters
    ----------
    kind : str
    begun : str, optional
        The voices that sing in a corpus that was begun, with ", " between them, empty where the
        choirs do: where `FOUND` is asked for, they are gone on with.

    Raises
    ------
    InputError
        If `kind` is none of `KINDS`, or Festival is asked for and not installed.
    """
    if kind not in KINDS:
        raise InputError(f"--voices {kind}: must be one of {', '.join(KINDS)}")
    if kind == CHOIR or (kind == FOUND and begun == ""):
        return ()
    there = shutil.which(PROGRAM) is not None
    found = tuple(voice for voice in VOICES if there and (VOICES_AT / voice).is_dir())
    if kind == FESTIVAL and not found:
        raise InputError(
            "--voices festival: Festival or a diphone voice of it is not installed; apt-get "
            "install festival festvox-kallpc16k, or pass --voices choir"
        )
    if kind == FOUND and begun is not None:
        wanted = tuple(begun.split(", "))
        if not set(wanted) <= set(found):
            raise InputError(
                f"--voices found: {begun} of Festival sings in the clips that are there and is "
                "not installed; install it, or give another --root"
            )
        return wanted
    return found


def said(voices: Sequence[str]) -> str:
    """Say in a sentence who sings."""
    if voices:
        return f"Festival sings ({', '.join(voices)})"
    return "the SoundFont's choirs sing"


def one_at_a_time(notes: Sequence[Timed]) -> list[Timed]:
    """Make a part that one voice can sing: of notes that begin together the highest.

    Every note ends when the next one begins, at the latest.
    """
    line: list[Timed] = []
    for note in sorted(notes):
        if line and note.start_s - line[-1].start_s < _ALIKE_S:
            if note.pitch > line[-1].pitch:
                line[-1] = note._replace(start_s=line[-1].start_s)
            continue
        if line and line[-1].end_s > note.start_s:
            line[-1] = line[-1]._replace(end_s=note.start_s)
        line.append(note)
    return line


def song(notes: Sequence[Timed], words: Sequence[str], *, tuning_cents: float) -> str:
    """Write a part as Festival's XML: a rest where nobody sings, and a word for each note."""
    lines, now = [], 0.0
    for note, word in zip(notes, words, strict=True):
        if note.start_s - now > 1e-3:
            lines.append(f'<REST SECONDS="{note.start_s - now:.4f}"></REST>')
        hz = 440.0 * 2.0 ** ((note.pitch - 69 + tuning_cents / 100.0) / 12.0)
        held = max(note.end_s - note.start_s, _SHORTEST_S)
        lines.append(
            f'<PITCH FREQ="{hz:.3f}"><DURATION SECONDS="{held:.4f}">{word}</DURATION></PITCH>'
        )
        now = note.start_s + held
    head = '<?xml version="1.0"?>\n<!DOCTYPE SINGING PUBLIC "-//SINGING//DTD SINGING mark up//EN" '
    head += '"Singing.v0_1.dtd" []>\n<SINGING BPM="60">\n'
    return head + "\n".join(lines) + "\n</SINGING>\n"


def sung(
    notes: Sequence[Timed],
    *,
    voice: str,
    seconds: float,
    rng: np.random.Generator,
    tuning_cents: float = 0.0,
) -> Samples:
    """Sing a part.

    Parameters
    ----------
    notes : sequence of Timed
        What to sing; of notes at one time the highest is sung.
    voice : str
        One of `VOICES`.
    seconds : float
        How long to listen; what sounds on is cut.
    rng : numpy.random.Generator
        What the words are drawn from.
    tuning_cents : float
        All notes sound so much higher.

    Returns
    -------
    numpy.ndarray of float64, shape [round(seconds * 22050)]

    Raises
    ------
    RunError
        If Festival fails.
    """
    import soundfile
    import soxr

    n = round(seconds * SAMPLE_RATE)
    line = [note for note in one_at_a_time(notes) if note.start_s < seconds - _SHORTEST_S]
    if not line:
        return np.zeros(n)
    words = [SYLLABLES[int(k)] for k in rng.integers(len(SYLLABLES), size=len(line))]
    with tempfile.TemporaryDirectory(prefix="nearkin-") as folder:
        score, out = Path(folder, "song.xml"), Path(folder, "song.wav")
        score.write_text(song(line, words, tuning_cents=tuning_cents), "ascii")
        command = [PROGRAM, "-mode", "singing", "-eval", f"(voice_{voice})"]
        try:
            done = subprocess.run(
                [*command, str(score), "-o", str(out)],
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                raise _failed(done.stderr.decode("utf-8", "replace"))
            y, sr = soundfile.read(io.BytesIO(out.read_bytes()), dtype="float64")
        except (OSError, subprocess.TimeoutExpired, soundfile.LibsndfileError) as error:
            raise _failed(str(error)) from error
    heard = np.asarray(soxr.resample(y, sr, SAMPLE_RATE, quality="VHQ"))[:n]
    return np.pad(heard, (0, n - heard.shape[0]))


def _failed(told: str) -> RunError:
    return RunError(
        f"{PROGRAM}: did not sing ({' '.join(told.split())[:200]}); mend Festival and give the "
        "same command again, or pass --voices choir with another --root"
    )
