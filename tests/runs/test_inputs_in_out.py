"""No command takes a folder for its --out that holds something it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearkin.runs.sources import EncoderSource
from support.commands import command, refused
from support.runs import files_of

NAMED = {
    "grid.yaml": ("--grid", "{}"),
    "model.onnx": ("--encoder", "{}"),
    "model.safetensors": ("--encoder", "{}"),
    "enc.py": ("--encoder", "{}:embed"),
    "model.pt": ("--encoder", "torchscript:{}"),
    "checkpoint": ("--encoder", "hf:{}"),
    "vectors.parquet": ("--encoder", "embeddings:{}"),
    "weights.bin": ("--encoder", "hear:module@{}"),
    "noise.wav": ("--noise", "{}"),
    "other.wav": ("--other-music", "{}"),
    "config.yaml": ("--config", "{}"),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_run(name: str, force: tuple[str, ...], tmp_path: Path, music: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    path = project / name
    if name == "checkpoint":
        path.mkdir()
        (path / "config.json").write_text("{}")
    else:
        path.write_text("{PN: [0]}" if name == "grid.yaml" else "seed: 0")
    option, form = NAMED[name]
    before = files_of(project)
    told = refused("run", music, option, form.format(path), "--out", project, *force)
    assert "which is an input" in told
    assert str(path) in told
    assert files_of(project) == before


@pytest.mark.parametrize("name", ["grid.yaml", "noise.wav", "other.wav"])
def test_export(name: str, tmp_path: Path, music: Path) -> None:
    path = tmp_path / name
    path.write_text("{PN: [0]}")
    option, form = NAMED[name]
    told = refused("export", music, option, form.format(path), "--out", tmp_path)
    assert f"holds {path}, which is an input" in told


def test_files_named_by_options_and_specs(tmp_path: Path) -> None:
    one, two = tmp_path / "a.safetensors", tmp_path / "b.csv"
    for path in (one, two):
        path.write_text("")
    found = EncoderSource(f"map:{one}+mfcc", {"manifest": str(two), "rate": 4}).files()
    assert found == [one, two]
    assert EncoderSource("mfcc", {}).files() == []
    assert EncoderSource(lambda x, sr: x, {}).files() == []
    assert EncoderSource("x" * 5000 + ":\0", {}).files() == []


@pytest.mark.parametrize("words", [("gate", "--junit"), ("gate", "--badge"), ("card", "--badge")])
@pytest.mark.parametrize("name", ["run.json", "queries.parquet", "embeddings/mfcc.npy"])
def test_a_file_of_the_run_is_not_replaced(
    words: tuple[str, str], name: str, small_run: Path
) -> None:
    verb, option = words
    before = (small_run / name).read_bytes()
    assert "is part of the run that is read" in refused(verb, small_run, option, small_run / name)
    assert (small_run / name).read_bytes() == before


def test_figures_replace_only_what_they_wrote(tmp_path: Path, small_run: Path) -> None:
    (tmp_path / "paper.tex").write_text("mine")
    (tmp_path / "figure_3.svg").write_text("mine")
    words = ("figures", small_run, "--out", tmp_path, "--format", "svg", "--figure")
    assert "'figure_3.svg' in it was not written by nearkin" in refused(*words, "3")
    for _ in range(2):
        assert command(*words, "6").exit_code == 0
    left = files_of(tmp_path)
    assert left["paper.tex"] == left["figure_3.svg"] == b"mine"
    assert left["figure_6.svg"].startswith(b"<svg")
