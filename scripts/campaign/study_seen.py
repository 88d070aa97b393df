"""Damage every file of a finished study: which step is done again, or what nothing looks at.

python scripts/campaign/study_seen.py STAGE [--all]

A study is long and its steps are few: here each damage is shown to the part that decides which
steps are done, and none is done again (`damage.py --only study` does some of them again, and
compares bytes). Without ``--all`` two stand for many files that are alike.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from damage import DAMAGES, chosen, damage
from kills import undisturbed
from stage import build, keep, progress
from typer.testing import CliRunner

import nearkin.study.study
from nearkin.cli import app
from nearkin.errors import NearkinError
from nearkin.study.places import StudyFolder
from nearkin.study.plan import StudyPlan
from nearkin.study.study import finished


def plan_of(words: list[str]) -> StudyPlan:
    """Return the plan of a command, without doing it."""
    found: list[StudyPlan] = []

    def taken(plan: StudyPlan, *rest: Any, **more: Any) -> None:
        found.append(plan)
        raise SystemExit

    nearkin.study.study.reproduce = taken
    CliRunner().invoke(app, words)
    return found[0]


def looked_at(plan: StudyPlan, out: Path, whole: set[str]) -> str:
    """Say which steps would be done again, or how the study is refused."""
    folder = StudyFolder(out)
    try:
        folder.claim()
        again = sorted(whole - finished(plan, folder))
    except NearkinError as error:
        told = str(error)
        return f"TRACE: {told}" if "\n" in told else "refused in one sentence"
    except Exception as error:  # what a user would see as a trace
        return f"TRACE: {error!r}"
    return f"seen: {again[0]}" if again else "not seen"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--all", action="store_true", help="of all files, not two of a kind")
    given = parser.parse_args()
    stage = given.stage.resolve()
    (command,) = (one for one in build(stage) if one.name == "study")
    undisturbed(command, stage)
    out = stage / "damaged" / "study-seen"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(stage / "straight" / "study", out)
    plan = plan_of(command.at(out)[3:])
    whole = finished(plan, StudyFolder(out))
    names = chosen(out)
    if given.all:
        every = (p.relative_to(out) for p in sorted(out.rglob("*")) if p.is_file())
        names = [str(p) for p in every if p.parts[0] != "cache" and "tensorboard" not in p.parts]
    rows: Counter[str] = Counter()
    unseen: dict[str, list[str]] = {}
    faults = []
    for name in progress(names, "files"):
        for how in DAMAGES:
            path = out / name
            before, marker = path.read_bytes(), (out / ".nearkin").read_bytes()
            damage(path, how)
            verdict = looked_at(plan, out, whole)
            (out / ".nearkin").write_bytes(marker)
            path.write_bytes(before)
            rows[verdict.partition(":")[0]] += 1
            if verdict == "not seen":
                unseen.setdefault(name, []).append(how)
            if verdict.startswith("TRACE"):
                faults.append(f"{name} {how}: {verdict}")
    assert finished(plan, StudyFolder(out)) == whole
    result = {"files": len(names), "cases": dict(rows), "not seen": unseen, "faults": faults}
    path = keep("study-seen", {**result, "cpu_s": round(time.process_time())})
    print(f"{dict(rows)}, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
