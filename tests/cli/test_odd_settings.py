"""Settings that YAML reads otherwise than they stand, and sizes without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearkin.cli.settings import merged
from nearkin.encoders import resolve
from nearkin.errors import InputError
from nearkin.transforms.grids import grid


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seed: 010", r"c\.yaml line 2: 010 is read as 8; write that, or '010' for a text$"),
        ("seed: 0_10", "0_10 is read as 8"),
        ("seed: 1:30", "1:30 is read as 90"),
        ("clip_seconds: 0:01.5", "0:01.5 is read as 1.5"),
        ("<<: {seed: 3}", "merge keys"),
        ("grid: {PN: [10]}", "grid={'PN': .10.}: must be a grid's name, or the file that holds it"),
        ("grid: [quick]", "grid=.*: must be a grid's name"),
        ("n_fft: 1000000000000", "n_fft=1000000000000: input should be less than"),
        ("hop_length: 1000000000000", "hop_length=1000000000000: input should be less than"),
    ],
)
def test_what_reads_otherwise_than_it_stands(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"audio: [m]\n{line}\n")
    with pytest.raises(InputError, match=said):
        merged({}, path).resolved()


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("0x1F", 31), ("1_000", 1000), ("7", 7), ("07", 7), ("00", 0), ("0b11", 3)],
)
def test_what_reads_as_it_stands(text: str, value: int, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"audio: [m]\nseed: {text}\n")
    assert merged({}, path).resolved()[0].seed == value


def test_an_octal_magnitude_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("PN: [010]\n")
    with pytest.raises(InputError, match="010 is read as 8"):
        grid(str(path))
    path.write_text("PN: [0, -0.5, 10]\n")
    assert [point.magnitude for point in grid(str(path)).points] == [-0.5, 0.0, 10.0]


def test_a_rate_beyond_all_sound_is_refused() -> None:
    class Fast:
        sample_rate, embedding_size = 10**12, 3

        def embed(self, audio: object) -> object: ...

    with pytest.raises(InputError, match="sample_rate=1000000000000: must be at most 9999999 Hz"):
        resolve(Fast())


@pytest.mark.parametrize("stated", ["9" * 400, "٣", "0", "abc"])
def test_metadata_that_is_no_number_is_not_used(stated: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "samples"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "samples"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key in ("sample_rate", "nearkin.trial", "minimum_samples"):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, stated
    onnx.save(model, str(tmp_path / "m.onnx"))
    found = resolve(str(tmp_path / "m.onnx"))
    assert (found.sample_rate, found.trial) == (22_050, 1)
    assert "the file states none" in found.matched
