"""Noise at an exact SNR, pink by its slope, from a library known by its content."""

from __future__ import annotations

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from nearkin.audio import loudness_lufs
from nearkin.errors import InputError
from nearkin.transforms import EnvironmentalNoise, NoiseLibrary, PinkNoise, noise_library
from nearkin.transforms.babble import BABBLE_SHA256, babble_16bit, babble_at, pink_noise
from nearkin.transforms.grids import grid
from support import signals

SR = 22_050
SNRS = grid("paper").magnitudes("PN")


def rng(seed=0):
    return np.random.default_rng(seed)


def rms(y):
    """Root mean square without the mean: sound, not offset."""
    return np.std(np.asarray(y, float))


@pytest.fixture(scope="module")
def y():
    return signals.music(4.0).astype(np.float32)


@pytest.mark.parametrize("cls", [PinkNoise, EnvironmentalNoise])
def test_snr_is_exact_and_the_noise_the_same_at_every_level(y, cls):
    first = None
    for snr_db in SNRS:
        added = cls(snr_db)(y, sr=SR, rng=rng(7)).astype(float) - y
        assert 20 * np.log10(rms(y) / rms(added)) == pytest.approx(snr_db, abs=0.01)
        shape = added / rms(added)
        first = shape if first is None else first
        np.testing.assert_allclose(shape, first, atol=2e-4)  # float32's rounding at 30 dB
    other = cls(0)(y, sr=SR, rng=rng(8)).astype(float) - y
    assert abs(np.mean(other / rms(other) * first)) < 0.3


@pytest.mark.parametrize("cls", [PinkNoise, EnvironmentalNoise])
@pytest.mark.parametrize("offset", [0.1, -0.7])
def test_an_offset_is_no_part_of_the_signal(y, cls, offset, tmp_path):
    # With the mean, an offset of .1 made 30 dB into 7.5: a sine of .0095 has 20 dB less power.
    quiet = 0.01 * y
    plain = cls(30)(quiet, sr=SR, rng=rng()).astype(float) - quiet
    moved = cls(30)(quiet + np.float32(offset), sr=SR, rng=rng()).astype(float) - quiet - offset
    assert 20 * np.log10(rms(quiet) / rms(moved)) == pytest.approx(30, abs=0.02)
    np.testing.assert_allclose(moved, plain, atol=2e-7)
    assert np.mean(plain) == pytest.approx(0, abs=1e-8), "noise moves no mean"


def test_an_offset_of_the_recording_is_no_noise(y, tmp_path):
    recorded = 0.5 + 0.01 * signals.white(6.0)
    signals.write_float(tmp_path / "dc.wav", recorded, SR)
    added = EnvironmentalNoise(10, NoiseLibrary.from_path(tmp_path / "dc.wav"))
    noise = added(y, sr=SR, rng=rng()).astype(float) - y
    assert 20 * np.log10(rms(y) / rms(noise)) == pytest.approx(10, abs=0.01)
    assert abs(np.mean(noise)) < 1e-3 * rms(noise)


@settings(deadline=None, max_examples=30)
@given(snr_db=st.floats(-40, 60), level=st.floats(1e-4, 10), seed=st.integers(0, 100))
def test_snr_at_any_level(snr_db, level, seed):
    y = level * signals.music(0.5)
    added = PinkNoise(snr_db)(y, sr=SR, rng=rng(seed)).astype(float) - y.astype(np.float32)
    assert 20 * np.log10(rms(y) / rms(added)) == pytest.approx(snr_db, abs=0.1)


def test_snr_counts_every_channel_and_all_get_the_same_noise(y):
    both = np.stack([y, 0.25 * y[::-1]])
    added = PinkNoise(6)(both, sr=SR, rng=rng()).astype(float) - both
    np.testing.assert_allclose(added[0], added[1], atol=1e-6)
    assert 20 * np.log10(rms(both) / rms(added)) == pytest.approx(6, abs=0.01)


def test_pink_noise_falls_ten_db_a_decade():
    sums = 0
    for seed in range(20):
        hz, power = welch(pink_noise(8 * SR, sr=SR, rng=rng(seed)), fs=SR, nperseg=8192)
        sums = sums + power
    inside = (hz > 30) & (hz < 10_000)
    slope, _ = np.polyfit(np.log10(hz[inside]), 10 * np.log10(sums[inside]), 1)
    assert slope == pytest.approx(-10.0, abs=0.15)
    for low in (40, 320, 2560):  # every octave holds the same power
        a, b = (sums[(hz >= k * low) & (hz < 2 * k * low)].sum() for k in (1, 2))
        assert 10 * np.log10(a / b) == pytest.approx(0.0, abs=0.6)


@pytest.mark.parametrize("n", [2, 3, 100, 44_100, 88_200, 88_211])
def test_pink_noise_is_centred_and_of_unit_power(n):
    made = pink_noise(n, sr=SR, rng=rng())
    assert made.shape == (n,)
    assert np.mean(made) == pytest.approx(0, abs=1e-9)
    assert rms(made) == pytest.approx(1)


@pytest.mark.parametrize("sr", [16_000, 22_050, 48_000])
@pytest.mark.parametrize("seconds", [2, 4, 30])
def test_pink_noise_starts_at_20_hz_and_its_level_does_not_hang_on_its_length(sr, seconds):
    power = np.abs(np.fft.rfft(pink_noise(seconds * sr, sr=sr, rng=rng()))) ** 2
    hz = np.fft.rfftfreq(seconds * sr, 1 / sr)
    assert power[hz < 20].sum() / power.sum() < 1e-3  # .40 of a clip of 4 s lay there
    # Equal power an octave: 20 Hz to half the rate are log2(sr / 40) octaves.
    in_octave = power[(hz >= 500) & (hz < 1000)].sum() / power.sum()
    assert in_octave == pytest.approx(1 / np.log2(sr / 40), rel=0.2 if seconds < 10 else 0.05)


@pytest.mark.parametrize("cls", [PinkNoise, EnvironmentalNoise])
def test_refusals(y, cls):
    with pytest.raises(InputError, match="silent"):
        cls(10)(np.zeros(1000), sr=SR, rng=rng())
    with pytest.raises(InputError, match="silent or constant"):
        cls(10)(np.full(1000, 0.5), sr=SR, rng=rng())
    with pytest.raises(InputError, match="needs a generator"):
        cls(10)(y, sr=SR)


# --- the built-in babble --------------------------------------------------------------------------


def test_babble_is_the_constant_it_says():
    samples = babble_16bit()
    assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() == BABBLE_SHA256
    assert 20 <= len(samples) / SR <= 30
    assert NoiseLibrary.babble().sha256 == BABBLE_SHA256


def test_babble_is_a_room_full_of_people():
    y = babble_at(SR).astype(float)
    hz, power = welch(y, fs=SR, nperseg=4096)
    share = power[(hz > 100) & (hz < 4000)].sum() / power.sum()
    assert share > 0.6  # speech's band
    # Never silent, never one event only: loudness of each second within a few dB.
    levels = [loudness_lufs(y[k * SR : (k + 1) * SR], sr=SR) for k in range(len(y) // SR)]
    assert np.ptp(levels) < 10
    assert np.max(np.abs(y)) < 1


# Byrne et al. (1994), long-term average speech spectrum, men and women: octave levels summed up
# from their third octaves, re 500 Hz.
SPEECH_OCTAVES_DB = {125: -5.1, 250: -1.8, 1_000: -6.8, 2_000: -11.7, 4_000: -15.9, 8_000: -17.8}


def octaves_db(y, sr=SR):
    hz, power = welch(y, fs=sr, nperseg=8192)

    def level(centre):
        inside = (hz >= centre / 2**0.5) & (hz < min(centre * 2**0.5, 11_000))
        return 10 * np.log10(power[inside].sum())

    return {centre: level(centre) - level(500) for centre in SPEECH_OCTAVES_DB}


def test_babble_has_the_spectrum_of_speech():
    assert octaves_db(babble_at(SR).astype(float)) == pytest.approx(SPEECH_OCTAVES_DB, abs=0.7)
    issue = {125: -5, 2_000: -12, 4_000: -16, 8_000: -18}
    found = octaves_db(babble_at(44_100).astype(float), 44_100)
    assert {hz: found[hz] for hz in issue} == pytest.approx(issue, abs=1.5)


def test_every_excerpt_of_the_babble_has_it_too():
    library = NoiseLibrary.babble()
    for seed in range(10):
        found = octaves_db(library.excerpt(4 * SR, sr=SR, rng=rng(seed)).astype(float))
        assert found == pytest.approx(SPEECH_OCTAVES_DB, abs=5.0)  # twelve speakers of 4 s


@pytest.mark.parametrize("sr", [8_000, 16_000, 44_100])
def test_babble_at_other_rates(sr):
    made = NoiseLibrary.babble().excerpt(2 * sr, sr=sr, rng=rng())
    assert made.shape == (2 * sr,)
    assert made.dtype == np.float32


def is_piece_of(whole, piece):
    place = int(np.argmax(np.correlate(whole, piece.astype(float), mode="valid")))
    return np.max(np.abs(whole[place : place + len(piece)] - piece)) < 1e-4


# --- recordings -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for k in range(3):
        soundfile.write(tmp_path / f"bar {k}.wav", 0.3 * signals.white(1.5, 16_000, seed=k), 16_000)
    (tmp_path / "readme.txt").write_text("not sound")
    return tmp_path


def test_library_is_known_by_its_content(folder, tmp_path_factory):
    library = NoiseLibrary.from_path(folder)
    elsewhere = tmp_path_factory.mktemp("copy")
    for k, name in enumerate(["z.wav", "a.wav", "m.WAV"]):
        (elsewhere / "deeper").mkdir(exist_ok=True)
        shutil.copy(folder / f"bar {k}.wav", elsewhere / "deeper" / name)
    other = NoiseLibrary.from_path(elsewhere)
    assert other == library
    assert hash(other) == hash(library)
    assert EnvironmentalNoise(10, noise=other) == EnvironmentalNoise(10.0, noise=library)
    assert library != NoiseLibrary.babble()
    for seed in range(5):  # the same draws, whatever the files are called
        np.testing.assert_array_equal(
            library.excerpt(5000, sr=SR, rng=rng(seed)), other.excerpt(5000, sr=SR, rng=rng(seed))
        )
    one = NoiseLibrary.from_path(folder / "bar 1.wav")
    assert one.sha256 == hashlib.sha256((folder / "bar 1.wav").read_bytes()).hexdigest()
    assert one.name == "bar 1.wav"
    assert one != library


def test_library_pickles_without_samples(folder):
    library = NoiseLibrary.from_path(folder)
    data = pickle.dumps(library)
    assert len(data) < 2000
    back = pickle.loads(data)
    assert back == library
    np.testing.assert_array_equal(
        back.excerpt(5000, sr=SR, rng=rng()), library.excerpt(5000, sr=SR, rng=rng())
    )


def test_excerpt_is_a_piece_of_the_recording(folder):
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    whole = 0.3 * signals.white(1.5, 16_000, seed=0)
    piece = library.excerpt(8000, sr=16_000, rng=rng(3))
    assert is_piece_of(whole, piece)
    assert not np.array_equal(piece, library.excerpt(8000, sr=16_000, rng=rng(4)))


def test_short_recording_is_looped(folder):
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    long = library.excerpt(100_000, sr=16_000, rng=rng())
    np.testing.assert_array_equal(long[:24_000], long[24_000:48_000])
    assert rms(long) == pytest.approx(0.3 / np.sqrt(3), rel=0.02)


def test_every_recording_of_a_folder_is_drawn(folder):
    library = NoiseLibrary.from_path(folder)
    heads = {library.excerpt(24_000, sr=16_000, rng=rng(k))[:50].tobytes() for k in range(30)}
    assert len(heads) == 3  # a whole recording each time: its start is its head


def test_long_recording_is_read_by_excerpts(folder, monkeypatch):
    path = folder / "bar 0.wav"
    expected = NoiseLibrary.from_path(path)
    monkeypatch.setattr(noise_library, "_WHOLE_S", 1.0)
    whole = 0.3 * signals.white(1.5, 16_000, seed=0)
    piece = expected.excerpt(8000, sr=16_000, rng=rng(3))
    assert is_piece_of(whole, piece)


def quarters_db(piece, own_level):
    return [20 * np.log10(max(rms(part), 1e-12) / own_level) for part in np.array_split(piece, 4)]


@pytest.mark.parametrize("floor", [0.0, 1e-4, 3e-4])
@pytest.mark.parametrize("whole_s", [600.0, 1.0])
def test_quiet_stretches_are_never_drawn(tmp_path, monkeypatch, floor, whole_s):
    monkeypatch.setattr(noise_library, "_WHOLE_S", whole_s)
    gate = np.repeat([0, 1, 0, 1, 0], [5 * SR, 3 * SR, 6 * SR, 3 * SR, 2 * SR])
    y = np.where(gate, 0.1, floor) * signals.white(len(gate) / SR)
    signals.write_float(tmp_path / "gaps.wav", y, SR)
    library = NoiseLibrary.from_path(tmp_path / "gaps.wav")
    starts = set()
    for seed in range(40):
        piece = library.excerpt(2 * SR, sr=SR, rng=rng(seed))
        assert min(quarters_db(piece, rms(y))) >= -40
        starts.add(piece[:20].tobytes())
    assert len(starts) > 30  # all over what is left


def test_places_are_all_of_those_that_are_loud_and_equally_likely(tmp_path):
    y = np.concatenate([np.zeros(3000), signals.white(4000 / SR), np.zeros(3000)])
    signals.write_float(tmp_path / "burst.wav", y, SR)
    library = NoiseLibrary.from_path(tmp_path / "burst.wav")
    starts = []
    for seed in range(400):
        piece = library.excerpt(1000, sr=SR, rng=rng(seed))
        starts.append(int(np.argmin(np.abs(y[3000:7000] - piece[500]))) + 3000 - 500)
        np.testing.assert_allclose(piece, y[starts[-1] :][:1000], atol=1e-7)
    # A quarter of 250 samples may reach over the edge by less than all of it.
    assert 2750 < min(starts) < 2850
    assert 6150 < max(starts) < 6250
    assert np.mean(starts) == pytest.approx(4500, abs=200)


def test_of_a_recording_of_short_bursts_a_loud_whole_will_do(tmp_path):
    y = np.zeros(20 * SR)
    y[:: 5 * SR] = 0.9  # a click every five seconds
    signals.write_float(tmp_path / "clicks.wav", y, SR)
    library = NoiseLibrary.from_path(tmp_path / "clicks.wav")
    for seed in range(20):
        assert np.max(library.excerpt(2 * SR, sr=SR, rng=rng(seed))) > 0.5


def test_hidden_and_silent_files_are_left_out_and_told(folder):
    plain = NoiseLibrary.from_path(folder)
    assert plain.left_out == ()
    assert plain.told() == []
    (folder / "._bar 0.wav").write_bytes(b"\0" * 4096)
    soundfile.write(folder / ".trash.wav", 0.3 * signals.white(1.0, seed=9), SR)
    soundfile.write(folder / "digital silence.wav", np.zeros(SR), SR)
    soundfile.write(folder / "constant.wav", np.full(SR, 0.25), SR)
    dither = (np.random.default_rng(0).random((2, SR)).sum(axis=0) - 1) / 32768
    soundfile.write(folder / "dither.wav", dither, SR, subtype="PCM_16")
    library = NoiseLibrary.from_path(folder)
    assert library == plain
    assert {path for path, _ in library.files} == {path for path, _ in plain.files}
    told = " | ".join(library.left_out)
    for name in ("._bar 0.wav", ".trash.wav"):
        assert f"{name}: is hidden" in told
    for name in ("digital silence.wav", "constant.wav", "dither.wav"):
        assert f"{name}: is silent" in told
    assert len(library.left_out) == 5
    assert "(and 4 more)" in library.told()[0]


def test_library_refusals(tmp_path, folder):
    with pytest.raises(InputError, match="no such file"):
        NoiseLibrary.from_path(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        NoiseLibrary.from_path(tmp_path / "empty")
    soundfile.write(tmp_path / "silent.wav", np.zeros(SR), SR)
    with pytest.raises(InputError, match="silent"):
        NoiseLibrary.from_path(tmp_path / "silent.wav")
    (tmp_path / "quiet").mkdir()
    soundfile.write(tmp_path / "quiet" / "silent.wav", np.zeros(SR), SR)
    with pytest.raises(InputError, match=r"that can be used .*silent.wav: is silent"):
        NoiseLibrary.from_path(tmp_path / "quiet")
    (tmp_path / "text.wav").write_text("no sound " * 100)
    with pytest.raises(InputError, match="not a sound file"):
        NoiseLibrary.from_path(tmp_path / "text.wav")
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    soundfile.write(folder / "bar 0.wav", 0.3 * signals.white(1.0), SR)
    noise_library._length_s.cache_clear()  # as in a worker started later
    with pytest.raises(InputError, match="has changed"):
        library.excerpt(1000, sr=SR, rng=rng())
