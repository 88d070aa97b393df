"""MP3 in memory: every rung of its ladder is real, and what LAME cannot take is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin import audio
from nearkin.errors import InputError
from support import signals


def test_mp3_in_memory_round_trip():
    y = signals.music(2.0)
    data = audio.encode_mp3(y, sr=22_050, kbps=128)
    back, sr, kbps = audio.decode_mp3(data)
    assert (sr, kbps, back.shape) == (22_050, 128.0, y.shape)
    assert signals.lag(y, back) == 0
    # Plays in any player: the frames' header says MPEG-2 layer III (11 111 10 01 1 / 10 01).
    assert data[:3] == b"ID3"


@pytest.mark.parametrize("sr", audio.MP3_SAMPLE_RATES)
def test_every_rung_of_mp3s_ladder_is_real(sr):
    y = signals.music(0.6, sr)
    for kbps in audio.mp3_ladder(sr):
        assert audio.decode_mp3(audio.encode_mp3(y, sr=sr, kbps=kbps))[1:] == (sr, kbps)


def test_mp3_refusals():
    with pytest.raises(InputError, match="knows 8, 16"):
        audio.encode_mp3(np.zeros(1000), sr=22_050, kbps=192)
    with pytest.raises(InputError, match="knows no such rate"):
        audio.encode_mp3(np.zeros(1000), sr=10_000, kbps=64)
    with pytest.raises(InputError, match="not empty"):
        audio.encode_mp3(np.zeros(0), sr=22_050, kbps=64)
    for level in (9.0, 32_768.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match=r"samples up to .*: must be finite and at most 8"):
            audio.encode_mp3(np.full(1000, level), sr=22_050, kbps=64)
    with pytest.raises(InputError, match="not an MP3"):
        audio.decode_mp3(b"not at all")
