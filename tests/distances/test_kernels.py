"""The kernels against their slow twins, against each other, and where numba can do less."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin.distances import MEASURES, PackedOriginals, kernels, simd
from support import naive
from support.places import ROOT


@pytest.fixture
def rng():
    return np.random.default_rng(20190904)


def run_kernel(kernel, query, originals, m):
    """All three measures of one query against originals of one length, [measure, N]."""
    ((_, packed),) = PackedOriginals(originals)._groups
    padded = -(-len(query) // kernels.ROW_STEP) * kernels.ROW_STEP
    a = np.zeros((padded, packed.shape[2]), dtype=np.float32)
    a[: len(query), : query.shape[1]] = query
    out = np.empty((len(MEASURES), packed.shape[0] * packed.shape[3]), dtype=np.float32)
    kernel(a, len(query), packed, m, *out)
    return out[:, : len(originals)]


def naive_kernel(query, originals, m):
    a = query.tolist()
    rows = [
        (naive.dtw(a, b), naive.simple(a, b, m), naive.simple(b, a, m))
        for b in np.asarray(originals).tolist()
    ]
    return np.array(rows).T


@st.composite
def problems(draw, longest=12):
    """A query, originals of one length and a window that fits both; frames repeat now and then."""
    dimensions = draw(st.integers(1, 6))
    m = draw(st.integers(1, longest))
    lengths = draw(st.tuples(st.integers(m, longest + 3), st.integers(m, longest + 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([2, 1000]))
    size = (3, lengths[1], dimensions)
    originals = (rng.integers(0, levels, size) * 100.0 / levels).astype(np.float32)
    query = (rng.integers(0, levels, (lengths[0], dimensions)) * 100.0 / levels).astype(np.float32)
    return query, originals, m


def test_twin_is_the_cheapest_of_all_paths(rng):
    for rows, columns in ((1, 1), (1, 4), (3, 3), (4, 5), (5, 2)):
        a, b = rng.normal(size=(rows, 2)).tolist(), rng.normal(size=(columns, 2)).tolist()
        assert naive.dtw(a, b) == pytest.approx(naive.dtw_of_all_paths(a, b), rel=1e-14)


@given(problems())
@settings(deadline=None, max_examples=40)
def test_kernel_of_this_process_equals_its_twin(problem):
    query, originals, m = problem
    found = run_kernel(kernels.query_audio, query, originals, m)
    np.testing.assert_allclose(found, naive_kernel(query, originals, m), rtol=1e-6, atol=1e-30)


@pytest.mark.skipif(kernels.query_audio is kernels.plain_audio, reason="compilation is off")
@given(problems(longest=60))
@settings(deadline=None, max_examples=60)
def test_explicit_vectors_equal_the_plain_path(problem):
    query, originals, m = problem
    plain = run_kernel(kernels.plain_audio, query, originals, m)
    lanes = run_kernel(kernels.lanes_audio, query, originals, m)
    np.testing.assert_allclose(lanes, plain, rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(lanes == 0, plain == 0)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7, 8, 19, 20])
@pytest.mark.parametrize("frames", [20, 21, 22, 23, 41])
def test_every_place_of_a_window_in_its_strip(rng, frames, m):
    # windows, blocks and strips of four rows meet in every way
    query = rng.normal(size=(frames, 3)).astype(np.float32)
    originals = rng.normal(size=(17, 20, 3)).astype(np.float32)
    plain = run_kernel(kernels.plain_audio, query, originals, m)
    found = run_kernel(kernels.query_audio, query, originals, m)
    np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_unwanted_outputs_change_nothing(rng):
    query = rng.normal(size=(30, 4)).astype(np.float32)
    ((_, packed),) = PackedOriginals(rng.normal(size=(5, 26, 4)))._groups
    a = np.zeros((32, 4), dtype=np.float32)
    a[:30] = query
    whole = np.empty((3, 16), dtype=np.float32)
    kernels.query_audio(a, 30, packed, 10, *whole)
    for wanted in range(1, 8):
        sizes = [16 if wanted & 1 << k else 0 for k in range(3)]
        out = [np.empty(size, dtype=np.float32) for size in sizes]
        kernels.query_audio(a, 30, packed, 10, *out)
        for k in range(3):
            np.testing.assert_array_equal(out[k], whole[k, : sizes[k]])


def test_squared_euclidean_sums_from_first_to_last(rng):
    a, b = rng.normal(size=(3, 50)), rng.normal(size=(70, 50))
    out = np.empty((3, 70))
    kernels.squared_euclidean(a, b, out)
    expected = np.zeros((3, 70))
    for k in range(50):
        expected += (a[:, k, None] - b[None, :, k]) ** 2
    np.testing.assert_array_equal(out, expected)


def test_lanes_are_the_vector():
    assert kernels.LANES == simd.WIDTH == 16


def python(code, tmp_path, **environment):
    """Run code in a fresh interpreter without a word of numba's settings from outside."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


CHECK = """
import numpy as np
from nearkin.distances import dtw, euclidean, pairwise_audio
a, b = np.zeros((4, 3)), np.ones((6, 3))
d = pairwise_audio([a], [b, a], m=3)
assert abs(d["dtw"][0, 0] - 6 * 3**0.5) < 1e-5 and d["dtw"][0, 1] == 0, d
assert d["simple"].tolist() == [[9.0, 0.0]], d
assert abs(dtw(a, b) - 6 * 3**0.5) < 1e-14
assert euclidean(a, b)[0, 0] == 3**0.5
"""


def test_without_compilation(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    tests = [
        "distances/test_kernels.py::test_kernel_of_this_process_equals_its_twin",
        "distances/test_distances.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k"]
        + ["twin or contract or refuse_seq or cosine"]
        + [f"tests/{test}" for test in tests],
        cwd=ROOT,
        env=environment | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    code = "from nearkin.distances import kernels as k; assert k.query_audio is k.plain_audio"
    done = python(code + CHECK, tmp_path, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr


def test_without_a_cache_that_can_be_written(tmp_path):
    # neither beside the package nor at home: files where the folders would have to be
    package = tmp_path / "site" / "nearkin"
    shutil.copytree(ROOT / "src" / "nearkin", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").write_text("")
    nowhere = str(package / "__pycache__" / "home")
    done = python(
        "import nearkin; assert nearkin.__file__.startswith('" + str(tmp_path) + "')\n" + CHECK,
        tmp_path,
        PYTHONPATH=str(tmp_path / "site"),
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        LOCALAPPDATA=nowhere,
    )
    assert done.returncode == 0, done.stderr


def test_a_cache_that_breaks_after_the_import(tmp_path):
    cache = tmp_path / "cache"
    code = f"""
import pathlib, shutil
from nearkin.distances import kernels
shutil.rmtree({str(cache)!r}, ignore_errors=True)
pathlib.Path({str(cache)!r}).write_text("")
"""
    done = python(code + CHECK, tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stderr
