"""A gallery's counts are those of float64 throughout, whatever lies close, far, or ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearkin.errors import InputError
from nearkin.gallery import nearer
from nearkin.gallery.search import DISTANCES
from nearkin.gallery.vectors import read_vectors
from nearkin.runs.distractors import rows_of


def by_hand(
    q: np.ndarray, own: np.ndarray, gallery: np.ndarray, distance: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    d = DISTANCES[distance](q, gallery)
    return (d <= own[:, None]).sum(axis=1), d.argmin(axis=1), d.min(axis=1)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_counts_are_those_of_float64(distance: str, offset: float) -> None:
    rng = np.random.default_rng(1)
    gallery = (offset + rng.standard_normal((9_000, 24))).astype(np.float32)
    q = gallery[:60].astype(np.float64) + 0.4 * rng.standard_normal((60, 24))
    # the own distance is that to a vector of the gallery, to the last bit: a tie counts
    d = DISTANCES[distance](q, gallery)
    own = np.sort(d, axis=1)[np.arange(60), rng.integers(0, 200, 60)]
    found = nearer(q, own, gallery, distance=distance)
    count, nearest, least = by_hand(q, own, gallery, distance)
    assert np.array_equal(found.n_nearer, count)
    assert np.array_equal(found.nearest, nearest)
    assert np.array_equal(found.d_nearest, least)
    # and the last bit below it does not
    below = nearer(q, np.nextafter(own, 0), gallery, distance=distance)
    assert np.array_equal(below.n_nearer, by_hand(q, np.nextafter(own, 0), gallery, distance)[0])
    assert (below.n_nearer < found.n_nearer).all()


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_differences_that_float32_does_not_see(distance: str) -> None:
    rng = np.random.default_rng(2)
    one = rng.standard_normal(32)
    gallery = one + 1e-9 * rng.standard_normal((5_000, 32))
    q = one[None] + 1e-9 * rng.standard_normal((8, 32))
    own = np.median(DISTANCES[distance](q, gallery), axis=1)
    found = nearer(q, own, gallery, distance=distance)
    count, nearest, _ = by_hand(q, own, gallery, distance)
    assert np.array_equal(found.n_nearer, count)
    assert np.array_equal(found.nearest, nearest)
    assert (count > 2_000).all()


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_sizes_that_float32_cannot_square(distance: str, size: float) -> None:
    rng = np.random.default_rng(3)
    gallery = size * rng.standard_normal((6_000, 16))
    gallery[100::900] *= 1e40  # and some that are farther than float32 can tell
    q = gallery[:40] + 0.3 * size * rng.standard_normal((40, 16))
    own = np.sort(DISTANCES[distance](q, gallery), axis=1)[:, 7]
    found = nearer(q, own, gallery, distance=distance)
    count, nearest, _ = by_hand(q, own, gallery, distance)
    assert np.array_equal(found.n_nearer, count)
    assert np.array_equal(found.nearest, nearest)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_gallery_whose_rows_come_twice(distance: str) -> None:
    rng = np.random.default_rng(4)
    once = rng.standard_normal((5_000, 32)).astype(np.float32)
    q = once[:50] + 0.5 * rng.standard_normal((50, 32))
    own = np.sort(DISTANCES[distance](q, once), axis=1)[:, 3]
    found = nearer(q, own, np.concatenate([once, once]), distance=distance)
    alone = nearer(q, own, once, distance=distance)
    assert np.array_equal(found.n_nearer, 2 * alone.n_nearer)
    assert np.array_equal(found.nearest, alone.nearest)  # of those that tie the first


def test_vectors_that_are_all_equal_tie() -> None:
    gallery = np.ones((10_000, 4), np.float32)
    found = nearer(np.ones((3, 4)), np.zeros(3), gallery)
    assert found.n_nearer.tolist() == [10_000] * 3
    assert found.nearest.tolist() == [0] * 3


def test_queries_without_an_answer() -> None:
    gallery = np.eye(3)
    q = np.array([[1.0, 0, 0], [np.nan, 0, 0], [0, 0, 0]])
    found = nearer(q, np.array([0.5, 0.5, 0.5]), gallery)
    assert found.n_nearer.tolist() == [1, 0, 0]
    assert found.nearest.tolist() == [0, -1, -1]
    assert nearer(q, np.array([0.5, 0.5, 0.5]), gallery[:0]).n_nearer.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("gallery", "said"),
    [
        (np.zeros((2, 3)), "row 0 of the gallery is all zero"),
        (np.array([[1.0, 2, 3], [1, np.inf, 2]]), "row 1 of the gallery holds what is not finite"),
        (np.ones((2, 4)), r"must be \[G, 3\]"),
    ],
)
def test_galleries_that_are_none(gallery: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        nearer(np.ones((1, 3)), np.ones(1), gallery)


def test_a_header_that_lies_is_told(tmp_path: Path) -> None:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**60}, 3), }}".ljust(117) + "\n"
    (tmp_path / "v.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + text.encode())
    with pytest.raises(InputError, match="is no array of numbers"):
        read_vectors([f"mfcc={tmp_path / 'v.npy'}"], {"mfcc": 3})
    with pytest.raises(InputError, match="is no array of numbers"):
        rows_of(tmp_path / "v.npy", "mfcc=v.npy")
