"""Sound: files, signals, loudness, MP3, features."""

from __future__ import annotations

from nearkin.audio.files import (
    AUDIO_SUFFIXES,
    BLOCK_S,
    GATE_LUFS,
    MP3_KBPS_MPEG1,
    MP3_KBPS_MPEG2,
    MP3_SAMPLE_RATES,
    SAMPLE_RATE,
    SoundInfo,
    decode_mp3,
    encode_mp3,
    loudness_lufs,
    mp3_ladder,
    read,
    read_excerpts,
    resample,
    sha256_file,
    sound_info,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "BLOCK_S",
    "GATE_LUFS",
    "MP3_KBPS_MPEG1",
    "MP3_KBPS_MPEG2",
    "MP3_SAMPLE_RATES",
    "SAMPLE_RATE",
    "SoundInfo",
    "decode_mp3",
    "encode_mp3",
    "loudness_lufs",
    "mp3_ladder",
    "read",
    "read_excerpts",
    "resample",
    "sha256_file",
    "sound_info",
]
