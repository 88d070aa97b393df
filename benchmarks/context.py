"""May a transformation be given less of a clip's context, and what does that save?

python benchmarks/context.py MUSIC_FOLDER [--clips 8] [--grid paper] [--save]

Every point of TS, PS and MP that is given less (where `Transformation.spare` is not 0) is applied
to real clips three times: to the whole context of 4 s; to what `spare` leaves of it; and, for its
repeatability, to the context less a few samples at either end (drawn, 20 to 1,000), which ought not
to matter. What is heard, the central 2 s, is compared with that of the whole context: by DTW in the
audio space and by the cosine distance of the `mfcc` encoder. A context may be shortened where the
short one differs less than the other start does. Medians over clips; CPU milliseconds are means.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from machine import machine, save
from threadpoolctl import threadpool_limits

from nearkin.audio.features import mfcc, mfcc_statistics
from nearkin.corpora.collect import collect
from nearkin.distances import cosine, pairwise_audio
from nearkin.encoders.resolve import resolve
from nearkin.runs.describe import centre
from nearkin.runs.originals import originals
from nearkin.runs.plan import make_plan
from nearkin.tables import OK
from nearkin.transforms import transformation

CODES = ("TS", "PS", "MP")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--grid", default="paper")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    plan = make_plan({"encoders": ["constant"], "grid": arguments.grid})
    sr, heard = plan.working_rate, plan.clip_samples
    recordings = collect([str(arguments.music)])
    step = max(1, len(recordings) // arguments.clips)
    rng = np.random.default_rng(0)
    rows = []
    with threadpool_limits(limits=1):
        found = [originals(plan, one, [resolve("constant")]) for one in recordings[::step]]
        contexts = [clip.context for clips in found for clip in clips if clip.status == OK]
        for code, magnitude in plan.grid.points:
            change = transformation(code, magnitude)
            if not change.spare(2 * heard, heard=heard, sr=sr):
                continue
            spent = np.zeros(3)
            dtws, cosines = [], []
            for y in contexts:
                cuts = (0, change.spare(len(y), heard=heard, sr=sr), int(rng.integers(20, 1000)))
                made = []
                for number, cut in enumerate(cuts):
                    begun = time.process_time()
                    made.append(centre(change(y[cut : len(y) - cut], sr=sr), heard))
                    spent[number] += time.process_time() - begun
                frames = [mfcc(one, sr=sr) for one in made]
                dtws.append(pairwise_audio(frames[1:], frames[:1], measures=("dtw",))["dtw"][:, 0])
                vectors = np.stack([mfcc_statistics(one, sr=sr) for one in made])
                cosines.append(cosine(vectors[1:], vectors[:1])[:, 0])
            dtw, angle = np.median(dtws, axis=0), np.median(cosines, axis=0)
            rows.append(
                {
                    "point": f"{code} {magnitude:g}",
                    "dtw_short": round(float(dtw[0]), 1),
                    "dtw_other_start": round(float(dtw[1]), 1),
                    "cosine_short": float(f"{angle[0]:.2e}"),
                    "cosine_other_start": float(f"{angle[1]:.2e}"),
                    "cpu_ms_whole": round(1e3 * spent[0] / len(contexts), 1),
                    "cpu_ms_short": round(1e3 * spent[1] / len(contexts), 1),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    shares = [row["dtw_short"] / row["dtw_other_start"] for row in rows]
    of_code = {c: [i for i, row in enumerate(rows) if row["point"][:2] == c] for c in CODES}
    record = {
        "benchmark": "context",
        "date": time.strftime("%Y-%m-%d"),
        "clips": len(contexts),
        "points": rows,
        "points_where_short_differs_less": sum(share < 1 for share in shares),
        "short_over_other_start": {
            code: round(float(np.median([shares[i] for i in places])), 2)
            for code, places in of_code.items()
        },
        "cpu_s_a_clip": {
            name: round(sum(row[f"cpu_ms_{name}"] for row in rows) / 1e3, 3)
            for name in ("whole", "short")
        },
        "machine": machine(),
        "versions": {
            name: metadata.version(name) for name in ("nearkin", "numpy", "python-stretch", "av")
        }
        | {"python": platform.python_version()},
    }
    print(json.dumps(record))
    if arguments.save:
        save(record)


if __name__ == "__main__":
    main()
