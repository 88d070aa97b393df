"""How long do a run's queries take among 10,000, 100,000 and a million other recordings?

Vectors are synthetic and like music: clusters within clusters on a few dozen directions, some
twice; a change draws every query towards one common place, as noise does, so that at the gravest
points many others are nearer than the own original. Galleries are memory-mapped float32.

Prints seconds (wall, and CPU of all threads) of ranks and intruders by both distances, the peak of
memory, and beside them faiss-cpu's IndexFlat (``pip install faiss-cpu``), which is only asked for
the nearest one (``search(queries, 1)``): on the same points of the grid, in turn. Then what both
found is held together, and some queries to float64 distances to all. One JSON line;
``--save`` also writes it to ``benchmarks/results/<date>-gallery.json``.

    python benchmarks/gallery.py --sizes 10000 100000 1000000 --peer-points 9
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from machine import machine, save

from nearkin.gallery.search import DISTANCES, nearer

D = 512
DIRECTIONS = 48
BLOCK = 50_000


class Music:
    """Vectors of recordings, and of changed clips of them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.basis = (
            self.rng.normal(size=(DIRECTIONS, D)) / np.sqrt(np.arange(1, DIRECTIONS + 1))[:, None]
        )
        self.genres = self.rng.normal(size=(20, DIRECTIONS))
        self.artists = self.rng.integers(20, size=2_000)
        self.styles = self.genres[self.artists] + 0.6 * self.rng.normal(size=(2_000, DIRECTIONS))
        self.noisy = self.rng.normal(size=D) * 2

    def recordings(self, n: int) -> np.ndarray:
        """Return float32 [n, D]: one in fifty is there twice."""
        style = self.styles[self.rng.integers(len(self.styles), size=n)]
        place = style + 0.4 * self.rng.normal(size=(n, DIRECTIONS))
        made = place @ self.basis + 0.1 * self.rng.normal(size=(n, D)) + 3.0
        twice = self.rng.choice(n, size=(2, max(1, n // 50)), replace=False)
        made[twice[0]] = made[twice[1]]
        return made.astype(np.float32)

    def changed(self, originals: np.ndarray, points: int) -> np.ndarray:
        """Return float32 [clip, point, D], point after point graver."""
        severity = np.linspace(0.02, 0.95, points)[None, :, None]
        strength = severity * self.rng.uniform(0.5, 1.0, size=(len(originals), 1, 1))
        drawn = (1 - strength) * originals[:, None] + strength * (self.noisy + 3.0)
        grain = strength * self.rng.normal(size=(len(originals), points, D)).astype("f4")
        return (drawn + 0.2 * grain).astype(np.float32)


def gallery_file(folder: Path, music: Music, n: int) -> np.ndarray:
    """Write vectors block by block; return them memory-mapped, to be read."""
    path = folder / f"{n}.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, D))
    for start in range(0, n, BLOCK):
        made[start : start + BLOCK] = music.recordings(min(BLOCK, n - start))
    made.flush()
    del made
    return np.load(path, mmap_mode="r")


def own_distances(queries: np.ndarray, originals: np.ndarray, distance: str) -> np.ndarray:
    """Return each changed clip's distance to its own original, float64 [clip, point]."""
    measure = DISTANCES[distance]
    return np.stack([measure(q, o[None])[:, 0] for q, o in zip(queries, originals, strict=True)])


def timed(act) -> tuple[dict[str, float], object]:
    """Return seconds, of the wall's clock and of all threads, and what came out."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = act()
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {name: round(value, 2) for name, value in spent.items()}, found


def faiss_index(gallery: np.ndarray, distance: str):
    """Return faiss's flat index of a gallery; for cosine of unit vectors, as its manual says."""
    import faiss

    index = faiss.IndexFlatIP(D) if distance == "cosine" else faiss.IndexFlatL2(D)
    for start in range(0, len(gallery), BLOCK):
        block = np.array(gallery[start : start + BLOCK])
        if distance == "cosine":
            faiss.normalize_L2(block)
        index.add(block)
    return index


def asked_of_faiss(index, queries: np.ndarray, distance: str, k: int) -> tuple:
    """Return faiss's k nearest: distances as ours, and rows."""
    import faiss

    q = queries.copy()
    if distance == "cosine":
        faiss.normalize_L2(q)
    scores, rows = index.search(q, k)
    return (1 - scores if distance == "cosine" else np.sqrt(np.maximum(scores, 0))), rows


def held_together(ours, own, near, rows, queries, gallery, distance: str) -> dict[str, object]:
    """Compare what we and faiss (its k nearest) found of some queries; say by how much they differ.

    A rank can be had from k neighbours where fewer than k are nearer than the own original.
    """
    k = near.shape[1]
    told = near[:, -1] > own
    counts = (near <= own[:, None]).sum(axis=1)
    other = np.flatnonzero(told & (counts != ours.n_nearer))
    # of these, how far the distances that were counted apart lie from the own one
    gaps = [float(np.abs(near[i] - own[i]).min() / max(own[i], 1e-12)) for i in other]
    apart = np.flatnonzero(rows[:, 0] != ours.nearest)
    worse = [
        i
        for i in apart
        if DISTANCES[distance](queries[i : i + 1], gallery[rows[i, :1]].astype("f8"))[0, 0]
        < ours.d_nearest[i]
    ]
    twins = [i for i in apart if np.array_equal(gallery[rows[i, 0]], gallery[ours.nearest[i]])]
    return {
        "queries": len(own),
        "ranks that faiss's neighbours tell": int(told.sum()),
        "k": k,
        "equal ranks": int(told.sum()) - len(other),
        "largest relative gap where ranks differ": max(gaps, default=0.0),
        "equal intruders": len(own) - len(apart),
        "intruders that are a twin of ours": len(twins),
        "intruders of faiss that are nearer than ours": len(worse),
    }


def held_to_float64(ours, own, queries, gallery, distance: str, places) -> bool:
    """Tell whether ranks and intruders are those of float64 distances to all."""
    for i in places:
        least, nearest, count = np.inf, -1, 0
        for start in range(0, len(gallery), BLOCK):
            d = DISTANCES[distance](queries[i : i + 1], gallery[start : start + BLOCK])[0]
            count += int((d <= own[i]).sum())
            if d.min() < least:
                least, nearest = d.min(), start + int(d.argmin())
        if (count, nearest, least) != (ours.n_nearer[i], ours.nearest[i], ours.d_nearest[i]):
            return False
    return True


def measured(gallery, music: Music, distance: str, asked: argparse.Namespace) -> dict[str, object]:
    """Return one row of the result: a gallery and a distance."""
    originals = music.recordings(asked.clips)
    queries = music.changed(originals, asked.points)
    own = own_distances(queries, originals, distance)
    flat, limits = queries.reshape(-1, D), own.ravel()
    warm = nearer(flat[:64], limits[:64], gallery[:64], distance=distance)
    del warm
    spent, found = timed(lambda: nearer(flat, limits, gallery, distance=distance))
    lost = (found.n_nearer.reshape(own.shape) > 0).mean(axis=0)
    row: dict[str, object] = {
        "gallery": len(gallery),
        "distance": distance,
        "clips": asked.clips,
        "points": asked.points,
        "nearkin_s": spent,
        "lost at the first, middle, last point": [
            round(float(lost[i]), 3) for i in (0, len(lost) // 2, -1)
        ],
        "peak_gb_nearkin": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    places = music.rng.choice(len(flat), asked.checked, replace=False)
    row["float64 agrees"] = held_to_float64(found, limits, flat, gallery, distance, places)
    try:
        import faiss
    except ModuleNotFoundError:
        print("faiss is not installed: left out; pip install faiss-cpu", file=sys.stderr)
        return row
    faiss.omp_set_num_threads(machine()["cores"])
    build, index = timed(lambda: faiss_index(gallery, distance))
    chosen = np.linspace(0, asked.points - 1, min(asked.points, asked.peer_points)).astype(int)
    some = np.ascontiguousarray(queries[:, chosen].reshape(-1, D))
    some_own = own[:, chosen].ravel()
    again = asked.repeats > 1 or len(chosen) < asked.points
    pairs = [
        (
            timed(lambda: asked_of_faiss(index, some, distance, 1))[0],
            timed(lambda: nearer(some, some_own, gallery, distance=distance))[0]
            if again
            else spent,
        )
        for _ in range(asked.repeats)
    ]
    row["peer"] = {
        "points": len(chosen),
        "faiss_build_s": build,
        "faiss_s": [faiss_s for faiss_s, _ in pairs],
        "nearkin_s": [ours_s for _, ours_s in pairs],
        "nearkin / faiss, CPU": round(
            float(np.median([ours_s["cpu"] / faiss_s["cpu"] for faiss_s, ours_s in pairs])), 2
        ),
        "nearkin / faiss, wall": round(
            float(np.median([ours_s["wall"] / faiss_s["wall"] for faiss_s, ours_s in pairs])), 2
        ),
    }
    few = music.rng.choice(len(flat), min(len(flat), 1_000), replace=False)
    near, rows = asked_of_faiss(index, np.ascontiguousarray(flat[few]), distance, 100)
    part = type(found)(*(array[few] for array in found))
    row["against faiss"] = held_together(
        part, limits[few], near.astype("f8"), rows, flat[few], gallery, distance
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--distances", nargs="+", default=list(DISTANCES), choices=list(DISTANCES))
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--points", type=int, default=91)
    parser.add_argument("--peer-points", type=int, default=91, help="points that faiss is asked")
    parser.add_argument("--checked", type=int, default=10, help="queries held to float64")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the vectors lie meanwhile")
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args()
    rows = []
    if asked.folder:
        asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        for size in asked.sizes:
            music = Music(size)
            gallery = gallery_file(Path(name), music, size)
            for distance in asked.distances:
                rows.append(measured(gallery, music, distance, asked))
                print(json.dumps(rows[-1], indent=1), file=sys.stderr)
            del gallery
            (Path(name) / f"{size}.npy").unlink()
    record = {
        "benchmark": "gallery",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **machine(),
        "dimensions": D,
        "rows": rows,
        "versions": {
            package: version(package)
            for package in ("nearkin", "numpy", "numba", "faiss-cpu")
            if package != "faiss-cpu" or any("peer" in row for row in rows)
        },
    }
    print(json.dumps(record))
    if asked.save:
        save(record)


if __name__ == "__main__":
    main()
