"""Damage every file of a half-done and of a finished run: told and mended, or refused.

python scripts/campaign/damage.py STAGE [--no-torch]

Every file is truncated, emptied, zeroed, has one bit flipped, or is removed; then the same command
is given. Right is: it ends well with the bytes of the undamaged run, or it refuses in one sentence.
Wrong is: a traceback, an abort, a run that is stuck, other bytes with exit code 0.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

from stage import build, content, differences, is_one_sentence, keep, progress

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
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and process.poll() is None:
        if len(list((out / "work").rglob("*.npz"))) >= 14:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--no-torch", action="store_true")
    given = parser.parse_args()
    stage = given.stage.resolve()
    run = next(c for c in build(stage, torch=not given.no_torch) if c.name == "run")
    straight = stage / "straight" / "run"
    if not straight.is_dir():
        subprocess.run(run.at(straight), check=True, stdout=subprocess.DEVNULL)
    want = content(straight)
    half, out = stage / "half", stage / "damaged"
    shutil.rmtree(half, ignore_errors=True)
    half_done(run.at(half), half, 60)
    rows, faults = Counter(), []
    for state, source in (("half-done", half), ("finished", straight)):
        files = sorted(str(p.relative_to(source)) for p in source.rglob("*") if p.is_file())
        # of the many files that are alike a few stand for all
        chosen = [name for name in files if not name.startswith("work/")]
        kinds: dict[str, int] = {}
        for name in files:
            if name.startswith("work/"):
                kind = str(Path(name).parent) + "".join(Path(name).suffixes[-2:])
                kinds[kind] = kinds.get(kind, 0) + 1
                if kinds[kind] <= 2:
                    chosen.append(name)
        cases = [(name, how) for name in chosen for how in DAMAGES]
        for name, how in progress(cases, state):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(source, out, symlinks=True)
            damage(out / name, how)
            words = [w.replace(str(straight), str(out)) for w in run.at(out)]
            try:
                done = subprocess.run(
                    words,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=240,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                faults.append(f"{state} {name} {how}: stuck")
                continue
            if done.returncode == 0:
                other = differences(want, content(out))
                verdict = "mended, same bytes" if not other else "OTHER BYTES"
                if other:
                    faults.append(f"{state} {name} {how}: other bytes in {other[:4]}")
            elif done.returncode == 2 and is_one_sentence(done.stderr):
                verdict = "refused in one sentence"
            else:
                verdict = "WRONG"
                faults.append(f"{state} {name} {how}: {done.returncode}: {done.stderr[-400:]}")
            rows[f"{state}: {verdict}"] += 1
    path = keep("damage", {"cases": dict(rows), "faults": faults})
    print(f"{dict(rows)}\n{len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
