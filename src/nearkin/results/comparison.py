"""Encoders or runs side by side: paired differences over the clips they share, with intervals.

Tables in, a table out. Every system (one encoder of one run) answered the same questions about
the same clips, so the clip is the unit: differences are taken clip by clip, and one set of
resamples of clips serves all of them. Trials, where a system has several, are resampled
crossed with the clips.

Conventions
-----------
A difference is a less b. Levels: "point" is one transformation at one magnitude; "transformation"
the unweighted mean over its magnitudes (monotonicity: over its sides); "overall" the unweighted
mean over the transformations; OG is left out. Intervals are 95 % percentile intervals. `p` is
two-sided from the bootstrap centred at no difference (Efron and Tibshirani 1993, section 16.4),
its deviations stretched by sqrt(m / (m - 1)) for the small sample, and never below what an exact
test of the m clips that differ at all could reach, 2 ** (1 - m). `p_holm` holds the familywise
error over all rows of one measure and level (Holm 1979).

C_B_rho is not compared: it needs both spaces' distances, which the tables do not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.results.answers import (
    Answers,
    Place,
    Question,
    RunTables,
    SystemOfRun,
    answers_of,
    common_clips,
    find_systems,
    pairs_of,
)
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import (
    Counts,
    crossed_replicates,
    mean_replicates,
    percentile_interval,
    resamples,
)
from nearkin.statistics.tests import bootstrap_p, holm
from nearkin.transforms import magnitudes

Floats = NDArray[np.float64]

COLUMNS = (
    *("run_a", "encoder_a", "task_a", "run_b", "encoder_b", "task_b", "measure"),
    *("audio_distance", "latent_distance", "level", "transformation", "magnitude"),
    *("value_a", "value_b", "difference", "ci_low", "ci_high", "p", "p_holm", "n", "status"),
)
ALL = "all"
FEWEST = 10
"""Clips, and trials, below which an interval's word is not taken without a warning."""

TOLD = ("seed", "engine", "noise", "mp3_rate", "audio_window", "working_rate")
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
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare encoders, within one run or between runs, over the clips they share.

    Parameters
    ----------
    runs : sequence of RunTables
        One or more runs of the same grid.
    encoders : sequence of str
        Which encoders, by name or "name · task"; all of a single run by default, the tested ones
        of several. "audio" is the audio space itself, for runs that differ in it.
    against : str
        One of them: only its differences from the others are taken. Empty: every pair.
    n : int, optional
        Also compare C_W in collections of n clips. Needed where the runs are of different clips:
        there C_W itself and C_B_acc depend on the others and are not compared.
    points : bool
        Also a row for every single magnitude.
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
    systems = find_systems(runs, encoders)
    pairs = pairs_of(systems, against, several_runs=len(runs) > 1)
    counts = resamples(
        len(shared), n_resamples=n_resamples, rng=stream(seed, "compare", len(shared))
    )
    answers = {
        index: answers_of(one, shared, n=n, same_clips=same_clips)
        for index, one in enumerate(systems)
        if any(index in pair for pair in pairs)
    }
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        both = [question for question in answers[a] if question in answers[b]]
        for question in both:
            names = _names(systems[a], systems[b], question)
            found = _differences(
                answers[a][question],
                answers[b][question],
                counts,
                rngs=(stream(seed, "trials", a), stream(seed, "trials", b)),
                points=points and question.measure != "monotonicity",
            )
            rows += [names | row for row in found]
    if not rows:
        raise InputError(
            "nothing to compare: the encoders share no distance; compare latent spaces with latent "
            "spaces, the audio space with another run's"
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = table.groupby(["measure", "level"])["p"].transform(holm)
    table = table.reindex(columns=list(COLUMNS))
    trials = {len(value.value) for mine in answers.values() for value in mine.values()}
    notes += _few_trials(trials) + _notes(runs, table, shared, n_resamples)
    return Comparison(table, tuple(notes), len(shared), n_resamples)


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


@dataclass
class _Paired:
    """Two systems' numbers at the same places and clips, missing in one: missing in both."""

    a: Floats
    b: Floats
    counts: Counts
    rngs: tuple[np.random.Generator, np.random.Generator]
    trials: list[Counts] = field(init=False)

    def __post_init__(self) -> None:
        missing = np.isnan(self.a).any(axis=0) | np.isnan(self.b).any(axis=0)
        self.a = np.where(missing, np.nan, self.a)
        self.b = np.where(missing, np.nan, self.b)
        self.trials = [
            resamples(len(one), n_resamples=len(self.counts), rng=rng).T
            for one, rng in zip((self.a, self.b), self.rngs, strict=True)
        ]

    def mean(self, side: Floats, where: Sequence[int]) -> float:
        """Return the mean over clips, then places, then trials; NaN where a place has no clip."""
        part = side[:, where]
        there = ~np.isnan(part)
        with np.errstate(invalid="ignore"):
            at_place = np.where(there, part, 0).sum(axis=2) / there.sum(axis=2)
        return float(np.mean(at_place))

    def replicates(self, where: Sequence[int]) -> Floats:
        """Return replicates of the difference of the means over some places, float64[B]."""
        if len(self.a) == len(self.b) == 1:
            return self._over_places((self.a - self.b)[0], where)
        sides = [
            crossed_replicates(np.stack([self._over_places(trial, where) for trial in side]), drawn)
            for side, drawn in zip((self.a, self.b), self.trials, strict=True)
        ]
        return sides[0] - sides[1]

    def _over_places(self, values: Floats, where: Sequence[int]) -> Floats:
        part = values[list(where)]
        if not np.isnan(part).any():
            return mean_replicates(part.mean(axis=0), self.counts)
        return np.asarray(mean_replicates(part, self.counts).mean(axis=0))

    def differing(self, where: Sequence[int]) -> tuple[int, int]:
        """Return on how many clips the two differ, and how many answered anything."""
        gap = self.a[:, where].mean(axis=0) - self.b[:, where].mean(axis=0)
        there = ~np.isnan(gap)
        sums = np.where(there, gap, 0).sum(axis=0)
        return int((np.abs(sums) > 1e-12).sum()), int(there.any(axis=0).sum())


def _differences(
    a: Answers,
    b: Answers,
    counts: Counts,
    *,
    rngs: tuple[np.random.Generator, np.random.Generator],
    points: bool,
) -> Iterator[dict[str, Any]]:
    paired = _Paired(a.value, b.value, counts, rngs)
    codes = magnitudes.code_order(place.code for place in a.places)
    by_code = {
        code: [index for index, place in enumerate(a.places) if place.code == code]
        for code in codes
    }
    replicates = {code: paired.replicates(where) for code, where in by_code.items()}
    means = {
        code: (paired.mean(paired.a, where), paired.mean(paired.b, where))
        for code, where in by_code.items()
    }
    # A transformation nobody can be judged in (an undefined monotonicity) is not in the mean.
    known = [code for code in codes if not math.isnan(means[code][0] - means[code][1])]
    if known:
        everywhere = [index for code in known for index in by_code[code]]
        yield _row(
            "overall",
            Place(ALL, math.nan),
            tuple(np.mean([means[code] for code in known], axis=0)),
            np.mean([replicates[code] for code in known], axis=0),
            paired.differing(everywhere),
            "ok" if len(known) == len(codes) else f"without {', '.join(set(codes) - set(known))}",
        )
    else:
        yield _row("overall", Place(ALL, math.nan), (math.nan, math.nan), np.array([]), (0, 0))
    for code, where in by_code.items():
        at = Place(code, math.nan)
        yield _row("transformation", at, means[code], replicates[code], paired.differing(where))
    if points:
        for index, place in enumerate(a.places):
            values = (paired.mean(paired.a, [index]), paired.mean(paired.b, [index]))
            found = paired.replicates([index])
            yield _row("point", place, values, found, paired.differing([index]))


def _row(
    level: str,
    place: Place,
    values: tuple[float, ...],
    replicates: Floats,
    clips: tuple[int, int],
    status: str = "ok",
) -> dict[str, Any]:
    difference = values[0] - values[1]
    n_differing, n = clips
    undefined = math.isnan(difference)
    interval = percentile_interval(np.array([math.nan]) if undefined else replicates)
    return {
        "level": level,
        "transformation": place.code,
        "magnitude": place.magnitude,
        "value_a": values[0],
        "value_b": values[1],
        "difference": difference,
        "ci_low": float(interval.low),
        "ci_high": float(interval.high),
        "p": bootstrap_p(difference, replicates, n_differing=n_differing),
        "n": n,
        "status": "undefined for one of the two" if undefined else status,
    }


# -- words ---------------------------------------------------------------------------------------


def _few_trials(trials: set[int]) -> list[str]:
    """A resample of T trials varies by (T - 1) / T of what T new ones would."""
    few = sorted(count for count in trials if 1 < count < FEWEST)
    if not few:
        return []
    low = math.sqrt((few[0] - 1) / few[0])
    return [
        f"{' and '.join(map(str, few))} trials are few to resample: the trials' part of an "
        f"interval is about {low:.2f} times as wide as it should be"
    ]


def _notes(
    runs: Sequence[RunTables], table: pd.DataFrame, shared: Sequence[str], n_resamples: int
) -> list[str]:
    notes = []
    for name in TOLD:
        values = [str(run.record.get("plan", {}).get(name)) for run in runs]
        if len(set(values)) > 1:
            told = ", ".join(
                f"{run.name}: {value}" for run, value in zip(runs, values, strict=True)
            )
            notes.append(f"the runs differ in {name} ({told}): the differences hold that too")
    if len(shared) < FEWEST:
        notes.append(f"{len(shared)} clips are few for a bootstrap: read the intervals with care")
    for (measure, level), family in table.groupby(["measure", "level"], sort=False):
        tests = int(family["p"].notna().sum())
        if tests / (n_resamples + 1) > 0.05:
            notes.append(
                f"{tests} tests of {measure} by {level} with {n_resamples} resamples: none can be "
                f"significant after correction; pass --resamples {20 * tests} or more"
            )
    notes.append(
        "C_B_rho is not compared: it needs both spaces' distances; its intervals are in each run's "
        "consistency table"
    )
    return notes
