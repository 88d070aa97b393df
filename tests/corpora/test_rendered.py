"""Rendered corpora: held to the printed scores, to physics, and to what their labels say."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nearkin.corpora.index import index
from nearkin.corpora.irmas import INSTRUMENTS, IRMAS_CODES
from nearkin.corpora.rendered import (
    arrangement,
    plan,
    predominant,
    scores,
    soundfonts,
    synthesis,
    tags,
    vocals,
)
from nearkin.corpora.rendered.arrangement import Passage, Timed
from nearkin.corpora.rendered.ensemble import Performance
from nearkin.corpora.rendered.incipits import incipit
from nearkin.corpora.rendered.orchestra import CLASSES, FAMILIES, compass, kindred
from nearkin.corpora.rendered.scores import MusicScore, Note, Source
from nearkin.errors import ExtraError, InputError, RunError
from nearkin.seeds import stream
from support.soundfonts import write_soundfont

SR = 22_050
THREE_CLIPS = {"rendered-tags": 0.0084, "rendered-instruments": 0.005, "rendered-vocals": 0.0084}


@pytest.fixture(scope="module")
def _libraries() -> None:
    for name in ("music21", "pretty_midi", "tinysoundfont"):
        pytest.importorskip(name)


needs_libraries = pytest.mark.usefixtures("_libraries")


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch) -> None:
    monkeypatch.setattr(soundfonts, "PLACES", ())


def tune(
    pitches: list[int], *, metre: tuple[int, int] = (4, 4), collection: str = "essen"
) -> MusicScore:
    """A score of one part in quarter notes."""
    notes = tuple(Note(float(k), 1.0, pitch) for k, pitch in enumerate(pitches))
    bar = 4.0 * metre[0] / metre[1]
    bars = tuple(np.arange(0.0, len(pitches), bar).tolist())
    return MusicScore(
        Source(collection, "x", "x", 0), (notes,), bars, metre, "", float(len(pitches))
    )


def level_db(y: np.ndarray) -> float:
    return float(10.0 * np.log10(np.mean(y.astype(np.float64) ** 2)))


# What can be known without sound.


def test_the_eleven_classes_are_those_irmas_publishes():
    # Bosch et al. (2012): the folders of IRMAS's training part.
    assert " ".join(IRMAS_CODES) == "cel cla flu gac gel org pia sax tru vio voi"
    assert len(set(INSTRUMENTS)) == 11
    assert CLASSES.keys() == set(INSTRUMENTS)


def test_programs_are_general_midi_s():
    # General MIDI level 1, numbered from 0 here: families of eight begin at their multiples.
    first = {"piano": 0, "organ": 16, "acoustic guitar": 24, "bass": 32, "flute": 72}
    for name, start in first.items():
        assert all(start <= program < start + 8 for program in FAMILIES[name].programs)
    assert CLASSES["voice"].programs == (52, 53, 54)
    assert CLASSES["cello"].programs == (42,)
    assert CLASSES["clarinet"].programs == (71,)
    assert CLASSES["saxophone"].programs == (64, 65, 66, 67)


def test_who_accompanies_cannot_play_the_class():
    for name, family in CLASSES.items():
        others = {n: f for n, f in FAMILIES.items() if n not in kindred(name)}
        assert not any(set(f.programs) & set(family.programs) for f in others.values()), name


def test_fifty_tags_each_once():
    assert len(tags.TAGS) == len(set(tags.TAGS)) == 50
    assert set(FAMILIES) < set(tags.TAGS)
    assert not any(";" in tag for tag in tags.TAGS)


@pytest.mark.parametrize("number", [0, 7])
def test_classes_come_equally_often(number):
    drawn = [predominant.instrument_of(11 * number + k, seed=3) for k in range(11)]
    assert sorted(drawn) == sorted(INSTRUMENTS)


def test_keys_of_scales():
    c_major = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60]
    a_minor = [57, 59, 60, 62, 64, 65, 68, 69, 64, 60, 57]
    assert arrangement.key_of(tune(c_major).parts[0]) == (0, "major")
    assert arrangement.key_of(tune([p + 3 for p in c_major]).parts[0]) == (3, "major")
    assert arrangement.key_of(tune(a_minor).parts[0]) == (9, "minor")


def test_chords_under_a_broken_triad():
    score = tune([60, 64, 67, 72, 67, 71, 74, 67, 60, 64, 67, 72])
    taken = Passage(score.parts, score.bars, 12.0)
    played = arrangement.chords(taken, score.parts[0], arrangement.Key(0, "major"), 4.0)
    assert [(at, classes) for at, _, classes in played if at % 4 == 0] == [
        (0.0, (0, 4, 7)),
        (4.0, (7, 11, 2)),
        (8.0, (0, 4, 7)),
    ]
    for pattern in arrangement.PATTERNS:
        notes = arrangement.chord_part(played, pattern=pattern, low=48, bar=4.0)
        assert notes
        assert all(48 <= note.pitch < 48 + 19 for note in notes)
        assert all(0.0 <= note.onset < 12.0 for note in notes)
    roots = arrangement.bass_part(played, low=36, fifths=False)
    assert {note.pitch for note in roots} == {36, 43}


def test_drums_beat_time():
    score = tune([60] * 16)
    taken = Passage(score.parts, (0.0, 4.0, 8.0, 12.0), 16.0)
    strokes = arrangement.drum_part(taken, score, stream(0, "drums"))
    assert [note.onset for note in strokes if note.pitch == 36] == [0, 2, 4, 6, 8, 10, 12, 14]
    waltz = tune([60] * 12, metre=(3, 4))
    strokes = arrangement.drum_part(Passage(waltz.parts, waltz.bars, 12.0), waltz, stream(0, "d"))
    assert [note.onset for note in strokes if note.pitch == 36] == [0, 3, 6, 9]


@pytest.mark.parametrize("program", [0, 42, 64, 67, 73])
def test_parts_are_moved_into_a_compass_by_octaves(program):
    family = next(f for f in FAMILIES.values() if program in f.programs)
    low, high = compass(family, program)
    notes = tune(list(range(20, 110, 5))).parts[0]
    moved = arrangement.fitted(notes, low, high)
    assert all(low <= note.pitch <= high for note in moved)
    assert [note.pitch % 12 for note in moved] == [note.pitch % 12 for note in notes]


def test_a_passage_is_part_of_the_score():
    score = tune(list(range(40, 104)))
    for k in range(5):
        taken = arrangement.passage(score, quarters=7.5, rng=stream(k, "cut"))
        pitches = [note.pitch for note in taken.parts[0]]
        assert len(pitches) in (8, 9)
        assert pitches == list(range(pitches[0], pitches[0] + len(pitches)))
        assert sum(note.duration for note in taken.parts[0]) == pytest.approx(7.5)
        # Bars stay where they are beside the notes: the first note of a bar is a multiple of 4.
        at = {note.onset: note.pitch for note in taken.parts[0]}
        assert all((at[bar] - 40) % 4 == 0 for bar in taken.bars if bar > 0.0)


def test_a_short_score_is_repeated():
    score = tune([60, 62, 64, 65])
    taken = arrangement.passage(score, quarters=10.0, rng=stream(0, "cut"))
    pitches = [note.pitch for note in taken.parts[0]]
    assert len(pitches) == 10
    assert pitches[:4] == pitches[4:8]


def test_tags_of_a_score():
    scale = [62, 64, 66, 67, 69, 71, 73, 74, 69, 66, 62, 69]
    jig = tune(scale, metre=(6, 8), collection="ryansMammoth")._replace(kind="jig")
    assert tags.of_score(jig) == {"fiddle tune", "jig", "compound metre", "major"}
    assert tags.beat_quarters(jig) == 1.5
    song = tune(scale, metre=(2, 4), collection="han")
    assert tags.of_score(song) == {"folk song", "Chinese song", "duple metre", "major"}
    assert tags.of_score(tune(scale, metre=(3, 8), collection="essen")) >= {"triple metre"}
    assert tags.of_score(tune(scale, metre=(4, 2), collection="bach")) >= {"quadruple metre"}
    assert not tags.of_score(tune(scale, metre=(5, 4), collection="bach")) & set(tags.METRES)


def test_tags_of_a_performance():
    score = tune([60] * 16)
    performance = Performance(
        10.0, quarter_s=0.4, semitones=0, tuning_cents=0.0, legato=0.45, decay_s=0.0, wet_db=0.0
    )
    high = [("flute", [Note(k / 4, 0.25, 80) for k in range(40)])]
    # 150 beats a minute, four notes a second.
    assert tags.of_performance(score, performance, high) == {"fast", "high", "staccato"}
    slow = performance._replace(quarter_s=1.0, legato=1.0, decay_s=1.0)
    low = [("cello", [Note(k / 8, 0.25, 40) for k in range(80)]), ("drums", [Note(0, 1, 100)])]
    expected = {"slow", "busy", "low", "legato", "reverberant"}
    assert tags.of_performance(score, slow, low) == expected
    # A piano's notes die away: not legato however long the keys are down.
    assert "legato" not in tags.of_performance(score, slow, [("piano", low[0][1])])


def test_a_room_keeps_the_sound_and_adds_what_it_says():
    response = synthesis.room(stream(0, "room"), decay_s=1.2, wet_db=-6.0)
    assert response[0] == 1.0
    assert 10 * np.log10(np.sum(response[1:] ** 2)) == pytest.approx(-6.0, abs=1e-6)
    # Schroeder's integral: from 5 to 35 dB down in half the reverberation time.
    energy = np.cumsum(response[:0:-1] ** 2)[::-1]
    decay_db = 10 * np.log10(energy / energy[0])
    t30 = (np.argmax(decay_db < -35) - np.argmax(decay_db < -5)) / SR
    assert 2 * t30 == pytest.approx(1.2, rel=0.05)
    y = stream(0, "sound").standard_normal(SR)
    direct = np.concatenate(([1.0], np.zeros(100)))
    np.testing.assert_allclose(synthesis.heard_in(y, direct), y, atol=1e-12)


def test_gain_never_clips():
    y = np.zeros(1000)
    y[3] = 2.0
    assert np.max(np.abs(synthesis.gain_for(y, -1.0) * y)) == pytest.approx(0.9)
    tone = 0.1 * np.sin(np.arange(SR))
    assert level_db(synthesis.gain_for(tone, -20.0) * tone) == pytest.approx(-20.0, abs=1e-9)


def test_refusals(tmp_path):
    with pytest.raises(InputError, match=r"hours=0: must be above 0"):
        plan.Rendering("rendered-tags", tmp_path, seed=0, hours=0.0)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be written \(File exists\); mend that"):
        synthesis.replace(tmp_path / "file" / "clip", b"")
    with pytest.raises(InputError, match=r"nothing: no rendered corpus; one of rendered-tags"):
        plan.Rendering("nothing", tmp_path, seed=0, hours=1.0)


@pytest.mark.parametrize("missing", ["music21.corpus", "tinysoundfont", "pretty_midi"])
def test_missing_extras_are_one_sentence(missing, tmp_path, monkeypatch):
    if missing == "music21.corpus":
        monkeypatch.setitem(sys.modules, "music21", None)
    else:
        (tmp_path / "palestrina").mkdir()
        monkeypatch.setattr(scores, "corpus_folder", lambda: tmp_path)
    if missing == "pretty_midi":
        monkeypatch.setattr(soundfonts, "library", lambda: None)
    monkeypatch.setitem(sys.modules, missing, None)
    rendering = plan.Rendering("rendered-tags", tmp_path / "new", seed=0, hours=1.0)
    with pytest.raises(ExtraError, match=rf"^{missing} is not installed: .*pip install") as caught:
        plan.begin(rendering)
    assert "\n" not in str(caught.value)
    assert ("--no-deps tinysoundfont" in str(caught.value)) == (missing == "tinysoundfont")
    assert not (tmp_path / "new").exists()


# What needs music21's scores.


@needs_libraries
def test_a_tune_is_read_as_printed():
    # Ryan's Mammoth Collection, "Amazon": uB>c | d>gd>B e>dc>A | ... in G, quavers.
    [source] = [
        s for s in scores.catalogue()["ryansMammoth"] if s.path == "ryansMammoth/AmazonHornpipe.abc"
    ]
    assert source.work == "tune amazon"
    score = scores.read_score(source)
    assert score is not None
    [part] = score.parts
    assert [note.pitch for note in part[:10]] == [71, 72, 74, 79, 74, 71, 76, 74, 72, 69]
    assert [note.duration for note in part[:4]] == [0.75, 0.25, 0.75, 0.25]
    assert score.metre == (2, 2)
    assert score.kind == "hornpipe"
    assert score.bars[:3] == (0.0, 1.0, 5.0)
    assert tags.of_score(score) == {"fiddle tune", "hornpipe", "duple metre", "major"}


@needs_libraries
def test_a_chorale_is_read_as_printed():
    # BWV 66.6 is music21's own example: in F sharp minor, 165 notes in four parts.
    from music21 import converter

    [source] = [s for s in scores.catalogue()["bach"] if s.path == "bach/bwv66.6.mxl"]
    score = scores.read_score(source)
    assert score is not None
    assert len(score.parts) == 4
    assert [note.pitch for note in score.parts[0][:6]] == [73, 71, 69, 71, 73, 76]
    key = arrangement.key_of([note for part in score.parts for note in part])
    theirs = converter.parse(scores.corpus_folder() / source.path).analyze("key.krumhansl")
    assert key == (theirs.tonic.pitchClass, theirs.mode) == (6, "minor")
    assert score.length == 36.0


@needs_libraries
@needs_libraries
def test_tunes_that_begin_alike_are_one_work():
    # twins under two titles, as Ryan's collection prints them
    by_path = {
        (one.path, one.number): one.work
        for members in scores.catalogue().values()
        for one in members
        if one.number >= 0
    }
    begins: dict[tuple[int, ...], set[str]] = {}
    folder = scores.corpus_folder()
    texts = {
        path: scores.tunes((folder / path).read_text("utf-8", errors="replace"))
        for path in {path for path, _ in by_path}
    }
    for path, number in by_path:
        start = incipit(texts[path][number])
        if start is not None:
            begins.setdefault(start, set()).add(by_path[path, number])
    assert len(begins) > 1000
    assert all(len(works) == 1 for works in begins.values())


def test_an_incipit_is_the_same_in_another_key_metre_or_book():
    plain = "X:1\nT:One\nM:4/4\nK:D\nd2 fd Adfa | gfed c2 A2 |\n"
    other = 'X:9\nT:Two\nM:2/4\nK:A\n"A"A {e}cA | EAc[K:D]e | dcBA G E | c2\n'
    assert incipit(plain) is not None
    assert incipit(plain) == incipit(other)
    assert incipit(plain.replace("fd", "fe")) != incipit(plain)
    assert incipit("X:1\nK:C\nCDE") is None


def test_no_work_is_in_two_splits():
    pytest.importorskip("music21")
    sources = scores.catalogue()
    assert sources.keys() == scores.SHARES.keys()
    assert sum(scores.SHARES.values()) == 20
    split_of = scores.splits(5)
    for members in sources.values():
        found = [split_of[source.work] for source in members]
        assert {"train", "valid", "test"} == set(found)
    shares = [list(split_of.values()).count(name) for name in ("train", "valid", "test")]
    np.testing.assert_allclose(np.array(shares) / len(split_of), [0.75, 0.1, 0.15], atol=0.01)
    # Works of one mass, and one tune in two books, belong together.
    masses = {s.work for s in sources["palestrina"]}
    assert len(masses) < len(sources["palestrina"]) / 5
    assert {s.work for s in sources["ryansMammoth"]} & {s.work for s in sources["oneills1850"]}
    assert scores.splits(6) != split_of


# What needs sound.


@needs_libraries
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_plays_the_note_it_is_given(name):
    family = FAMILIES[name]
    program = family.programs[0]
    low, high = compass(family, program)
    pitch = (low + high) // 2
    found = []
    for cents in (0.0, 40.0):
        note = Timed(0.0, 2.5, pitch, 100)
        y = synthesis.stem([note], program=program, seconds=2.5, tuning_cents=cents)[SR // 2 :]
        spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1 << 19))
        hz = np.fft.rfftfreq(1 << 19, 1 / SR)
        expected = 440.0 * 2.0 ** ((pitch - 69) / 12)
        near = np.flatnonzero(np.abs(12 * np.log2(np.maximum(hz, 1.0) / expected)) < 0.9)
        peak = near[np.argmax(spectrum[near])]
        # Its fundamental or a partial an octave or a fifth above it leads.
        assert spectrum[peak] > 0.1 * spectrum.max()
        found.append(1200 * np.log2(hz[peak] / expected))
    assert abs(found[0]) < 8.0
    # An ensemble's players are not quite in tune with one another: its peak is broad.
    tolerance = 12.0 if name == "string ensemble" else 2.0
    assert found[1] - found[0] == pytest.approx(40.0, abs=tolerance)


@needs_libraries
def test_notes_begin_and_end_when_they_should():
    y = synthesis.stem([Timed(0.5, 1.0, 69, 100)], program=16, seconds=2.0)
    assert y.shape == (2 * SR,)
    assert np.max(np.abs(y[: SR // 2])) == 0.0
    assert level_db(y[round(0.6 * SR) : SR]) > -40
    assert level_db(y[round(1.5 * SR) :] + 1e-9) < level_db(y[round(0.6 * SR) : SR]) - 40


@needs_libraries
@pytest.mark.parametrize("instrument", ["cello", "piano", "voice"])
def test_the_predominant_instrument_stands_out_as_stated(instrument):
    score = scores.read_score(scores.catalogue()["bach"][10])
    assert score is not None
    solo, rest, known = predominant.stems(score, instrument, stream(0, "test", instrument))
    assert known["program"] in CLASSES[instrument].programs
    assert level_db(rest) - level_db(solo) == pytest.approx(known["accompaniment_db"], abs=1e-6)
    assert -12.0 <= known["accompaniment_db"] <= -6.0


def rendered(name: str, root: Path, **options):
    from nearkin.corpora.rendered import corpus as rendering

    call = getattr(rendering, name.replace("-", "_"))
    given = {"hours": THREE_CLIPS[name], "seed": 1, "workers": 1, "progress": lambda *_: None}
    return call(root, **{**given, **options})


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@needs_libraries
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("hours", [1e-4, 0.02, 0.1])
def test_however_little_every_split_has_a_score(hours, seed, tmp_path):
    rendering = plan.Rendering("rendered-instruments", tmp_path, seed=seed, hours=hours)
    larger = plan.Rendering("rendered-instruments", tmp_path, seed=seed, hours=3.0)
    units = rendering.units
    first = -(-rendering.clips // 3)
    assert units[:first] == list(range(first))
    assert {plan._turn(rendering, unit).split for unit in units} == {"train", "valid", "test"}
    # A corpus of a few hours needs no more than its hours ask for, and has all that this one has.
    assert larger.units == list(range(600))
    assert set(units) <= set(larger.units)


@needs_libraries
def test_vocals_and_accompaniment_are_the_mixture(tmp_path):
    import soundfile

    table = rendered("rendered-vocals", tmp_path)
    assert list(table.columns) == ["path", "split", "group", "vocals_path", "duration_s"]
    assert len(table) == 9
    records = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("clips/*.json"))]
    clips = {clip["path"]: clip for record in records for clip in record["clips"]}
    for row, known in [(row, clips[row.path]) for row in list(table.itertuples())[:3]]:
        mix, sr = soundfile.read(tmp_path / row.path, dtype="int16")
        voice, _ = soundfile.read(tmp_path / row.vocals_path, dtype="int16")
        assert sr == SR
        assert mix.shape == voice.shape == (round(vocals.SECONDS * SR),)
        assert np.max(np.abs(mix.astype(int))) <= 0.91 * 32767
        # What is left is the accompaniment: at the level that was drawn, and without the voice.
        rest = mix.astype(np.int32) - voice
        assert level_db(voice) - level_db(rest) == pytest.approx(known["vocals_db"], abs=0.1)
        assert abs(np.corrcoef(rest, voice)[0, 1]) < 0.5


@needs_libraries
def test_a_rendering_is_the_same_again_goes_on_and_is_refused_for_another_seed(tmp_path):
    told: list[tuple[str, int, int]] = []
    table = rendered("rendered-tags", tmp_path / "a", progress=lambda *now: told.append(now))
    assert told == [("render", done, 3) for done in (1, 2, 3)]
    assert list(table.columns) == ["path", "split", "group", "tags", "duration_s"]
    for cell in table["tags"]:
        found = cell.split(";")
        assert 0 < len(found) < 50
        assert [tag for tag in tags.TAGS if tag in found] == found
    first = contents(tmp_path / "a")

    # What is there is not rendered again; what is lost comes back as it was.
    victim, other = (tmp_path / "a" / path for path in table["path"][:2])
    stamp = other.stat().st_mtime_ns
    rendered("rendered-tags", tmp_path / "a")
    assert other.stat().st_mtime_ns == stamp
    victim.unlink()
    again = rendered("rendered-tags", tmp_path / "a")
    assert contents(tmp_path / "a") == first
    assert again.equals(table)

    with pytest.raises(RunError, match=r"holds clips rendered with seed 1, not 2; give another"):
        rendered("rendered-tags", tmp_path / "a", seed=2)
    with pytest.raises(RunError, match="holds clips rendered with corpus 'rendered-tags'"):
        rendered("rendered-vocals", tmp_path / "a")


@needs_libraries
def test_a_further_soundfont_plays_the_test_split_and_it_alone(tmp_path, monkeypatch):
    import soundfile

    font = write_soundfont(tmp_path / "sine.sf2")
    one = rendered("rendered-instruments", tmp_path / "one")
    assert one.attrs["notes"][0].startswith("TimGM6mb.sf2 plays every split")
    assert "test_soundfont" not in json.loads((tmp_path / "one" / "rendering.json").read_text())
    monkeypatch.setattr(soundfonts, "PLACES", (tmp_path / "absent.sf3", font))
    two = rendered("rendered-instruments", tmp_path / "two")
    assert two.attrs["notes"] == ("TimGM6mb.sf2 plays train and valid, test is played by sine.sf2",)
    digest = hashlib.sha256(font.read_bytes()).hexdigest()
    settings = json.loads((tmp_path / "two" / "rendering.json").read_text())
    assert settings["test_soundfont"] == f"sine.sf2, SHA-256 {digest}"

    # The same clips under the same names; only those of the test split sound otherwise.
    assert two.equals(one)
    for row in one.itertuples():
        old, new = (
            soundfile.read(tmp_path / k / row.path, dtype="int16")[0] for k in ["one", "two"]
        )
        assert np.array_equal(old, new) == (row.split != "test"), row

    # A corpus that was begun is gone on with as it was, whatever was installed or removed since.
    again = rendered("rendered-instruments", tmp_path / "one")
    assert again.equals(one)
    assert again.attrs["notes"] == one.attrs["notes"]
    monkeypatch.setattr(soundfonts, "PLACES", (write_soundfont(tmp_path / "b.sf2"), font))
    assert rendered("rendered-instruments", tmp_path / "two").attrs["notes"] == two.attrs["notes"]
    monkeypatch.setattr(soundfonts, "PLACES", ())
    with pytest.raises(InputError, match=r"'sine\.sf2, SHA-256 .*', which is not installed; name"):
        rendered("rendered-instruments", tmp_path / "two")

    # One folder, one choice.
    with pytest.raises(
        RunError, match=r"rendered with test_soundfont 'sine.sf2, SHA-256 .*not None"
    ):
        rendered("rendered-instruments", tmp_path / "two", test_soundfont="none")
    with pytest.raises(RunError, match=r"rendered with test_soundfont None, not 'sine.sf2"):
        rendered("rendered-instruments", tmp_path / "one", test_soundfont=str(font))


@needs_libraries
def test_a_soundfont_plays_the_pitch_it_is_given(tmp_path):
    # The wave of the SoundFont repeats every 50 samples at A4: 441 Hz, an octave up 882.
    font = write_soundfont(tmp_path / "sine.sf2")
    for pitch, hz in ((69, 441.0), (81, 882.0)):
        note = [Timed(0.0, 1.0, pitch, 100)]
        y = synthesis.stem(note, program=42, seconds=1.0, soundfont=font)
        spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1 << 18))
        assert np.argmax(spectrum) * SR / (1 << 18) == pytest.approx(hz, abs=0.1)


@needs_libraries
def test_a_soundfont_that_cannot_play_is_refused(tmp_path):
    def refused(path: Path, told: str) -> None:
        with pytest.raises(InputError, match=told):
            rendered("rendered-tags", tmp_path / "new", test_soundfont=str(path))
        assert not (tmp_path / "new").exists()

    refused(tmp_path / "no.sf2", r"no\.sf2: is no file; name an \.sf2 or \.sf3 file, or 'none'")
    few = write_soundfont(tmp_path / "few.sf2", programs=(0, 1))
    refused(few, r"few\.sf2: lacks program 2, .* and more of General MIDI")
    quiet = write_soundfont(tmp_path / "quiet.sf2", drums=False)
    refused(quiet, r"quiet\.sf2: lacks the drum kit of General MIDI")
    (tmp_path / "text.sf2").write_text("RIFF")
    refused(tmp_path / "text.sf2", r"text\.sf2: cannot be read as a SoundFont \(.*\); name another")


def test_other_data_sets_take_no_soundfont(tmp_path):
    with pytest.raises(
        InputError, match=r"--test-soundfont: is nothing that folder takes, but ren"
    ):
        index("folder", tmp_path, tmp_path / "m.csv", test_soundfont="none")


@needs_libraries
@pytest.mark.slow
def test_any_number_of_workers_and_hours_gives_the_same_clips(tmp_path):
    rendered("rendered-instruments", tmp_path / "one", hours=0.02)
    table = rendered("rendered-instruments", tmp_path / "two", hours=0.02, workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    # Eleven classes, and the first again; then what further splits have.
    assert set(table["instrument"][:11]) == set(INSTRUMENTS)
    assert len(table) >= 12
    fewer = rendered("rendered-instruments", tmp_path / "fewer", hours=0.005)
    assert fewer["path"][:3].tolist() == table["path"][:3].tolist()
    assert set(fewer["path"]) <= set(table["path"])
    assert contents(tmp_path / "fewer").items() <= two.items()
    other = rendered("rendered-instruments", tmp_path / "other", hours=0.005, seed=9)
    assert other["group"].tolist() != fewer["group"].tolist()
