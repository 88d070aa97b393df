"""The wheel: what it holds and says of itself, and that it runs without the clone beside it."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from support.places import ROOT

pytestmark = pytest.mark.slow


def run(*words: str | Path, where: Path) -> str:
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(where)}
    bare |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=where,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ROOT, where=out)
    (file,) = out.glob("nearkin-*.whl")
    return file


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    package = ROOT / "src" / "nearkin"
    files = {
        path.relative_to(ROOT / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == files
    assert "nearkin/encoders/references/weights/vgg-ae.onnx" in held


def test_what_it_says_of_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        told = BytesParser().parsebytes(archive.read(name))
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in told.get_all("Classifier", [])
    assert told.get_all("Project-URL") == ["Paper, https://doi.org/10.3389/fams.2019.00053"]
    assert "torch" in told.get_all("Provides-Extra", [])
    needed = {line.split(">")[0] for line in told.get_all("Requires-Dist", [])}
    assert {"numpy", "librosa", "threadpoolctl", "typer"} <= needed


def test_it_runs_from_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of this environment; nearkin is the wheel's."""
    home = tmp_path / "bare"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    (place,) = {Path(path) for path in site.getsitepackages() if Path(path).is_dir()}
    own = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", where=tmp_path).strip()
    )
    (own / "dependencies.pth").write_text(f"{place}\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(own)
    said = run(python, "-c", "import nearkin; print(nearkin.__file__)", where=tmp_path)
    assert Path(said.strip()).is_relative_to(own)
    found = run(python, "-m", "nearkin", "check", "vgg-ae", where=tmp_path)
    assert "fit to be tested" in found
    music = run(python, "-m", "nearkin", "demo", "--out", "demo", "--quiet", where=tmp_path)
    assert "report: demo/report.html" in music
    assert (tmp_path / "demo" / "report.html").stat().st_size > 1e5
