"""An encoder is its file and what it imports from beside it: known by them, run with them."""

from __future__ import annotations

import ast
import builtins
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

from nearkin.encoders import resolve, running_code
from nearkin.encoders.imported import imported_files
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
    monkeypatch.setattr(running_code, "began", lambda: time.time() + 60)
    assert factor_of(spec) == 1
    assert sys.modules["helper_of_test"] is held
    now = time.time()
    assert 0 < now - (began := os_began()) < 10 * 86_400
    monkeypatch.undo()
    assert running_code.began() == pytest.approx(began, abs=1.5)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of installed packages; pytest alters what is named ``*_test.py``, so use folders."""
    home = tmp_path / "site-packages"
    home.mkdir()
    monkeypatch.syspath_prepend(home)
    return home


ALONE = (
    "import numpy as np\nBY = 1\ndef enc(audio, sample_rate):\n    return BY * np.abs(audio[:8])\n"
)


@pytest.mark.parametrize("start", ["known", "unknown"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_library_installed_while_the_process_runs_is_an_encoder(
    start: str, cached: bool, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ``%pip install`` in a notebook; it was refused once it had been imported."""
    monkeypatch.setattr(sys, "dont_write_bytecode", not cached)
    if start == "unknown":
        monkeypatch.setattr(running_code, "began", lambda: None)
    path = write(site / "late_of_test" / "__init__.py", ALONE)
    importlib.import_module("late_of_test")
    assert factor_of("late_of_test:enc") == 1
    os.utime(path)  # touched, not changed
    assert factor_of("late_of_test:enc") == 1


def test_libraries_are_encoders_where_nothing_tells_when_the_process_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on macOS and Windows, where all that was imported was refused."""
    monkeypatch.setattr(running_code, "began", lambda: None)
    assert resolve("colorsys:rgb_to_hsv").sha256
    held = importlib.import_module("textwrap")
    assert resolve("textwrap:dedent").sha256
    assert sys.modules["textwrap"] is held


@pytest.mark.parametrize("start", ["known", "unknown"])
@pytest.mark.parametrize(("was", "becomes"), [("audio[:8]", "audio[:9]"), ("\ndef", "\n\ndef")])
def test_a_library_that_was_upgraded_after_others_imported_it_is_refused(
    was: str, becomes: str, start: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its compiled code with it, as ``pip install --upgrade`` does."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write(site / "old_of_test" / "__init__.py", ALONE)
    importlib.import_module("old_of_test")
    write(path, ALONE.replace(was, becomes))
    if start == "known":
        py_compile.compile(str(path), doraise=True)
    else:
        monkeypatch.setattr(running_code, "began", lambda: None)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    with pytest.raises(InputError, match=r"__init__\.py changed after .*; restart the process"):
        resolve("old_of_test:enc")


def test_values_that_are_set_in_a_library_are_no_change(site: Path) -> None:
    """Many keep in a module whether they were set up; they were told to have changed."""
    write(site / "keeps_of_test" / "__init__.py", f"from . import state\n{ALONE}")
    write(site / "keeps_of_test" / "state.py", "READY = False\n")
    module = importlib.import_module("keeps_of_test")
    module.state.READY = True
    module.BY = 3  # type: ignore[attr-defined]
    assert factor_of("keeps_of_test:enc") == 3


def test_what_is_older_than_the_moment_when_it_was_not_yet_imported_has_not_changed(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of an own folder is imported twice for it, and no library is looked into."""
    path = write(site / "set_of_test" / "__init__.py", ALONE)
    encoder(tmp_path / "own", 1.0)
    importlib.import_module("set_of_test")
    helper = imported(tmp_path / "own", "helper_of_test", monkeypatch)
    monkeypatch.setattr(running_code, "began", lambda: 0.0)
    write(path, ALONE.replace("audio[:8]", "audio[:9]"))
    with pytest.raises(InputError, match="restart the process"):
        resolve("set_of_test:enc")
    monkeypatch.setattr(running_code, "_SINCE", path.stat().st_ctime + 60)
    assert resolve("set_of_test:enc").sha256
    assert factor_of(f"{tmp_path / 'own' / 'enc.py'}:enc") == 1
    assert sys.modules["helper_of_test"] is helper


def test_a_change_after_the_module_was_seen_is_known(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(site / "seen_of_test" / "__init__.py", ALONE.replace("BY = 1", "BY = int('1')"))
    module = importlib.import_module("seen_of_test")
    monkeypatch.setitem(running_code._SEEN, "seen_of_test", module.__spec__)
    since = time.time() - 5
    monkeypatch.setattr(running_code, "_SINCE", since)
    write(path, ALONE.replace("BY = 1", "BY = int('2')"))
    for moment, is_known in ((since - 9, False), (since + 1, True), (since + 3600, False)):
        os.utime(path, (moment, moment))
        py_compile.compile(str(path), doraise=True)
        assert running_code.is_not_of(module, path) == is_known  # clocks differ: of the future
    os.utime(path)
    assert running_code.is_not_of(module, path)
    importlib.reload(module)
    assert not running_code.is_not_of(module, path)


def test_what_runs_is_what_the_text_compiles_to() -> None:
    """Of all that this process imported from files; instruments of tests have other loaders."""
    import scipy.signal

    assert scipy.signal.firwin
    names = [name for name in sys.modules if name.partition(".")[0] in ("ast", "json", "scipy")]
    held = [sys.modules[name] for name in names if name.startswith(("ast", "json", "scipy.signal"))]
    files = [str(getattr(module, "__file__", None)) for module in held]
    pairs = [(m, Path(file)) for m, file in zip(held, files, strict=True) if file.endswith(".py")]
    assert len(pairs) > 20
    assert not [file for module, file in pairs if running_code.is_not_of(module, file)]


@pytest.mark.parametrize("imports", ["import {0}.mine\n", "from {0} import mine\n"])
@pytest.mark.parametrize("by_name", [True, False])
def test_a_namespace_keeps_what_a_library_has_in_it(
    imports: str, by_name: bool, tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state was lost, and the library was imported twice."""
    space = f"space_{abs(hash((imports, by_name)))}_of_test"
    own = tmp_path / "own"
    write(site / space / "theirs.py", "STATE = []\n")
    mine = write(own / space / "mine.py", "BY = 1.0\n")
    text = imports.format(space) + ENCODER.replace("factor()", f"{space}.mine.BY")
    if imports.startswith("from"):
        text = text.replace(f"{space}.mine.BY", "mine.BY")
    write(own / "enc_of_test.py", text.replace("from helper_of_test import factor\n", ""))
    monkeypatch.syspath_prepend(own)
    importlib.invalidate_caches()
    held = importlib.import_module(f"{space}.theirs")
    old = importlib.import_module(f"{space}.mine")
    write(mine, "BY = 2.5\n")
    spec = "enc_of_test:enc" if by_name else f"{own / 'enc_of_test.py'}:enc"
    if by_name:
        importlib.import_module("enc_of_test")
    assert factor_of(spec) == 2.5
    assert sys.modules[f"{space}.theirs"] is held
    assert sys.modules[space].theirs is held
    assert sys.modules[f"{space}.mine"] is not old


@pytest.mark.parametrize("by_name", [True, False])
def test_what_cannot_be_imported_anew_is_as_it_was(
    by_name: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook that had imported it lost it."""
    encoder(tmp_path, 1.0)
    (tmp_path / "enc.py").rename(tmp_path / "enc_of_test.py")
    spec = "enc_of_test:enc" if by_name else f"{tmp_path / 'enc_of_test.py'}:enc"
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("enc_of_test")
    held = {name: module for name, module in sys.modules.items() if name.endswith("_of_test")}
    assert len(held) >= 2
    write(tmp_path / "helper_of_test.py", "def factor(:\n")
    for _ in range(2):
        with pytest.raises(InputError, match="SyntaxError while importing it"):
            resolve(spec)
        assert {name: sys.modules.get(name) for name in held} == held
    encoder(tmp_path, 3.0)
    assert factor_of(spec) == 3


@pytest.mark.parametrize("start", ["long ago", "unknown"])
def test_nearkin_itself_is_never_imported_twice(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of one class are not one: its errors were no longer caught."""
    monkeypatch.setattr(
        running_code, "began", lambda: None if start == "unknown" else time.time() - 1e9
    )
    held = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "nearkin"}
    found = resolve("nearkin.encoders.references.untrained:MfccEncoder")
    assert found.sha256
    write(tmp_path / "nearkin" / "__init__.py", "raise RuntimeError\n")
    encoder(tmp_path, 2.0)
    helper = "import nearkin.errors\ndef factor():\n    return 2.0\n"
    write(tmp_path / "helper_of_test.py", helper)
    assert factor_of(f"{tmp_path / 'enc.py'}:enc") == 2
    assert {name: sys.modules.get(name) for name in held} == held
    assert imported_files(tmp_path / "enc.py") == [tmp_path / "helper_of_test.py"]


def test_the_start_is_never_later_than_what_was_done_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The uptime of a container counts from another moment than the ticks of its processes."""
    began = os_began()
    real = Path.read_bytes

    def uptime(self: Path) -> bytes:
        return b"0.50 0.10" if str(self) == "/proc/uptime" else real(self)

    monkeypatch.setattr(Path, "read_bytes", uptime)
    assert running_code.began() == pytest.approx(began, abs=1.5)
    monkeypatch.setattr(time, "clock_gettime", lambda _: 0.25)
    assert running_code.began() is None


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


@pytest.mark.parametrize("late", [True, False])
def test_what_an_encoder_adds_to_the_builtins_is_there_for_its_functions(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As icecream's and snoop's ``install()`` do, and gettext's."""
    monkeypatch.setattr(builtins, "by_of_test", 1.0, raising=False)
    monkeypatch.delattr(builtins, "by_of_test")
    spec = encoder(tmp_path, 2.0)
    text = LATE if late else ENCODER
    text = f"import builtins\nbuiltins.by_of_test = 3.0\n{text.replace('factor()', '6 / factor()')}"
    write(tmp_path / "enc.py", text.replace("6", "by_of_test"))
    assert factor_of(spec) == 1.5


def test_an_import_in_a_function_of_what_is_there_costs_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoders are called for every query: it took 0.7 ms each time."""
    spec = encoder(tmp_path, 2.0)
    write(tmp_path / "enc.py", LATE)
    assert factor_of(spec) == 2
    searches: list[None] = []
    monkeypatch.setattr(importlib, "invalidate_caches", lambda: searches.append(None))
    assert [factor_of(spec) for _ in range(3)] == [2, 2, 2]
    assert not searches


def test_threads_of_an_encoder_import_at_a_time(tmp_path: Path) -> None:
    """One that was done first took the folder away from the others."""
    names = [f"part{i}_of_test" for i in range(4)]
    for i, name in enumerate(names):
        later = f"import time\ntime.sleep(0.05 * {i})\nfrom then{i}_of_test import BY\n"
        write(tmp_path / f"{name}.py", later)
        write(tmp_path / f"then{i}_of_test.py", f"BY = {i + 1}.0\n")
    functions = [f"def get{i}():\n    import {n}\n    return {n}.BY\n" for i, n in enumerate(names)]
    text = (
        "from concurrent.futures import ThreadPoolExecutor\nimport numpy as np\n"
        + "".join(functions)
        + "def enc(audio, sample_rate):\n"
        + "    with ThreadPoolExecutor(4) as pool:\n"
        + "        asked = [pool.submit(one) for one in (get0, get1, get2, get3)]\n"
        + "        return np.array([one.result() for one in asked]) * np.abs(audio[:4])\n"
    )
    spec = f"{write(tmp_path / 'enc.py', text)}:enc"
    audio = np.ones((1, 22_050), np.float32)
    assert embed(resolve(spec), audio, [Key("a", "OG", 0.0)]).vectors[0].tolist() == [1, 2, 3, 4]


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
