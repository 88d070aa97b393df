"""Damage every file of a half-done and of a finished run: told and mended, or refused.

python scripts/campaign/damage.py STAGE [--only run perform ...] [--every] [--minutes 30]

Every file is truncated, emptied, zeroed, has one bit flipped, or is removed; then the same command
is given. Right is: it ends well with the bytes of the undamaged run, or it refuses in one sentence.
Wrong is: a traceback, an abort, other bytes or a damaged file that is left, with exit code 0.
A command that is given a finished run leaves what it neither reads nor writes there as it is, and
of one that prints its result the same text is right.

Half-done is a command killed when it took a share (``--at``) of its processor time. The cache of a
training is no result: its damage counts where a training begins with it (the state "cache only").
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections import Counter
from pathlib import Path

from kills import start, undisturbed, worked
from stage import Command, build, content, differences, is_one_sentence, keep, progress
from typer.testing import CliRunner, Result

from nearkin.cli import app
from nearkin.runs.folder import made_by
from study import of_study

PRINTED = "(printed)"
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


def half_done(command: Command, stage: Path, out: Path, seconds: float) -> Path:
    """Kill a command when it took so much processor time; return what it left. Done once."""
    if out.is_dir():
        return out
    begun = stage / "begun" / command.name
    shutil.rmtree(begun, ignore_errors=True)
    begun.parent.mkdir(exist_ok=True)
    process = start(command, stage, begun)
    if not worked(process, seconds):
        raise SystemExit(f"{command.name}: ended before {seconds:.1f} s; give a smaller --at")
    process.kill()
    process.communicate()
    time.sleep(1)
    out.parent.mkdir(exist_ok=True)
    begun.mkdir(exist_ok=True)  # it may have left nothing
    begun.rename(out)
    return out


def states(command: Command, stage: Path, shares: list[float]) -> dict[str, Path]:
    """Make what is damaged: by the name of its state, a folder."""
    seconds, _ = undisturbed(command, stage)
    straight = stage / "straight" / command.name
    found: dict[str, Path] = {}
    for share in () if command.prints else shares:  # what writes nothing is never half-done
        half = stage / "half" / f"{command.name}-{share}"
        found[f"half-done at {share}"] = half_done(command, stage, half, share * seconds)
    if (straight / "cache").is_dir():
        alone = stage / "half" / f"{command.name}-cache"
        shutil.rmtree(alone, ignore_errors=True)
        shutil.copytree(straight / "cache", alone / "cache")
        found["cache only"] = alone
    return {**found, "finished": straight}


def chosen(source: Path, *, every: bool) -> list[str]:
    """Return a folder's files; unless all are wanted, of those that are alike two stand for all."""
    kinds: Counter[str] = Counter()
    names = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = path.relative_to(source)
        kind = f"{name.parent}{''.join(name.suffixes[-2:])}"
        kinds[kind] += 1
        if every or len(name.parts) == 1 or kinds[kind] <= 2:
            names.append(str(name))
    names = [name for name in names if "tensorboard" not in name]
    own = [name for name in names if not name.startswith("cache/")]
    return own or names


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--only", nargs="*", help="these commands [all]")
    parser.add_argument("--minutes", type=float, default=1e9, help="for each command")
    parser.add_argument("--cases", type=int, default=10**6, help="of each command, at the most")
    parser.add_argument("--every", action="store_true", help="file, however many are alike")
    parser.add_argument("--at", type=float, nargs="*", default=[0.7])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="1/1", help="K/N: the K-th of N parts of the cases")
    given = parser.parse_args()
    stage = given.stage.resolve()
    rng = random.Random(given.seed)
    rows: Counter[str] = Counter()
    faults: list[str] = []
    said: dict[str, str] = {}
    left: dict[str, int] = {}
    k, n = map(int, given.part.split("/"))
    for command in build(stage, torch=not given.no_torch):
        if given.only and command.name not in given.only:
            continue
        undisturbed(command, stage)
        straight = stage / "straight" / command.name
        want = told_by(command, straight)
        damaged = stage / "damaged" / f"{command.name}{k}"
        if command.prints:  # in the same place: some print a run's name
            shutil.rmtree(damaged, ignore_errors=True)
            shutil.copytree(straight, damaged, symlinks=True)
            want[PRINTED] = printed(given_again(command, damaged))
        cases = [  # every part has its own
            (state, source, name, how)
            for state, source in states(command, stage, given.at).items()
            for name in chosen(source, every=given.every)
            for how in DAMAGES
        ]
        print(command.name, Counter(state for state, *_ in cases), flush=True)
        rng.shuffle(cases)
        cases = cases[k - 1 :: n]
        left[command.name] = len(cases)
        cases = cases[: given.cases]
        limit = time.monotonic() + 60 * given.minutes
        for state, source, name, how in progress(cases, command.name):
            if time.monotonic() > limit:
                break
            verdict = tried(command, stage, source, damaged, name, how, want)
            left[command.name] -= 1
            rows[f"{command.name}, {state}: {verdict.partition(':')[0]}"] += 1
            if verdict.startswith("refused"):
                said[f"{command.name}, {state}, {name} {how}"] = verdict.partition(": nearkin: ")[2]
            if verdict.partition(":")[0].isupper():
                faults.append(f"{command.name}, {state}, {name} {how}: {verdict}")
                print(faults[-1], flush=True)
            result = {"cases": dict(sorted(rows.items())), "not tried": left, "faults": faults}
            result["refusals"] = said
            result["cpu_s"] = round(time.process_time())
            title = "-".join(["damage", *(given.only or []), *([str(k)] if n > 1 else [])])
            path = keep(title, result)
    print(f"{dict(rows)}\n{left} not tried, {len(faults)} faults: {path}")


def told_by(command: Command, out: Path) -> dict[str, str]:
    """Return what is compared: a study's records name its own folder."""
    return of_study(out) if command.name == "study" else content(out)


def given_again(command: Command, out: Path) -> Result:
    """Give a command in this process, without workers: a process takes most of it to start."""
    words = command.at(out)[3:]
    if "--workers" in words:
        words[words.index("--workers") + 1] = "1"
    done = CliRunner().invoke(app, words)
    if done.exit_code == 130:
        raise KeyboardInterrupt
    return done


def printed(done: Result) -> str:
    """Return what is compared of a command that prints its result."""
    return f"exit {done.exit_code}: {done.stdout}"


def is_anothers(command: Command, stage: Path, name: str) -> bool:
    """Tell whether a file came with the finished run that a command is given."""
    came = command.copies and (stage / command.copies / name).is_file()
    return bool(came) and made_by(name) != f"nearkin {command.name}"


def tried(
    command: Command,
    stage: Path,
    source: Path,
    out: Path,
    name: str,
    how: str,
    want: dict[str, str],
) -> str:
    """Damage one file of a copy, give the command again, and say what became of it."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, symlinks=True)
    path = out / name
    damage(path, how)
    damaged = path.read_bytes() if path.is_file() else None
    done = given_again(command, out)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"TRACEBACK: {done.exception!r}"
    if command.prints and done.exit_code != 2:
        if printed(done) == want[PRINTED]:
            return "the same is printed"
        return f"OTHER NUMBERS: exit {done.exit_code}: {done.stdout[-300:]}"
    if done.exit_code in (0, 3):
        other = differences(want, told_by(command, out))
        now = path.read_bytes() if path.is_file() else None
        if (
            now == damaged
            and not {*other} - {name, ".nearkin"}
            and is_anothers(command, stage, name)
        ):  # of a file that is gone the marker's line does not count
            return "left as it is: another command's, which this one needs not"
        if other:
            return f"OTHER BYTES: {other[:4]}"
        if now == damaged and path.name == ".nearkin" and how == "flipped":
            return "a line of the marker that names no file that is there"
        if now == damaged and damaged != (source / name).read_bytes() and how != "removed":
            return "LEFT DAMAGED"
        if how == "removed" and path.suffix == ".pdf" and now is None:
            return "LEFT REMOVED"
        return "mended, same bytes"
    if done.exit_code == 2 and is_one_sentence(done.stderr):
        return f"refused in one sentence: {done.stderr.strip().splitlines()[-1]}"
    return f"WRONG: {done.exit_code}: {done.stderr[-400:]}"


if __name__ == "__main__":
    main()
