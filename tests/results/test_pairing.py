"""Who is compared with whom, and which less which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nearkin
from nearkin.errors import InputError
from nearkin.results.answers import RunTables
from nearkin.results.pairing import find_systems, pairs_of
from support.commands import command

ROLES = {"new": "tested", "other": "tested", "mfcc": "reference", "logmel-projection": "reference"}


def run(name: str, created: str = "", **roles: str) -> RunTables:
    roles = roles or ROLES
    record: dict[str, Any] = {
        "encoders": [{"name": one, "task": "", "role": role} for one, role in roles.items()],
        "created": created,
    }
    queries = pd.DataFrame({"encoder": list(roles), "task": ""})
    return RunTables(name, record, pd.DataFrame(), queries)


def pairs(*runs: RunTables, encoders: tuple[str, ...] = (), against: str = "") -> list[str]:
    several = len(runs) > 1
    systems = find_systems(runs, encoders, against)
    by_role = not several and not encoders
    labels = [one.label(several_runs=several) for one in systems]
    found = pairs_of(systems, against, several_runs=several, by_role=by_role)
    return [f"{labels[a]} - {labels[b]}" for a, b in found]


def test_of_one_run_every_tested_one_less_every_reference() -> None:
    assert pairs(run("r")) == [
        "new - mfcc",
        "new - logmel-projection",
        "other - mfcc",
        "other - logmel-projection",
    ]
    only = run("r", mfcc="reference", constant="reference")
    assert pairs(only) == ["mfcc - constant"]


def test_named_encoders_are_compared_with_one_another() -> None:
    assert pairs(run("r"), encoders=("new", "other")) == ["new - other"]


def test_against_supplies_the_second_side() -> None:
    assert pairs(run("r"), encoders=("new",), against="random") == ["new - logmel-projection"]
    both = run("a", "2026-01-01"), run("b", "2026-01-02")
    assert pairs(*both, encoders=("new",), against="random") == [
        "new (a) - logmel-projection (a)",
        "new (b) - logmel-projection (b)",
    ]
    with pytest.raises(InputError, match="one encoder only"):
        pairs(run("r"), encoders=("new",), against="nobody")


def test_the_younger_run_comes_first_whatever_the_order() -> None:
    old = run("old", "2026-01-01T10:00:00+00:00", vgg="tested")
    new = run("new", "2026-01-02T10:00:00+00:00", vgg="tested")
    assert pairs(old, new) == pairs(new, old) == ["vgg (new) - vgg (old)"]
    unknown = run("a", vgg="tested"), run("b", vgg="tested")
    assert pairs(*unknown) == ["vgg (a) - vgg (b)"]


def test_from_python_and_the_command_line(small_run: Path) -> None:
    found = nearkin.compare(small_run, against="random", resamples=200)
    assert set(found.table["encoder_b"]) == {"logmel-projection"}
    assert set(found.table["run_a"]) == {"run"}
    done = command(
        "compare", small_run, "--encoder", "mfcc", "--against", "random", "--resamples", 200
    )
    assert done.exit_code == 0, (done.stdout, done.stderr)
    assert "mfcc - logmel-projection" in done.stdout
