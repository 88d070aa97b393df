"""Plausible tables made without audio, in the formats a run writes; for tests of what reads them.

Every clip draws a threshold of severity for each transformation and encoder and errs above it, so
that C_W, its ranks, C_B_acc and the failures agree with one another; the rest is drawn smoothly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nearkin.report.data import ReportData

PAPER = {
    "PN": [-15, -10, -6, -3, 3, 6, 9, 12, 15, 18, 21, 24, 27, 27.5, 28, 28.5, 29, 29.5, 30],
    "EN": [-15, -10, -6, -3, 3, 6, 9, 12, 15, 18, 21, 24, 27, 27.5, 28, 28.5, 29, 29.5, 30],
    "TS": [
        *(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.92, 0.94, 0.96, 0.98),
        *(1.02, 1.04, 1.06, 1.08, 1.1, 1.2, 1.3, 1.4, 1.5),
    ],
    "PS": [
        *(-12, -10, -8, -6, -4, -2, -1, -0.75, -0.5, -0.25),
        *(0.25, 0.5, 0.75, 1, 2, 4, 6, 8, 10, 12),
    ],
    "MP": [8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192],
}
IMPERCEPTIBLE = {"PN": [30], "EN": [30], "TS": [0.98, 1.02], "PS": [-0.25, 0.25], "MP": [192]}
AUDIO = ("dtw", "simple")
LATENT = ("euclidean", "cosine")
STRENGTH = {
    "audio": 0.93,
    "mfcc": 0.9,
    "logmel-projection": 0.75,
    "good": 0.85,
    "middling": 0.6,
    "poor": 0.2,
}
STRENGTH |= {"vgg at": 0.8, "vgg ae": 0.3}
COLUMNS = [
    *("encoder", "task", "trial", "measure", "audio_distance", "latent_distance"),
    *("transformation", "magnitude", "value", "ci_low", "ci_high", "n", "chance", "status", "side"),
]


def _gravity(code: str, magnitude: float) -> float:
    """0 (mild) to 1 (grave)."""
    if code in ("PN", "EN"):
        return (30 - magnitude) / 45
    if code == "TS":
        return abs(np.log2(magnitude)) / 2.5
    if code == "PS":
        return abs(magnitude) / 12
    return float(np.log2(192 / magnitude) / np.log2(24))


def _side(code: str, magnitude: float) -> str:
    if code == "TS":
        return "slower" if magnitude < 1 else "faster"
    if code == "PS":
        return "down" if magnitude < 0 else "up"
    return ""


def fabricate(
    *,
    tested: tuple[tuple[str, str], ...] = (("good", ""), ("poor", "")),
    references: tuple[str, ...] = ("mfcc", "logmel-projection", "constant"),
    grid: dict[str, list[float]] | None = None,
    n: int = 40,
    trials: int = 1,
    failures_each: int = 4,
    audio_bytes: int = 900,
    name_of: Any = None,
    seed: int = 0,
) -> ReportData:
    """Return the data of a made-up run; ``name_of(i)`` names the i-th file."""
    rng = np.random.default_rng(seed)
    grid = PAPER if grid is None else grid
    points = [(code, float(value)) for code, values in grid.items() for value in values]
    ids = np.array([f"c{i:04d}" for i in range(n)])
    name_of = name_of or (lambda i: f"album {i % 7}/track {i:03d}.ogg")
    clips = pd.DataFrame(
        {
            "clip_id": ids,
            "path": pd.Series([name_of(i) for i in range(n)], dtype=object),
            "start_s": np.round(rng.uniform(0, 100, n), 3),
            "duration_s": 2.0,
            "context_s": 4.0,
            "loudness_lufs": np.round(rng.normal(-18, 3, n), 2),
            "content_sha256": [f"{i:064x}" for i in range(n)],
            "status": "ok",
        }
    )
    skipped = clips.head(2).assign(
        clip_id=["s1", "s2"],
        path=pd.Series(["broken.mp3", "short.wav"], dtype=object),
        status=["no audio stream", "too short: 1.2 s, needs 3 s"],
    )
    queries: list[pd.DataFrame] = []
    rows: list[dict[str, Any]] = []
    wrong: dict[tuple[Any, ...], np.ndarray] = {}

    def ask(encoder: str, task: str, trial: int, space: str, distance: str, jitter: float) -> None:
        label = f"{encoder} {task}".strip()
        strength = STRENGTH.get(label, STRENGTH.get(encoder, 0.5)) + jitter
        for code in ["OG", *grid]:
            threshold = rng.logistic(strength * 0.8, 0.13, n)
            for value in [0.0] if code == "OG" else map(float, grid[code]):
                gravity = 0.0 if code == "OG" else _gravity(code, value)
                bad = (gravity > threshold) & (code != "OG") | (encoder == "constant")
                key = (encoder, task, trial, distance, code, value)
                wrong[key] = bad
                own = 0.0 if code == "OG" or encoder == "constant" else 0.05 + gravity
                d_own = own * rng.uniform(0.8, 1.2, n)
                gap = np.where(bad, -0.9 * d_own, 0.3) * rng.uniform(0.05, 1, n)
                gap *= encoder != "constant"
                queries.append(
                    pd.DataFrame(
                        {
                            "encoder": encoder,
                            "task": task,
                            "trial": trial,
                            "space": space,
                            "distance": distance,
                            "transformation": code,
                            "magnitude": value,
                            "effective_magnitude": value,
                            "clip_id": ids,
                            "error": bad.astype(int),
                            "rank": np.where(bad, 2 + rng.integers(0, n - 1, n), 1),
                            "margin": gap,
                            "d_own": d_own,
                            "d_nearest": d_own + gap,
                            "nearest_id": np.roll(ids, 1),
                            "status": "ok",
                        }
                    )
                )

    def put(common: dict[str, Any], code: str, value: float, number: float, width: float) -> None:
        known = bool(np.isfinite(number))
        rows.append(
            common
            | {
                "transformation": code,
                "magnitude": value,
                "value": number,
                "ci_low": max(number - width, -1) if known else np.nan,
                "ci_high": min(number + width, 1) if known else np.nan,
                "n": n,
                "status": "ok" if known else "undefined: all distances are equal",
                "side": common.get("side", ""),
            }
        )

    def width_of(share: float) -> float:
        return 1.96 * float(np.sqrt(share * (1 - share) / n))

    def monotone(common: dict[str, Any], base: float) -> None:
        for code, values in grid.items():
            for where in sorted({_side(code, value) for value in values}):
                if sum(_side(code, value) == where for value in values) < 2:
                    number = np.nan
                else:
                    number = base if code != "MP" else base - 0.05
                put(
                    common | {"measure": "monotonicity", "side": where, "chance": 0.0},
                    code,
                    np.nan,
                    number,
                    0.02,
                )

    blank = {"audio_distance": "", "latent_distance": ""}
    for distance in AUDIO:
        ask("audio", "", 1, "audio", distance, 0.0)
        common = blank | {"encoder": "audio", "task": "", "trial": 1, "audio_distance": distance}
        for code, value in [("OG", 0.0), *points]:
            share = 1 - wrong[("audio", "", 1, distance, code, value)].mean()
            put(common | {"measure": "C_W", "chance": 1 / n}, code, value, share, width_of(share))
        monotone(common, 0.97)
    encoders = [(name, task, "tested") for name, task in tested]
    encoders += [(name, "", "reference") for name in references]
    for encoder, task, role in encoders:
        label = f"{encoder} {task}".strip()
        strength = STRENGTH.get(label, STRENGTH.get(encoder, 0.5))
        count = trials if role == "tested" else 1
        for trial in range(1, count + 1):
            start = len(rows)
            for latent in LATENT:
                ask(encoder, task, trial, "latent", latent, rng.normal(0, 0.03) * (count > 1))
                common = blank | {"encoder": encoder, "task": task, "trial": trial}
                common |= {"latent_distance": latent}
                for code, value in [("OG", 0.0), *points]:
                    bad = wrong[(encoder, task, trial, latent, code, value)]
                    share = 1 - bad.mean()
                    c_w = {"measure": "C_W", "chance": 1 / n}
                    put(common | c_w, code, value, share, width_of(share))
                    for audio in AUDIO:
                        other = wrong[("audio", "", 1, audio, code, value)]
                        agree = (bad == other).mean()
                        a, b = bad.mean(), other.mean()
                        luck = a * b + (1 - a) * (1 - b)
                        pair = common | {"audio_distance": audio}
                        acc = {"measure": "C_B_acc", "chance": luck}
                        put(pair | acc, code, value, agree, width_of(agree))
                        kappa = (agree - luck) / (1 - luck) if luck < 1 else np.nan
                        put(pair | {"measure": "kappa", "chance": 0.0}, code, value, kappa, 0.1)
                        rho = np.nan
                        if encoder != "constant":
                            rho = 0.9 * strength - 0.1 * (code != "OG") - 0.02 * (audio == "dtw")
                            rho += rng.normal(0, 0.01)
                        rank = {"measure": "C_B_rho", "chance": 0.0}
                        put(pair | rank, code, value, rho, 0.03)
                monotone(common, np.nan if encoder == "constant" else 0.4 + 0.6 * strength)
            if count > 1 and trial == count:
                made = pd.DataFrame([row for row in rows if row["encoder"] == encoder])
                made = made[made["task"] == task]
                keys = [k for k in COLUMNS if k not in ("trial", "value", "ci_low", "ci_high")]
                keys.remove("chance")
                mean = made.groupby(keys, dropna=False, sort=False)[
                    ["value", "ci_low", "ci_high", "chance"]
                ].mean()
                rows += mean.reset_index().assign(trial=0).to_dict("records")
            assert len(rows) > start
    table = pd.concat(queries, ignore_index=True)
    table["error"] = table["error"].astype("Int64")
    table["rank"] = table["rank"].astype("Int64")
    spoilt = (table["transformation"] == "MP") & (table["clip_id"] == "c0003")
    table.loc[spoilt, ["error", "rank"]] = pd.NA
    table.loc[spoilt, "status"] = "loudness not measurable"
    audio: dict[str, bytes] = {}
    failures = []
    failed = table[(table["space"] == "latent") & (table["error"] == 1)]
    for (encoder, _task), group in failed.groupby(["encoder", "task"], sort=False):
        for index, row in group.sort_values("margin").head(failures_each).iterrows():
            names = {
                "query_audio": f"{encoder}-{index}-q.mp3",
                "own_audio": f"{row['clip_id']}.mp3",
                "nearest_audio": f"{row['nearest_id']}.mp3",
            }
            for file in names.values():
                audio.setdefault(file, b"ID3" + rng.bytes(audio_bytes))
            failures.append(
                {
                    column: row[column]
                    for column in (
                        *("encoder", "task", "trial", "distance", "transformation", "magnitude"),
                        *("clip_id", "nearest_id", "rank", "d_own", "d_nearest", "margin"),
                    )
                }
                | names
            )
    run = {
        "nearkin": "0.1.0",
        "created": "2026-11-21T10:00:00+00:00",
        "finished": "2026-11-21T10:04:00+00:00",
        "plan": {"seed": seed, "clip_seconds": 2.0, "audio_window": "clip", "mp3_rate": "paper"},
        "encoders": [
            {
                "name": encoder,
                "task": task,
                "trial": trial,
                "spec": encoder,
                "matched": "built-in",
                "sample_rate": 22050,
                "embedding_size": 144,
                "role": role,
                "status": "ok",
            }
            for encoder, task, role in encoders
            for trial in range(1, (trials if role == "tested" else 1) + 1)
        ],
        "clips": {"found": n + 2, "used": n, "skipped": 2},
        "grid": {"name": "paper", "points": [list(point) for point in points]},
        "noise": {"name": "babble", "sha256": "ab" * 32},
        "engine": "signalsmith 0.3.1",
        "versions": {"numpy": "2.0.0", "librosa": "0.11.0"},
        "timings_s": {"audio": 12.5},
        "n": n,
    }
    return ReportData(
        run=run,
        clips=pd.concat([clips, skipped], ignore_index=True),
        queries=table,
        consistency=pd.DataFrame(rows)[COLUMNS],
        failures=pd.DataFrame(failures),
        audio=audio,
    )


TASK_MEASURES = {
    "ae": ("MSE", 0.9, -0.25),
    "vs": ("SDR", 4.0, 3.0),
    "ir": ("accuracy", 0.5, 0.1),
    "at": ("AUC_C", 0.7, 0.05),
}
"""Each task's measure, and how a made-up quality becomes its score: offset and slope."""
QUALITY = {"vgg": {"ae": 1.5, "vs": 0.3, "ir": 0.9, "at": 0.8}, "mfcc": {}}
HARM = {"PN": 0.5, "EN": 0.3, "TS": -0.2, "PS": -0.7, "MP": 0.1}


def performance(
    *,
    encoders: tuple[str, ...] = ("vgg", "mfcc"),
    tasks: tuple[str, ...] = tuple(TASK_MEASURES),
    grid: dict[str, list[float]] | None = None,
    trials: int = 5,
    noise: float = 0.2,
    seed: int = 0,
) -> pd.DataFrame:
    """Return task scores as ``nearkin perform`` writes them, OG and means over trials too.

    A score is its task's offset and slope applied to `QUALITY` + `HARM` - gravity + noise.
    """
    rng = np.random.default_rng(seed)
    rows = []
    points = [(c, float(m)) for c, values in (grid or PAPER).items() for m in values]
    for encoder in encoders:
        for task in tasks:
            measure, offset, slope = TASK_MEASURES[task]
            for code, magnitude in [("OG", 0.0), *points]:
                quality = QUALITY[encoder].get(task, 0.0) + HARM.get(code, 1.0)
                quality -= 0.0 if code == "OG" else _gravity(code, magnitude)
                drawn = offset + slope * (quality + rng.normal(0, noise, trials))
                means = [(0, drawn.mean())] if trials > 1 else []
                for trial, value in [*enumerate(drawn, 1), *means]:
                    rows.append((encoder, task, trial, measure, code, magnitude, value))
    names = ["encoder", "task", "trial", "measure", "transformation", "magnitude", "value"]
    table = pd.DataFrame(rows, columns=names)
    table = table.assign(
        audio_distance="", latent_distance="", ci_low=table["value"] - 0.01, n=100
    ).assign(ci_high=table["value"] + 0.01, chance=np.nan, status="ok", side="")
    return table[COLUMNS]
