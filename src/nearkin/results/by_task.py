"""Does consistency depend on the task an encoder was trained on (RQ2)? A sentence, and its tests.

Tables in, a sentence out. Every pair of encoders with different tasks is compared over the clips
they share, C_W at the mildest changes, under each latent distance; interval and p are those of
`nearkin.statistics.paired`, and Holm's correction holds the error over all of these tests: no pair
is chosen after looking.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from nearkin.results.answers import (
    Answers,
    Paired,
    RunTables,
    SystemOfRun,
    answers_of,
    units_of,
    used_clips,
)
from nearkin.results.systems import System, distance_name, systems_of
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.paired import paired_difference
from nearkin.statistics.tests import holm
from nearkin.transforms import magnitudes

RESAMPLES = 2000
SIGNIFICANT = 0.05
LISTED = 6
"""Pairs that are named."""


class TaskPair(NamedTuple):
    """Two encoders of different tasks under one distance: difference of C_W, interval, p."""

    a: System
    b: System
    distance: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def task_pairs(run: RunTables) -> tuple[dict[System, float], list[TaskPair]]:
    """Return the mean C_W of every encoder with a task, and the test of every pair of tasks.

    Parameters
    ----------
    run : RunTables
        The run.

    Returns
    -------
    means : dict of System to float
        Over the mildest changes and the latent distances.
    pairs : list of TaskPair
        Empty where fewer than two tasks have scores; without those of two trials, which no test
        tells apart.
    """
    tasked = [one for one in systems_of(run.record, run.queries) if one.task]
    shared = list(used_clips(run).index)
    if len({one.task for one in tasked}) < 2 or len(shared) < 2:
        return {}, []
    units = units_of(run, shared)
    points = [(str(code), float(m)) for code, m in run.record["grid"]["points"]]
    mildest = {(point.code, point.magnitude) for point in magnitudes.mildest(points)}
    within: dict[System, dict[str, Answers]] = {}
    for one in tasked:
        answers = answers_of(SystemOfRun(run, one), shared, n=None, same_clips=True, ladders=False)
        mine = {q.latent_distance: a for q, a in answers.items() if q.measure == "C_W"}
        within[one] = {distance: _at(answer, mildest) for distance, answer in mine.items()}
    means = {
        one: float(np.mean([np.nanmean(answer.value) for answer in mine.values()]))
        for one, mine in within.items()
        if mine and all(not np.isnan(answer.value).all() for answer in mine.values())
    }
    count = int(units.max()) + 1
    if count < 2:
        return means, []
    rng = stream(int(run.record.get("plan", {}).get("seed", 0)), "tasks", count)
    counts = resamples(count, n_resamples=RESAMPLES, rng=rng).astype(np.float64)
    found = []
    for a, b in itertools.combinations(means, 2):
        if a.task == b.task:
            continue
        for distance in [name for name in within[a] if name in within[b]]:
            paired = Paired(within[a][distance].value, within[b][distance].value, units)
            shares = paired.shares(range(len(paired.there)))
            difference = float(shares.a.mean() - shares.b.mean())
            if math.isnan(difference):
                continue
            low, high, p, _ = paired_difference(
                shares.a, shares.b, counts, bound=1.0, own=shares.own, weights=shares.weights
            )
            if math.isnan(p):
                continue  # two trials: no test
            found.append(TaskPair(a, b, distance, difference, low, high, p, p))
    corrected = holm([pair.p for pair in found])
    return means, [pair._replace(p_holm=float(p)) for pair, p in zip(found, corrected, strict=True)]


def _at(answers: Answers, mildest: set[tuple[str, float]]) -> Answers:
    """Return the answers at some points."""
    where = [i for i, at in enumerate(answers.places) if (at.code, at.magnitude) in mildest]
    return Answers([answers.places[i] for i in where], answers.value[:, where])


def on_tasks(run: RunTables) -> str:
    """Return a sentence on RQ2, how far consistency depends on the task, or ``""``.

    Needs two tasks or more among the encoders. Encoders that differ in more than their task are
    said to.
    """
    means, pairs = task_pairs(run)
    if not pairs:
        return ""
    ranked = sorted(means, key=lambda one: -means[one])
    order = ", ".join(f"{one.label} {means[one]:.2f}" for one in ranked)
    apart = [pair for pair in pairs if pair.p_holm <= SIGNIFICANT]
    text = (
        f"By task, mean C_W over the mildest changes and distances: {order}. Clip by clip, "
        f"{len(apart)} of {len(pairs)} differences between two tasks under one distance can be "
        "told from chance at 5 % (paired over the clips, Holm's correction over all)"
    )
    if apart:
        largest = sorted(apart, key=lambda pair: -abs(pair.difference))[:LISTED]
        text += f": {'; '.join(map(_pair, largest))}"
        text += "; and smaller ones." if len(apart) > LISTED else "."
    else:
        text += ": on these clips no difference between the tasks is shown."
    if any(pair.a.encoder != pair.b.encoder for pair in pairs):
        text += " These encoders differ in more than their task, so the task need not be the cause."
    return text


def _pair(pair: TaskPair) -> str:
    more, less = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
    ends = sorted((abs(pair.low), abs(pair.high)))
    return (
        f"{more.label} over {less.label} by {abs(pair.difference):.2f} [{ends[0]:.2f}, "
        f"{ends[1]:.2f}] ({distance_name(pair.distance)})"
    )
