"""Encoders or runs side by side: paired differences over the clips they share, with intervals.

Tables in, a table out. Every system (one encoder of one run) answered the same questions about
the same clips, so the clip is the unit: differences are taken clip by clip. Clips of one group or
one file stay together, in the resamples and in the count of what is independent.

Conventions
-----------
A difference is a less b. Levels: "point" is one transformation at one magnitude; "transformation"
the unweighted mean over its magnitudes (monotonicity: over its sides); "overall" the unweighted
mean over the transformations; OG is left out; "attack" one SNR of attacked clips, where both runs
searched them in the same way, in no mean. Intervals (95 %) and two-sided p-values come from one
method, which `ci_method` names; see `nearkin.statistics.paired`. `p_holm` holds the familywise
error over all rows of one measure and level (Holm 1979). A query that an encoder failed counts as
lost; one that could not be made is left out of both.

C_B_rho is not compared: it needs both spaces' distances, which the tables do not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.results.answers import (
    Answers,
    Paired,
    Place,
    Question,
    RunTables,
    Shares,
    SystemOfRun,
    answers_of,
    common_clips,
    failed_notes,
    units_of,
)
from nearkin.results.attack_answers import attacked
from nearkin.results.pairing import find_systems, pairs_of
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.intervals import FEWEST_TRIALS
from nearkin.statistics.paired import ENOUGH, Difference, paired_difference
from nearkin.statistics.tests import holm
from nearkin.tables import MEASURES, OK
from nearkin.transforms import magnitudes

Floats = NDArray[np.float64]

COLUMNS = (
    *("run_a", "encoder_a", "task_a", "run_b", "encoder_b", "task_b", "measure"),
    *("audio_distance", "latent_distance", "level", "transformation", "magnitude"),
    *(
        "value_a",
        "value_b",
        "difference",
        "ci_low",
        "ci_high",
        "ci_method",
        "p",
        "p_holm",
        "n",
        "status",
    ),
)
ALL = "all"
FEW_TRIALS = 10
"""Trials below which an interval's word is not taken without a warning."""

TOLD = (
    "seed",
    "engine",
    "noise",
    "other_music",
    "mp3_rate",
    "audio_window",
    "working_rate",
    "storage",
    "loudness_window",
    "dtw",
)
"""Settings that may differ between runs; the difference is told, because it is compared too."""


@dataclass(frozen=True)
class Comparison:
    """All differences.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a pair, measure, distance and level; columns are `COLUMNS`.
    notes : tuple of str
        What a reader must know beside the numbers, one sentence each.
    n : int
        Clips shared.
    resamples : int
        Resamples of them.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    n: int
    resamples: int


def compare(
    runs: Sequence[RunTables],
    *,
    encoders: Sequence[str] = (),
    against: str = "",
    n: int | None = None,
    points: bool = False,
    measure: str = "",
    distance: str = "",
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare encoders, within one run or between runs, over the clips they share.

    Parameters
    ----------
    runs : sequence of RunTables
        One or more runs of the same grid.
    encoders : sequence of str
        Which encoders, every one with every other, by name or name and task (vgg-ae). By default
        of a single run every tested one with every reference (every pair where there is only one
        of the two kinds), of several the tested ones. "audio" is the audio space itself, for runs
        that differ in it.
    against : str
        Only the differences of all others from this one are taken; where runs have one each, from
        that of their own run.
    n : int, optional
        Also compare C_W in collections of n clips. Needed where the runs are of different clips:
        there C_W itself and C_B_acc depend on the others and are not compared.
    points : bool
        Also a row for every single magnitude.
    measure, distance : str
        Only this measure, and only this latent distance; Holm's correction is then over fewer rows.
    n_resamples, seed : int
        Of the bootstrap; ``2 / n_resamples`` is about the smallest p.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the runs are of different grids or clips (told by name), an encoder is unknown, or
        nothing is left to compare.
    """
    if n_resamples < 100:
        raise InputError(f"resamples={n_resamples}: must be >= 100; pass for instance 10000")
    shared, same_clips, notes = common_clips(runs, n)
    systems = find_systems(runs, encoders, against)
    several = len(runs) > 1
    by_role = not several and not encoders
    pairs = pairs_of(systems, against, several_runs=several, by_role=by_role)
    units = units_of(runs[0], shared)
    count = int(units.max()) + 1
    if count < 2:
        raise InputError(
            f"the {len(shared)} clips shared are of one file or group: a comparison needs 2 or more"
        )
    counts = resamples(count, n_resamples=n_resamples, rng=stream(seed, "compare", count)).astype(
        np.float64
    )
    answers = {
        index: answers_of(
            one,
            shared,
            n=n,
            same_clips=same_clips,
            ladders=measure in ("", "monotonicity"),
        )
        for index, one in enumerate(systems)
        if any(index in pair for pair in pairs)
    }
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        both = [question for question in answers[a] if question in answers[b]]
        for question in both:
            if (measure and measure != question.measure) or (
                distance and distance != question.latent_distance
            ):
                continue
            names = _names(systems[a], systems[b], question)
            found = _differences(
                answers[a][question],
                answers[b][question],
                counts,
                units=units,
                bound=largest_difference(question.measure),
                points=points and question.measure != "monotonicity",
            )
            rows += [names | row for row in found]
        if same_clips and measure in ("", "C_W"):
            found_there, told = _under_attack(systems[a], systems[b], shared, counts, units)
            wanted = [row for row in found_there if distance in ("", row["latent_distance"])]
            rows, notes = rows + wanted, notes + told
    if not rows:
        raise InputError(
            "nothing to compare: the encoders share no distance; compare latent spaces with latent "
            "spaces, the audio space with another run's"
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = table.groupby(["measure", "level"])["p"].transform(holm)
    table = table.reindex(columns=list(COLUMNS))
    notes += failed_notes(systems, pairs, several_runs=len(runs) > 1)
    if count < len(shared):
        notes.append(
            f"the {len(shared)} clips are of {count} files or groups, which are compared as wholes"
        )
    trials = {len(value.value) for mine in answers.values() for value in mine.values()}
    notes += _few_trials(trials) + _notes(runs, table, count, n_resamples)
    return Comparison(table, tuple(notes), len(shared), n_resamples)


def largest_difference(measure: str) -> float:
    """Return the largest difference two values of a measure can have."""
    known = MEASURES[measure.partition("@")[0]]
    return known.high - known.low


# -- differences ---------------------------------------------------------------------------------


def _names(a: SystemOfRun, b: SystemOfRun, question: Question) -> dict[str, Any]:
    return {
        "run_a": a.run.name,
        "encoder_a": a.encoder,
        "task_a": a.task,
        "run_b": b.run.name,
        "encoder_b": b.encoder,
        "task_b": b.task,
        **question._asdict(),
    }


def _differences(
    a: Answers,
    b: Answers,
    counts: Floats,
    *,
    units: NDArray[np.intp],
    bound: float,
    points: bool,
) -> Iterator[dict[str, Any]]:
    paired = Paired(a.value, b.value, units)
    codes = magnitudes.code_order(place.code for place in a.places)
    by_code = {
        code: [index for index, place in enumerate(a.places) if place.code == code]
        for code in codes
    }
    shares = {code: paired.shares(where) for code, where in by_code.items()}

    def row(
        level: str,
        at: Place,
        shares: Shares,
        where: list[int],
        status: str = OK,
    ) -> dict[str, Any]:
        return _row(level, at, shares, counts, bound, paired.answered(where), status)

    # A transformation nobody can be judged in (an undefined monotonicity) is not in the mean.
    known = [c for c in codes if not math.isnan(sum(float(one.sum()) for one in shares[c]))]
    everywhere = Place(ALL, math.nan)
    if known:
        parts = zip(*(shares[code] for code in known), strict=True)
        over_all = Shares(*(np.mean(part, axis=0) for part in parts))
        where = [index for code in known for index in by_code[code]]
        left_out = [code for code in codes if code not in known]
        status = f"without {', '.join(left_out)}" if left_out else OK
        yield row("overall", everywhere, over_all, where, status)
    else:
        nothing = np.full((1, 2), math.nan)
        yield row("overall", everywhere, Shares(nothing, nothing, nothing[0], nothing[0]), [])
    for code, where in by_code.items():
        yield row("transformation", Place(code, math.nan), shares[code], where)
    if points:
        for index, place in enumerate(a.places):
            yield row("point", place, paired.shares([index]), [index])


def _status(difference: float, found: Difference, status: str) -> str:
    if math.isnan(difference):
        return "undefined for one of the two"
    if not math.isnan(found.p):
        return status
    reason = "no interval: 2 trials are too few"
    return reason if status == OK else f"{status}; {reason}"


def _row(
    level: str,
    at: Place,
    shares: Shares,
    counts: Floats,
    bound: float,
    answered: int,
    status: str = OK,
) -> dict[str, Any]:
    a, b, own, weights = shares
    means = [float(side.mean()) for side in (a, b)]
    difference = means[0] - means[1]
    undefined = math.isnan(difference) or len(own) < 2
    found = (
        Difference(math.nan, math.nan, math.nan, "")
        if undefined
        else paired_difference(a, b, counts, bound=bound, own=own, weights=weights)
    )
    return {
        "level": level,
        "transformation": at.code,
        "magnitude": at.magnitude,
        "value_a": means[0],
        "value_b": means[1],
        "difference": difference,
        "ci_low": found.low,
        "ci_high": found.high,
        "ci_method": found.method,
        "p": found.p,
        "n": answered,
        "status": _status(difference, found, status),
    }


def _under_attack(
    a: SystemOfRun,
    b: SystemOfRun,
    shared: Sequence[str],
    counts: Floats,
    units: NDArray[np.intp],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of two encoders' attacked clips, and why there are none."""
    one, two = attacked(a, shared), attacked(b, shared)
    if one is None or two is None:
        return [], []
    several = a.run is not b.run
    labels = [side.label(several_runs=several) for side in (a, b)]
    if one.method != two.method:
        return [], [
            f"{labels[0]} and {labels[1]} are not compared under attack: one was searched along "
            "its gradient, the other by questions alone, which finds less"
        ]
    both = [place for place in one.answers.places if place in two.answers.places]
    mine, theirs = (
        side.answers.value[:, [side.answers.places.index(place) for place in both]]
        for side in (one, two)
    )
    paired = Paired(mine, theirs, units)
    names = _names(a, b, one.question)
    bound = largest_difference("C_W")
    return [
        names | _row("attack", at, paired.shares([place]), counts, bound, paired.answered([place]))
        for place, at in enumerate(both)
    ], []


# -- words ---------------------------------------------------------------------------------------


def _few_trials(trials: set[int]) -> list[str]:
    """Say what few trials can tell."""
    few = sorted(count for count in trials if FEWEST_TRIALS <= count < FEW_TRIALS)
    notes = []
    if few:
        notes.append(
            f"{' and '.join(map(str, few))} trials say little of newly trained models: "
            "the intervals hold what they say, and are wide for it"
        )
    if any(1 < count < FEWEST_TRIALS for count in trials):
        notes.append(
            "2 trials do not tell how far apart trials lie: there is no interval and no p; train "
            f"{FEWEST_TRIALS} or more"
        )
    return notes


def _notes(
    runs: Sequence[RunTables], table: pd.DataFrame, n_units: int, n_resamples: int
) -> list[str]:
    notes = []
    for name in TOLD:
        values = [str(run.record.get("plan", {}).get(name)) for run in runs]
        if len(set(values)) > 1:
            told = ", ".join(
                f"{run.name}: {value}" for run, value in zip(runs, values, strict=True)
            )
            notes.append(f"the runs differ in {name} ({told}): the differences hold that too")
    if n_units < ENOUGH:
        notes.append(
            f"{n_units} clips are few: one clip of ten on which an encoder fails may not be among "
            f"them, so that intervals reach as far as such a clip could move them; {ENOUGH} or "
            "more show smaller differences"
        )
    for (measure, level), family in table.groupby(["measure", "level"], sort=False):
        tests = int(family["p"].notna().sum())
        if 2 * tests / (n_resamples + 1) > 0.05:
            notes.append(
                f"{tests} tests of {measure} by {level} with {n_resamples} resamples: none can be "
                f"significant after correction; pass --resamples {40 * tests} or more"
            )
    notes.append(
        "C_B_rho is not compared: it needs both spaces' distances; its intervals are in each run's "
        "consistency table"
    )
    return notes
