"""An encoder is its file and what it imports from beside it: known by them, run with them."""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import py_compile
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nearkin.encoders import own_modules, resolve
from nearkin.encoders.own_modules import imported_files
from nearkin.encoders.protocol import Key, embed
from nearkin.errors import InputError

ENCODER = (
    "import numpy as np\n"
    "from helper_of_test import factor\n"
    "def enc(audio, sample_rate):\n"
    "    return factor() * np.abs(audio[:8])\n"
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def factor_of(spec: str) -> float:
    """What the encoder multiplies a clip of ones with."""
    audio = np.ones((1, 22_050), np.float32)
    return float(embed(resolve(spec), audio, [Key("a", "OG", 0.0)]).vectors[0, 0])


def encoder(folder: Path, factor: float) -> str:
    write(folder / "enc.py", ENCODER)
    write(folder / "helper_of_test.py", f"def factor():\n    return {factor}\n")
    return f"{folder / 'enc.py'}:enc"


@pytest.fixture(autouse=True)
def _forget() -> None:
    for name in [name for name in sys.modules if name.endswith("_of_test")]:
        del sys.modules[name]


def test_a_helper_counts_in_the_hash_and_runs_as_it_stands(tmp_path: Path) -> None:
    spec = encoder(tmp_path, 1.0)
    alone = hashlib.sha256(ENCODER.encode()).hexdigest()
    first = resolve(spec).sha256
    assert first != alone
    assert factor_of(spec) == 1
    assert resolve(spec).sha256 == first
    encoder(tmp_path, 2.125)
    assert resolve(spec).sha256 != first
    assert factor_of(spec) == 2.125


def test_what_is_beside_it_but_not_imported_does_not_count(tmp_path: Path) -> None:
    spec = encoder(tmp_path, 1.0)
    first = resolve(spec).sha256
    write(tmp_path / "notes.py", "raise RuntimeError\n")
    assert resolve(spec).sha256 == first
    moved = encoder(tmp_path / "elsewhere", 1.0)
    assert resolve(moved).sha256 == first


def test_helpers_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    """The second encoder was given the first one's helper."""
    one, two = encoder(tmp_path / "one", 1.0), encoder(tmp_path / "two", 2.0)
    assert [factor_of(spec) for spec in (one, two, one)] == [1, 2, 1]
    assert resolve(one).sha256 != resolve(two).sha256
    assert not {str(tmp_path / "one"), str(tmp_path / "two")} & set(sys.path)


def test_imports_are_followed_through_packages_and_functions(tmp_path: Path) -> None:
    path = write(
        tmp_path / "enc.py",
        "import json\nimport numpy as np\nimport models_of_test.deep.net\n"
        "def enc(audio, sample_rate):\n    from late_of_test import x\n    return audio[:x]\n",
    )
    write(tmp_path / "models_of_test" / "__init__.py", "from . import shapes\n")
    write(tmp_path / "models_of_test" / "shapes.py", "from .deep import *\n")
    write(tmp_path / "models_of_test" / "unused.py", "")
    write(tmp_path / "models_of_test" / "deep" / "net.py", "from ..sums import total\n")
    write(tmp_path / "models_of_test" / "sums.py", "total = 1\n")
    write(tmp_path / "late_of_test.py", "import enc\nx = 8\n")  # a circle ends
    found = [file.relative_to(tmp_path).as_posix() for file in imported_files(path)]
    assert found == [
        "late_of_test.py",
        "models_of_test/__init__.py",
        "models_of_test/deep/net.py",
        "models_of_test/shapes.py",
        "models_of_test/sums.py",
    ]


def test_a_module_by_name_counts_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "installed_pkg_of_test"
    write(home / "__init__.py", "")
    write(home / "enc.py", ENCODER.replace("helper_of_test", ".helper"))
    helper = write(home / "helper.py", "def factor():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = "installed_pkg_of_test.enc:enc"
    try:
        first = resolve(spec).sha256
        helper.write_text("def factor():\n    return 1.5\n")
        assert resolve(spec).sha256 != first
    finally:
        for name in [name for name in sys.modules if name.startswith("installed_pkg_of_test")]:
            del sys.modules[name]


def test_libraries_are_not_followed() -> None:
    """numpy is not part of an encoder that imports it; a module of numpy is of numpy alone."""
    import numpy.fft

    found = imported_files(Path(numpy.fft.__file__), "numpy.fft")
    home = Path(np.__file__).parent
    assert found
    assert all(file.is_relative_to(home) for file in found)
    assert imported_files(Path(ast.__file__), "ast") == []


def test_an_encoder_whose_helper_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    spec = encoder(tmp_path, 1.0)
    (tmp_path / "helper_of_test.py").write_text("def factor(:\n")
    with pytest.raises(Exception, match="SyntaxError while importing it"):
        resolve(spec)
    encoder(tmp_path, 3.0)
    assert factor_of(spec) == 3


def imported(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What a notebook does before it asks nearkin anything."""
    with monkeypatch.context() as patched:
        patched.syspath_prepend(folder)
        importlib.invalidate_caches()
        return importlib.import_module(name)


def test_a_helper_that_others_imported_before_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran as it was imported, and was filed under the hash of the file."""
    spec = encoder(tmp_path, 1.0)
    assert imported(tmp_path, "helper_of_test", monkeypatch).factor() == 1
    encoder(tmp_path, 2.125)
    assert factor_of(spec) == 2.125


def test_what_took_from_a_changed_helper_is_imported_anew_too(tmp_path: Path) -> None:
    """The one in between did not change, and held the old function."""
    spec = encoder(tmp_path, 1.0)
    write(tmp_path / "helper_of_test.py", "from inner_of_test import factor\n")
    write(tmp_path / "inner_of_test.py", "def factor():\n    return 1.0\n")
    assert factor_of(spec) == 1
    write(tmp_path / "inner_of_test.py", "def factor():\n    return 4.25\n")
    assert factor_of(spec) == 4.25


@pytest.mark.parametrize("by", ["nearkin", "others"])
def test_a_module_by_name_runs_as_it_stands(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder(tmp_path, 1.0)
    (tmp_path / "enc.py").rename(tmp_path / "enc_of_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    if by == "nearkin":
        first = resolve("enc_of_test:enc").sha256
        assert factor_of("enc_of_test:enc") == 1
        assert resolve("enc_of_test:enc").sha256 == first
    else:
        importlib.import_module("enc_of_test")
    write(tmp_path / "helper_of_test.py", "def factor():\n    return 3.5\n")
    assert factor_of("enc_of_test:enc") == 3.5


def test_a_library_that_changed_under_the_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ``pip install --upgrade`` in a notebook."""
    home = tmp_path / "site-packages"
    write(home / "pkg_of_test" / "__init__.py", "")
    write(home / "pkg_of_test" / "enc.py", ENCODER.replace("helper_of_test", ".helper"))
    helper = write(home / "pkg_of_test" / "helper.py", "def factor():\n    return 1\n")
    monkeypatch.syspath_prepend(home)
    try:
        assert factor_of("pkg_of_test.enc:enc") == 1
        assert factor_of("pkg_of_test.enc:enc") == 1
        helper.write_text("def factor():\n    return 2\n")
        with pytest.raises(InputError, match=r"helper\.py changed after .*; restart the process"):
            resolve("pkg_of_test.enc:enc")
    finally:
        for name in [name for name in sys.modules if name.startswith("pkg_of_test")]:
            del sys.modules[name]


def test_what_is_older_than_the_process_is_not_imported_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = encoder(tmp_path, 1.0)
    held = imported(tmp_path, "helper_of_test", monkeypatch)
    monkeypatch.setattr(own_modules, "_began", lambda: time.time() + 60)
    assert factor_of(spec) == 1
    assert sys.modules["helper_of_test"] is held
    now = time.time()
    assert 0 < now - (began := os_began()) < 10 * 86_400
    monkeypatch.undo()
    assert own_modules._began() == pytest.approx(began, abs=1.5)


LATE = ENCODER.replace("from helper_of_test import factor\n", "").replace(
    "    return", "    from helper_of_test import factor\n    return"
)


def test_an_import_in_a_function_is_of_the_own_folder(tmp_path: Path) -> None:
    """It was not found, or was the helper of the encoder that was loaded before."""
    one, two = encoder(tmp_path / "one", 1.0), encoder(tmp_path / "two", 2.0)
    write(tmp_path / "two" / "enc.py", LATE)
    both = [resolve(spec) for spec in (one, two)]
    for _ in range(2):
        assert [factor_of(one), factor_of(two)] == [1, 2]
    audio = np.ones((1, 22_050), np.float32)
    found = [embed(each, audio, [Key("a", "OG", 0.0)]).vectors[0, 0] for each in both]
    assert found == [1, 2]
    assert sys.modules["helper_of_test"].factor() == 1
    encoder(tmp_path / "two", 4.5)
    write(tmp_path / "two" / "enc.py", LATE)
    assert [factor_of(two), factor_of(one)] == [4.5, 1]


def test_packages_of_one_name_import_their_own_when_called(tmp_path: Path) -> None:
    specs = []
    for name, factor in (("one", 1.0), ("two", 2.0)):
        home = tmp_path / name / "net_of_test"
        write(
            home / "__init__.py", "def factor():\n    from .deep import value\n    return value\n"
        )
        write(home / "deep.py", f"value = {factor}\n")
        path = write(tmp_path / name / "enc.py", ENCODER.replace("helper_of_test", "net_of_test"))
        specs.append(f"{path}:enc")
    both = [resolve(spec) for spec in specs]
    audio = np.ones((1, 22_050), np.float32)
    found = [embed(each, audio, [Key("a", "OG", 0.0)]).vectors[0, 0] for each in both]
    assert found == [1, 2]


@pytest.mark.parametrize("name", ["enc.py", "helper_of_test.py"])
def test_an_edit_within_a_second_that_keeps_the_size(name: str, tmp_path: Path) -> None:
    """Python takes its compiled code for the new text then."""
    spec = encoder(tmp_path, 1.0)
    write(tmp_path / "enc.py", ENCODER.replace("factor() *", "1.0 * factor() *"))
    path = tmp_path / name
    os.utime(path, (1_700_000_000, 1_700_000_000))
    py_compile.compile(str(path), doraise=True)
    assert factor_of(spec) == 1
    write(path, path.read_text().replace("1.0", "3.0"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert factor_of(spec) == 3


def os_began() -> float:
    """When this process began, as ``ps`` has it: seconds since, of the epoch."""
    told = subprocess.run(
        ["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return time.time() - float(told.stdout)
