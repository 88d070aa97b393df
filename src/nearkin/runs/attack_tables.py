"""What joins the attacked clips into tables, sounds and, on request, WAV files.

``attacks.parquet`` has a row a question, ``attack_scores.parquet`` (and .csv) a row a score: C_W of
the attacked clips, of pink noise of the same SNR, after MP3, in the audio space; and the SNR at
which half of the clips can be led astray. ``attack_sounds.parquet`` names the sounds of the report.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.attacks.crossing import half_astray
from nearkin.audio.perception import heard
from nearkin.errors import ExtraError, InputError, RunError
from nearkin.files import file_name
from nearkin.optional import need
from nearkin.runs.attacking import (
    ATTACKED,
    DISTANCE,
    SNRS_DB,
    Target,
    clip_at,
    read_attacked,
)
from nearkin.runs.describe import centre
from nearkin.runs.exchange import write_wav
from nearkin.runs.failures import write_together
from nearkin.runs.folder import RunFolder
from nearkin.runs.session import Session
from nearkin.runs.shards import AGAIN
from nearkin.runs.spaces import others_of_each
from nearkin.statistics.bootstrap import median_replicates, percentile_interval
from nearkin.statistics.intervals import BOOTSTRAP, share_limits
from nearkin.tables import ATTACK_SCORES, ATTACK_SOUNDS, ATTACKS, OK

if TYPE_CHECKING:
    import pandas as pd

HALF_ASTRAY = "half_astray"
"""The measure: an SNR in dB."""
OPINION = "MOS"
"""The measure: the median over clips of the mean opinion score, 5 (nothing is heard) to 1."""
PLAYED = 3
"""Attacked clips of an encoder that the report plays."""


def write_attacks(
    session: Session, targets: Sequence[Target], folder: RunFolder, *, keep: bool = False
) -> None:
    """Write the tables, the sounds of the report and, with `keep`, every attacked clip as WAV."""
    import pandas as pd

    table = attacks_table(session, targets)
    folder.write_table("attacks", table)
    scores = scores_table(session, table)
    folder.write_table("attack_scores", scores, csv=True)
    sounds = [
        row
        for label in dict.fromkeys(target.label for target in targets)
        for row in _sounds(session, folder, table, [one for one in targets if one.label == label])
    ]
    folder.write_table("attack_sounds", pd.DataFrame(sounds, columns=list(ATTACK_SOUNDS)))
    if keep:
        _keep(session, folder, targets)


def attacks_table(session: Session, targets: Sequence[Target]) -> pd.DataFrame:
    """Join the units' rows.

    Raises
    ------
    RunError
        If a shard is missing.
    """
    import pandas as pd

    encoders = {one.label: one for one in session.encoders}
    rows = []
    for target in targets:
        found = read_attacked(session, target)
        if found is None:
            raise RunError(f"clip '{target.clip_id}': its shard is missing or damaged; {AGAIN}")
        encoder = encoders[target.label]
        mos = _mos(session, target, found.audio, encoder.sample_rate)
        for row in found.rows:
            rank, nearest = row.get("rank", 0), row.get("nearest", -1)
            d_own, d_nearest = (_number(row.get(name)) for name in ("d_own", "d_nearest"))
            rows.append(
                {
                    "encoder": encoder.name,
                    "task": encoder.task,
                    "trial": encoder.trial,
                    "method": target.method,
                    "space": row["space"],
                    "distance": row["distance"],
                    "transformation": row["transformation"],
                    "magnitude": _number(row["magnitude"]),
                    "effective_magnitude": _number(row["effective"]),
                    "clip_id": target.clip_id,
                    "error": int(rank > 1) if rank > 0 else None,
                    "rank": rank if nearest >= 0 else None,
                    "margin": d_nearest - d_own,
                    "d_own": d_own,
                    "d_nearest": d_nearest,
                    "nearest_id": session.clip_ids[nearest] if nearest >= 0 else None,
                    "asked": row["asked"],
                    "mos": mos.get((row["transformation"], row["space"], row["magnitude"])),
                    "status": row["status"],
                }
            )
    table = pd.DataFrame(rows, columns=list(ATTACKS))
    return table.astype({"error": "Int64", "rank": "Int64", "mos": "float64"})


def _mos(
    session: Session, target: Target, attacked: NDArray[np.float32], rate: int
) -> dict[tuple[str, str, float], float]:
    """Return how the attacked clips sound beside the clip; nothing without the extra."""
    try:
        need("zimtohrli", extra="perception")
    except ExtraError:
        return {}
    x = clip_at(session, session.original(target.clip_id), rate)
    found = {}
    for snr, y in zip(SNRS_DB, attacked, strict=False):
        with contextlib.suppress(InputError):  # a clip too short to be judged
            found[ATTACKED, "latent", snr] = heard(x, y, sr=rate).mos
    return found


def scores_table(session: Session, table: pd.DataFrame) -> pd.DataFrame:
    """Score every encoder: C_W of everything that was asked, and where half is led astray."""
    import pandas as pd

    groups = session.groups
    clusters = None if len(np.unique(groups)) == len(groups) else groups
    everyone = np.ones(len(groups), bool)
    apart = groups if session.plan.others == "group" else None
    chance = float(np.mean(1 / (others_of_each(everyone, apart) + 1)))
    rows = []
    keys = ["encoder", "task", "trial", "method"]
    kinds = ["space", "distance", "transformation", "magnitude"]
    for who, mine in table.groupby(keys, sort=False):
        named = dict(zip(keys, who, strict=True))
        for what, part in mine.groupby(kinds, sort=False, dropna=False):
            placed = part.set_index("clip_id").reindex(list(session.clip_ids))
            error = placed["error"].astype("Float64").to_numpy(np.float64, na_value=np.nan)
            right = np.asarray(1.0 - error, np.float64)
            failed = (placed["error"] == 1) & placed["d_own"].isna()
            rows.append(
                {
                    **named,
                    "measure": "C_W",
                    **dict(zip(kinds, what, strict=True)),
                    **_share(right, clusters),
                    "n_failed": int(failed.sum()),
                    "chance": chance,
                }
            )
        rows += [{**named, **row} for row in _opinions(session, mine)]
        rows.append({**named, "measure": HALF_ASTRAY, **_half(session, mine, clusters)})
    return pd.DataFrame(rows, columns=list(ATTACK_SCORES))


def _share(right: NDArray[np.float64], clusters: NDArray[np.intp] | None) -> dict[str, Any]:
    there = ~np.isnan(right)
    if not there.any():
        return {"value": math.nan, "n": 0, "status": "undefined: nothing was asked"}
    limits = share_limits(right[None], clusters)
    lost = int((~there).sum())
    return {
        "value": float(right[there].mean()),
        "ci_low": limits.low,
        "ci_high": limits.high,
        "ci_method": limits.method,
        "n": int(there.sum()),
        "status": f"{lost} of {len(right)} clips could not be asked" if lost else OK,
    }


def _opinions(session: Session, mine: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the median opinion of the attacked clips at every SNR, where they were heard."""
    for snr, part in mine[mine["mos"].notna()].groupby("magnitude", sort=False):
        values = part.set_index("clip_id")["mos"].reindex(list(session.clip_ids))
        by_clip = values.to_numpy(np.float64)
        spread = median_replicates(by_clip, session.scorer.counts)
        low, high, _ = percentile_interval(spread)
        yield {
            "measure": OPINION,
            **{"space": "latent", "distance": DISTANCE, "transformation": ATTACKED},
            "magnitude": snr,
            "value": float(np.nanmedian(by_clip)),
            **{"ci_low": float(low), "ci_high": float(high), "ci_method": BOOTSTRAP},
            **{"n": int(np.isfinite(by_clip).sum()), "n_failed": 0, "chance": math.nan},
            "status": OK,
        }


def _half(
    session: Session, mine: pd.DataFrame, clusters: NDArray[np.intp] | None
) -> dict[str, Any]:
    """Return the row of the SNR at which half of the clips can be led astray."""
    asked = mine[(mine["transformation"] == ATTACKED) & (mine["space"] == "latent")]
    astray = asked.pivot(index="magnitude", columns="clip_id", values="error")
    astray = astray.reindex(index=list(SNRS_DB), columns=list(session.clip_ids))
    errors = astray.astype("Float64").to_numpy(np.float64, na_value=np.nan)
    there = ~np.isnan(errors).any(axis=0)
    row = {
        "space": "latent",
        "distance": DISTANCE,
        "transformation": ATTACKED,
        "magnitude": math.nan,
        "n": int(there.sum()),
        "n_failed": 0,
        "chance": math.nan,
    }
    if not there.any():
        return {**row, "value": math.nan, "status": "undefined: nothing was asked"}
    found = half_astray(
        errors[:, there] == 1, SNRS_DB, None if clusters is None else clusters[there]
    )
    ends = {"value": found.value, "ci_low": found.low, "ci_high": found.high}
    status = OK
    if math.isinf(found.value):
        status = f"above {SNRS_DB[0]:g} dB" if found.value > 0 else f"below {SNRS_DB[-1]:g} dB"
    return {
        **row,
        **ends,
        "ci_method": "crossing of the share's interval",
        "status": status,
    }


def _sounds(
    session: Session, folder: RunFolder, table: pd.DataFrame, targets: Sequence[Target]
) -> list[dict[str, Any]]:
    """Write the sounds of the clips that are led astray by the least, and name them."""
    encoder = next(one for one in session.encoders if one.label == targets[0].label)
    lost = table[
        (table["encoder"] == encoder.name)
        & (table["task"] == encoder.task)
        & (table["trial"] == encoder.trial)
        & (table["transformation"] == ATTACKED)
        & (table["space"] == "latent")
        & (table["error"] == 1)
        & table["nearest_id"].notna()
    ].sort_values(["magnitude", "margin", "clip_id"], ascending=[False, True, True])
    plan, rows = session.plan, []
    for row in lost.drop_duplicates("clip_id").head(PLAYED).to_dict("records"):
        target = next(one for one in targets if one.clip_id == row["clip_id"])
        found = read_attacked(session, target)
        if found is None:
            continue
        attacked = found.audio[SNRS_DB.index(row["magnitude"])]
        own, nearest = (session.original(str(row[name])) for name in ("clip_id", "nearest_id"))
        sounds = {
            f"{own.clip_id} {ATTACKED} {row['magnitude']} {target.label}": audio.resample(
                attacked, from_sr=encoder.sample_rate, to_sr=plan.working_rate
            ),
            own.clip_id: centre(own.context, plan.clip_samples),
            nearest.clip_id: centre(nearest.context, plan.clip_samples),
        }
        files = write_together(folder, sounds, plan.working_rate)
        names = dict(zip(("query_audio", "own_audio", "nearest_audio"), files, strict=True))
        rows.append({**{name: row.get(name) for name in ATTACK_SOUNDS}, **names})
    return rows


def _keep(session: Session, folder: RunFolder, targets: Sequence[Target]) -> None:
    """Write every attacked clip as float32 WAV: ``attacks/ENCODER/CLIP-SNR.wav``."""
    encoders = {one.label: one for one in session.encoders}
    root = folder.open_folder("attacks")
    for target in targets:
        found = read_attacked(session, target)
        for snr, y in zip(SNRS_DB, found.audio if found else (), strict=False):
            name = f"{file_name(target.clip_id)}-{snr:g}.wav"
            path = root / file_name(target.label) / name
            put = functools.partial(write_wav, y=y, sr=encoders[target.label].sample_rate)
            folder.write(path, put)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
