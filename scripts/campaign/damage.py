"""Damage every file of a half-done and of a finished run: told and mended, or refused.

python scripts/campaign/damage.py STAGE [--only run perform ...] [--minutes 30]

Every file is truncated, emptied, zeroed, has one bit flipped, or is removed; then the same command
is given. Right is: it ends well with the bytes of the undamaged run, or it refuses in one sentence.
Wrong is: a traceback, an abort, other bytes or a damaged file that is left, with exit code 0.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

from kills import undisturbed
from stage import Command, build, content, differences, is_one_sentence, keep, progress
from typer.testing import CliRunner

from nearkin.cli import app

DAMAGES = ("truncated", "emptied", "zeroed", "flipped", "removed")


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "removed":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "zeroed":
        path.write_bytes(bytes(len(data)))
    else:
        at = len(data) * 2 // 3
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b"")


def half_done(words: list[str], out: Path, seconds: float) -> None:
    """Kill a command somewhere in the middle of its work."""
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(0.7 * seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    time.sleep(1)


def chosen(source: Path) -> list[str]:
    """Return a folder's files; of the many that are alike a few stand for all."""
    kinds: Counter[str] = Counter()
    names = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = path.relative_to(source)
        kind = f"{name.parent}{''.join(name.suffixes[-2:])}"
        kinds[kind] += 1
        if len(name.parts) == 1 or kinds[kind] <= 2:
            names.append(str(name))
    return [name for name in names if "tensorboard" not in name]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--only", nargs="*", help="these commands [all]")
    parser.add_argument("--minutes", type=float, default=1e9, help="for each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="1/1", help="K/N: the K-th of N parts of the cases")
    given = parser.parse_args()
    stage = given.stage.resolve()
    rng = random.Random(given.seed)
    rows: Counter[str] = Counter()
    faults: list[str] = []
    left: dict[str, int] = {}
    k, n = map(int, given.part.split("/"))
    for command in build(stage, torch=not given.no_torch):
        if given.only and command.name not in given.only:
            continue
        seconds, want = undisturbed(command, stage)
        straight, half = stage / "straight" / command.name, stage / "half" / f"{command.name}{k}"
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(exist_ok=True)
        command.begin(stage, half)
        half_done(command.at(half), half, seconds)
        cases = [  # every part has its own
            (state, source, name, how)
            for state, source in (("half-done", half), ("finished", straight))
            for name in chosen(source)
            for how in DAMAGES
        ]
        rng.shuffle(cases)
        cases = cases[k - 1 :: n]
        limit = time.monotonic() + 60 * given.minutes
        for number, (state, source, name, how) in enumerate(progress(cases, command.name)):
            if time.monotonic() > limit:
                left[command.name] = len(cases) - number
                break
            verdict = tried(command, source, stage / f"damaged{k}", name, how, want)
            rows[f"{command.name}, {state}: {verdict.partition(':')[0]}"] += 1
            if verdict.partition(":")[0].isupper():
                faults.append(f"{command.name}, {state}, {name} {how}: {verdict}")
                print(faults[-1], flush=True)
            result = {"cases": dict(sorted(rows.items())), "not tried": left, "faults": faults}
            title = "-".join(["damage", *(given.only or []), *([str(k)] if n > 1 else [])])
            path = keep(title, result)
    print(f"{dict(rows)}\n{left} not tried, {len(faults)} faults: {path}")


def tried(
    command: Command, source: Path, out: Path, name: str, how: str, want: dict[str, str]
) -> str:
    """Damage one file of a copy, give the command again, and say what became of it.

    The command works in this process: most of what a small one takes is its start.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, symlinks=True)
    path = out / name
    damage(path, how)
    damaged = path.read_bytes() if path.is_file() else None
    done = CliRunner().invoke(app, command.at(out)[3:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"TRACEBACK: {done.exception!r}"
    if done.exit_code in (0, 3):
        other = differences(want, content(out))
        if other:
            return f"OTHER BYTES: {other[:4]}"
        now = path.read_bytes() if path.is_file() else None
        if now == damaged and damaged != (source / name).read_bytes() and how != "removed":
            return "LEFT DAMAGED"
        if how == "removed" and path.suffix == ".pdf" and now is None:
            return "LEFT REMOVED"
        return "mended, same bytes"
    if done.exit_code == 2 and is_one_sentence(done.stderr):
        return "refused in one sentence"
    return f"WRONG: {done.exit_code}: {done.stderr[-400:]}"


if __name__ == "__main__":
    main()
