"""Where do the CPU seconds of a clip go? Every stage of a run's queries, and each encoder.

python benchmarks/stages.py MUSIC_FOLDER [--clips 16] [--grid paper] [--label before] [--save]

Clips are taken from recordings and asked at every point of the grid by `mfcc` and the seven
references, in one process with one thread. Seconds are CPU seconds a clip (mean over clips; the
first clip, which pays for imports and compiled code, is left out). Distances are measured against
these few clips and are told apart: they grow with the number of clips (benchmarks/distances.py).
The digest is of everything the queries gave, and of nothing else: equal digests are equal results.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, save
from threadpoolctl import threadpool_limits

from nearkin import audio
from nearkin.corpora.collect import collect
from nearkin.distances import PackedOriginals
from nearkin.encoders.resolve import REFERENCES, TRAINED, resolve
from nearkin.runs import describe, queries
from nearkin.runs.clips import Queries
from nearkin.runs.originals import originals
from nearkin.runs.plan import make_plan
from nearkin.tables import OK

SPENT: dict[str, float] = defaultdict(float)


def timed(name: Callable[..., str], function: Callable) -> Callable:
    """Return a function whose CPU time is added to a stage of that name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            SPENT[name(*args, **kwargs)] += time.process_time() - begun

    return call


def timed_rows(function: Callable) -> Callable:
    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        rows = function(*args, **kwargs)
        while True:
            begun = time.process_time()
            row = next(rows, None)
            SPENT["distances"] += time.process_time() - begun
            if row is None:
                return
            yield row

    return call


def watch() -> None:
    """Time the stages where they are called, without a word in the package itself."""
    queries._applied = timed(lambda change, signal, plan, point, clip: point.code, queries._applied)
    audio.loudness_lufs = timed(lambda *a, **k: "loudness", audio.loudness_lufs)
    audio.resample = timed(lambda *a, **k: "resampling", audio.resample)
    queries.frames_of = timed(lambda *a: "MFCC of the audio space", queries.frames_of)
    describe.embed = timed(lambda encoder, *a: f"encoder {encoder.label}", describe.embed)
    queries.iter_pairwise_audio = timed_rows(queries.iter_pairwise_audio)


def digest(all_queries: list[Queries]) -> str:
    found = hashlib.sha256()
    for one in all_queries:
        found.update(repr(one.status).encode())
        found.update(one.effective.tobytes() + one.distances.tobytes())
        for label in sorted(one.vectors):
            found.update(label.encode() + np.asarray(one.vectors[label].array).tobytes())
    return found.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--grid", default="paper")
    parser.add_argument("--label", default="", help="what this state of the code is called")
    parser.add_argument("--keep", type=Path, help="write the embeddings here (npz)")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()

    specs = (*REFERENCES, *TRAINED)
    plan = make_plan({"encoders": specs, "grid": arguments.grid})
    encoders = [resolve(spec) for spec in specs]
    recordings = collect([str(arguments.music)])
    step = max(1, len(recordings) // (arguments.clips + 1))  # from all over the collection
    with threadpool_limits(limits=1):
        clips = []
        for recording in recordings[::step]:
            clips += [c for c in originals(plan, recording, encoders) if c.status == OK]
            if len(clips) > arguments.clips:
                break
        space = PackedOriginals([clip.frames for clip in clips])
        noise = queries.noise_library(plan)
        watch()
        found, totals = [], []
        for place, clip in enumerate(clips[: arguments.clips + 1]):
            if place == 1:
                SPENT.clear()
            begun = time.process_time()
            found.append(queries.queries(plan, clip, space, encoders, noise=noise, own=place))
            totals.append(time.process_time() - begun)
    n = len(found) - 1
    stages = {name: round(value / n, 4) for name, value in SPENT.items()}
    total = float(np.mean(totals[1:]))
    stages["the rest"] = round(total - sum(stages.values()), 4)
    if arguments.keep:
        values = {
            f"{place} {label}": vectors.array
            for place, one in enumerate(found)
            for label, vectors in one.vectors.items()
        }
        np.savez(arguments.keep, **values)
    record = {
        "benchmark": "stages",
        "date": time.strftime("%Y-%m-%d"),
        "label": arguments.label,
        "commit": subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        ).stdout.strip(),
        "grid": arguments.grid,
        "clips": n,
        "cpu_s_a_clip": round(total, 3),
        "cpu_s_a_clip_by_stage": stages,
        "digest": digest(found),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "machine": machine(),
        "versions": {
            name: metadata.version(name) for name in ("nearkin", "numpy", "librosa", "onnxruntime")
        }
        | {"python": platform.python_version()},
    }
    for name, value in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"{name:28} {value:8.3f}")
    print(f"{'all':28} {total:8.3f}")
    print(json.dumps(record))
    if arguments.save:
        save(record | {"benchmark": f"stages-{arguments.label}"})


if __name__ == "__main__":
    main()
