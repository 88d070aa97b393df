"""The verdicts in words: what a run's tables say about the paper's assumptions (i) and (ii).

Tables in, sentences out; no HTML, no plots. One rule turns numbers into words. A number is held
against a threshold by its 95 % interval: it "holds" where the whole interval lies at or above the
threshold, "does not hold" where all of it lies below, and is "not settled" otherwise; then the
number of clips is said that would settle it if what was seen stayed as it is. The rule is applied
to every transformation and direction by itself, and the line of a verdict names them: "holds for
TS, MP; fails for EN; not settled: PN, PS".

Assumption (i), a small change moves a clip very little: at the mildest magnitude of a
transformation and direction in the grid, is C_W at least `NEAR`? Assumption (ii), a more severe
change moves it more: is the mean rank correlation of severity with the distance to the own original
at least `MONOTONE`? A transformation holds where it does under every distance and fails where it
does under any.

Because intervals are exact, a word of the two that decide is wrong for one number in forty at the
most, whatever the number of clips: few clips make "not settled", never a lucky "holds". "undefined"
is said where no number exists. The assumptions are those of Kim, Urbano, Liem and Hanjalic (2019),
section 1; the constants are nearkin's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from nearkin.results.deciding import Number, Word, judged
from nearkin.results.remarks import (
    as_float,
    correlation_with_audio,
    failed_queries,
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
from nearkin.transforms.magnitudes import ORIGINAL

NEAR = 0.95
"""C_W from which a changed clip counts as staying with its original."""
MONOTONE = 0.9
"""Mean rank correlation from which the distance counts as growing with the severity."""


RULES = (
    f"Assumption (i) is asked at the mildest magnitude of every transformation and direction in "
    f"the grid: is C_W at least {NEAR:g}? Assumption (ii): is the mean rank correlation between "
    f"severity and distance to the own original at least {MONOTONE:g}? One rule answers both. A "
    f"transformation holds where the whole 95 % interval lies at or above the threshold (under "
    f"every distance), fails where all of it lies below (under any), and is not settled otherwise; "
    f"the clips that would settle it are counted as if what was seen stayed as it is. An "
    f"assumption as a whole holds where every transformation does, and does not where one fails. "
    f"The thresholds are conventions of this report, not of the paper, and C_W falls as a "
    f"collection grows: every verdict is about a collection of the N clips of this run."
)


@dataclass(frozen=True)
class Finding:
    """A word, the line that names the transformations, and the sentences that say why.

    Attributes
    ----------
    word : str
        "holds" where every transformation does, "does not hold" where one fails, else "not
        settled"; "undefined" where no number exists.
    sentence : str
        What the numbers say, the line first.
    line : str
        "holds for TS, MP; fails for EN; not settled: PN, PS".
    numbers : tuple of Number
        What it rests on.
    """

    word: Word
    sentence: str
    line: str = ""
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the run says about one encoder (or the audio space).

    Attributes
    ----------
    label, role : str
        Name on the page; ``"tested"``, ``"reference"`` or ``"audio"``.
    near, further : Finding
        Assumptions (i) and (ii).
    notes : tuple of str
        Further sentences: failed queries, identical embeddings, the worst transformation, C_B_rho.
    """

    label: str
    role: str
    near: Finding
    further: Finding
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
    further = _further(mine, consistency, column, run)
    notes = [
        *failed_queries(mine, column),
        *identical_embeddings(mine, queries, system, column),
        *most_costly(mine, column),
        *correlation_with_audio(mine),
        *over_trials(consistency, system),
    ]
    label = "audio space (MFCC sequences)" if encoder == AUDIO else system.label
    return Verdict(label, system.role, near, further, tuple(notes))


def caveat(consistency: pd.DataFrame) -> str:
    """Return the sentence that names mildest points which may well be audible, or ``""``."""
    loud = [
        point for point in mildest_points(consistency) if not magnitudes.is_imperceptible(point)
    ]
    if not loud:
        return ""
    names = _listed([magnitudes.in_words(point.code, point.magnitude) for point in loud])
    return (
        f"This grid's mildest changes are more severe than what the paper takes as hardly "
        f"perceptible for {names}: there, assumption (i) is tested on a change that may be heard."
    )


# -- words --------------------------------------------------------------------------------------


def _finding(numbers: Sequence[Number], why: str, n: int, said: Iterable[str]) -> Finding:
    """Return the finding of a verdict's numbers: the line, how many clips, then what is said."""
    known = [number for number in numbers if math.isfinite(number.value)]
    if not known:
        return Finding("undefined", why, why, tuple(numbers))
    words: dict[tuple[str, str], Word] = {}
    for number in numbers:
        place = (number.code, number.side)
        words[place] = _worse(words.get(place, "undefined"), number.word)
    everywhere: Word = "undefined"
    for word in words.values():
        everywhere = _worse(everywhere, word)
    line = _line(words)
    sentences = [f"{line[:1].upper()}{line[1:]}."]
    open_ = [number for number in numbers if number.word == "not settled"]
    if open_:
        sentences.append(_would_settle(open_, n))
    lost = len(numbers) - len(known)
    if lost:
        sentences.append(f"{lost} of {len(numbers)} cases are undefined.")
    text = " ".join([*sentences, *(one for one in said if one)])
    return Finding(everywhere, text, line, tuple(numbers))


def _worse(one: Word, two: Word) -> Word:
    order: tuple[Word, ...] = ("undefined", "holds", "not settled", "does not hold")
    return max(one, two, key=order.index)


def _line(words: Mapping[tuple[str, str], Word]) -> str:
    """Return "holds for TS, MP; fails for EN; not settled: PN, PS+"."""
    parts = []
    leads: dict[Word, str] = {
        "holds": "holds for ",
        "does not hold": "fails for ",
        "not settled": "not settled: ",
        "undefined": "undefined: ",
    }
    for word, lead in leads.items():
        names = []
        for code in dict.fromkeys(code for code, _ in words):
            sides = [side for one, side in words if one == code]
            here = [side for side in sides if words[code, side] == word]
            if len(here) == len(sides):
                names.append(code)
            else:
                names += [magnitudes.direction(code, side) for side in here]
        if names:
            parts.append(lead + ", ".join(names))
    return "; ".join(parts)


def _would_settle(numbers: Sequence[Number], n: int) -> str:
    """Say how many clips would settle what is not."""
    needed: dict[str, int | None] = {}
    for number in numbers:
        name = magnitudes.direction(number.code, number.side)
        before = needed.get(name, 0)
        needed[name] = (
            None if None in (before, number.clips) else max(before or 0, number.clips or 0)
        )
    counted = {name: count for name, count in needed.items() if count is not None}
    text = f"{n} clips do not settle {_listed(list(needed))}"
    if counted:
        least, most = min(counted.values()), max(counted.values())
        told = _rounded(most) if least == most else f"{_rounded(least)} to {_rounded(most)}"
        which = "" if len(counted) == len(needed) else f" of {_listed(list(counted))}"
        text += f" (n = {told} would settle it{which}, if what was seen stays as it is)"
    reasons = {
        magnitudes.direction(number.code, number.side): number.reason or "too near the threshold"
        for number in numbers
        if number.clips is None
    }
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, why in reasons.items() if why == reason]
        text += f"; no number of clips would settle {_listed(names)}: {reason}"
    return text + "."


def _rounded(clips: int) -> str:
    """Write a number of clips: to the clip below 100, else rounded up to two digits."""
    step = 10 ** max(len(str(clips)) - 2, 0)
    return f"{-(-clips // step) * step:,}"


# -- the numbers ---------------------------------------------------------------------------------


def _near(
    mine: pd.DataFrame, consistency: pd.DataFrame, column: str, run: Mapping[str, Any]
) -> Finding:
    points = mildest_points(consistency)
    n = _n(mine, run)
    numbers = _c_w_at(mine, points, column, consistency, n)
    known = [number for number in numbers if math.isfinite(number.value)]
    said = []
    if known:
        lowest = min(known, key=lambda one: one.value)
        originals = mine[(mine["measure"] == "C_W") & (mine["transformation"] == ORIGINAL)]
        if len(originals) and (originals["value"] == 0).all():
            said.append(
                f"C_W is 0 even for the unchanged clips: every one of the {n} clips ties with "
                "another, so no clip can be told from the others."
            )
        said.append(
            f"Lowest C_W {_with_interval(lowest)} ({lowest.what}, {lowest.distance})"
            + (f", where {_failed(lowest)}" if lowest.failed else "")
            + f"; median {median(one.value for one in known):.2f} over {len(known)} cases "
            f"({len(points)} mildest changes under {_count_distances(known)})."
        )
        if column == "latent_distance" and lowest.value < NEAR:
            said.append(_beside_audio(lowest))
        said.append(f"Chance is {1 / n:.2g} (N = {n})." if n else "")
    return _finding(numbers, undefined(mine, "C_W"), n, said)


def _failed(number: Number) -> str:
    return f"{number.failed} of {number.asked} queries failed and count as lost"


def _beside_audio(number: Number) -> str:
    if not math.isfinite(number.audio):
        return ""
    text = f"There the audio space has {number.audio:.2f}"
    if number.audio < NEAR:
        return f"{text}, below {NEAR:g} itself."
    if number.ci_high < number.audio:
        return f"{text}: the loss is the encoder's."
    return f"{text}, within the encoder's interval."


def _c_w_at(
    mine: pd.DataFrame,
    points: Sequence[magnitudes.Point],
    column: str,
    consistency: pd.DataFrame,
    n: int,
) -> list[Number]:
    rows = mine[mine["measure"] == "C_W"]
    audio = headline(consistency[consistency["encoder"] == AUDIO])
    audio = audio[audio["measure"] == "C_W"]
    numbers = []
    for point in points:
        beside = at_point(audio, point)["value"].min() if column == "latent_distance" else math.nan
        for row in by_distance(at_point(rows, point), column).itertuples(index=False):
            number = Number(
                magnitudes.in_words(point.code, point.magnitude),
                distance_name(str(getattr(row, column))),
                as_float(row.value),
                as_float(row.ci_low),
                as_float(row.ci_high),
                as_float(beside),
                point.code,
                point.side,
            )
            numbers.append(judged(number, row, "C_W", NEAR, n))
    return numbers


def _further(
    mine: pd.DataFrame, consistency: pd.DataFrame, column: str, run: Mapping[str, Any]
) -> Finding:
    rows = mine[mine["measure"] == "monotonicity"]
    n = _n(mine, run)
    audio = headline(consistency[consistency["encoder"] == AUDIO])
    audio = audio[audio["measure"] == "monotonicity"]
    numbers = []
    for code in magnitudes.code_order(rows["transformation"].unique()):
        of_code = rows[rows["transformation"] == code]
        sides = magnitudes.axis(code).sides
        ranked = by_distance(of_code, column).sort_values(
            "side", kind="stable", key=lambda names: names.map({s: i for i, s in enumerate(sides)})
        )
        for row in ranked.itertuples(index=False):
            same = audio[(audio["transformation"] == code) & (audio["side"] == row.side)]
            beside = same["value"].min() if column == "latent_distance" else math.nan
            number = Number(
                f"{code} {row.side}".strip(),
                distance_name(str(getattr(row, column))),
                as_float(row.value),
                as_float(row.ci_low),
                as_float(row.ci_high),
                as_float(beside),
                code,
                str(row.side),
            )
            numbers.append(judged(number, row, "monotonicity", MONOTONE, n))
    known = [number for number in numbers if math.isfinite(number.value)]
    said = []
    if known:
        lowest = min(known, key=lambda number: number.value)
        said.append(
            f"Lowest mean rank correlation of severity and distance to the own original "
            f"{_with_interval(lowest)} ({lowest.what}, {lowest.distance}); median "
            f"{median(number.value for number in known):.2f} over {len(known)} cases."
        )
        if lowest.word != "holds" and math.isfinite(lowest.audio):
            said.append(f"The audio space has {lowest.audio:.2f} there.")
        fewest = _fewest_magnitudes(mine)
        if fewest is not None and fewest[1] < 4:
            said.append(
                f"{fewest[0]} has only {fewest[1]} magnitudes in this grid, which makes for a "
                "coarse rank correlation."
            )
    return _finding(numbers, undefined(mine, "monotonicity"), n, said)


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


def _count_distances(numbers: Sequence[Number]) -> str:
    names = list(dict.fromkeys(number.distance for number in numbers))
    return f"the {_listed(names)} distance" + ("s" if len(names) > 1 else "")


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]
