"""The page of the gate: each of its requirements is read, and answered on a small run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from nearkin.cli import app
from nearkin.results.gate import judge
from nearkin.results.requirements import COMPARISONS, REDUCTIONS, parse
from nearkin.tables import ATTACK_SCORES, CONSISTENCY, MEASURES
from support.pages import sections

BLOCK = re.findall(r"^```text\n(.*?)^```$", sections("gate.md")["By example"], re.M | re.S)[0]
WORST = re.findall(r"^```text\n(.*?)^```$", sections("gate.md")["By example"], re.M | re.S)[1]
LINES = [re.split(r" {3,}", line)[0] for line in BLOCK.splitlines()]


def test_the_examples_are_answered(small_run: Path) -> None:
    for text in LINES:
        assert parse(str(parse(text))) == parse(text)
    words = [word for text in LINES for word in ("--require", text)]
    done = CliRunner().invoke(app, ["gate", str(small_run), *words, "--json"])
    assert done.exit_code in (0, 1), done.output
    answers = json.loads(done.stdout.splitlines()[-1])["requirements"]
    assert len(answers) == len(LINES)
    assert done.exit_code == int(not all(one["met"] for one in answers))
    assert all(one["value"] is not None for one in answers)


def test_the_examples_of_the_worst_case_are_answered() -> None:
    found = [re.split(r" {3,}", line)[0] for line in WORST.splitlines()]
    mine = {"encoder": "vgg", "task": "at", "trial": 1, "method": "pgd", "space": "latent",
            "distance": "cosine", "transformation": "AD", "status": "ok"}  # fmt: skip
    scores = pd.DataFrame(
        [
            {**mine, "measure": "C_W", "magnitude": 60.0, "value": 0.55},
            {**mine, "measure": "C_W", "magnitude": 50.0, "value": 0.05},
            {**mine, "measure": "half_astray", "value": 59.0, "ci_low": 56.1},
        ]
    ).reindex(columns=list(ATTACK_SCORES))
    run = {"encoders": [{"name": "vgg", "task": "at", "role": "tested"}], "n": 40}
    grid = pd.DataFrame(columns=list(CONSISTENCY))
    outcomes = judge(found, grid, run, attack_scores=scores)
    assert [one.met for one in outcomes] == [True, False]


@pytest.mark.parametrize("word", [*MEASURES, *REDUCTIONS, *COMPARISONS[:1], "@ ", " and ", " in "])
def test_every_word_of_the_language_is_shown(word: str) -> None:
    page = "".join(sections("gate.md").values()) if word == "kappa" else BLOCK
    assert word in page
