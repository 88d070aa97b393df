"""Sound: files, signals, loudness, MP3, features."""

from __future__ import annotations

from nearkin.audio.folders import AUDIO_SUFFIXES, LeftOut, SoundFiles, is_own, sound_files
from nearkin.audio.mp3 import (
    MP3_KBPS_MPEG1,
    MP3_KBPS_MPEG2,
    MP3_SAMPLE_RATES,
    decode_mp3,
    encode_mp3,
    mp3_ladder,
)
from nearkin.audio.reading import (
    Excerpt,
    Excerpts,
    SoundInfo,
    read,
    read_excerpts,
    sha256_file,
    sound_info,
    sound_sha256,
)
from nearkin.audio.signals import BLOCK_S, GATE_LUFS, SAMPLE_RATE, loudness_lufs, resample

__all__ = [
    "AUDIO_SUFFIXES",
    "BLOCK_S",
    "GATE_LUFS",
    "MP3_KBPS_MPEG1",
    "MP3_KBPS_MPEG2",
    "MP3_SAMPLE_RATES",
    "SAMPLE_RATE",
    "Excerpt",
    "Excerpts",
    "LeftOut",
    "SoundFiles",
    "SoundInfo",
    "decode_mp3",
    "encode_mp3",
    "is_own",
    "loudness_lufs",
    "mp3_ladder",
    "read",
    "read_excerpts",
    "resample",
    "sha256_file",
    "sound_files",
    "sound_info",
    "sound_sha256",
]
