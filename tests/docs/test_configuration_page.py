"""The pages of settings and grids: their files are read by the code, their keys are the code's."""

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
BLOCKS = re.findall(r"^```yaml\n# config: (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CONFIGS = dict(BLOCKS)
GRIDS = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "grids.md").read_text("utf-8"), re.M | re.S)


def test_every_block_is_read_here() -> None:
    assert len(CONFIGS) == 3
    assert TEXT.count("```yaml") == len(BLOCKS)
    assert len(GRIDS) >= 2


@pytest.mark.parametrize("text", GRIDS)
def test_a_grid(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    content = yaml.safe_load(text)
    made = grid(tmp_path / "mine.yaml")
    assert made.name == content["name"]
    for code, magnitudes in content.get("points", {}).items():
        if isinstance(magnitudes, list):
            assert list(made.magnitudes(code)) == magnitudes
        else:
            assert len(made.magnitudes(code)) > 1
    for code, chain in content.get("chains", {}).items():
        assert list(made.magnitudes(code)) == list(chain["levels"])


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
