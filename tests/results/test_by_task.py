"""RQ2's sentence: every pair of tasks is tested, and Holm's correction holds the error of all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from nearkin.results.answers import RunTables
from nearkin.results.by_task import on_tasks, task_pairs
from support.fabricated import IMPERCEPTIBLE, fabricate


def made(tasks: tuple[str, ...], n: int = 80, seed: int = 0) -> RunTables:
    tested = tuple(("vgg", task) for task in tasks)
    data = fabricate(tested=tested, references=(), n=n, grid=IMPERCEPTIBLE, seed=seed)
    return RunTables("r", data.run, data.clips, data.queries)


def with_errors(run: RunTables, shares: dict[str, float], seed: int = 0) -> RunTables:
    """Err at random with a share of each task, clips of unequal difficulty."""
    rng = np.random.default_rng(seed)
    queries = run.queries
    ease = dict(zip(queries["clip_id"].unique(), rng.normal(size=500), strict=False))
    hard = queries["clip_id"].map(ease).to_numpy()
    for task, share in shares.items():
        mine = (queries["task"] == task) & (queries["transformation"] != "OG")
        drawn = (hard[mine] + rng.normal(size=int(mine.sum()))) / np.sqrt(2)
        queries.loc[mine, "error"] = (drawn < stats.norm.ppf(share)).astype(int)
    return run


def test_one_task_has_no_sentence() -> None:
    assert on_tasks(made(("at",))) == ""


def test_tasks_apart_are_named_with_their_difference() -> None:
    run = with_errors(made(("at", "ir", "ae")), {"at": 0.03, "ir": 0.03, "ae": 0.5})
    means, pairs = task_pairs(run)
    assert len(pairs) == 6  # three pairs of tasks, two distances
    told = on_tasks(run)
    assert "4 of 6 differences between two tasks under one distance can be told" in told
    assert "vgg-at over vgg-ae by 0.4" in told
    assert "need not be the cause" not in told
    by = run.queries[(run.queries["space"] == "latent") & (run.queries["transformation"] != "OG")]
    truth = 1 - by.groupby("task")["error"].mean()
    assert {one.task: mean for one, mean in means.items()} == pytest.approx(
        truth.to_dict(), abs=0.01
    )


def test_equal_tasks_are_seldom_told_apart() -> None:
    """Five equal tasks, 20 tests a run: with Holm's correction 1 run of 20 errs, without most do.

    Of 40 runs more than 6 err with probability .003 at a level of .05.
    """
    tasks = ("a", "b", "c", "d", "e")
    run = made(tasks, n=60)
    wrong = raw = 0
    for seed in range(40):
        _, pairs = task_pairs(with_errors(run, dict.fromkeys(tasks, 0.1), seed))
        assert len(pairs) == 2 * len(list(itertools.combinations(tasks, 2)))
        wrong += any(pair.p_holm <= 0.05 for pair in pairs)
        raw += any(pair.p <= 0.05 for pair in pairs)
    assert wrong <= 6
    assert raw > wrong


def test_encoders_that_differ_in_more_are_said_to() -> None:
    data = fabricate(
        tested=(("vgg", "at"), ("other", "ae")), references=(), n=20, grid=IMPERCEPTIBLE
    )
    told = on_tasks(RunTables("r", data.run, data.clips, data.queries))
    assert "differ in more than their task" in told
