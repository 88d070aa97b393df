"""Stop a whole study at random moments, and give it again: the same bytes come out.

python scripts/campaign/study.py STAGE [--seed 0] [--rounds KKKKK TISHK]

A round is a study that is stopped once for each letter, K KILL, T TERM, I INT, H HUP, S STOP
followed by KILL, each some way into a step that was drawn, and then left to finish. STAGE is a
folder for what is needed and made; it is used again. The result is kept under benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from kills import hit, start
from stage import Command, content, differences, keep, labelled_tones, living, timeless

NAMES = {"K": "KILL", "T": "TERM", "I": "INT", "H": "HUP", "S": "STOP"}
RECORDS = ("study.json", "run/run.json", "run/performance.json")
SUM = re.compile(r'"run/(run\.json|report\.html)": "[0-9a-f]{64}"')
KEPT = ("study.json", "claims.csv", "report.html", "models", "run", "figures")
GRID = "{PN: [-10, 0, 9, 18, 30], MP: [8, 16, 32, 64, 128]}"
STEPS = 14
"""Of a study with one trial: 8 trainings, the run, scores, analysis, report, map, claims."""


def build(stage: Path) -> Command:
    """Make labelled tones, four recordings, and the command."""
    import soundfile

    from nearkin.audio.synthetic import clips

    manifest, music, grid = labelled_tones(stage), stage / "music", stage / "grid.yaml"
    music.mkdir(exist_ok=True)
    for name, y in clips(4):
        soundfile.write(music / f"{name}.flac", y[: 4 * 22_050], 22_050, subtype="PCM_16")
    grid.write_text(GRID)
    given = [word for task in ("at", "ir", "vs") for word in ("--manifest", f"{task}={manifest}")]
    few = ("--trials", "1", "--max-steps", "2", "--clips", "4", "--task-clips", "2")
    how = ("--threads", "1", "--workers", "2", "--quiet", "--precision", "bf16-mixed")
    words = ("reproduce", "--out", "{out}", *given, "--clips-from", str(music), *few, *how)
    return Command("study", (*words, "--grid", str(grid)))


def of_study(out: Path) -> dict[str, str]:
    """Return file -> hash. Records name the study's own folder, and sums of files that do."""
    found = {n: sha for n, sha in content(out).items() if n.split("/")[0] in KEPT}
    for name in RECORDS:
        if not (out / name).is_file():
            continue
        with contextlib.suppress(ValueError):  # a damaged one is compared as it is
            told = timeless(json.loads((out / name).read_text().replace(str(out), "STUDY")))
            told.pop("checksum", None)
            text = SUM.sub("", json.dumps(told, sort_keys=True)) if name == "study.json" else told
            found[name] = hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()[:16]
    return found


def n_done(out: Path) -> int:
    log = out / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.is_file() else 0


def wait_until(process: subprocess.Popen[str], out: Path, moment: float) -> bool:
    """Wait until so many steps are done, and a share of the next; False if the study ended."""
    before = time.monotonic()
    while n_done(out) < int(moment):
        if process.poll() is not None:
            return False
        before = time.monotonic()
        time.sleep(0.05)
    # a step takes about as long as the start of the command, or the step before it
    until = before + (moment % 1) * 20
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", nargs="+", default=["KKKKK", "TISHK"])
    given = parser.parse_args()
    stage = given.stage.resolve()
    command = build(stage)
    straight = stage / "straight"
    if n_done(straight) < STEPS:
        shutil.rmtree(straight, ignore_errors=True)
        process = start(command, stage, straight)
        _, told = process.communicate()
        if process.returncode:
            raise SystemExit(f"undisturbed: {process.returncode}\n{told}")
    expected = of_study(straight)
    rng = random.Random(given.seed)
    rows = []
    for letters in given.rounds:
        out = stage / "stopped"
        shutil.rmtree(out, ignore_errors=True)
        moments = sorted(rng.uniform(0, STEPS) for _ in letters)
        stops, faults = [], []
        for letter, moment in zip(letters, moments, strict=True):
            process = start(command, stage, out)
            if not wait_until(process, out, moment):
                told = process.communicate()[1]
                if process.returncode:
                    faults.append(f"given again: {process.returncode}: {told[-800:]}")
                continue
            stops.append({"signal": NAMES[letter], "steps_done": n_done(out)})
            hit(process, NAMES[letter])
            told = process.communicate(timeout=600)[1]
            if "Traceback" in told:
                faults.append(f"traceback after {NAMES[letter]}: {told[-800:]}")
            ended = time.monotonic() + 60
            while living(process.pid) and time.monotonic() < ended:
                time.sleep(0.25)
            if living(process.pid):
                faults.append(f"{NAMES[letter]}: its workers live on")
        process = start(command, stage, out)
        told = process.communicate()[1]
        if process.returncode:
            faults.append(f"given again: {process.returncode}: {told[-800:]}")
        faults += [f"other bytes: {name}" for name in differences(expected, of_study(out))]
        faults += [f"litter: {path.relative_to(out)}" for path in out.rglob("*.tmp")]
        rows.append({"stops": stops, "files_compared": len(expected), "faults": faults})
        print(rows[-1], flush=True)
        keep("study", {"seed": given.seed, "rounds": rows})


if __name__ == "__main__":
    main()
