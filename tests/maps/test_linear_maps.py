"""Maps: the closed form, the file, the ONNX graph and the three lines of numpy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import save_file
from scipy.linalg import fractional_matrix_power

from nearkin.errors import InputError
from nearkin.maps.files import KEY, NUMPY, read_map, write_map
from nearkin.maps.linear import LinearMap, Origin, Spectrum
from nearkin.maps.onnx import model_bytes, write_onnx

ORIGIN = Origin(
    encoder="mfcc",
    spec="mfcc",
    sha256="",
    sample_rate=22_050,
    transformations=("PN", "MP"),
    shrinkage=0.1,
    n_clips=7,
    n_groups=5,
)


def some_map(size: int = 12, seed: int = 0) -> LinearMap:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((size, 3 * size))
    return LinearMap(rng.standard_normal(size), Spectrum.of(a @ a.T).matrix(0.1), ORIGIN)


@pytest.mark.parametrize("shrinkage", [0.01, 1.0, 30.0])
def test_the_matrix_is_scipys_inverse_root(shrinkage: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((6, 9))
    scatter = a @ a.T
    mean = np.trace(scatter) / 6
    shrunk = (scatter / mean + shrinkage * np.eye(6)) / (1 + shrinkage)
    expected = fractional_matrix_power(shrunk, -0.5)
    assert np.allclose(Spectrum.of(scatter).matrix(shrinkage), expected, atol=1e-10)


def test_it_turns_nothing_and_a_large_shrinkage_is_the_identity() -> None:
    found = some_map()
    assert np.allclose(found.matrix, found.matrix.T)
    spectrum = Spectrum.of(np.diag([5.0, 1.0, 0.0]))
    assert np.allclose(spectrum.matrix(1e9), np.eye(3), atol=1e-8)


def test_embeddings_that_never_move_are_refused() -> None:
    with pytest.raises(InputError, match="do not move a single embedding"):
        Spectrum.of(np.zeros((3, 3)))


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    found = some_map(size=144)
    z = np.random.default_rng(2).standard_normal((9, 144)).astype(np.float32)
    assert np.array_equal(found.apply(z)[3:4], found.apply(z[3:4]))


def test_another_dimension_is_refused() -> None:
    with pytest.raises(InputError, match=r"\[2, 5\]: must be \[n, 12\].*learn one"):
        some_map().apply(np.zeros((2, 5)))


def test_the_file_comes_back_bit_for_bit(tmp_path: Path) -> None:
    found = replace(some_map(), origin=replace(ORIGIN, digest={"embedding_size": 12}))
    write_map(tmp_path / "m.safetensors", found)
    back = read_map(tmp_path / "m.safetensors")
    assert np.array_equal(back.centre, found.centre)
    assert np.array_equal(back.matrix, found.matrix)
    assert back.origin == found.origin


def test_three_lines_of_numpy_do_the_same(tmp_path: Path) -> None:
    found = some_map()
    path = tmp_path / "m.safetensors"
    write_map(path, found)
    z = np.random.default_rng(3).standard_normal((20, 12)).astype(np.float32)
    lines = NUMPY.format(name=path)
    assert len(lines.splitlines()) == 3
    space = {"z": z}
    exec(lines, space)
    assert np.abs(space["z"] - found.apply(z)).max() < 1e-6


def test_the_graph_does_the_same(tmp_path: Path) -> None:
    found = some_map(size=144)
    write_onnx(tmp_path / "m.onnx", found)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 20):  # any batch
        z = np.random.default_rng(n).standard_normal((n, 144)).astype(np.float32)
        (out,) = session.run(None, {"embedding": z})
        expected = found.apply(z)
        assert out.dtype == np.float32
        assert np.abs(out - expected).max() <= 1e-6 * np.abs(expected).max()


def test_the_graph_is_one_by_the_book() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(model_bytes(some_map()))
    onnx.checker.check_model(model, full_check=True)
    assert {one.key: one.value for one in model.metadata_props}["nearkin.encoder"] == "mfcc"


@pytest.mark.parametrize(
    ("centre", "matrix"),
    [
        (np.zeros(3), np.zeros((3, 4))),
        (np.zeros(3), np.zeros((4, 4))),
        (np.full(3, np.nan), np.zeros((3, 3))),
        (np.zeros(3, np.float32), np.zeros((3, 3))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, centre: np.ndarray, matrix: np.ndarray
) -> None:
    write_map(tmp_path / "m.safetensors", LinearMap(centre, matrix, ORIGIN))
    with pytest.raises(InputError, match="must hold centre"):
        read_map(tmp_path / "m.safetensors")


def test_what_is_no_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="cannot be read"):
        read_map(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no map"):
        read_map(path)
    save_file({"centre": np.zeros(3)}, path)
    with pytest.raises(InputError, match="is no map"):
        read_map(path)
    save_file({"centre": np.zeros(3)}, path, metadata={KEY: json.dumps({"format": 2})})
    with pytest.raises(InputError, match="has format 2: this version reads 1"):
        read_map(path)
    save_file({"centre": np.zeros(3)}, path, metadata={KEY: json.dumps({"format": 1})})
    with pytest.raises(InputError, match="header lacks encoder, spec"):
        read_map(path)


def test_one_flipped_bit_anywhere_in_a_map_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_map(path, some_map())
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 7
        path.write_bytes(damaged)
        try:
            found = read_map(path)
        except InputError:
            continue
        # a blank between the header and the arrays
        assert np.array_equal(found.matrix, some_map().matrix)
        assert found.origin == ORIGIN


def test_a_map_of_before_it_held_a_checksum_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_map(path, some_map())
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    del about["checksum"], about["arrays"]
    tensors = {"centre": some_map().centre, "matrix": some_map().matrix}
    save_file(tensors, path, metadata={KEY: json.dumps(about)})
    assert np.array_equal(read_map(path).matrix, some_map().matrix)
