"""A SPEC that names a file, and not what in it is the encoder, is answered without running it."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from nearkin.encoders import resolve
from nearkin.encoders.kinds import definitions as module
from nearkin.encoders.kinds.definitions import definitions
from nearkin.errors import InputError

STOP = "raise RuntimeError('it was run')\n"


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as error:
        resolve(str(path))
    return str(error.value)


def test_the_only_function_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my_encoder.py"
    text = "import numpy as np\nRATE = 16000\n\ndef chroma(audio, sample_rate): ...\n"
    told = refused(path, STOP + text + "\ndef _private(): ...\n")
    assert told.endswith(f"it defines the function chroma: write {path}:chroma")


def test_several_are_listed_and_imports_are_not(tmp_path: Path) -> None:
    text = "from os import getcwd\ndef one(): ...\ndef two(): ...\nclass Net: ...\n"
    told = refused(tmp_path / "e.py", STOP + text)
    assert "the functions one, two and the class Net: write " in told
    assert "getcwd" not in told
    assert told.endswith("e.py:NAME with one of them")


def test_a_file_of_values_and_an_empty_one(tmp_path: Path) -> None:
    assert "the value net: write " in refused(tmp_path / "v.py", STOP + "net = object()\n")
    told = refused(tmp_path / "nothing.py", "")
    assert "write a function def embed(audio, sample_rate) in it" in told


@pytest.mark.parametrize(
    "text",
    [
        "from somewhere import *\n",
        "from hear import load_model, get_scene_embeddings\n",
        "def __getattr__(name): ...\n",
        "if True:\n    from hear import load_model\n",
        "try:\n    embed = 1\nexcept ValueError:\n    pass\n",
        "sample_rate, embedding_size = 1, 2\ndef embed(audio): ...\n",
    ],
)
def test_what_may_be_an_encoder_by_itself_is_run(text: str, tmp_path: Path) -> None:
    path = tmp_path / "whole.py"
    assert "it was run" in refused(path, STOP + text)


def test_a_file_that_is_no_python_is_told_by_python(tmp_path: Path) -> None:
    assert "SyntaxError while importing it" in refused(tmp_path / "bad.py", "def embed(:\n")
    assert definitions(tmp_path / "bad.py") is None


def test_an_installed_module_names_its_own_functions() -> None:
    with pytest.raises(InputError, match="the function stream: write "):
        resolve("nearkin.seeds")


def test_a_class_that_takes_arguments_says_how_to_pass_them(tmp_path: Path) -> None:
    path = tmp_path / "needs.py"
    path.write_text("class Net:\n    def __init__(self, width): ...\n")
    with pytest.raises(InputError, match="'width'; pass what it takes with --encoder-options"):
        resolve(f"{path}:Net")


def test_doc_examples() -> None:
    assert doctest.testmod(module).failed == 0
