"""The page "Extend": its package is installed as pip would, its kind is resolved; both work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from nearkin.distances import DISTANCES, Distance
from nearkin.encoders import ENCODERS, resolve
from nearkin.encoders.check import examine
from nearkin.encoders.resolve import _PREFIXES
from nearkin.errors import InputError
from nearkin.registry import Table, load, lookup
from nearkin.transforms import TRANSFORMATIONS, Transformation
from support.pages import DOCS

TEXT = (DOCS / "extend.md").read_text("utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, and a dist-info with its entry points."""
    place = tmp_path_factory.mktemp("site")
    for name, code in re.findall(r"^```python\n# file: (\S+)\n(.*?)^```$", TEXT, re.M | re.S):
        (place / name).write_text(code)
    info = place / "extending-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extending\nVersion: 1.0\n")
    (block,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.M | re.S)
    groups = tomllib.loads(block)["project"]["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in rows.items())
            for group, rows in groups.items()
        )
    )
    return place


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(site))

    def installed(table: Table, name: str, kind: str) -> Any:
        fresh = Table(table.built_in, group=table.group)  # entry points are looked for once
        assert fresh.provider(name) == "extending 1.0"
        return lookup(fresh, name, kind=kind)

    return installed


def test_the_transformation(installed: Any) -> None:
    kind = installed(TRANSFORMATIONS, "FO", "transformation")
    assert issubclass(kind, Transformation)
    y = np.ones((2, 1_001))
    faded = kind(40)(y, sr=22_050)
    # in dB a straight line from 0 to -40
    assert 20 * np.log10(faded[1]) == pytest.approx(np.linspace(0, -40, 1_001), abs=1e-4)
    assert (kind(0)(y, sr=22_050) == y).all()
    assert kind(12) == kind(12.0)
    assert kind.axis.severity(48) > kind.axis.severity(6)
    with pytest.raises(InputError, match="must be from 0 to 80"):
        kind(-1)


def test_the_distance(installed: Any) -> None:
    row = installed(DISTANCES, "chebyshev", "distance")
    assert isinstance(row, Distance)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 7)), rng.normal(size=(5, 7))
    assert row.function(a, b) == pytest.approx(cdist(a, b, "chebyshev"))
    assert (np.diag(row.function(a, a)) == 0).all()


def test_the_encoder(installed: Any) -> None:
    kind = installed(ENCODERS, "levels", "encoder")
    report = examine(resolve(kind))
    assert report.fit, report


def test_the_kind(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setitem(_PREFIXES, "linear", "linear_kind:from_spec")
    matrix = np.random.default_rng(0).normal(size=(513, 6)).astype(np.float32)
    np.savez(tmp_path / "six.npz", matrix=matrix, sample_rate=16_000)
    found = resolve(f"linear:{tmp_path / 'six.npz'}")
    assert (found.name, found.sample_rate, len(found.sha256)) == ("six", 16_000, 64)
    assert found.encoder.embed(np.ones((3, 1_024), np.float32)).shape == (3, 6)
    with pytest.raises(InputError, match="no file"):
        resolve("linear:gone.npz")
    assert load("linear_kind:Linear")


def test_every_block_is_run_here() -> None:
    files = set(re.findall(r"^```python\n# file: (\S+)", TEXT, re.M))
    assert files == {"fading.py", "chebyshev.py", "levels.py", "linear_kind.py"}
    assert TEXT.count("```python") == len(files)
