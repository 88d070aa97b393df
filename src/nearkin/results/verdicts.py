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

from nearkin.results.remarks import (
    as_float,
    correlation_with_audio,
    identical_embeddings,
    most_costly,
    over_trials,
    undefined,
)
from nearkin.results.systems import (
    AUDIO,
    System,
    at_point,
    by_distance,
    distance_name,
    headline,
    mildest_points,
    of,
    systems_of,
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
        verdict(consistency, queries, run, system.encoder, task=system.task)
        for system in systems_of(run, consistency)
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
        system = System(AUDIO, "", AUDIO)
    else:
        match = [
            one
            for one in systems_of(run, consistency)
            if (one.encoder, one.task) == (encoder, task)
        ]
        system = match[0] if match else System(encoder, task, "tested")
    mine = headline(of(consistency, system))
    column = "audio_distance" if encoder == AUDIO else "latent_distance"
    near = _near(mine, consistency, column, run)
    graver = _graver(mine, consistency, column)
    notes = [
        *identical_embeddings(mine, queries, system, column),
        *most_costly(mine, column),
        *correlation_with_audio(mine),
        *over_trials(consistency, system),
    ]
    label = "audio space (MFCC sequences)" if encoder == AUDIO else system.label
    return Verdict(label, system.role, near, graver, tuple(notes))


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
        return Finding("undefined", undefined(mine, "C_W"), tuple(numbers))
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
        beside = at_point(audio, point)["value"].min() if column == "latent_distance" else math.nan
        for row in by_distance(at_point(rows, point), column).itertuples(index=False):
            numbers.append(
                Number(
                    magnitudes.in_words(point.code, point.magnitude),
                    distance_name(str(getattr(row, column))),
                    as_float(row.value),
                    as_float(row.ci_low),
                    as_float(row.ci_high),
                    as_float(beside),
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
        ranked = by_distance(of_code, column).sort_values("side", kind="stable")
        for row in ranked.itertuples(index=False):
            same = audio[(audio["transformation"] == code) & (audio["side"] == row.side)]
            beside = same["value"].min() if column == "latent_distance" else math.nan
            numbers.append(
                Number(
                    f"{code} {row.side}".strip(),
                    distance_name(str(getattr(row, column))),
                    as_float(row.value),
                    as_float(row.ci_low),
                    as_float(row.ci_high),
                    as_float(beside),
                )
            )
    known = [number for number in numbers if math.isfinite(number.value)]
    if not known:
        return Finding("undefined", undefined(mine, "monotonicity"), tuple(numbers))
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


def _n(mine: pd.DataFrame, run: Mapping[str, Any]) -> int:
    counted = mine.loc[mine["measure"] == "C_W", "n"]
    return int(run.get("n") or (counted.max() if len(counted) else 0))


def _with_interval(number: Number) -> str:
    if not (math.isfinite(number.ci_low) and math.isfinite(number.ci_high)):
        return f"{number.value:.2f} (no interval)"
    return f"{number.value:.2f} [{number.ci_low:.2f}, {number.ci_high:.2f}]"


def _lower(number: Number) -> float:
    return number.ci_low if math.isfinite(number.ci_low) else -math.inf


def _count_distances(numbers: Sequence[Number]) -> str:
    names = list(dict.fromkeys(number.distance for number in numbers))
    return f"the {_listed(names)} distance" + ("s" if len(names) > 1 else "")


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]
