"""librosa is imported where no cache can be written beside it or at home."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import librosa
import pytest

import nearkin

CODE = """
import numpy as np
from nearkin.audio import features
assert features.mfcc(np.ones(8192, np.float32)).shape == (17, 24)
import librosa, numba
assert librosa.__file__.startswith({site!r}), librosa.__file__
print(numba.config.CACHE_DIR)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """librosa where nothing can be written: files stand where the cache's folders would."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "librosa"
    shutil.copytree(
        Path(librosa.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for parent in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (parent / "__pycache__").write_text("")
    return folder


def cache_of(site: Path, temporary: Path, **more: str) -> Path:
    """Where a process with no home keeps its cache."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NUMBA_") and name not in ("HOME", "USERPROFILE")
    }
    nowhere = str(site / "librosa" / "__pycache__" / "home")
    environment |= {"XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere, "TMPDIR": str(temporary)}
    source = str(Path(nearkin.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([str(site), source])
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(site=str(site))],
        env=environment | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_a_folder_of_its_own_that_is_used_again(site: Path, tmp_path: Path) -> None:
    folder = cache_of(site, tmp_path)
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbi"))
    assert cache_of(site, tmp_path) == folder


def test_a_folder_that_others_may_write_is_not_trusted(site: Path, tmp_path: Path) -> None:
    """numba runs what lies in its cache."""
    theirs = tmp_path / f"nearkin-numba-{os.geteuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    assert cache_of(site, tmp_path) != theirs
    theirs.rmdir()
    theirs.symlink_to(tmp_path)
    assert cache_of(site, tmp_path) != theirs
    assert not list(tmp_path.glob("*.nbi"))


def test_a_folder_that_is_named_is_used(site: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"
    assert cache_of(site, tmp_path, NUMBA_CACHE_DIR=str(named)) == named
