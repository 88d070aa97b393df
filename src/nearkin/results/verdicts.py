"""The verdicts in words: what a run's tables say about the paper's assumptions (i) and (ii).

Tables in, sentences out; no HTML, no plots. Two rules with two constants each, stated here and on
the page, turn numbers into one of four words; the words are about the clips of the run, and every
sentence carries the numbers it rests on.

Assumption (i), a small change moves a clip very little: at the mildest magnitude of every
transformation and side in the grid, is the changed clip still nearest to its own original?
"holds" where C_W >= 0.95 at every one of them, "holds partly" where the median over them is
>= 0.95, "does not hold" otherwise.

Assumption (ii), a graver change moves it more: does the distance to the own original grow with the
severity? "holds" where the lower end of the 95 % interval of the mean rank correlation is >= 0.9
for every transformation and side, "holds partly" where the median of the means is >= 0.5, "does not
hold" otherwise.

"undefined" is said where no number exists. The assumptions are those of Kim, Urbano, Liem and
Hanjalic (2019), section 1; the constants are nearkin's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, NamedTuple

import pandas as pd

from nearkin.results.series import (
    AUDIO,
    Series,
    distance_name,
    distance_order,
    headline,
    of,
    series_of,
)
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

NEAR = 0.95
"""C_W from which a changed clip counts as staying with its original."""
MONOTONE = 0.9
"""Mean rank correlation whose interval has to lie above it for (ii) to hold."""
RISING = 0.5
"""Median rank correlation from which (ii) is said to hold partly."""

Word = Literal["holds", "holds partly", "does not hold", "undefined"]

RULES = (
    f"Assumption (i) holds where C_W is at least {NEAR:g} at the mildest magnitude of every "
    f"transformation and direction in the grid, under every distance; partly where only the median "
    f"of these is. Assumption (ii) holds where the 95 % interval of the mean rank correlation "
    f"between severity and distance to the own original lies at or above {MONOTONE:g} for every "
    f"transformation and direction; partly where the median of the means is at least {RISING:g}. "
    f"The thresholds are conventions of this report, not of the paper, and C_W falls as a "
    f"collection grows: every verdict is about a collection of the N clips of this run."
)


class Number(NamedTuple):
    """One number a verdict rests on, with its 95 % interval (NaN where undefined)."""

    what: str
    distance: str
    value: float
    ci_low: float
    ci_high: float
    audio: float = math.nan
    """The audio space's value beside it: the lower of its distances."""


@dataclass(frozen=True)
class Finding:
    """A word, the sentence that says why, and the numbers it rests on."""

    word: Word
    sentence: str
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the run says about one encoder (or the audio space).

    Attributes
    ----------
    label, role : str
        Name on the page; ``"tested"``, ``"reference"`` or ``"audio"``.
    near, graver : Finding
        Assumptions (i) and (ii).
    notes : tuple of str
        Further sentences: identical embeddings, the worst transformation, C_B_rho.
    """

    label: str
    role: str
    near: Finding
    graver: Finding
    notes: tuple[str, ...] = ()


def verdicts(
    consistency: pd.DataFrame, queries: pd.DataFrame, run: Mapping[str, Any]
) -> list[Verdict]:
    """Return the verdict of every encoder, tested ones first, and of the audio space last."""
    found = [
        verdict(consistency, queries, run, series.encoder, task=series.task)
        for series in series_of(run, consistency)
    ]
    if (consistency["encoder"] == AUDIO).any():
        found.append(verdict(consistency, queries, run, AUDIO))
    return found


def verdict(
    consistency: pd.DataFrame,
    queries: pd.DataFrame,
    run: Mapping[str, Any],
    encoder: str,
    *,
    task: str = "",
) -> Verdict:
    """Say what the run's tables mean for one encoder.

    Parameters
    ----------
    consistency, queries : pandas.DataFrame
        The run's tables.
    run : mapping
        The run's record.
    encoder, task : str
        Whose verdict; ``encoder="audio"`` asks for the audio space's own.

    Returns
    -------
    Verdict
        Words, sentences and numbers; "undefined" findings where the tables have none.
    """
    if encoder == AUDIO:
        series = Series(AUDIO, "", AUDIO)
    else:
        match = [
            one for one in series_of(run, consistency) if (one.encoder, one.task) == (encoder, task)
        ]
        series = match[0] if match else Series(encoder, task, "tested")
    mine = headline(of(consistency, series))
    column = "audio_distance" if encoder == AUDIO else "latent_distance"
    near = _near(mine, consistency, column, run)
    graver = _graver(mine, consistency, column)
    notes = [
        *_identical(mine, queries, series, column),
        *_worst(mine, column),
        *_between(mine),
        *_trials(consistency, series),
    ]
    label = "audio space (MFCC sequences)" if encoder == AUDIO else series.label
    return Verdict(label, series.role, near, graver, tuple(notes))


def mildest_points(consistency: pd.DataFrame) -> list[Point]:
    """Return the mildest point of every transformation and side that was measured."""
    rows = consistency[(consistency["measure"] == "C_W") & consistency["magnitude"].notna()]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    return magnitudes.mildest((str(a), float(b)) for a, b in pairs.itertuples(index=False))


def caveat(consistency: pd.DataFrame) -> str:
    """Return the sentence that names mildest points which may well be audible, or ``""``."""
    loud = [
        point for point in mildest_points(consistency) if not magnitudes.is_imperceptible(point)
    ]
    if not loud:
        return ""
    names = _listed([magnitudes.in_words(point.code, point.magnitude) for point in loud])
    return (
        f"This grid's mildest changes are graver than what the paper takes as hardly perceptible "
        f"for {names}: there, assumption (i) is tested on a change that may be heard."
    )


def _near(
    mine: pd.DataFrame, consistency: pd.DataFrame, column: str, run: Mapping[str, Any]
) -> Finding:
    points = mildest_points(consistency)
    numbers = _c_w_at(mine, points, column, consistency)
    known = [number for number in numbers if math.isfinite(number.value)]
    if not known:
        return Finding("undefined", _undefined(_reason(mine, "C_W")), tuple(numbers))
    n = _n(mine, run)
    originals = mine[(mine["measure"] == "C_W") & (mine["transformation"] == ORIGINAL)]["value"]
    if len(originals) and (originals == 0).all():
        return Finding(
            "does not hold",
            f"C_W is 0 even for the unchanged clips: every one of the {n} clips ties with another, "
            "so no clip can be told from the others.",
            tuple(numbers),
        )
    short = sorted((one for one in known if one.value < NEAR), key=lambda one: one.value)
    middle = median(one.value for one in known)
    word: Word
    if not short:
        word = "holds"
        lowest = min(known, key=lambda one: one.value)
        text = (
            f"After each of the {len(points)} mildest changes the clip is still nearest to its "
            f"own original at least {100 * NEAR:g} % of the time; lowest C_W "
            f"{_with_interval(lowest)} ({lowest.what}, {lowest.distance})"
        )
    else:
        word = "holds partly" if middle >= NEAR else "does not hold"
        text = (
            f"C_W is below {NEAR:g} in {len(short)} of {len(known)} cases "
            f"({len(points)} mildest changes under {_count_distances(known)}), "
            f"median {middle:.2f}; lowest {_with_interval(short[0])} "
            f"({short[0].what}, {short[0].distance})"
        )
    text += f". Chance is {1 / n:.2g} (N = {n})." if n else "."
    if short and not any(one.ci_high < NEAR for one in short):
        text += (
            f" Every interval of these reaches {NEAR:g}: more clips could still settle it "
            "either way."
        )
    if short and column == "latent_distance":
        text += _beside_audio(short[0])
    if not short and n:
        text += _few_clips(n)
    if len(known) < len(numbers):
        text += f" {len(numbers) - len(known)} of {len(numbers)} cases are undefined."
    return Finding(word, text, tuple(numbers))


def _few_clips(n: int) -> str:
    """With no failure at all among n, the one-sided exact 95 % bound is 0.05 ** (1 / n)."""
    bound = 0.05 ** (1 / n)
    if bound >= NEAR:
        return ""
    return (
        f" With {n} clips even no failure at all cannot exclude a true C_W of {bound:.2f} "
        "(exact one-sided 95 % bound): it holds for these clips, no more is shown."
    )


def _beside_audio(number: Number) -> str:
    if not math.isfinite(number.audio):
        return ""
    text = f" There the audio space has {number.audio:.2f}"
    if number.audio < NEAR:
        return f"{text}, below {NEAR:g} itself."
    if number.ci_high < number.audio:
        return f"{text}: the loss is the encoder's."
    return f"{text}, within the encoder's interval."


def _c_w_at(
    mine: pd.DataFrame, points: Sequence[Point], column: str, consistency: pd.DataFrame
) -> list[Number]:
    rows = mine[mine["measure"] == "C_W"]
    audio = headline(consistency[consistency["encoder"] == AUDIO])
    audio = audio[audio["measure"] == "C_W"]
    numbers = []
    for point in points:
        beside = _at(audio, point)["value"].min() if column == "latent_distance" else math.nan
        for row in _by_distance(_at(rows, point), column).itertuples(index=False):
            numbers.append(
                Number(
                    magnitudes.in_words(point.code, point.magnitude),
                    distance_name(str(getattr(row, column))),
                    _number(row.value),
                    _number(row.ci_low),
                    _number(row.ci_high),
                    _number(beside),
                )
            )
    return numbers


def _graver(mine: pd.DataFrame, consistency: pd.DataFrame, column: str) -> Finding:
    rows = mine[mine["measure"] == "monotonicity"]
    audio = headline(consistency[consistency["encoder"] == AUDIO])
    audio = audio[audio["measure"] == "monotonicity"]
    numbers = []
    codes = magnitudes.code_order(rows["transformation"].unique())
    for code in codes:
        of_code = rows[rows["transformation"] == code]
        ranked = _by_distance(of_code, column).sort_values("side", kind="stable")
        for row in ranked.itertuples(index=False):
            same = audio[(audio["transformation"] == code) & (audio["side"] == row.side)]
            beside = same["value"].min() if column == "latent_distance" else math.nan
            numbers.append(
                Number(
                    f"{code} {row.side}".strip(),
                    distance_name(str(getattr(row, column))),
                    _number(row.value),
                    _number(row.ci_low),
                    _number(row.ci_high),
                    _number(beside),
                )
            )
    known = [number for number in numbers if math.isfinite(number.value)]
    if not known:
        return Finding("undefined", _undefined(_reason(mine, "monotonicity")), tuple(numbers))
    middle = median(number.value for number in known)
    lowest = min(known, key=lambda number: number.value)
    short = [number for number in known if not _lower(number) >= MONOTONE]
    word: Word
    if not short:
        word = "holds"
        text = (
            f"The distance to the own original grows with the severity of the change everywhere: "
            f"mean rank correlation {_with_interval(lowest)} or more "
            f"(lowest: {lowest.what}, {lowest.distance})."
        )
    else:
        word = "holds partly" if middle >= RISING else "does not hold"
        text = (
            f"The mean rank correlation between severity and distance to the own original is not "
            f"reliably {MONOTONE:g} or more in {len(short)} of {len(known)} cases, median "
            f"{middle:.2f}; lowest {_with_interval(lowest)} ({lowest.what}, {lowest.distance})."
        )
        if column == "latent_distance" and math.isfinite(lowest.audio):
            text += f" The audio space has {lowest.audio:.2f} there."
    fewest = _fewest_magnitudes(mine)
    if fewest is not None and fewest[1] < 4:
        text += (
            f" {fewest[0]} has only {fewest[1]} magnitudes in this grid, which makes for a coarse "
            "rank correlation."
        )
    if len(known) < len(numbers):
        text += f" {len(numbers) - len(known)} of {len(numbers)} cases are undefined."
    return Finding(word, text, tuple(numbers))


def _fewest_magnitudes(mine: pd.DataFrame) -> tuple[str, int] | None:
    """Return the transformation and side with the fewest magnitudes, at least 2, and how many."""
    rows = mine[(mine["measure"] == "C_W") & (mine["transformation"] != ORIGINAL)]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    counts: dict[str, int] = {}
    for code, magnitude in pairs.itertuples(index=False):
        name = f"{code} {magnitudes.side(str(code), float(str(magnitude)))}".strip()
        counts[name] = counts.get(name, 0) + 1
    several = {name: count for name, count in counts.items() if count > 1}
    if not several:
        return None
    name = min(several, key=lambda one: several[one])
    return name, several[name]


def _identical(mine: pd.DataFrame, queries: pd.DataFrame, series: Series, column: str) -> list[str]:
    originals = mine[(mine["measure"] == "C_W") & (mine["transformation"] == ORIGINAL)]
    notes = []
    for row in _by_distance(originals, column).itertuples(index=False):
        value = _number(row.value)
        if not value < 1:
            continue
        asked = queries[
            (queries["encoder"] == series.encoder)
            & (queries["task"].fillna("") == series.task)
            & (queries["transformation"] == ORIGINAL)
            & (queries["distance"] == getattr(row, column))
        ]
        tied = asked.loc[asked["error"].fillna(0).astype(int) == 1, "clip_id"].nunique()
        what = "sequence of features" if series.encoder == AUDIO else "embedding"
        if getattr(row, column) == "cosine":
            what += " (or its direction)"
        count = f"{tied} clips share" if tied != 1 else "1 clip shares"
        notes.append(
            f"C_W of the unchanged clips is {value:.3f}, not 1, under the "
            f"{distance_name(str(getattr(row, column)))} distance: {count} their {what} with "
            "another clip."
        )
    return notes


def _worst(mine: pd.DataFrame, column: str) -> list[str]:
    rows = mine[
        (mine["measure"] == "C_W") & (mine["transformation"] != ORIGINAL) & mine["value"].notna()
    ]
    if rows.empty:
        return []
    means = rows.groupby("transformation")["value"].mean()
    worst, best = str(means.idxmin()), str(means.idxmax())
    if worst == best or means[worst] == means[best]:
        return []
    return [
        f"Over the whole grid {magnitudes.axis(worst).title} ({worst}) costs most, mean C_W "
        f"{means[worst]:.2f} over its own magnitudes; {magnitudes.axis(best).title} ({best}) "
        f"costs least, {means[best]:.2f}. These means depend on the grid."
    ]


def _between(mine: pd.DataFrame) -> list[str]:
    rho = mine[mine["measure"] == "C_B_rho"]
    if rho.empty:
        return []
    still = rho[rho["transformation"] == ORIGINAL]["value"].dropna()
    moved = rho[rho["transformation"] != ORIGINAL]["value"].dropna()
    if still.empty and moved.empty:
        return [f"C_B_rho: {_undefined(_reason(mine, 'C_B_rho'))}"]
    parts = []
    if len(still):
        parts.append(f"{_range(still)} on the unchanged clips")
    if len(moved):
        parts.append(f"{_range(moved)} under transformation")
    pairs = len(rho[["audio_distance", "latent_distance"]].drop_duplicates())
    over = f", over {pairs} pairs of distances" if pairs > 1 else ""
    return [
        f"Rank correlation with the audio space's distances (C_B_rho): {', '.join(parts)}{over}."
    ]


def _trials(consistency: pd.DataFrame, series: Series) -> list[str]:
    trials = of(consistency, series)["trial"]
    several = trials[trials > 0].nunique()
    if several < 2:
        return []
    return [f"All numbers are means over {several} trials, intervals resample trials and clips."]


def on_tasks(consistency: pd.DataFrame, run: Mapping[str, Any]) -> str:
    """Return a sentence on RQ2, how far consistency depends on the task, or ``""``.

    Needs two tasks or more among the encoders; the tasks' C_W intervals are set side by side at the
    mildest changes. Encoders that differ in more than their task are said to.
    """
    tasked = [one for one in series_of(run, consistency) if one.task]
    if len({one.task for one in tasked}) < 2:
        return ""
    points = mildest_points(consistency)
    within = consistency[consistency["measure"] == "C_W"]
    means: dict[Series, float] = {}
    for one in tasked:
        rows = headline(of(within, one))
        values = pd.concat([_at(rows, point)["value"] for point in points] or [rows["value"]])
        means[one] = float(values.mean())
    ranked = sorted(
        (one for one in tasked if math.isfinite(means[one])), key=lambda one: -means[one]
    )
    if len(ranked) < 2:
        return ""
    best, worst = ranked[0], ranked[-1]
    apart = total = 0
    for point in points:
        high = _at(headline(of(within, best)), point).set_index("latent_distance")
        low = _at(headline(of(within, worst)), point).set_index("latent_distance")
        for distance in high.index.intersection(low.index):
            total += 1
            apart += int(high.loc[distance, "ci_low"] > low.loc[distance, "ci_high"])
    order = ", ".join(f"{one.label} {means[one]:.2f}" for one in ranked)
    text = (
        f"By task, mean C_W over the mildest changes and distances: {order}. The intervals of the "
        f"first and the last do not overlap in {apart} of {total} cases"
    )
    if total and apart > total / 2:
        text += ": on these clips consistency differs between the tasks."
    elif apart:
        text += ": on these clips it differs between the tasks for some changes only."
    else:
        text += ": on these clips no difference between the tasks is shown."
    if len({one.encoder for one in tasked}) > 1:
        text += " These encoders differ in more than their task, so the task need not be the cause."
    return text


def _at(rows: pd.DataFrame, point: Point) -> pd.DataFrame:
    return rows[(rows["transformation"] == point.code) & (rows["magnitude"] == point.magnitude)]


def _by_distance(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    places = {name: place for place, name in enumerate(distance_order(rows[column]))}
    return rows.iloc[rows[column].map(places).argsort(kind="stable")]


def _n(mine: pd.DataFrame, run: Mapping[str, Any]) -> int:
    counted = mine.loc[mine["measure"] == "C_W", "n"]
    return int(run.get("n") or (counted.max() if len(counted) else 0))


def _reason(mine: pd.DataFrame, measure: str) -> str:
    """Return the commonest reason the table gives for undefined values of a measure."""
    rows = mine[mine["measure"] == measure]
    told = rows.loc[rows["value"].isna() & (rows["status"] != "ok"), "status"]
    if len(told):
        return str(told.mode().iloc[0])
    return "the run has no such rows" if rows.empty else "no value was computed"


def _undefined(reason: str) -> str:
    reason = reason.removeprefix("undefined").lstrip(":;, ")
    return f"Undefined: {reason}." if reason else "Undefined."


def _with_interval(number: Number) -> str:
    if not (math.isfinite(number.ci_low) and math.isfinite(number.ci_high)):
        return f"{number.value:.2f} (no interval)"
    return f"{number.value:.2f} [{number.ci_low:.2f}, {number.ci_high:.2f}]"


def _lower(number: Number) -> float:
    return number.ci_low if math.isfinite(number.ci_low) else -math.inf


def _range(values: pd.Series[float]) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _count_distances(numbers: Sequence[Number]) -> str:
    names = list(dict.fromkeys(number.distance for number in numbers))
    return f"the {_listed(names)} distance" + ("s" if len(names) > 1 else "")


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]


def _number(value: Any) -> float:
    return math.nan if value is None or value is pd.NA else float(value)
