"""Reading sound files against closed forms and whole decodes."""

from __future__ import annotations

import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin import audio
from nearkin.errors import InputError
from support import signals

# name -> (libsndfile format, subtype) or (PyAV format, codec)
SNDFILE = {
    "pcm16.wav": ("WAV", "PCM_16"),
    "u8.wav": ("WAV", "PCM_U8"),
    "s24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "s.aiff": ("AIFF", "PCM_16"),
    "s.aifc": ("AIFF", "FLOAT"),
    "s.flac": ("FLAC", "PCM_24"),
    "s.ogg": ("OGG", "VORBIS"),
    "s.opus": ("OGG", "OPUS"),
}
PYAV = {
    "s.mp3": ("mp3", "libmp3lame"),
    "s.m4a": ("ipod", "aac"),
    "s.aac": ("adts", "aac"),
    "s.wma": ("asf", "wmav2"),
    "s.webm": ("webm", "libopus"),
    "s.mka": ("matroska", "aac"),
    "s.wv": ("wv", "wavpack"),
    "s.tta": ("tta", "tta"),
}


def write_with_av(path: Path, y: np.ndarray, sr: int, form: str, codec: str) -> None:
    """Write [channels, samples] in a format libsndfile does not know."""
    layout = {1: "mono", 2: "stereo"}[len(y)]
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=sr, layout=layout, bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray(y.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sr, 0, Fraction(1, sr)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the same 4 s of stereo in every format."""
    folder = tmp_path_factory.mktemp("formats")
    sr = 48_000
    left = signals.music(4.0, sr)
    y = np.stack([left, np.roll(left, 1000) * 0.5])
    for name, (form, subtype) in SNDFILE.items():
        soundfile.write(folder / name, y.T, sr, format=form, subtype=subtype)
    for name, (form, codec) in PYAV.items():
        write_with_av(folder / name, y, sr, form, codec)
    return folder


@pytest.mark.parametrize("name", [*SNDFILE, *PYAV])
def test_excerpt_is_the_same_cut_of_the_whole_decode(files, name):
    path = files / name
    info = audio.sound_info(path)
    assert info.channels == 2
    whole = audio.read(path, sr=info.sample_rate)
    assert whole.shape[0] == round(info.duration_s * info.sample_rate)
    assert info.duration_s == pytest.approx(4.0, abs=0.1)
    for start_s in (0.0, 0.1, 1.23456, 2.5):
        cut = audio.read(path, sr=info.sample_rate, start_s=start_s, duration_s=1.0)
        start = round(start_s * info.sample_rate)
        assert cut.shape[0] == info.sample_rate
        np.testing.assert_array_equal(cut, whole[start : start + cut.shape[0]])


@pytest.mark.parametrize("name", [*SNDFILE, "s.mp3", "s.m4a", "s.webm", "s.mka"])
def test_every_format_holds_what_was_written(files, name):
    # Coded sound is not equal, but it is aligned: no encoder delay is left in it.
    left = signals.music(4.0, 48_000)
    mono = (left + np.roll(left, 1000) * 0.5) / 2
    y = audio.read(files / name, sr=48_000)
    assert signals.lag(mono, y[: mono.shape[0]]) == 0
    assert signals.snr_db(mono, y) > 15


@pytest.mark.parametrize("sr", [8_000, 11_025, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 6])
def test_any_rate_and_number_of_channels(tmp_path, sr, channels):
    hz = 440.0
    tone = signals.sine(hz, 2.0, sr, 0.5)
    soundfile.write(tmp_path / "x.wav", np.stack([tone] * channels, 1), sr, subtype="FLOAT")
    y = audio.read(tmp_path / "x.wav", start_s=0.4, duration_s=1.0)
    assert y.shape == (22_050,)
    assert y.dtype == np.float32
    inside = slice(500, -500)  # soxr's filter sees the excerpt's ends
    expected = signals.sine(hz, 1.4, 22_050, 0.5)[8_820:]
    np.testing.assert_allclose(y[inside], expected[inside], atol=2e-4)


def test_channels_are_averaged(tmp_path):
    y = np.stack([np.full(1000, 0.5), np.full(1000, -0.1), np.full(1000, 0.2)], 1)
    soundfile.write(tmp_path / "x.wav", y, 22_050, subtype="DOUBLE")
    np.testing.assert_allclose(audio.read(tmp_path / "x.wav"), 0.2, atol=1e-7)


def test_float_samples_above_full_scale_survive(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([2.5, -3.0, 0.0]), 22_050, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(tmp_path / "x.wav"), np.float32([2.5, -3.0, 0.0]))


@pytest.mark.parametrize(("level", "read"), [(2.0**31, True), (1e12, True), (1e18, False)])
def test_samples_of_absurd_size_are_one_sentence(tmp_path, level, read):
    y = np.array([0.5, -level, 0.0], np.float32)
    soundfile.write(tmp_path / "x.wav", y, 22_050, subtype="FLOAT")
    if read:
        np.testing.assert_array_equal(audio.read(tmp_path / "x.wav"), y)
    else:
        with pytest.raises(InputError, match=r"samples up to 1e\+18: must be at most 1e\+12"):
            audio.read(tmp_path / "x.wav")


@settings(deadline=None, max_examples=60)
@given(
    start_s=st.floats(0, 2.9),
    duration_s=st.floats(0.01, 1.0),
    sr=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
)
def test_length_is_the_duration_at_the_rate(files, start_s, duration_s, sr):
    y = audio.read(files / "pcm16.wav", sr=sr, start_s=start_s, duration_s=duration_s)
    assert y.shape[0] == round(duration_s * sr)


def test_whole_file_and_an_excerpt_past_the_end(files):
    assert audio.read(files / "pcm16.wav").shape == (4 * 22_050,)
    assert audio.read(files / "pcm16.wav", duration_s=4.0).shape == (4 * 22_050,)
    assert audio.read(files / "pcm16.wav", start_s=3.0, duration_s=2.0).shape == (22_050,)
    for name in ("pcm16.wav", "adpcm.wav", "s.mp3"):
        with pytest.raises(InputError, match=r"holds no sound from 5 s on"):
            audio.read(files / name, start_s=5.0)


@pytest.mark.parametrize("name", ["pcm16.wav", "s.flac", "s.ogg", "s.opus", "s.mp3", "s.aac"])
def test_truncated_file_is_used_as_far_as_it_decodes(files, tmp_path, name):
    data = (files / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(data[: len(data) * 6 // 10])
    info = audio.sound_info(cut)
    assert 0.9 < info.duration_s < 3.2
    y = audio.read(cut, sr=info.sample_rate)
    assert y.shape[0] == round(info.duration_s * info.sample_rate)
    whole = audio.read(files / name, sr=info.sample_rate)[: y.shape[0]]
    # The last frame or two may differ: they lean on what was cut off.
    n = y.shape[0] - 5_000
    np.testing.assert_allclose(y[:n], whole[:n], atol=2e-4)
    early = audio.read(cut, start_s=0.2, duration_s=0.5)
    assert early.shape == (11_025,)


BROKEN = {
    "empty.wav": (b"", "is empty"),
    "text.wav": (b"dear diary, this is no sound\n" * 40, "is not a sound file"),
    "text.mp3": (b"dear diary, this is no sound\n" * 4000, "is not a sound file|no sound in it"),
    "header.wav": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "is not a sound file"),
    "garbage.ogg": (b"OggS" + bytes(range(1, 256)) * 60, "is not a sound file"),
    "garbage.mp3": (b"ID3" + bytes(range(1, 250)) * 60, "is not a sound file|no sound in it"),
    "playlist.wav": (b"#EXTM3U\n#EXTINF:1,\nhttp://localhost/x.aac\n", "is not a sound file"),
    "concat.wav": (b"ffconcat version 1.0\nfile other.mp3\n", "is not a sound file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_one_sentence(tmp_path, name):
    data, message = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    for act in (audio.read, audio.sound_info):
        with pytest.raises(InputError, match=message) as caught:
            act(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_file_a_folder_and_no_permission(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        audio.read(tmp_path / "gone.wav")
    with pytest.raises(InputError, match="is a folder"):
        audio.read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        audio.sha256_file(tmp_path / "gone.wav")


def test_video_without_sound(tmp_path):
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no audio stream"):
        audio.read(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    y = np.zeros(22_050)
    y[15_000] = bad
    soundfile.write(tmp_path / "x.wav", y, 22_050, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN or infinite"):
        audio.read(tmp_path / "x.wav")
    assert audio.read(tmp_path / "x.wav", duration_s=0.5).shape == (11_025,)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes are Linux's")
@pytest.mark.parametrize(
    "name", [b"caf\xe9 \xff", b"new\nline", b"quo'te\" $(x) ;", b"-dash", b"%d"]
)
@pytest.mark.parametrize("source", ["s.ogg", "s.mp3", "s.flac", "s.m4a"])
def test_strange_file_names(files, tmp_path, name, source):
    suffix = os.fsencode(Path(source).suffix)
    path = Path(os.fsdecode(os.fsencode(tmp_path / "x")[:-1] + name + suffix))
    shutil.copy(files / source, path)
    expected = audio.read(files / source, start_s=1.0, duration_s=0.5)
    np.testing.assert_array_equal(audio.read(path, start_s=1.0, duration_s=0.5), expected)
    assert audio.sound_info(str(path)) == audio.sound_info(files / source)
    path.write_bytes(b"text")
    with pytest.raises(InputError) as caught:
        audio.read(path)
    assert str(caught.value).isprintable()
    str(caught.value).encode("utf-8")


@pytest.mark.parametrize(
    "options",
    [{"sr": 0}, {"start_s": -1.0}, {"start_s": float("nan")}, {"duration_s": 0.0}],
)
def test_impossible_excerpts(files, options):
    with pytest.raises(InputError, match="must be"):
        audio.read(files / "pcm16.wav", **options)


def test_sha256_is_the_files(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")  # FIPS 180-4's example
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert audio.sha256_file(tmp_path / "x") == expected


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_excerpts_are_what_read_returns(suffix, tmp_path):
    """One opening, one decoding: the same samples as reading every excerpt by itself."""
    rng = np.random.default_rng(0)
    y = (0.1 * rng.standard_normal((5 * 44_100, 2))).astype(np.float32)
    path = tmp_path / f"noise.{suffix}"
    soundfile.write(path, y, 44_100)
    lengths = []

    def choose(duration_s):
        lengths.append(duration_s)
        return [(0.3, 1.0), (2.5, 2.0), (4.5, 3.0)]

    found, heard = audio.read_excerpts(path, choose, sr=22_050)
    assert heard == ""
    assert lengths == [audio.sound_info(path).duration_s]
    for (start_s, samples, _), duration_s in zip(found, (1.0, 2.0, 3.0), strict=True):
        alone = audio.read(path, sr=22_050, start_s=start_s, duration_s=duration_s)
        assert np.array_equal(samples, alone)
    (late,) = audio.read_excerpts(path, lambda _: [(60.0, 1.0)]).excerpts
    assert isinstance(late.signal, InputError)


@pytest.mark.parametrize(
    ("right", "db"),
    [
        (1.0, 0.0),
        (-1.0, -np.inf),
        (0.0, -10 * np.log10(2)),
        (-0.9, 20 * np.log10(0.1 / 2) - 10 * np.log10(0.905)),
    ],
)
def test_how_far_channels_cancel(right, db, tmp_path):
    left = signals.sine(440, 2.0, 22_050, 0.5) + 0.25
    soundfile.write(tmp_path / "x.wav", np.stack([left, right * left], 1), 22_050, subtype="DOUBLE")
    (excerpt,) = audio.read_excerpts(tmp_path / "x.wav", lambda _: [(0.5, 1.0)]).excerpts
    assert excerpt.mix_db == pytest.approx(db, abs=0.01)


def test_what_sounds_the_same_has_the_same_hash(tmp_path):
    y = np.round(20_000 * signals.music(2.0)).astype(np.int16)
    names = ["a.wav", "a.flac", "a.aiff", "b.wav"]
    for name in names:
        pair = np.stack([y, y], 1) if name == "b.wav" else y
        soundfile.write(tmp_path / name, pair, 22_050, subtype="PCM_16")
    same = {audio.sound_sha256(tmp_path / name) for name in names}
    assert len(same) == 1
    write_with_av(tmp_path / "a.mp3", y[None] / 32_768, 22_050, "mp3", "libmp3lame")
    data = (tmp_path / "a.mp3").read_bytes()
    tag = b"ID3\x03\0\0\0\0\0\x16TIT2\0\0\0\x0c\0\0\0other title"
    assert data[:3] == b"ID3"
    size = 10 + sum(byte << 7 * place for place, byte in enumerate(data[9:5:-1]))
    (tmp_path / "b.mp3").write_bytes(tag + data[size:])
    assert audio.sha256_file(tmp_path / "a.mp3") != audio.sha256_file(tmp_path / "b.mp3")
    assert audio.sound_sha256(tmp_path / "a.mp3") == audio.sound_sha256(tmp_path / "b.mp3")
    soundfile.write(tmp_path / "c.wav", y // 2, 22_050, subtype="PCM_16")
    soundfile.write(tmp_path / "d.wav", y, 44_100, subtype="PCM_16")
    others = {audio.sound_sha256(tmp_path / name) for name in ("c.wav", "d.wav", "a.mp3")}
    assert len(others | same) == 4
