"""FastDTW: never below the exact distance, equal to it where its radius sees everything."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.distances import PackedOriginals, dtw
from nearkin.errors import ExtraError, InputError


def sequences(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.cumsum(rng.normal(size=(n, 5)), axis=0).astype(np.float32) for n in lengths]


def test_packed_originals_give_back_what_was_packed() -> None:
    given = sequences(*[87] * 20, 60, 61, *[60] * 3, 87)
    for found, expected in zip(PackedOriginals(given), given, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from nearkin.distances.fast import fast_dtw

    monkeypatch.setitem(sys.modules, "fastdtw", None)
    with pytest.raises(ExtraError, match=r"nearkin\[fastdtw\]"):
        fast_dtw([[0.0]], [[1.0]])


def test_it_is_an_upper_bound() -> None:
    pytest.importorskip("fastdtw")
    from nearkin.distances.fast import fast_dtw, fast_dtw_row

    a, *others = sequences(87, 87, 70, 90, 40)
    row = fast_dtw_row(a, PackedOriginals([a, *others]))
    exact = np.array([dtw(a, other) for other in (a, *others)])
    assert row[0] == 0
    assert (row >= exact * (1 - 1e-6)).all()
    assert (row[1:] > exact[1:]).any(), "an approximation, after all"
    assert row[1:] == pytest.approx([fast_dtw(a, other) for other in others], rel=1e-6)


def test_of_short_sequences_it_is_exact() -> None:
    pytest.importorskip("fastdtw")
    from nearkin.distances.fast import fast_dtw

    a, b = sequences(3, 40)  # up to radius + 2 frames it looks at all
    assert fast_dtw(a, b) == pytest.approx(dtw(a, b), rel=1e-9)
    assert fast_dtw(a, a) == 0
    with pytest.raises(InputError, match="dimensions"):
        fast_dtw(a, b[:, :2])
