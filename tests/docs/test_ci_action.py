"""The action to copy: its steps are run in a shell, with the inputs that its README shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import write_tunes
from nearkin.results.requirements import parse
from support.places import ROOT

PLACE = ROOT / "examples" / "ci"
ACTION = yaml.safe_load((PLACE / "action.yml").read_text("utf-8"))


def do(
    step: dict[str, Any], inputs: dict[str, str], where: Path
) -> subprocess.CompletedProcess[str]:
    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)

    assert "${{" not in step["run"], "an input in a script is code that its writer chooses"
    path = os.pathsep.join([str(where / "bin"), os.environ["PATH"]])
    env = {name: filled(text) for name, text in step["env"].items()}
    env |= {"GITHUB_STEP_SUMMARY": str(where / "summary.md"), "PATH": path}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=where,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("action")
    write_tunes(place / "my clips", 3)
    (place / "grid.yaml").write_text("{PN: [30]}")
    (place / "bin").mkdir()
    program = place / "bin" / "nearkin"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nearkin "$@"\n')
    program.chmod(0o755)
    return place


def test_the_steps_run_and_the_job_fails_where_it_has_to(place: Path) -> None:
    run, gate, upload = ACTION["runs"]["steps"]
    inputs = {name: str(row.get("default", "")) for name, row in ACTION["inputs"].items()}
    inputs |= {"encoder": "mfcc", "audio": "my clips", "grid": "grid.yaml"}
    done = do(run, inputs, place)
    assert done.returncode == 0, done.stderr
    assert (place / "nearkin-run" / "report.html").is_file()
    inputs["require"] = "C_W[mfcc,cosine] >= C_W[constant,cosine]\n\nN >= 3\n"
    done = do(gate, inputs, place)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "2 of 2 met" in (place / "summary.md").read_text()
    assert do(gate, {**inputs, "require": "N >= 4"}, place).returncode == 1
    done = do(gate, {**inputs, "require": "", "baseline": "nearkin-run"}, place)
    assert (done.returncode, done.stderr) == (0, "")
    for name in upload["with"]["path"].replace("${{ inputs.out }}", "nearkin-run").split():
        assert (place / name).is_file(), name


def test_its_readme_s_example_names_inputs_and_requirements() -> None:
    text = (PLACE / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (step,) = yaml.safe_load(block)
    assert set(step["with"]) <= set(ACTION["inputs"])
    needed = {name for name, row in ACTION["inputs"].items() if row.get("required")}
    assert needed <= set(step["with"])
    assert len([parse(line) for line in step["with"]["require"].splitlines()]) == 3
