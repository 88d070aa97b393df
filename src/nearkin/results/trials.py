"""Which scores enter an analysis: single trials of runs joined, and what a model can hold of them.

Tables in, tables out. Rows are single trials (``trial`` >= 1); the means over trials, OG and the
audio space's own C_W are left out. Magnitudes run from 0 to 1 within each transformation, MP in
log2 of its bit rate; both sides of TS and PS lie on one axis, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results import task_scores
from nearkin.results.systems import AUDIO, System, distance_order, named, systems_of
from nearkin.tasks import by_level
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

MIN_MAGNITUDES = 5
"""Magnitudes that a curve of four basis functions, the smallest cubic one, needs of a cell."""
MEASURES = ("C_W", "C_B_rho", "C_B_acc")
FACTORS = ["encoder", "transformation"]
PERFORMANCE = "performance"
PERFORMANCE_FACTORS = ["encoder", "task", "transformation"]
KEYS = ["measure", "audio_distance", "latent_distance"]


class Response(NamedTuple):
    """What is analysed: a measure and its distances."""

    measure: str
    audio_distance: str
    latent_distance: str

    def __str__(self) -> str:
        """Name it as requirements do: ``C_B_acc[dtw,cosine]``."""
        names = ",".join(name for name in self[1:] if name)
        return f"{self.measure}[{names}]" if names else self.measure


TASK_SCORES = Response(PERFORMANCE, "", "")


class RunScores(NamedTuple):
    """A run's name, its record (run.json) and its tables.

    Without clips and queries the errors over clips are bounds.
    """

    name: str
    record: Mapping[str, Any]
    consistency: pd.DataFrame
    performance: pd.DataFrame | None = None
    clips: pd.DataFrame | None = None
    queries: pd.DataFrame | None = None


def join(runs: Sequence[RunScores], *, encoders: Sequence[str] = ()) -> pd.DataFrame:
    """Join runs' trial-level scores into one table.

    Parameters
    ----------
    runs : sequence of RunScores
        Of equal N, because C_W falls as a collection grows.
    encoders : sequence of str
        Which, by name or name and task (vgg-ae); by default the tested ones and the trained
        references: the scores of the others would decide what is the largest effect.

    Returns
    -------
    pandas.DataFrame
        Columns of the consistency table; `encoder` is categorical with the labels, in page order,
        `task` its task, and `x` the magnitude from 0 to 1.

    Raises
    ------
    InputError
        If the runs do not fit together, an encoder is unknown, or fewer than two are left.
    """
    if not runs:
        raise InputError("no run: an analysis needs one or more; name their folders")
    sizes = {run.name: int(run.record["n"]) for run in runs}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name}: {n}" for name, n in sizes.items())
        raise InputError(
            f"the runs have different numbers of clips ({told}): C_W depends on N; analyse runs of "
            "the same clips together"
        )
    order: dict[System, None] = {}
    parts = []
    for run in runs:
        order |= dict.fromkeys(systems_of(run.record, run.consistency))
        parts.append(run.consistency.assign(run=run.name))
    rows = pd.concat(parts, ignore_index=True)
    rows["task"] = rows["task"].fillna("")
    rows = rows[
        rows["measure"].isin(MEASURES)
        & (rows["trial"] >= 1)
        & (rows["encoder"] != AUDIO)
        & (rows["transformation"] != ORIGINAL)
    ]
    rows = _without_repeats(rows)
    record = {"encoders": [entry for run in runs for entry in run.record["encoders"]]}
    wanted = _wanted(list(order), encoders, record)
    labels = {(one.encoder, one.task): one.label for one in wanted}
    _require_apart(labels)
    pairs = list(zip(rows["encoder"], rows["task"], strict=True))
    rows = rows[np.array([pair in labels for pair in pairs], bool)].copy()
    names = [labels[pair] for pair in zip(rows["encoder"], rows["task"], strict=True)]
    levels = list(dict.fromkeys(labels[(one.encoder, one.task)] for one in wanted))
    rows["encoder"] = pd.Categorical(names, levels)
    if len(levels) < 2:
        only = f"one encoder only ('{levels[0]}')" if levels else "no encoder"
        left_out = [one.label for one in order if one not in wanted]
        others = (
            f"name {', '.join(left_out)} with --encoder, or add a run" if left_out else "add a run"
        )
        raise InputError(f"{only}: its effect needs another to be told from; {others}")
    codes = magnitudes.code_order(rows["transformation"].unique())
    rows["transformation"] = pd.Categorical(rows["transformation"], codes)
    rows["x"] = _unit_magnitudes(rows)
    return rows


def _require_apart(labels: Mapping[tuple[str, str], str]) -> None:
    """Refuse encoders of several runs that have one label: they would be modelled as one."""
    seen: dict[str, tuple[str, str]] = {}
    for pair, label in labels.items():
        if label in seen:
            raise InputError(
                f"two encoders are called '{label}' ({' and '.join(map(str, (seen[label], pair)))}"
                "): must be told apart; analyse their runs separately, or rename one"
            )
        seen[label] = pair


def join_performance(
    runs: Sequence[RunScores], *, encoders: Sequence[str] = ()
) -> pd.DataFrame | None:
    """Join runs' task scores, trial by trial, into one table; None where no run has any.

    Parameters
    ----------
    runs : sequence of RunScores
        Those without task scores are passed over.
    encoders : sequence of str
        Which, by name or name and task (vgg-ae); all by default.

    Returns
    -------
    pandas.DataFrame or None
        Columns of the task scores, more being better in `value`; `encoder`, `task` and
        `transformation` are categorical, in page order, and `x` is the magnitude from 0 to 1.

    Raises
    ------
    InputError
        If a table is malformed, or two runs contradict each other.
    """
    order: dict[System, None] = {}
    parts = []
    for run in runs:
        if run.performance is not None:
            part = task_scores.of_trials(run.performance)
            order |= dict.fromkeys(systems_of(run.record, part))
            parts.append(part.assign(run=run.name, audio_distance="", latent_distance=""))
    if not parts:
        return None
    rows = _without_repeats(pd.concat(parts, ignore_index=True))
    record = {"encoders": [entry for run in runs for entry in run.record["encoders"]]}
    if encoders:
        asked = {one for name in encoders for one in _asked(name, list(order), runs, record)}
        pairs = {(one.encoder, one.task) for one in asked}
        mine = [pair in pairs for pair in zip(rows["encoder"], rows["task"], strict=True)]
        rows = rows[np.array(mine, bool)].copy()  # a list of none would select columns
        if rows.empty:
            return None
    kept = set(rows["encoder"])
    names = list(dict.fromkeys(one.encoder for one in order if one.encoder in kept))
    rows["encoder"] = pd.Categorical(rows["encoder"], names)
    rows["task"] = pd.Categorical(rows["task"], by_level(rows["task"].unique()))
    codes = magnitudes.code_order(rows["transformation"].unique())
    rows["transformation"] = pd.Categorical(rows["transformation"], codes)
    rows["x"] = _unit_magnitudes(rows)
    return rows


def _asked(
    name: str, scored: Sequence[System], runs: Sequence[RunScores], record: Mapping[str, Any]
) -> list[System]:
    """Return the scored encoders and tasks that a name means, here or in the consistency tables.

    An encoder that was run once, without a task (MFCC), stands for its scores in every task.
    """
    found = named(name, scored, record)
    for run in runs:
        for one in named(name, systems_of(run.record, run.consistency), record):
            found += [s for s in scored if s.encoder == one.encoder and one.task in ("", s.task)]
    return found


def scores_of(rows: pd.DataFrame) -> list[Response]:
    """Return the measures and distances there are, in page order."""
    audio, latent = (distance_order(rows[name]) for name in ("audio_distance", "latent_distance"))
    present = set(rows[KEYS].drop_duplicates().itertuples(index=False, name=None))
    every = [Response("C_W", "", one) for one in latent]
    every += [Response(m, a, z) for m in MEASURES[1:] for a in audio for z in latent]
    return [score for score in every if tuple(score) in present]


def rows_of(rows: pd.DataFrame, score: Response) -> pd.DataFrame:
    """Return the rows of one score."""
    return rows[rows_where(rows, KEYS, score)]


def rows_where(rows: pd.DataFrame, columns: Sequence[str], key: Iterable[Any]) -> pd.Series[bool]:
    """Tell in which rows some columns have the values of a key."""
    here = pd.Series(True, index=rows.index)
    for column, value in zip(columns, key, strict=True):
        here &= rows[column] == value
    return here


def _without_repeats(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop what two runs share to the last digit (references); refuse what they contradict."""
    keys = ["encoder", "task", "trial", *KEYS, "transformation", "magnitude"]
    rows = rows.drop_duplicates([*keys, "value"])
    twice = rows[rows.duplicated(keys, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        label = System(first["encoder"], first["task"], "").label
        names = " and ".join(twice["run"].unique()[:2])
        raise InputError(
            f"'{label}' trial {first['trial']} has different scores in {names}: one encoder and "
            "trial must be one model on the same clips; rename it, number its trials or leave one "
            "run out"
        )
    return rows


def _wanted(
    systems: Sequence[System], encoders: Sequence[str], record: Mapping[str, Any]
) -> list[System]:
    if not encoders:
        return [one for one in systems if one.role == "tested" or one.task]
    chosen: dict[System, None] = {}
    for name in encoders:
        found = named(name, systems, record)
        if not found:
            known = suggest(name, {one.label for one in systems})
            raise InputError(f"no run has an encoder '{name}': {known}")
        chosen |= dict.fromkeys(found)
    return [one for one in systems if one in chosen]


def _unit_magnitudes(rows: pd.DataFrame) -> pd.Series[float]:
    """Return magnitudes from 0 to 1 within each transformation; NaN where it has only one."""
    x = rows["magnitude"].astype(float).copy()
    for code, part in rows.groupby("transformation", observed=True):
        values = part["magnitude"].to_numpy(float)
        if magnitudes.axis(str(code)).scale == "log":
            values = np.log2(values)
        span = np.ptp(values)
        x.loc[part.index] = (values - values.min()) / span if span > 0 else np.nan
    return x


def standardised(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the task scores a model can hold, standardised; its factors; notes on what it cannot.

    With one task, the task is no factor.
    """
    known = rows["encoder"].unique()
    if len(known) < 2:
        only = f"one encoder only ('{known[0]}')" if len(known) else "no encoder"
        raise InputError(
            f"{only} has task scores: its effect needs another to be told from; add a run or leave "
            "out --encoder"
        )
    rows, notes = modelled(rows, PERFORMANCE_FACTORS)
    factors = list(PERFORMANCE_FACTORS)
    if rows["task"].nunique() < 2:
        factors.remove("task")
        notes.append(
            f"one task only ({rows['task'].iloc[0]}): the model holds encoder, transformation and "
            "their interaction"
        )
    return task_scores.standardised(rows), factors, notes


def modelled(rows: pd.DataFrame, factors: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows a model can hold, and a note on each kind that it cannot.

    `factors` end in the transformation; those before it name what is scored.
    """
    models = factors[:-1]
    notes = []
    undefined = rows["value"].isna()
    for key, part in rows[undefined].groupby(models, observed=True):
        notes.append(f"{len(part)} undefined scores of {_label(key)} are left out")
    rows = rows[~undefined]
    few = _too_few(rows, ["transformation"])
    if few:
        codes = ", ".join(str(code) for (code,) in few)
        notes.append(f"{codes} left out: fewer than {MIN_MAGNITUDES} magnitudes")
        rows = rows[~rows["transformation"].isin([code for (code,) in few])]
        if rows.empty:
            raise InputError(
                f"no transformation has {MIN_MAGNITUDES} magnitudes: a curve needs them; run "
                "--grid paper"
            )
    for cell in _too_few(rows, factors):
        gone = rows_where(rows, factors, cell)
        notes.append(
            f"{_label(cell[:-1])} under {cell[-1]} left out: {rows.loc[gone, 'x'].nunique()} "
            f"magnitudes, a curve needs {MIN_MAGNITUDES}"
        )
        rows = rows[~gone]
    for key, part in rows.groupby(models, observed=True):
        if np.ptp(part["value"].to_numpy(float)) == 0:
            notes.append(
                f"{_label(key)} left out: its {len(part)} scores are all "
                f"{part['value'].iloc[0]:g}, "
                "which leaves nothing to model and would make every standard error too small"
            )
            rows = rows[~rows_where(rows, models, key)]
    there = rows["encoder"].unique()
    if len(there) < 2:
        reasons = f" ({'; '.join(notes)})" if notes else ""
        only = f"only '{there[0]}' has scores" if len(there) else "no encoder has scores"
        raise InputError(f"{only} that can be modelled{reasons}: an effect needs two encoders")
    if rows["transformation"].nunique() < 2:
        raise InputError(
            f"only {rows['transformation'].iloc[0]} is there: the model needs two transformations; "
            "run --grid paper"
        )
    return rows, notes


def _label(key: Iterable[Any]) -> str:
    return "-".join(map(str, key))


def _too_few(rows: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    counts = rows.groupby(keys, observed=True)["x"].nunique()
    short = counts[counts < MIN_MAGNITUDES].index
    return [key if isinstance(key, tuple) else (key,) for key in short]
