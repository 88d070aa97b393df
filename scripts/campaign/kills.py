"""Stop every command that writes, at random moments, and give it again: the same bytes come out.

python scripts/campaign/kills.py STAGE [--kills 100] [--seed 0] [--no-torch] [--signals KILL]

Signals are KILL, TERM, HUP, INT, STOP followed by KILL, and STOP followed by CONT, after which the
command must finish by itself. Moments are shares of the processor time that the whole command
takes, so that a busy machine shifts none. STAGE is a folder for what is needed
and made; it is used again. The result is kept under benchmarks/results.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from stage import Command, build, content, differences, is_one_sentence, keep, living, spent

SIGNALS = ("KILL", "TERM", "HUP", "INT", "STOP", "CONT")


def start(command: Command, stage: Path, out: Path) -> subprocess.Popen[str]:
    command.begin(stage, out)
    return subprocess.Popen(
        command.at(out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def hit(process: subprocess.Popen[str], name: str) -> None:
    if name == "CONT":  # all that work on it stand still for a while
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.killpg(process.pid, signal.SIGCONT)
        return
    process.send_signal(getattr(signal, f"SIG{name}"))
    if name == "STOP":
        time.sleep(0.5)
        process.kill()


def worked(process: subprocess.Popen[str], seconds: float) -> bool:
    """Wait until a command took so much processor time; tell whether it is still at work."""
    while process.poll() is None:
        if spent(process.pid) >= seconds:
            return True
        time.sleep(0.2)
    return False


def undisturbed(command: Command, stage: Path) -> tuple[float, dict[str, str]]:
    """Return a command's processor seconds, and what it leaves; done once for a stage."""
    out, timed = stage / "straight" / command.name, stage / "straight" / f"{command.name}.cpu"
    if not timed.is_file():
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = start(command, stage, out)
        _, told = process.communicate()
        if process.returncode:
            raise SystemExit(f"{command.name}: {process.returncode}\n{told}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        timed.write_text(str(took))
    return float(timed.read_text()), content(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--each", type=int, default=3, help="of one try, before it may finish")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--only", nargs="*", help="these commands")
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=SIGNALS)
    given = parser.parse_args()
    stage = given.stage.resolve()
    commands = build(stage, torch=not given.no_torch)
    commands = [c for c in commands if not given.only or c.name in given.only]
    rng = random.Random(given.seed)
    whole, straight = {}, {}
    for command in commands:
        whole[command.name], straight[command.name] = undisturbed(command, stage)
    rows = {
        c.name: {"kills": 0, "by": {}, "moments": [], "finished": 0, "faults": []} for c in commands
    }
    for number in itertools.count():
        n = sum(row["kills"] for row in rows.values())
        if n >= given.kills:
            break
        command = commands[number % len(commands)]
        row = rows[command.name]
        out = stage / "broken" / command.name
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        for attempt in range(given.each + 2):
            process = start(command, stage, out)
            name = given.signals[rng.randrange(len(given.signals))]
            share = rng.uniform(0.1, 1.0) if attempt < given.each else math.inf
            at_work = worked(process, share * whole[command.name])
            if at_work:
                hit(process, name)
                row["kills"] += 1
                row["by"][name] = row["by"].get(name, 0) + 1
                row["moments"].append(round(share, 2))
            _, told = process.communicate(timeout=600)
            if at_work and name != "CONT":
                if "Traceback" in told:
                    row["faults"].append(f"traceback after {name}: {told[-800:]}")
                for _ in range(40):
                    if not living(process.pid):
                        break
                    time.sleep(0.25)
                else:
                    row["faults"].append(f"{name}: its workers live on")
                continue
            if process.returncode:
                sentence = "" if is_one_sentence(told) else " (not one sentence)"
                row["faults"].append(f"given again: {process.returncode}{sentence}: {told[-800:]}")
                break
            row["finished"] += 1
            other = differences(straight[command.name], content(out))
            if other:
                row["faults"].append(f"other bytes: {other[:5]}")
            litter = [str(p.relative_to(out)) for p in out.rglob("*.tmp")]
            if litter:
                row["faults"].append(f"litter: {litter[:5]}")
            break
        print(f"{n} {command.name} {row['kills']} {row['faults'][-1:]}", flush=True)
        # kept after every round: a campaign may be stopped too
        name = "-".join(["kills", *(given.only or [])])
        path = keep(name, {"seed": given.seed, "commands": rows})
    faults = sum(len(row["faults"]) for row in rows.values())
    print(f"{sum(row['kills'] for row in rows.values())} kills, {faults} faults: {path}")


if __name__ == "__main__":
    main()
