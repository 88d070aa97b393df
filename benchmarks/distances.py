"""How long does a pair of clips take in the audio space, here and with the usual tools?

Prints microseconds of CPU time per pair on one core (medians of interleaved repeats, so that a
busy machine slows every candidate alike), the scaling to two threads, the start of a process and
the latent distances; then one JSON line with machine and versions, which ``--save`` also writes to
``benchmarks/results/<date>-distances.json``.

Peers: fastdtw (``pip install fastdtw``; the pure Python version, ``dist=2``, radius 1, the paper's
measure), dtaidistance and librosa (exact DTW), SiMPle in numpy and scipy.
The sequences are synthetic, like MFCCs.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from llvmlite import binding as llvm
from scipy.spatial.distance import cdist

from nearkin.distances import PackedOriginals, cosine, euclidean, pairwise_audio

RESULTS = Path(__file__).parent / "results"
START = """
import time
started = time.perf_counter()
import numpy as np
from nearkin.distances import PackedOriginals, pairwise_audio
clips = np.zeros((16, 87, 24), dtype=np.float32)
pairwise_audio(clips[:1], PackedOriginals(clips))
print(time.perf_counter() - started, time.process_time())
"""


def clips(n, frames, seed=0):
    """Float32 [n, frames, 24]: slow random walks about a level of their own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, frames, 24)) * 30
    for t in range(1, frames):
        x[:, t] = 0.8 * x[:, t - 1] + 0.6 * x[:, t]
    return (x + rng.normal(size=(n, 1, 24)) * 50).astype(np.float32)


def numpy_simple(a, b, m=50):
    """SiMPle from its definition: m shifted copies of the squared distances, added up."""
    squared = cdist(a, b, "sqeuclidean")
    rows, columns = len(a) - m + 1, len(b) - m + 1
    windows = np.zeros((rows, columns))
    for t in range(m):
        windows += squared[t : t + rows, t : t + columns]
    return np.median(windows.min(axis=1))


def candidates(frames):
    """Name -> (number of pairs, function that compares them)."""
    import librosa
    from dtaidistance import dtw_ndim

    x = clips(320, frames)
    packed, few = PackedOriginals(x), x[:40].astype(np.float64)

    def ours(*measures):
        return lambda: pairwise_audio(x[:4], packed, measures=measures)

    def librosa_dtw():
        for b in x[1:11]:
            librosa.sequence.dtw(x[0].T, b.T, metric="euclidean", backtrack=False)

    def simple_numpy():
        for b in x[1:11]:
            numpy_simple(x[0], b)

    found = {
        "nearkin dtw": (4 * 320, ours("dtw")),
        "nearkin dtw + simple": (4 * 320, ours("dtw", "simple")),
        "nearkin dtw + simple both ways": (4 * 320, ours("dtw", "simple", "simple_reverse")),
        "dtaidistance dtw (C)": (
            40 * 39 // 2,
            lambda: dtw_ndim.distance_matrix_fast(few, inner_dist="euclidean", parallel=False),
        ),
        "librosa dtw": (10, librosa_dtw),
        "numpy simple": (10, simple_numpy),
    }
    try:
        from fastdtw import fastdtw
    except ModuleNotFoundError:
        print("fastdtw is not installed: left out; pip install fastdtw", file=sys.stderr)
    else:
        found["fastdtw (Python)"] = (2, lambda: [fastdtw(x[0], b, dist=2) for b in x[1:3]])
    return found


def median_times(jobs, repeats, clock):
    """Median seconds of every job; one repeat of each in turn."""
    for job in jobs.values():
        job()
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            started = clock()
            job()
            seconds[name].append(clock() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def peak_gflops():
    """What a loop of fused multiply-adds reaches on one core, to compare machines by."""
    from numba import njit

    from nearkin.distances import simd

    @njit
    def loop(x, n):
        a = b = c = d = e = f = g = h = simd.load(x, 0)
        for _ in range(n):
            a = simd.multiply_add(a, a, a)
            b = simd.multiply_add(b, b, b)
            c = simd.multiply_add(c, c, c)
            d = simd.multiply_add(d, d, d)
            e = simd.multiply_add(e, e, e)
            f = simd.multiply_add(f, f, f)
            g = simd.multiply_add(g, g, g)
            h = simd.multiply_add(h, h, h)
        total = simd.add(simd.add(simd.add(a, b), simd.add(c, d)), simd.add(e, f))
        simd.store(x, 0, simd.add(total, simd.add(g, h)))

    x, n = np.zeros(simd.WIDTH, dtype=np.float32), 1_000_000
    best = min(
        median_times({"loop": lambda: loop(x, n)}, 1, time.process_time)["loop"] for _ in range(7)
    )
    return n * 8 * simd.WIDTH * 2 / best / 1e9


def kernel_on_this_machine(gflops, us):
    """Return what the kernel's code is made of, and how near it comes to the machine's peak.

    A term of a distance between frames is a subtraction and a fused multiply-add; the floor is the
    time of the latter alone. Registers are counted in the machine code of the fused multiply-adds:
    zmm hold 16 numbers, ymm 8.
    """
    from nearkin.distances import kernels

    x = clips(16, 87)
    (group,) = PackedOriginals(x)._groups
    query = np.zeros((88, 24), dtype=np.float32)
    query[:87] = x[0]
    out = [np.empty(16, dtype=np.float32) for _ in range(3)]
    compiled = kernels.without_cache(kernels.lanes_audio)
    compiled(query, 87, group.packed, 50, *out)
    (code,) = compiled.inspect_asm().values()
    found = re.findall(r"\bv?fn?m(?:add|sub|la)\S*ps\b[^\n]*?%([xyz])mm", code)
    floor = 87 * 87 * 24 * 2 / gflops / 1e3
    return {
        "lanes": kernels.LANES,
        "multiply_adds_in": {f"{one}mm": found.count(one) for one in sorted(set(found))},
        "floor_us": round(floor, 2),
        "share_of_multiply_add_peak": {name: round(floor / value, 2) for name, value in us.items()},
    }


def thread_speed_up(repeats):
    """Speed-up by two threads: in wall time, and what it would be on an idle machine.

    The latter is twice the CPU time with one thread over that with two; it leaves out the wait
    for cores that others use, and would not show threads that wait for each other.
    """
    x = clips(320, 87)
    packed = PackedOriginals(x)
    seconds = {clock: {1: [], 2: []} for clock in (time.perf_counter, time.process_time)}
    for _ in range(5 * repeats):
        for threads in (1, 2):
            started = {clock: clock() for clock in seconds}
            pairwise_audio(x[:32], packed, threads=threads)
            for clock, begin in started.items():
                seconds[clock][threads].append(clock() - begin)
    wall, cpu = (np.median(found[1]) / np.median(found[2]) for found in seconds.values())
    return {"wall": round(float(wall), 2), "idle": round(float(2 * cpu), 2)}


def start_seconds():
    """Seconds to the first result of new processes, ``{state: {clock: seconds}}``."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            subprocess.run(
                [sys.executable, "-c", START],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            for _ in range(4)
        ]
    seconds = np.array([run.stdout.split() for run in runs], dtype=float)
    states = {"compiling": seconds[0], "cached": np.median(seconds[1:], axis=0)}
    return {
        name: {"wall": round(float(wall), 2), "cpu": round(float(cpu), 2)}
        for name, (wall, cpu) in states.items()
    }


def kernel_alone(result, options):
    """Time the kernel alone, and the machine's peak before and after it: others may be at work."""
    x = clips(320, 87)
    packed = PackedOriginals(x)
    jobs = {
        f"nearkin {' + '.join(measures)}": functools.partial(
            pairwise_audio, x[:4], packed, measures=measures
        )
        for measures in (("dtw",), ("dtw", "simple"))
    }
    seconds = median_times(jobs, 3 * options.repeats, time.process_time)
    us = {name: round(value / (4 * 320) * 1e6, 2) for name, value in seconds.items()}
    gflops = max(result["peak_gflops_per_core"], round(peak_gflops(), 1))
    result |= {"us_per_pair": {"87": us}, "peak_gflops_per_core": gflops}
    result |= {"kernel": kernel_on_this_machine(gflops, us), "machine": machine()}
    result["versions"] = {name: version(name) for name in ("nearkin", "numba", "llvmlite")}
    print(json.dumps(result))
    if options.save:
        path = RESULTS / f"{datetime.date.today():%Y-%m-%d}-kernel.json"
        path.write_text(json.dumps(result) + "\n")


def machine():
    """Return the processor, what LLVM compiles for, the cores and how busy they are."""
    return {
        "cpu": cpu_model(),
        "target": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    parser.add_argument("--kernel", action="store_true", help="the kernel alone, without peers")
    options = parser.parse_args()

    result = {"us_per_pair": {}, "peak_gflops_per_core": round(peak_gflops(), 1)}
    print(f"fused multiply-adds: {result['peak_gflops_per_core']} GFLOP/s a core")
    if options.kernel:
        kernel_alone(result, options)
        return
    for frames in (87, 173):
        jobs = candidates(frames)
        seconds = median_times(
            {name: job for name, (_, job) in jobs.items()}, options.repeats, time.process_time
        )
        us = {name: seconds[name] / pairs * 1e6 for name, (pairs, _) in jobs.items()}
        result["us_per_pair"][str(frames)] = {name: round(value, 2) for name, value in us.items()}
        print(f"\n{frames} x {frames} frames, 24 dimensions{'us a pair a core':>35}{'times':>9}")
        for name, value in us.items():
            print(f"  {name:<32}{value:>28.2f}{value / us['nearkin dtw + simple']:>9.1f}")

    ours = {n: v for n, v in result["us_per_pair"]["87"].items() if n.startswith("nearkin")}
    result["kernel"] = kernel_on_this_machine(result["peak_gflops_per_core"], ours)
    print(f"kernel: {result['kernel']}")

    z = np.random.default_rng(0).normal(size=(1000, 256))
    latent = median_times(
        {"euclidean": lambda: euclidean(z, z), "cosine": lambda: cosine(z, z)},
        options.repeats,
        time.process_time,
    )
    result["latent_1000x1000x256_s"] = {name: round(s, 3) for name, s in latent.items()}
    result["two_threads_speed_up"] = thread_speed_up(options.repeats)
    result["first_call_s"] = start_seconds()
    for name in ("latent_1000x1000x256_s", "two_threads_speed_up", "first_call_s"):
        print(f"{name}: {result[name]}")

    result["machine"] = machine()
    result["versions"] = {"python": platform.python_version()} | {
        name: version(name)
        for name in ("nearkin", "numpy", "numba", "llvmlite", "dtaidistance", "librosa")
    }
    if "fastdtw (Python)" in result["us_per_pair"]["87"]:
        result["versions"]["fastdtw"] = version("fastdtw")
    line = json.dumps(result)
    print(line)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{datetime.date.today():%Y-%m-%d}-distances.json"
        path.write_text(line + "\n")


if __name__ == "__main__":
    main()
