"""Damage every file of a half-done and of a finished run: told and mended, or refused.

python scripts/campaign/damage.py STAGE [--only run perform ...] [--most 60]

Every file is truncated, emptied, zeroed, has one bit flipped, or is removed; then the same command
is given. Right is: it ends well with the bytes of the undamaged run, or it refuses in one sentence.
Wrong is: a traceback, an abort, a run that is stuck, other bytes with exit code 0.
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
    parser.add_argument("--only", nargs="*", default=["run"], help="these commands [run]")
    parser.add_argument("--most", type=int, default=10_000, help="cases, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stage = given.stage.resolve()
    rng = random.Random(given.seed)
    rows: Counter[str] = Counter()
    faults: list[str] = []
    for command in build(stage, torch=not given.no_torch):
        if command.name not in given.only:
            continue
        seconds, want = undisturbed(command, stage)
        straight, half = stage / "straight" / command.name, stage / "half" / command.name
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(exist_ok=True)
        half_done(command.at(half), half, seconds)
        cases = [
            (state, source, name, how)
            for state, source in (("half-done", half), ("finished", straight))
            for name in chosen(source)
            for how in DAMAGES
        ]
        rng.shuffle(cases)
        for state, source, name, how in progress(cases[: given.most], command.name):
            verdict = tried(command, source, stage / "damaged", name, how, want)
            rows[f"{command.name}, {state}: {verdict.partition(':')[0]}"] += 1
            if verdict.isupper() or verdict.partition(":")[0].isupper():
                faults.append(f"{command.name}, {state}, {name} {how}: {verdict}")
                print(faults[-1], flush=True)
        result = {"cases": dict(sorted(rows.items())), "faults": faults}
        path = keep("-".join(["damage", *given.only]), result)
    print(f"{dict(rows)}\n{len(faults)} faults: {path}")


def tried(
    command: Command, source: Path, out: Path, name: str, how: str, want: dict[str, str]
) -> str:
    """Damage one file of a copy, give the command again, and say what became of it."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, symlinks=True)
    damage(out / name, how)
    try:
        done = subprocess.run(
            command.at(out),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=240,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "STUCK"
    if done.returncode in (0, 3):
        other = differences(want, content(out))
        return f"OTHER BYTES: {other[:4]}" if other else "mended, same bytes"
    if done.returncode == 2 and is_one_sentence(done.stderr):
        return "refused in one sentence"
    return f"WRONG: {done.returncode}: {done.stderr[-400:]}"


if __name__ == "__main__":
    main()
