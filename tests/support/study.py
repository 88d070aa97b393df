"""A made-up finished study whose every number is chosen: for tests of what decides claims.

A clip fails from a severity on that is drawn about a model's strength, so that C_W is about the
strength; C_B_rho and task scores are set directly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nearkin.study.evidence import Evidence

GRID = {
    "PN": [-15.0, -3.0, 9.0, 18.0, 24.0, 30.0],
    "EN": [-15.0, -3.0, 9.0, 18.0, 24.0, 30.0],
    "TS": [0.5, 0.7, 0.98, 1.02, 1.2, 1.5],
    "PS": [-12.0, -4.0, -0.25, 0.25, 4.0, 12.0],
    "MP": [8.0, 16.0, 32.0, 64.0, 128.0, 192.0],
}
MEASURE = {"ae": "MSE", "vs": "SDR", "ir": "accuracy", "at": "AUC_C"}
PAPERS_STRENGTH = {"mfcc": 0.741, "at": 0.671, "ir": 0.539, "vs": 0.331, "ae": 0.17}
PAPERS_RHO = {"mfcc": 0.881, "at": 0.08, "ir": 0.184, "vs": 0.181, "ae": 0.209}
PAPERS_LEAD = {"ae": 3.0, "at": 1.6, "ir": 1.2, "vs": 0.4}


@dataclass
class Made:
    """What a made-up study is like."""

    strength: dict[str, float] = field(default_factory=lambda: dict(PAPERS_STRENGTH))
    rho: dict[str, float] = field(default_factory=lambda: dict(PAPERS_RHO))
    lead: dict[str, float] = field(default_factory=lambda: dict(PAPERS_LEAD))
    audio: float = 0.8
    n: int = 80
    trials: int = 3
    trial_spread: float = 0.005
    ae_gains_in_noise: bool = True
    seed: int = 0

    def evidence(self, *, performed: bool = True, n_draws: int = 400) -> Evidence:
        clips, queries, consistency, run = self._run()
        performance = self._performance() if performed else None
        return Evidence(run, clips, queries, consistency, performance=performance, n_draws=n_draws)

    def _run(self):
        rng = np.random.default_rng(self.seed)
        points = [(code, m) for code, values in GRID.items() for m in values]
        ids = [f"c{i:03d}" for i in range(self.n)]
        clips = pd.DataFrame(
            {
                "clip_id": ids,
                "content_sha256": [f"{i:064x}" for i in range(self.n)],
                "group": "",
                "status": "ok",
            }
        )
        queries, rows = [], []
        # every clip is as hard for one model as for another
        quantile = (rng.permutation(self.n) + 0.5) / self.n

        def ask(encoder, task, trial, distance, strength):
            for code, magnitude in points:
                u = severity(code, magnitude)
                # C_W falls in a straight line about the strength, over the severities' places
                kept = (
                    np.clip(2 * strength * (1 - u), 0, 1)
                    if strength < 0.5
                    else np.clip(1 - 2 * (1 - strength) * u, 0, 1)
                )
                if encoder == "audio" and code == "TS":
                    kept = 1.0 if distance == "dtw" else 0.95
                error = (quantile > kept).astype(int)
                queries.append(
                    pd.DataFrame(
                        {
                            **{"encoder": encoder, "task": task, "trial": trial},
                            "space": "audio" if encoder == "audio" else "latent",
                            **{"distance": distance, "transformation": code},
                            **{"magnitude": magnitude, "clip_id": ids, "error": error},
                            **{"rank": 1 + error, "d_own": u, "status": "ok"},
                        }
                    )
                )

        def put(encoder, task, trial, measure, pair, code, magnitude, value):
            rows.append(
                {
                    **{"encoder": encoder, "task": task, "trial": trial, "measure": measure},
                    **{"audio_distance": pair[0], "latent_distance": pair[1]},
                    **{"transformation": code, "magnitude": magnitude, "value": value},
                    **{"ci_low": value - 0.01, "ci_high": value + 0.01, "status": "ok"},
                }
            )

        encoders = []
        for distance in ("dtw", "simple"):
            ask("audio", "", 1, distance, self.audio)
            put("audio", "", 1, "C_W", (distance, ""), "OG", 0.0, 1.0)
        for who, strength in self.strength.items():
            name, task = ("mfcc", "") if who == "mfcc" else ("vgg", who)
            count = 1 if who == "mfcc" else self.trials
            moved = np.linspace(-1, 1, count) * self.trial_spread if count > 1 else [0.0]
            for trial, by in enumerate(moved, 1):
                encoders.append({"name": name, "task": task, "trial": trial, "role": "tested"})
                for latent in ("euclidean", "cosine"):
                    more = 0.02 if latent == "cosine" and task else 0.0
                    ask(name, task, trial, latent, strength + by + more)
                    for audio in ("dtw", "simple"):
                        lower = 0.1 if latent == "cosine" and not task else 0.0
                        for code, magnitude in [("OG", 0.0), *points]:
                            value = self.rho[who] + by - lower
                            put(
                                name,
                                task,
                                trial,
                                "C_B_rho",
                                (audio, latent),
                                code,
                                magnitude,
                                value,
                            )
        run = {
            "grid": {"name": "made", "points": [list(one) for one in points]},
            "encoders": encoders,
            "plan": {"clip_seconds": 2.0},
            "n": self.n,
        }
        return clips, pd.concat(queries, ignore_index=True), pd.DataFrame(rows), run

    def _performance(self):
        rows = []
        for task, lead in self.lead.items():
            sign = -1 if task == "ae" else 1
            for encoder in ("vgg", "mfcc"):
                for trial in range(1, self.trials + 1):
                    for code, magnitude in [
                        ("OG", 0.0),
                        *((c, m) for c, values in GRID.items() for m in values),
                    ]:
                        harm = 0.05 + severity(code, magnitude) if code != "OG" else 0.0
                        if task == "ae" and code == "EN" and self.ae_gains_in_noise:
                            harm = -harm
                        hit = {"vs": {"PS": 4.0, "PN": 1.0}}.get(task, {"PS": 1.5}).get(code, 0.7)
                        quality = (lead if encoder == "vgg" else 0.0) - harm * hit + 0.01 * trial
                        value = 5.0 + sign * quality
                        rows.append(
                            {
                                **{"encoder": encoder, "task": task, "trial": trial},
                                **{"measure": MEASURE[task], "transformation": code},
                                **{"magnitude": magnitude, "value": value},
                                **{"ci_low": value - 0.02, "ci_high": value + 0.02},
                            }
                        )
        return pd.DataFrame(rows)


def severity(code: str, magnitude: float) -> float:
    """Return the place of a magnitude in its own grid, 0 the mildest, 1 the most severe."""
    return (
        {
            **{m: k / 5 for k, m in enumerate(reversed(GRID["PN"]))},
        }.get(magnitude, 0.0)
        if code in ("PN", "EN")
        else {
            "TS": {0.98: 0.0, 1.02: 0.0, 0.7: 0.5, 1.2: 0.5, 0.5: 1.0, 1.5: 1.0},
            "PS": {0.25: 0.0, -0.25: 0.0, 4.0: 0.5, -4.0: 0.5, 12.0: 1.0, -12.0: 1.0},
            "MP": {m: k / 5 for k, m in enumerate(reversed(GRID["MP"]))},
        }[code][magnitude]
    )
