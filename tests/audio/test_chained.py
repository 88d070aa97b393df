"""Files joined end to end, files that change midway, and files that do not know their length."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from nearkin import audio
from nearkin.audio.chained import parts
from nearkin.audio.decoding import promised_s, with_sound
from nearkin.errors import InputError
from support import signals

TONE_HZ = 440.0


def encoded(path: Path, sr: int, channels: int, seconds: float, codec: str, form: str) -> bytes:
    """Write a tone in a format libsndfile does not know; return the file's bytes."""
    layout = {1: "mono", 2: "stereo"}[channels]
    y = np.stack([signals.sine(TONE_HZ, seconds, sr, 0.5)] * channels).astype(np.float32)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=sr, layout=layout, bit_rate=96_000)
        frame = av.AudioFrame.from_ndarray(y, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sr, 0, Fraction(1, sr)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def crossings(y: np.ndarray, sr: int) -> float:
    """The frequency from the zero crossings: a stretch that is 8.8 % slow tells in the whole."""
    return float(np.count_nonzero(np.diff(np.signbit(y)))) / 2 / (len(y) / sr)


@pytest.mark.parametrize(
    ("codec", "form", "slack_s"), [("libmp3lame", "mp3", 0.1), ("aac", "adts", 0.15)]
)
@pytest.mark.parametrize(
    "kinds",
    [
        ((44_100, 1, 3.0), (48_000, 1, 2.0)),
        ((44_100, 2, 3.0), (44_100, 1, 2.0)),
        ((22_050, 1, 2.0), (44_100, 2, 3.0), (44_100, 1, 1.5), (48_000, 2, 2.0)),
    ],
)
def test_a_rate_that_changes_midway(tmp_path, codec, form, slack_s, kinds):
    """All of it is heard, in its pitch and level; every encoder adds a little silence."""
    path = tmp_path / "joined.bin"
    pieces = [encoded(tmp_path / "x", *kind, codec, form) for kind in kinds]
    path.write_bytes(b"".join(pieces))
    info = audio.sound_info(path)
    seconds = sum(kind[2] for kind in kinds)
    assert info[1:] == kinds[0][:2]
    assert info.duration_s == pytest.approx(seconds, abs=slack_s * len(kinds))
    assert promised_s(path) == pytest.approx(info.duration_s, abs=slack_s * len(kinds))
    y = audio.read(path, sr=info.sample_rate)
    assert len(y) == round(info.duration_s * info.sample_rate)
    begin = 0.0
    for _, _, length in kinds:
        part = audio.read(path, start_s=begin + 0.3, duration_s=length - 0.6)
        begin += length + slack_s / 3
        assert crossings(part, audio.SAMPLE_RATE) == pytest.approx(TONE_HZ, rel=0.01)
        # LAME makes all a little quieter, by 0.95
        assert 0.94 < np.std(part) / (0.5 / np.sqrt(2)) < 1.01


OGG = [
    ("OGG", "VORBIS", [(44_100, 2), (44_100, 2)]),
    ("OGG", "VORBIS", [(44_100, 2), (48_000, 1), (44_100, 1)]),
    ("OGG", "OPUS", [(48_000, 2), (48_000, 1)]),
    ("FLAC", "PCM_16", [(44_100, 2), (44_100, 2)]),
    ("FLAC", "PCM_16", [(44_100, 1), (22_050, 2), (48_000, 1)]),
]


def joined(folder: Path, form: str, subtype: str, kinds: list[tuple[int, int]]) -> list[Path]:
    """Write one file a kind, and ``all``, the files end to end."""
    paths = []
    for number, (sr, channels) in enumerate(kinds):
        y = signals.music(2.0 + number, sr)
        path = folder / f"{number}.{form.lower()}"
        soundfile.write(
            path, np.stack([y, 0.5 * y][:channels], 1), sr, format=form, subtype=subtype
        )
        paths.append(path)
    whole = folder / "all"
    whole.write_bytes(b"".join(path.read_bytes() for path in paths))
    return [whole, *paths]


@pytest.mark.parametrize(("form", "subtype", "kinds"), OGG)
def test_all_parts_of_a_chain_are_heard(tmp_path, form, subtype, kinds):
    whole, *alone = joined(tmp_path, form, subtype, kinds)
    sr = kinds[0][0]
    pieces = [
        audio.resample(audio.read(path, sr=rate), from_sr=rate, to_sr=sr)
        for path, (rate, _) in zip(alone, kinds, strict=True)
    ]
    expected = np.concatenate(pieces)
    info = audio.sound_info(whole)
    assert info == (len(expected) / sr, sr, kinds[0][1])
    assert promised_s(whole) == info.duration_s
    np.testing.assert_allclose(audio.read(whole, sr=sr), expected, atol=1e-6)
    for start_s, seconds in ((0.5, 1.0), (1.5, 1.0), (2.25, 1.5)):
        cut = audio.read(whole, sr=sr, start_s=start_s, duration_s=seconds)
        start = round(start_s * sr)
        np.testing.assert_allclose(cut, expected[start : start + len(cut)], atol=1e-6)
        assert len(cut) == round(seconds * sr)
    with pytest.raises(InputError, match="holds no sound from 99 s on"):
        audio.read(whole, start_s=99.0)


def test_a_part_that_cannot_be_decoded_is_told(tmp_path):
    whole, first, second, third = joined(tmp_path, "OGG", "VORBIS", [(44_100, 1)] * 3)
    data = bytearray(whole.read_bytes())
    begin = len(first.read_bytes())
    # the second part's pages stay, their content is gone
    for at in range(begin + 60, begin + len(second.read_bytes())):
        if data[at : at + 4] != b"OggS" and b"OggS" not in data[max(0, at - 300) : at + 4]:
            data[at] = 0
    data[begin + 28 : begin + 58] = bytes(30)
    whole.write_bytes(data)
    heard = with_sound(whole, lambda sound: sound.heard)
    assert heard == "heard are 6.00 s: part 2 of 3 cannot be decoded"
    expected = np.concatenate([audio.read(path, sr=44_100) for path in (first, third)])
    np.testing.assert_array_equal(audio.read(whole, sr=44_100), expected)
    whole.write_bytes((b"OggS\0\x02" + bytes(40) + b"OggS\0\0" + bytes(40)) * 2)
    with pytest.raises(InputError, match="none of its 2 parts could be decoded"):
        audio.read(whole)


def test_one_stream_is_one_part(tmp_path):
    """A video's file begins with a first page of each of its streams."""
    path = tmp_path / "x.ogg"
    soundfile.write(path, signals.music(2.0), 22_050, format="OGG", subtype="VORBIS")
    with path.open("rb") as file:
        assert parts(file) == [(0, path.stat().st_size)]
    pages = b"".join(
        b"OggS\0" + kind + bytes(8) + bytes([serial]) + bytes(11) + b"\1\3abc"
        for kind, serial in ((b"\2", 1), (b"\2", 2), (b"\0", 1), (b"\0", 2), (b"\2", 3))
    )
    path.write_bytes(pages)
    with path.open("rb") as file:
        assert parts(file) == [(0, 4 * 31), (4 * 31, 5 * 31)]


def without_length(path: Path) -> Path:
    """Give a file the header that a crash or a pipe leaves: a length of 0."""
    data = bytearray(path.read_bytes())
    if data[:4] == b"fLaC":
        data[21] &= 0xF0  # the last 36 bits before the MD5 are the number of samples
        data[22:26] = bytes(4)
    else:
        at = data.index(b"data")
        assert struct.unpack("<I", data[at + 4 : at + 8])[0] > 0
        data[at + 4 : at + 8] = data[4:8] = bytes(4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "subtype"), [("x.flac", "PCM_16"), ("x.wav", "PCM_16")])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_length_that_the_header_does_not_know(tmp_path, name, subtype, channels):
    y = np.stack([signals.music(3.0, 44_100)] * channels, 1)
    path = tmp_path / name
    soundfile.write(path, y, 44_100, subtype=subtype)
    before = audio.read(path, sr=44_100)
    without_length(path)
    assert audio.sound_info(path) == (3.0, 44_100, channels)
    assert promised_s(path) == 3.0
    np.testing.assert_array_equal(audio.read(path, sr=44_100), before)
    cut = audio.read(path, sr=44_100, start_s=1.0, duration_s=1.0)
    np.testing.assert_array_equal(cut, before[44_100:88_200])


def test_a_file_without_a_single_sample(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((0, 1)), 44_100)
    for act in (audio.read, audio.sound_info, promised_s):
        with pytest.raises(InputError, match=r"no sound in it|holds no sound"):
            act(tmp_path / "x.wav")
