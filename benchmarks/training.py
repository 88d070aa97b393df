"""What a training step costs, and how much of it is waiting for data.

python benchmarks/training.py MANIFEST [--tasks ae at ir vs] [--precisions 32-true bf16-mixed]
    [--device cpu] [--threads 1 2] [--beside 1 2] [--steps 20] [--save]

Each case is one process of its own, trained by nearkin.training with batches of 24 clips of 2 s
from a cache that is already filled, as `nearkin train` does: median steps per second without
validation and checkpoint, share of the time spent waiting for data, largest resident set, and on a
GPU the largest memory that torch took. The case "refetched" leaves glibc's allocator as it is,
which gives freed tensors back to the system at every step. With --beside several trainings of a
case run side by side, and steps per second are those of all together. MANIFEST needs the labels of
the tasks that are measured (rendered-vocals has vocals, rendered-tags tags, rendered-instruments
instruments); name it several times as TASK=MANIFEST for different ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from machine import machine, save


def one_case(case: dict) -> dict:
    """Train for some steps in this process; called in a process of its own."""
    import torch

    from nearkin.memory import keep_freed_memory
    from nearkin.training import Settings, train

    torch.set_num_threads(case["threads"])
    if case["kept"]:
        keep_freed_memory()
    ends: list[tuple[float, float]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done:
            ends.append((time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.safetensors"
        settings = Settings(
            case["task"],
            max_steps=case["steps"],
            period=case["steps"],
            device=case["device"],
            precision=case["precision"],
        )
        train(
            settings,
            case["manifest"],
            out,
            cache=case["cache"],
            loaders=case["loaders"],
            progress=progress,
        )
        curve = Path(f"{out}.training", "curve.csv").read_text().splitlines()
    row = dict(zip(*(line.split(",") for line in curve), strict=True))
    pairs = list(itertools.pairwise(ends))
    walls, cpus = ([after[k] - before[k] for before, after in pairs] for k in range(2))
    found = {
        "steps_per_second": round(1 / statistics.median(walls), 3),
        "cpu_s_per_step": round(statistics.median(cpus), 3),
        "waiting_share": round(float(row["waiting_share"]), 4),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if case["device"] != "cpu":
        found["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)
        found["gpu"] = torch.cuda.get_device_name()
    return found


def cases(arguments: argparse.Namespace, cache: str) -> list[dict]:
    manifests = dict(word.split("=", 1) for word in arguments.manifest if "=" in word)
    rest = [word for word in arguments.manifest if "=" not in word]
    found = []
    for task in arguments.tasks:
        for precision in arguments.precisions:
            for threads in arguments.threads:
                several = [(beside, True) for beside in arguments.beside]
                if arguments.device == "cpu" and 1 in arguments.beside:
                    several.append((1, False))
                for beside, kept in several:
                    case = {"task": task, "manifest": manifests.get(task, rest and rest[0])}
                    case |= {"precision": precision, "threads": threads, "kept": kept}
                    case |= {"beside": beside}
                    case |= {"device": arguments.device, "steps": arguments.steps}
                    case |= {"loaders": arguments.loaders, "cache": cache}
                    found.append(case)
    return found


def together(words: list[str], beside: int) -> dict:
    """Train the same several times at once; return the steps of all, and the most of the rest."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(words, **pipes) for _ in range(beside)]
    found = []
    for process in running:
        told, error = process.communicate()
        if process.returncode:
            raise SystemExit(error)
        found.append(json.loads(told.splitlines()[-1]))
    steps = sum(one["steps_per_second"] for one in found)
    most = max(found, key=lambda one: one["cpu_s_per_step"])
    return {**most, "steps_per_second": round(steps, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", nargs="+")
    parser.add_argument("--tasks", nargs="+", default=["ae", "at", "ir", "vs"])
    parser.add_argument("--precisions", nargs="+", default=["32-true", "bf16-mixed"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--beside", type=int, nargs="+", default=[1], help="trainings at once")
    parser.add_argument("--loaders", type=int, help="processes that make batches [as train]")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cache", help="folder for decoded audio [a temporary one]")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(one_case(arguments.case)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases(arguments, arguments.cache or folder)):
            words = [sys.executable, __file__, *arguments.manifest, "--case"]
            if number == 0 or case["task"] != results[-1]["task"]:  # decode beforehand
                subprocess.run([*words, json.dumps({**case, "steps": 2})], check=True)
            shown = ("task", "precision", "device", "threads", "beside", "kept")
            results.append(
                {key: case[key] for key in shown}
                | together([*words, json.dumps(case)], case["beside"])
            )
            print(json.dumps(results[-1]), flush=True)
    print("task precision  threads  beside memory    steps/s  CPU s  waiting  peak MB")
    for row in results:
        memory = "kept" if row["kept"] else "refetched"
        print(
            f"{row['task']:4} {row['precision']:10} {row['threads']:7} {row['beside']:7} "
            f"{memory:9} "
            f"{row['steps_per_second']:7.2f} {row['cpu_s_per_step']:6.2f} "
            f"{row['waiting_share']:8.2%} {row['peak_mb']:8}"
        )
    record = {
        "benchmark": "training" if arguments.device == "cpu" else "training-gpu",
        "date": time.strftime("%Y-%m-%d"),
        "batch": 24,
        "clip_s": 2.0,
        "steps": arguments.steps,
        "results": results,
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("nearkin", "torch", "lightning")},
        },
    }
    print(json.dumps(record))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
