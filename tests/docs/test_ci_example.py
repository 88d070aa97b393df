"""The workflow to copy: its commands are commands, its requirements can be read."""

from __future__ import annotations

import re
import shlex

import yaml

from nearkin.cli import app
from nearkin.results.requirements import parse
from support.places import ROOT


def test_the_workflow_says_what_nearkin_understands() -> None:
    text = (ROOT / "examples" / "ci" / "nearkin.yml").read_text("utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    words = [shlex.split(line) for script in scripts for line in script.splitlines()]
    calls = [line for line in words if line[0] == "nearkin"]
    known = {command.name: command for command in app.registered_commands}
    assert {line[1] for line in calls} == {"run", "gate", "table"}
    for line in calls:
        assert line[1] in known
        source = known[line[1]].callback
        options = [word for word in line if word.startswith("--")]
        names = set(re.findall(r"--[a-z-]+", " ".join(map(str, source.__annotations__.values()))))
        names |= {f"--{name.replace('_', '-')}" for name in source.__annotations__}
        assert set(options) <= names, line
    requirements = [line[i + 1] for line in calls for i, w in enumerate(line) if w == "--require"]
    assert len(requirements) == 3
    for requirement in requirements:
        parse(requirement)
