"""Zimtohrli behind its face: what it must say by definition, and what it must never hear."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.audio import perception
from nearkin.errors import ExtraError, InputError
from support import signals

SR = 22_050


@pytest.fixture(scope="module")
def y():
    return signals.music(2.0).astype(np.float32)


def noisy(y, snr_db):
    noise = np.random.default_rng(0).standard_normal(len(y)).astype(np.float32)
    return y + noise * np.float32(np.std(y) * 10 ** (-snr_db / 20))


@pytest.fixture(scope="module", autouse=True)
def _installed():
    pytest.importorskip("zimtohrli")


def test_no_difference_is_heard_in_the_same_signal(y):
    assert perception.heard(y, y, sr=SR) == (5.0, 0.0)
    assert perception.heard(y, -y, sr=SR).mos > 4.95
    assert perception.heard(np.zeros(SR), np.zeros(SR), sr=SR).mos > 4.9


def test_more_noise_is_heard_more(y):
    scores = [perception.heard(y, noisy(y, snr), sr=SR).mos for snr in (80, 50, 30, 20, 10, 0, -20)]
    assert np.all(np.diff(scores) < 0)
    assert scores[0] > 4.9
    assert scores[-1] < 2.0
    assert all(1 <= score <= 5 for score in scores)


def test_order_and_repetition_change_nothing(y):
    one = perception.heard(y, noisy(y, 20), sr=SR)
    perception.heard(y, noisy(y, 0), sr=SR)
    assert perception.heard(y, noisy(y, 20), sr=SR) == one
    assert perception.heard(noisy(y, 20), y, sr=SR).mos == pytest.approx(one.mos, abs=0.05)


@pytest.mark.parametrize("n", [0, 1, 480, 2_399, 2_400, 3_900])
def test_what_would_abort_the_process_is_refused(n):
    with pytest.raises(InputError, match=r"too short to be judged; pass at least 0\.1 s"):
        perception.heard(np.zeros(n), np.zeros(n), sr=48_000)


def test_the_shortest_signal_is_judged():
    y = np.random.default_rng(0).standard_normal(4_800) * 0.1
    for seed in range(20):
        other = y + 0.01 * np.random.default_rng(seed).standard_normal(4_800)
        assert 1 <= perception.heard(y, other, sr=48_000).mos <= 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (np.zeros(SR - 1), "22050 and 22049 samples: must be equally long"),
        (np.zeros((1, SR)), "must be float"),
        (np.zeros(SR, np.int16), "must be float"),
        (np.full(SR, np.nan), "NaN or infinite"),
    ],
)
def test_bad_signals_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        perception.heard(np.zeros(SR), changed, sr=SR)
    with pytest.raises(InputError, match="sr=0"):
        perception.heard(np.zeros(SR), np.zeros(SR), sr=0)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zimtohrli", None)
    with pytest.raises(ExtraError, match=r"nearkin\[perception\]"):
        perception.heard(np.zeros(SR), np.zeros(SR), sr=SR)
