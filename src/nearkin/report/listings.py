"""What the report lists: failures in words and sound, what was skipped and why, what is identical.

Tables in, records of plain text out; no HTML. Text from outside is made visible here (`printable`)
and escaped by the page's template.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from nearkin.errors import printable
from nearkin.report.data import ReportData
from nearkin.results.systems import AUDIO, System, distance_name, systems_of
from nearkin.results.task_scores import signs
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

SOUNDS = ["query_audio", "own_audio", "nearest_audio"]
"""The columns of failures and of attacks that name a row's sounds."""
AUDIO_BUDGET = 1_500_000
"""Characters of base64 audio; failures beyond it keep their row and lose their players."""
FAILURES_TESTED = 8
FAILURES_REFERENCE = 2
TABLE_ROWS = 200


@dataclass(frozen=True)
class Table:
    """A plain table on the page."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Player:
    """One sound of a failure; ``source`` is a data URI or empty."""

    role: str
    name: str
    source: Markup


@dataclass(frozen=True)
class Failure:
    """One wrong neighbour, in a sentence, with its three sounds."""

    sentence: str
    detail: str
    players: tuple[Player, ...]


@dataclass(frozen=True)
class FailureGroup:
    """The failures of one encoder."""

    label: str
    reference: bool
    failures: tuple[Failure, ...]
    total: int


def failure_groups(data: ReportData) -> list[FailureGroup]:
    """Return the failures of every encoder, tested ones first, with as much sound as fits."""
    if data.failures.empty:
        return []
    names = clip_names(data)
    places = {(one.encoder, one.task): one for one in systems_of(data.run, data.consistency)}
    spent = 0
    groups = []
    keys = list(dict.fromkeys(zip(data.failures["encoder"], data.failures["task"], strict=True)))
    keys.sort(key=lambda key: list(places).index(key) if key in places else len(places))
    for encoder, task in keys:
        series = places.get((encoder, task), System(str(encoder), str(task), "tested"))
        mine = data.failures[
            (data.failures["encoder"] == encoder) & (data.failures["task"] == task)
        ]
        shown = FAILURES_REFERENCE if series.role == "reference" else FAILURES_TESTED
        failures = []
        for row in mine.head(shown).to_dict("records"):
            players, size = players_of(row, names, data.audio, AUDIO_BUDGET - spent)
            spent += size
            failures.append(
                Failure(
                    failure_sentence(row, names),
                    _failure_detail(row, int(data.run.get("n") or 0)),
                    players,
                )
            )
        groups.append(
            FailureGroup(series.label, series.role == "reference", tuple(failures), len(mine))
        )
    return groups


def failure_sentence(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return one failure in plain words.

    Parameters
    ----------
    row : mapping
        A row of the failures table.
    names : mapping
        What clips are called, by clip_id.
    """
    code = str(row["transformation"])
    own, other = float(row["d_own"]), float(row["d_nearest"])
    at = magnitudes.in_words(code, float(row["magnitude"]))
    intruder = names.get(str(row["nearest_id"]), str(row["nearest_id"]))
    noun = "unchanged clip" if code == ORIGINAL else magnitudes.axis(code).noun
    where = f"{at[0].upper()}{at[1:]}, {distance_name(str(row['distance']))}: the {noun} lies"
    if not (math.isfinite(own) and math.isfinite(other)):
        return f"{where} at an undefined distance from its own original."
    if own == other:
        return (
            f"{where} exactly as near to “{printable(intruder)}” as to its own original (both "
            f"{own:.3g}); a tie is an error."
        )
    near, far = _told_apart(other, own)
    return f"{where} nearer to “{printable(intruder)}” ({near}) than to its own original ({far})."


def _told_apart(a: float, b: float) -> tuple[str, str]:
    """Return two different numbers with as many decimals, and enough to show that they differ."""
    decimals = max(0, 1 - math.floor(math.log10(max(abs(a), abs(b)))))
    for more in range(17):
        first, second = f"{a:.{decimals + more}f}", f"{b:.{decimals + more}f}"
        if first != second:
            return first, second
    return repr(a), repr(b)


def _failure_detail(row: Mapping[str, Any], n: int) -> str:
    parts = []
    rank = row.get("rank")
    if rank is not None and not pd.isna(rank):
        parts.append(f"its own original ranks {int(rank)}" + (f" of {n}" if n else ""))
    trial = row.get("trial")
    if trial is not None and not pd.isna(trial) and int(trial) > 1:
        parts.append(f"trial {int(trial)}")
    return "; ".join(parts)


def players_of(
    row: Mapping[str, Any], names: Mapping[str, str], audio: Mapping[str, bytes], left: int
) -> tuple[tuple[Player, ...], int]:
    """Return the three sounds of a failure, and the bytes they take, as far as `left` suffices."""
    own = names.get(str(row["clip_id"]), str(row["clip_id"]))
    intruder = names.get(str(row["nearest_id"]), str(row["nearest_id"]))
    titles = ("transformed clip", "its own original", "the intruder")
    wanted = [
        (title, clip, row.get(column))
        for title, clip, column in zip(titles, (own, own, intruder), SOUNDS, strict=True)
    ]
    sounds = [audio.get(str(file)) for _, _, file in wanted]
    size = sum(4 * math.ceil(len(sound) / 3) for sound in sounds if sound)
    fits = size <= left
    players = []
    for (role, name, _), sound in zip(wanted, sounds, strict=True):
        source = Markup("")
        if sound and fits:
            text = base64.b64encode(sound).decode("ascii")
            source = Markup("data:audio/mpeg;base64,") + Markup(text)
        players.append(Player(role, printable(name), source))
    return tuple(players), size if fits else 0


def clip_names(data: ReportData) -> dict[str, str]:
    """Name every clip by its file and by where the part that is heard begins."""
    clips = data.clips
    heard = float(data.run.get("plan", {}).get("clip_seconds", 0))
    begins = clips["start_s"] + (clips["duration_s"] - heard).clip(lower=0) / 2
    shown = short_paths(clips["path"])
    return {
        str(clip): shown[str(path)] + ("" if pd.isna(begin) else f" at {float(begin):.1f} s")
        for clip, path, begin in zip(clips["clip_id"], clips["path"], begins, strict=True)
    }


def short_paths(paths: Iterable[object]) -> dict[str, str]:
    """Return absolute paths without the folder they all share: a page is often handed on.

    Examples
    --------
    >>> short_paths(["/home/me/music/a/1.ogg", "/home/me/music/b/1.ogg"])["/home/me/music/a/1.ogg"]
    'a/1.ogg'
    """
    names = [str(path) for path in paths]
    absolute = [name for name in names if os.path.isabs(name)]  # noqa: PTH117 - text, not a file
    shown = {name: name for name in names}
    if absolute:
        common = os.path.commonpath([os.path.dirname(name) for name in absolute])  # noqa: PTH120
        shown |= {name: name[len(common) :].lstrip("/\\") for name in absolute}
    return shown


def tables_of(data: ReportData) -> list[Table]:
    """Everything that was skipped, failed or is undefined, and why."""
    tables = []
    paths = short_paths(data.clips["path"])
    skipped = data.clips[data.clips["status"] != "ok"]
    if len(skipped):
        tables.append(
            _table(
                f"Files and excerpts that were skipped ({len(skipped)})",
                ("file", "reason"),
                [
                    (paths[str(path)], status)
                    for path, status in zip(skipped["path"], skipped["status"], strict=True)
                ],
            )
        )
    broken = [entry for entry in data.run.get("encoders", ()) if entry.get("status", "ok") != "ok"]
    if broken:
        rows = [
            (_label({"encoder": entry.get("name"), "task": entry.get("task")}), entry["status"])
            for entry in broken
        ]
        tables.append(_table(f"Encoders that failed ({len(broken)})", ("encoder", "reason"), rows))
    failed = data.queries[data.queries["status"] != "ok"]
    if len(failed):
        keys = ["encoder", "task", "transformation", "status"]
        counted = failed.groupby(keys, sort=True, dropna=False).agg(
            questions=("clip_id", "size"), clips=("clip_id", "nunique")
        )
        told = [
            (_label(row), row["transformation"], row["status"], row["questions"], row["clips"])
            for row in counted.reset_index().to_dict("records")
        ]
        tables.append(
            _table(
                f"Questions without an answer ({len(failed):,} of {len(data.queries):,})",
                ("encoder", "transformation", "reason", "questions", "clips"),
                told,
            )
        )
    undefined = data.consistency[data.consistency["status"] != "ok"]
    if len(undefined):
        keys = ["encoder", "task", "measure", "status"]
        counts = undefined.groupby(keys, sort=True, dropna=False).size().reset_index(name="rows")
        listed = [
            (_label(row), row["measure"], row["status"], row["rows"])
            for row in counts.to_dict("records")
        ]
        tables.append(
            _table(
                f"Values that are undefined or partial ({len(undefined):,})",
                ("encoder", "measure", "reason", "rows"),
                listed,
            )
        )
    if data.performance is not None and "status" in data.performance.columns:
        partial = data.performance[data.performance["status"] != "ok"]
        if len(partial):
            keys = ["encoder", "task", "status"]
            counts = partial.groupby(keys, sort=True, dropna=False).size().reset_index(name="rows")
            lost = [(_label(row), row["status"], row["rows"]) for row in counts.to_dict("records")]
            caption = f"Task scores from which clips were left out ({len(partial):,})"
            tables.append(_table(caption, ("encoder", "reason", "rows"), lost))
    return tables


def task_scores_of(data: ReportData) -> Table | None:
    """Return the scores on the unchanged clips, a row an encoder and task, with the worst point."""
    if data.performance is None or data.performance.empty:
        return None
    rows = []
    method = "ci_method" in data.performance.columns
    for _, part in data.performance.groupby(["encoder", "task"], sort=False):
        mine = part[part["trial"] == part["trial"].min()].to_dict("records")
        original = next((row for row in mine if row["transformation"] == ORIGINAL), None)
        if original is None:
            continue
        sign = signs().get(str(original["measure"]), 1)
        better = "more" if sign > 0 else "less"
        changed = [row for row in mine if row is not original and math.isfinite(row["value"])]
        worst = min(changed, key=lambda row: sign * row["value"], default=None)
        at = (
            ""
            if worst is None
            else magnitudes.in_words(str(worst["transformation"]), float(worst["magnitude"]))
        )
        rows.append(
            (
                _label(original),
                f"{original['measure']} ({better} is better)",
                _with_interval(original),
                _shown(original.get("chance")),
                _answered(original),
                *([str(original.get("ci_method") or "–")] if method else []),
                "–" if worst is None else f"{_shown(worst['value'])} ({at})",
            )
        )
    interval = ("interval",) if method else ()
    head = ("encoder", "measure", "unchanged clips", "chance", "clips", *interval, "worst")
    return _table("Task scores, with 95 % intervals", head, rows)


def effects_of(data: ReportData) -> Table | None:
    """Return the F tests of the analysis: a row a measure and its distances, a column an effect."""
    tests = data.analysis.get("anova")
    if tests is None or tests.empty:
        return None
    terms = list(dict.fromkeys(tests["term"]))
    rows = []
    keys = ["measure", "audio_distance", "latent_distance"]
    for key, part in tests.groupby([tests[name].fillna("") for name in keys], sort=False):
        measure, *distances = (str(word) for word in key)
        between = " and ".join(distance_name(word) for word in distances if word)
        by_term = {str(row["term"]): row for row in part.to_dict("records")}
        cells = [_effect(by_term.get(term)) for term in terms]
        rows.append((f"{measure}, {between}" if between else measure, *cells))
    heads = [term.replace(":", " × ") for term in terms]
    return _table("What explains the scores: F tests of the effects", ("measure", *heads), rows)


def _effect(row: Mapping[Any, Any] | None) -> str:
    if row is None or not math.isfinite(row["F"]):
        return "–"
    p = "p < .001" if row["p"] < 0.001 else f"p = {row['p']:.3f}"
    return f"F = {row['F']:.3g}, {p}"


def _answered(row: Mapping[Any, Any]) -> str:
    """Return the number of clips asked, and how many of them the model failed."""
    failed = row.get("n_failed", 0)
    lost = f", {int(failed)} failed" if pd.notna(failed) and int(failed) else ""
    return f"{row.get('n', '')}{lost}"


def _with_interval(row: Mapping[Any, Any]) -> str:
    low, high = _shown(row.get("ci_low")), _shown(row.get("ci_high"))
    return f"{_shown(row['value'])} [{low}, {high}]"


def _shown(value: Any) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _label(row: Mapping[Any, Any]) -> str:
    task = row["task"]
    return System(str(row["encoder"]), "" if pd.isna(task) else str(task), "").label


def _table(caption: str, head: tuple[str, ...], rows: list[Any]) -> Table:
    shown = tuple(tuple(printable(cell) for cell in row) for row in rows[:TABLE_ROWS])
    return Table(caption, head, shown, max(0, len(rows) - TABLE_ROWS))


def identical_of(data: ReportData) -> list[str]:
    """Sentences on clips with identical content and on embeddings that are shared."""
    sentences = []
    paths = short_paths(data.clips["path"])
    used = data.clips[data.clips["status"] == "ok"]
    same = used[used.duplicated(["content_sha256", "start_s"], keep=False)]
    for _, group in list(same.groupby(["content_sha256", "start_s"], sort=False))[:20]:
        files = ", ".join(printable(paths[str(path)]) for path in group["path"])
        sentences.append(f"{len(group)} clips have identical content: {files}.")
    names = clip_names(data)
    original = data.queries[
        (data.queries["transformation"] == ORIGINAL) & (data.queries["error"].fillna(0) == 1)
    ]
    for (encoder, task, distance), group in original.groupby(
        ["encoder", "task", "distance"], sort=False
    ):
        label = "audio space" if encoder == AUDIO else System(str(encoder), str(task), "").label
        tied = group["clip_id"].nunique()
        text = (
            f"{printable(label)}, {distance_name(str(distance))}: {tied} of "
            f"{int(data.run.get('n') or tied)} unchanged clips lie at distance 0 from another clip"
        )
        if tied <= 10:
            pairs = group.drop_duplicates("clip_id").to_dict("records")
            named = [
                f"“{printable(names.get(str(row['clip_id']), row['clip_id']))}” and "
                f"“{printable(names.get(str(row['nearest_id']), row['nearest_id']))}”"
                for row in pairs
            ]
            text += ": " + "; ".join(named)
        sentences.append(text + ".")
    return sentences
