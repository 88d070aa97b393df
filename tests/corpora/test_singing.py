"""Festival as the singer of rendered voices: its songs, and what is made of them.

No test needs Festival: a small program takes its place, which sings sine waves from the same XML.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nearkin.corpora.index import index
from nearkin.corpora.rendered import singing, soundfonts
from nearkin.corpora.rendered.arrangement import Timed
from nearkin.errors import InputError, RunError
from nearkin.seeds import stream

SR = 22_050
PROGRAM = """#!{python}
import re, sys
import numpy as np, soundfile
song, out = sys.argv[-3], sys.argv[-1]
assert sys.argv[1:5] == ["-mode", "singing", "-eval", "(voice_kal_diphone)"], sys.argv
y, pattern = [], r'SECONDS="([^"]+)"></REST>|FREQ="([^"]+)"><DURATION SECONDS="([^"]+)">'
for rest, hz, held in re.findall(pattern, open(song).read()):
    t = np.arange(round(16000 * float(rest or held))) / 16000
    y.append(0.5 * np.sin(2 * np.pi * float(hz or 0) * t))
soundfile.write(out, np.concatenate(y), 16000, format="WAV")
"""


@pytest.fixture
def festival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in Festival's place, with one of its voices."""
    folder = tmp_path / "festival"
    (folder / "voices" / "kal_diphone").mkdir(parents=True)
    program = folder / singing.PROGRAM
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(singing, "VOICES_AT", folder / "voices")
    return program


def pitch_hz(y: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1 << 18))
    return float(np.argmax(spectrum)) * SR / (1 << 18)


def test_a_song_says_rests_frequencies_and_lengths() -> None:
    notes = [Timed(0.5, 1.0, 57, 90), Timed(1.0, 1.8, 60, 90)]
    lines = singing.song(notes, ["la", "no"], tuning_cents=0.0).splitlines()[3:-1]
    # A3 is 220 Hz, C4 three semitones above it: 220 * 2 ** (3 / 12) = 261.626 Hz
    assert lines == [
        '<REST SECONDS="0.5000"></REST>',
        '<PITCH FREQ="220.000"><DURATION SECONDS="0.5000">la</DURATION></PITCH>',
        '<PITCH FREQ="261.626"><DURATION SECONDS="0.8000">no</DURATION></PITCH>',
    ]
    # 50 cents are half a semitone: 220 * 2 ** (1 / 24)
    assert 'FREQ="226.446"' in singing.song(notes[:1], ["la"], tuning_cents=50.0)


def test_one_voice_sings_one_note_at_a_time() -> None:
    chord = [Timed(0.0, 2.0, 60, 90), Timed(0.02, 2.0, 67, 90), Timed(1.0, 1.5, 64, 90)]
    line = singing.one_at_a_time(chord)
    assert [(n.start_s, n.end_s, n.pitch) for n in line] == [(0.0, 1.0, 67), (1.0, 1.5, 64)]


def test_what_is_sung_has_its_pitch_and_its_place(festival: Path) -> None:
    notes = [Timed(0.5, 1.5, 57, 90), Timed(2.0, 2.9, 64, 90)]
    sing = {"voice": "kal_diphone", "seconds": 4.0}
    y = singing.sung(notes, **sing, rng=stream(0, "song"))
    assert y.shape == (4 * SR,)
    assert pitch_hz(y[round(0.6 * SR) : round(1.4 * SR)]) == pytest.approx(220.0, abs=0.3)
    assert pitch_hz(y[round(2.1 * SR) : round(2.8 * SR)]) == pytest.approx(329.628, abs=0.3)
    for silent in (y[: round(0.48 * SR)], y[round(1.52 * SR) : round(1.98 * SR)], y[3 * SR :]):
        assert np.sqrt(np.mean(silent**2)) < 1e-3
    assert not singing.sung([], **sing, rng=stream(0, "song")).any()


def test_a_singer_that_fails_is_told(festival: Path) -> None:
    festival.write_text(f"#!{sys.executable}\nraise SystemExit('no voice here')")
    with pytest.raises(RunError, match=r"text2wave: did not sing \(no voice here\); mend Festival"):
        singing.sung(
            [Timed(0.0, 1.0, 57, 90)], voice="kal_diphone", seconds=1.0, rng=stream(0, "song")
        )


def test_who_sings_is_who_is_there(festival: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert singing.singers("choir") == ()
    assert singing.singers("festival") == singing.singers("found") == ("kal_diphone",)
    with pytest.raises(InputError, match="--voices crowd: must be one of choir, festival, found"):
        singing.singers("crowd")
    monkeypatch.setenv("PATH", "")
    assert singing.singers("found") == ()
    with pytest.raises(InputError, match=r"--voices festival: .*not installed; apt-get install"):
        singing.singers("festival")


def test_other_data_sets_have_no_singers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--voices: is nothing that rendered-tags takes"):
        index("rendered-tags", tmp_path, tmp_path / "m.csv", voices="festival")


def test_a_corpus_is_sung(festival: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("music21", "pretty_midi", "tinysoundfont"):
        pytest.importorskip(name)
    import soundfile

    monkeypatch.setattr(soundfonts, "PLACES", ())
    out = tmp_path / "m.csv"
    found = index("rendered-vocals", tmp_path / "sung", out, hours=0.0084, voices="found")
    assert found.notes[1] == "Festival sings (kal_diphone)"
    settings = json.loads((tmp_path / "sung" / "rendering.json").read_text())
    assert settings["singers"] == "kal_diphone"
    names = sorted(p.name for p in (tmp_path / "sung" / "clips").glob("*-0-vocals.flac"))
    voice, _ = soundfile.read(tmp_path / "sung" / "clips" / names[0])
    # sine waves: where the voice is loud, one bin of the spectrum leads by far
    loud = int(np.argmax(np.convolve(voice**2, np.ones(2048), "valid")))
    spectrum = np.abs(np.fft.rfft(voice[loud : loud + 2048] * np.hanning(2048))) ** 2
    top = int(np.argmax(spectrum))
    assert 80.0 < top * SR / 2048 < 350.0
    assert spectrum[max(top - 6, 0) : top + 7].sum() > 0.7 * spectrum.sum()
    monkeypatch.setattr(singing, "VOICES", ("absent_diphone",))
    with pytest.raises(InputError, match="kal_diphone of Festival sings in the clips"):
        index("rendered-vocals", tmp_path / "sung", out, hours=0.0084, voices="found")
    with pytest.raises(RunError, match="rendered with singers 'kal_diphone', not None"):
        index("rendered-vocals", tmp_path / "sung", out, hours=0.0084, voices="choir")
