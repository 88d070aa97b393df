"""The page of settings: its files are read by the code, its keys are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from nearkin.cli import app
from nearkin.cli.settings import merged
from nearkin.runs.plan import Plan
from nearkin.transforms.grids import grid
from support.pages import DOCS, sections

TEXT = (DOCS / "configuration.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n# (file|config): (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
GRIDS = {name: body for kind, name, body in BLOCKS if kind == "file"}
CONFIGS = {name: body for kind, name, body in BLOCKS if kind == "config"}


def test_every_block_is_read_here() -> None:
    assert len(GRIDS) == 2
    assert len(CONFIGS) == 3
    assert TEXT.count("```yaml") == len(BLOCKS)


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(GRIDS[name])
    content = yaml.safe_load(GRIDS[name])
    made = grid(tmp_path / name)
    assert made.name == content.get("name", Path(name).stem)
    points = content.get("points", content)
    assert {code: list(made.magnitudes(code)) for code in made.codes} == points


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_of_options(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(CONFIGS[name])
    options = merged({}, tmp_path / name)
    plan, sources, _ = options.resolved()
    for key, value in yaml.safe_load(CONFIGS[name]).items():
        key = key.replace("-", "_")
        if key == "grid":
            assert plan.grid.name == value
        elif key == "encoder":
            assert [source.spec for source in sources][: len(value)] == value
        elif key == "encoder_options":
            assert [dict(source.options) for source in sources][: len(value)] == value
        elif key in Plan.model_fields:
            assert getattr(plan, key) == value
        else:
            assert getattr(options, key) == value


def test_a_key_without_a_flag_is_told_with_its_default() -> None:
    (run,) = [one for one in app.registered_commands if one.name == "run"]
    flags = set(run.callback.__annotations__) | {"encoders"}
    hidden = {name: Plan.model_fields[name].default for name in set(Plan.model_fields) - flags}
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", sections("configuration.md")["Files of options"],
                      re.MULTILINE)  # fmt: skip
    assert {name: int(default) for name, default in rows} == hidden
