"""What the explorer knows: every value of the run and the failures behind it, as compact JSON.

Tables in, plain values out. Encoders, clips and points stand once each and are numbers elsewhere.
All texts are visible ones (`printable`); the page takes them as text, never as markup. Points are
numbered in page order: by transformation, then from the lowest magnitude.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pandas as pd
from markupsafe import Markup

from nearkin.errors import printable
from nearkin.report import listings
from nearkin.report.data import ReportData
from nearkin.report.figures import style
from nearkin.report.figures.dots import DIRECTION_COLOURS
from nearkin.results.lost_queries import lost_queries
from nearkin.results.systems import (
    AUDIO,
    System,
    distance_name,
    distance_order,
    headline,
    of,
    systems_of,
)
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

LISTED = 20
"""Failures of one encoder, distance and point that the page lists; the rest is counted."""
MEASURES = ("C_W", "C_B_acc", "C_B_rho", "kappa")
NOTHING = -1


def packed(text: str) -> Markup:
    """Return a text as base64 of its gzip, which may stand in any ``<script>``; always the same.

    Examples
    --------
    >>> gzip.decompress(base64.b64decode(packed("</script>"))).decode()
    '</script>'
    """
    whole = gzip.compress(text.encode("utf-8", "backslashreplace"), compresslevel=9, mtime=0)
    return Markup(base64.b64encode(whole).decode("ascii"))  # no character of base64 is markup


def explorer_json(data: ReportData) -> str:
    """Return what the explorer shows as JSON; empty where the run has nothing to explore."""
    points = points_of(data.consistency)
    systems = systems_of(data.run, data.consistency)
    if not points or not systems:
        return ""
    return json.dumps(_known(data, points, systems), allow_nan=False, separators=(",", ":"))


def points_of(consistency: pd.DataFrame) -> list[Point]:
    """Return the points that were measured, in page order."""
    rows = consistency[consistency["magnitude"].notna() & consistency["measure"].isin(MEASURES)]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates().itertuples(index=False)
    found = {Point(str(code), float(magnitude)) for code, magnitude in pairs}
    codes = magnitudes.code_order(point.code for point in found)
    return [p for code in codes for p in sorted(found) if p.code == code]


def sound_key(clip: int, point: int = NOTHING) -> str:
    """Return what a sound is called in the page: a clip's number, and that of its point."""
    return f"{clip}" if point == NOTHING else f"{clip}.{point}"


def sounds_json(data: ReportData) -> str:
    """Return the sounds as JSON of base64 by `sound_key`; the page takes an MP3 from it by name."""
    if not data.sounds:
        return "{}"
    clips = {clip: number for number, clip in enumerate(_clips(data))}
    points = {point: number for number, point in enumerate(points_of(data.consistency))}
    found = {}
    for (clip, point), sound in data.sounds.items():
        if clip in clips and (point is None or point in points):
            name = sound_key(clips[clip], NOTHING if point is None else points[point])
            found[name] = base64.b64encode(sound).decode("ascii")
    return json.dumps(found, separators=(",", ":"))


def _known(data: ReportData, points: list[Point], systems: list[System]) -> dict[str, Any]:
    table = headline(data.consistency)
    latents = distance_order(table.loc[table["encoder"] != AUDIO, "latent_distance"].fillna(""))
    audios = distance_order(table["audio_distance"].fillna(""))
    styles = style.series_styles(systems)
    names = listings.clip_names(data)
    clips = _clips(data)
    present = [name for name in MEASURES if (table["measure"] == name).any()]
    return {
        "n": int(data.run.get("n") or 0),
        "clips": [printable(names[clip]) for clip in clips],
        "ids": [printable(clip) for clip in clips],
        "transformations": _transformations(points),
        "systems": [_shown(one, styles) for one in systems],
        "mapColours": [_both(hue) for hue in DIRECTION_COLOURS],
        "audioColour": _both(style.AUDIO_GREY),
        "latent": [printable(distance_name(name)) for name in latents],
        "latentNames": [printable(name) for name in latents],
        "audio": [printable(distance_name(name)) for name in audios],
        "measures": present,
        "lowest": _lowest(table, present),
        "curves": _curves(table, points, systems, present, audios, latents),
        "lost": _lost(data, points, systems, latents, {c: i for i, c in enumerate(clips)}),
        "listed": LISTED,
        "map": _map(data, systems, points, {c: i for i, c in enumerate(clips)}),
    }


def _clips(data: ReportData) -> list[str]:
    """Return the clips that the explorer names, in the run's order: of thousands it is a few."""
    lost = lost_queries(data.queries)
    lost = lost[lost["place"] < LISTED]
    named = {*lost["clip_id"], *lost["nearest_id"]}
    if data.map is not None:
        named |= {*data.map["clip_id"]}
    used = data.clips.loc[data.clips["status"] == "ok", "clip_id"]
    return [str(clip) for clip in used if clip in named]


def _shown(one: System, styles: style.Styles) -> dict[str, Any]:
    colour, dash = styles[one.label]
    return {
        "label": printable(one.label),
        "tested": one.role == "tested",
        "colour": _both(colour),
        "dash": list(dash),
    }


def _both(colour: str) -> list[str]:
    return [colour, style.on_dark(colour)]


def _transformations(points: Sequence[Point]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, point in enumerate(points):
        how = magnitudes.axis(point.code)
        if not found or found[-1]["code"] != printable(point.code):
            found.append(
                {
                    "code": printable(point.code),
                    "title": printable(how.title),
                    "axis": how.axis_title,
                    "log": how.scale == "log",
                    "identity": how.identity,
                    "noun": how.noun,
                    "first": number,
                    "x": [],
                    "words": [],
                    "sides": [],
                }
            )
        found[-1]["x"].append(point.magnitude)
        found[-1]["words"].append(how.words(point.magnitude))
        found[-1]["sides"].append(magnitudes.direction(point.code, point.side))
    return found


def _lowest(table: pd.DataFrame, measures: Sequence[str]) -> list[float]:
    """Return where the axis of every measure begins: at 0, or below the lowest interval."""
    lowest = []
    for measure in measures:
        low = table.loc[table["measure"] == measure, "ci_low"].min()
        lowest.append(math.floor(min(0.0, low) * 10) / 10 if math.isfinite(low) else 0.0)
    return lowest


def _curves(
    table: pd.DataFrame,
    points: Sequence[Point],
    systems: Sequence[System],
    measures: Sequence[str],
    audios: Sequence[str],
    latents: Sequence[str],
) -> list[list[Any]]:
    """Return [system, measure, audio distance, latent distance, values]; values go by point.

    A value is [value, lower, upper, chance] or 0 where undefined; the audio space is system -1.
    """
    places = {tuple(point): number for number, point in enumerate(points)}
    whose = {(one.encoder, one.task): number for number, one in enumerate(systems)}
    whose[AUDIO, ""] = NOTHING
    names = ("encoder", "task", "measure", "audio_distance", "latent_distance")
    rows = table[table["measure"].isin(measures) & (table["transformation"] != ORIGINAL)]
    keys = [rows[name].fillna("") for name in names]
    found = []
    for key, part in rows.groupby(keys, sort=True):
        encoder, task, measure, audio, latent = (str(word) for word in key)
        values: list[Any] = [0] * len(points)
        columns = ("transformation", "magnitude", "value", "ci_low", "ci_high", "chance")
        for code, magnitude, *numbers in part[list(columns)].itertuples(index=False):
            place = places.get((str(code), float(magnitude)))
            if place is not None and math.isfinite(numbers[0]):
                values[place] = [_short(number) for number in numbers]
        found.append(
            [
                whose[encoder, task],
                measures.index(measure),
                audios.index(audio) if audio else NOTHING,
                latents.index(latent) if latent else NOTHING,
                values,
            ]
        )
    return found


def _lost(
    data: ReportData,
    points: Sequence[Point],
    systems: Sequence[System],
    latents: Sequence[str],
    clips: Mapping[str, int],
) -> list[list[Any]]:
    """Return [system, latent distance, point, how many, rows] of every point where clips are lost.

    Of each row: clip, intruder, rank, distance to its own original, to the intruder, trial.
    """
    places = {tuple(point): number for number, point in enumerate(points)}
    whose = {(one.encoder, one.task): number for number, one in enumerate(systems)}
    lost = lost_queries(data.queries)
    keys = ["encoder", "task", "distance", "transformation", "magnitude"]
    found: list[list[Any]] = []
    for key, part in lost.groupby(keys, sort=True):
        encoder, task, distance, code, magnitude = cast("tuple[str, str, str, str, float]", key)
        system = whose.get((str(encoder), str(task)))
        place = places.get((str(code), float(magnitude)))
        if system is None or place is None or distance not in latents:
            continue
        rows = [
            [
                clips[str(row.clip_id)],
                clips.get(str(row.nearest_id), NOTHING),
                int(row.rank) if pd.notna(row.rank) else 0,
                _short(row.d_own, 6),
                _short(row.d_nearest, 6),
                int(row.trial),
            ]
            for row in _records(part.head(LISTED))
            if str(row.clip_id) in clips
        ]
        found.append([system, latents.index(str(distance)), place, len(part), rows])
    return found


def _map(
    data: ReportData,
    systems: Sequence[System],
    points: Sequence[Point],
    clips: Mapping[str, int],
) -> dict[str, Any]:
    """Return the maps of the embeddings: of every system [clip, point, x, y] rows."""
    table = data.map
    if table is None or table.empty:
        return {}
    places = {tuple(point): number for number, point in enumerate(points)}
    rows = []
    for one in systems:
        mine = of(table, one)
        rows.append(
            [
                [
                    clips[str(row.clip_id)],
                    places.get((str(row.transformation), float(row.magnitude)), NOTHING),
                    _short(row.x),
                    _short(row.y),
                ]
                for row in _records(mine)
                if str(row.clip_id) in clips
            ]
        )
    return {"rows": rows, "about": data.map_about}


def _records(rows: pd.DataFrame) -> Iterable[Any]:
    return rows.itertuples()


def _short(number: Any, digits: int = 4) -> float | int | None:
    """Return a number with a few significant digits; None where there is none."""
    value = math.nan if pd.isna(number) else float(number)
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short
