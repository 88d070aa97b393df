"""Requirements held against a run's consistency table: met or unmet, with value, bound, interval.

Tables in, outcomes out. A requirement that names an encoder, distance, transformation or magnitude
the run does not have is refused, never passed; an undefined score is unmet. Where a requirement
names several points, encoders or distances, all must hold, and the worst is told. Of "mean" and
"median" the interval is the mean or median of the points' bounds: no narrower than their own; of
the mean of a difference it is that of the paired test.
An encoder with several trials is judged by the mean over them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results.answers import RunTables, SystemOfRun
from nearkin.results.attacks import attack_rows
from nearkin.results.audibility import medians
from nearkin.results.gate_places import meant_rows, refused, require_all_tested
from nearkin.results.relative import Older, Pair, differences
from nearkin.results.requirement import (
    ATTACKED,
    CLIPS,
    HALF_ASTRAY,
    Requirement,
    compares,
)
from nearkin.results.requirements import parse
from nearkin.results.systems import AUDIO, System, distance_name, headline, named, systems_of
from nearkin.tables import OK
from nearkin.transforms import magnitudes

On = Literal["value", "lower", "shown"]
ON = ("value", "lower", "shown")
NO_WORSE = "mean(C_W) >= baseline"
"""What is required where a baseline is given, and nothing else: and then on "shown"."""

Mask = Any
KAPPA = (
    "kappa has no value where both spaces are perfect, because chance alone then agrees: require "
    "C_B_acc there"
)


@dataclass(frozen=True)
class Outcome:
    """What became of one requirement.

    Attributes
    ----------
    requirement : Requirement
        What was demanded.
    met : bool
        Whether it holds everywhere.
    value, ci_low, ci_high : float
        At the worst place; NaN where undefined.
    encoder, distance, where : str
        The worst place, in words.
    held, places : int
        Of how many places it holds.
    status : str
        "ok", or what the table says about the score at the worst place.
    asked, failed : int
        Queries asked at the worst place (of "mean" and "median": at all), and those among them
        that the encoder failed; each counts as lost.
    on : str
        One of `ON`.
    """

    requirement: Requirement
    met: bool
    value: float
    ci_low: float
    ci_high: float
    encoder: str
    distance: str
    where: str
    held: int
    places: int
    status: str
    on: On
    asked: int = 0
    failed: int = 0

    @property
    def has_no_end(self) -> bool:
        """Whether it is judged by an interval that the worst place does not have."""
        return self.on == "shown" and math.isnan(self.ci_low) and not math.isnan(self.value)

    def sentence(self) -> str:
        """Say it in one line."""
        word = "met" if self.met else "UNMET"
        if self.requirement.measure == CLIPS:
            return f"{word:5}  {self.requirement}: {self.value:g} clips were compared"
        form = "+.4g" if self.requirement.is_relative else ".4g"
        value = "undefined" if math.isnan(self.value) else f"{self.value:{form}}"
        if not math.isnan(self.ci_low):
            value += f" [{self.ci_low:{form}}, {self.ci_high:{form}}]"
        if self.requirement.is_relative:
            value = f"difference {value}"
        kind = f"{self.requirement.reduction} " if self.requirement.reduction else ""
        at = f"{self.encoder}, {self.distance}" if self.distance else self.encoder
        told = f"{word:5}  {self.requirement}: {kind}{value} for {at}"
        if self.where:
            told += f", {self.where}"
        if self.places > 1:
            told += f", the worst of {self.places}; {self.held} of {self.places} hold"
        if self.has_no_end:
            told += " (no interval: nothing is shown to be wrong)"
        elif self.on != "value":
            up = self.requirement.comparison.startswith(">") == (self.on == "lower")
            told += f" (by the interval's {'lower' if up else 'upper'} end)"
        if self.failed:
            told += f" ({self.failed} of {self.asked} queries failed and count as lost)"
        rest = [part for part in self.status.split("; ") if not part.endswith("queries failed")]
        if rest not in ([], [OK]):
            told += f" ({'; '.join(rest)})"
        if math.isnan(self.value) and self.requirement.measure == "kappa":
            told += f"; {KAPPA}"
        return told

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; not a number is NaN still."""
        return {**vars(self), "requirement": str(self.requirement), "bound": self.requirement.bound}


def judge(
    requirements: Sequence[str | Requirement],
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    *,
    on: On = "value",
    tables: RunTables | None = None,
    older: Older | None = None,
    perception: pd.DataFrame | None = None,
    attack_scores: pd.DataFrame | None = None,
) -> list[Outcome]:
    """Hold requirements against a run.

    Parameters
    ----------
    requirements : sequence of str or Requirement
        In the language of `nearkin.results.requirements`.
    consistency : pandas.DataFrame
        The run's table, with rows of every C_W@n that is asked for.
    run : mapping
        The run's record: which encoders are tested ones.
    on : {"value", "lower", "shown"}
        What has to hold: the score; the end of its 95 % interval that lies on the wrong side (the
        lower one for >=, the upper one for <=); or the other end, so that only what the interval
        shows to be wrong is unmet (without an interval, such as of two trials, nothing is).
    tables : RunTables, optional
        The run's clips and queries; needed for the interval of a difference.
    older : Older, optional
        The run that "baseline" means.
    perception : pandas.DataFrame, optional
        The run's perception.parquet: what "MOS" and "JND" mean.
    attack_scores : pandas.DataFrame, optional
        The run's attack_scores.parquet: what "AD" and "AD_snr" mean.

    Returns
    -------
    list of Outcome
        One a requirement, in their order.

    Raises
    ------
    InputError
        If one cannot be read or names what the run does not have: all problems in one message.
    """
    if on not in ON:
        raise InputError(f"--on {on}: {suggest(str(on), ON)}")
    if not requirements:
        raise InputError("no requirement: a gate needs one; pass --require 'C_W[mfcc] >= 0.9'")
    outcomes, problems = [], []
    for text in requirements:
        try:
            required = parse(text) if isinstance(text, str) else text
            heard = None if perception is None else medians(perception)
            scores = consistency
            if required.is_attack:
                scores = _with_attacks(required, consistency, run, attack_scores)
            outcomes.append(_judge(required, scores, run, on, tables, older, heard))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(" | ".join(problems))
    return outcomes


def _with_attacks(
    required: Requirement,
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    attack_scores: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return the rows of a run together with those of its attacked clips."""
    if attack_scores is None or attack_scores.empty:
        raise refused(required, "needs attacked clips: give nearkin run the option --attack")
    if required.column not in ("C_W", HALF_ASTRAY):
        raise refused(required, f"under an attack {required.column} is not scored; require C_W")
    if required.is_relative:
        raise refused(required, "under an attack only a number can be demanded, no difference")
    found = attack_rows(attack_scores)
    if not required.encoder:
        remedy = "attack it with nearkin run --attack, which embeddings of a file cannot be"
        mine = found[found["measure"] == required.column]
        require_all_tested(required, systems_of(run, consistency), mine, remedy)
    if required.measure == HALF_ASTRAY:
        return found
    who = ["encoder", "task"]
    speaks = consistency.assign(task=consistency["task"].fillna("")).groupby(who)["trial"].min()
    found["trial"] = speaks.reindex(pd.MultiIndex.from_frame(found[who])).to_numpy()
    return pd.concat([consistency, found], ignore_index=True)


def _judge(
    required: Requirement,
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    on: On,
    tables: RunTables | None,
    older: Older | None,
    heard: pd.DataFrame | None,
) -> Outcome:
    if required.measure == CLIPS:
        return _clips(required, int(run["n"]))
    rows = _rows(required, consistency, run)
    rows = rows[meant_rows(required, rows, heard)]
    sign = 1 if required.comparison.startswith(">") else -1
    if required.is_relative:
        if required.baseline and older is None:
            raise refused(required, "names a baseline: pass --baseline OLD, an older run's folder")
        rows = _relative(required, rows, consistency, run, tables, older)
    if required.reduction:
        rows = rows if "mean_of" in rows else _reduced(rows, required.reduction)
    scored = rows["value"]
    if on != "value":
        scored = rows["ci_low"] if (sign > 0) == (on == "lower") else rows["ci_high"]
    # A score without an interval: nothing is shown to be wrong.
    unshown = (scored.isna() & rows["value"].notna() & (on == "shown")).to_numpy()
    held = [
        bool(free) or compares(float(value), required.comparison, required.bound)
        for value, free in zip(scored, unshown, strict=True)
    ]
    # Undefined is worst of all, then what is furthest on the wrong side.
    order = np.where(unshown, math.inf, (sign * scored).fillna(-math.inf))
    worst = rows.iloc[int(np.lexsort(((sign * rows["value"]).to_numpy(), order))[0])]
    distances = [worst["audio_distance"], worst["latent_distance"]]
    return Outcome(
        requirement=required,
        met=all(held),
        value=float(worst["value"]),
        ci_low=float(worst["ci_low"]),
        ci_high=float(worst["ci_high"]),
        encoder=System(str(worst["encoder"]), str(worst["task"]), "").label,
        distance=" and ".join(distance_name(str(name)) for name in distances if name),
        where="" if required.reduction else _where(worst),
        held=sum(held),
        places=len(held),
        status=str(worst["status"]),
        on=on,
        asked=_count(worst, "n"),
        failed=_count(worst, "n_failed"),
    )


def _clips(required: Requirement, n: int) -> Outcome:
    met = compares(float(n), required.comparison, required.bound)
    nothing = float("nan")
    return Outcome(required, met, float(n), nothing, nothing, "", "", "", int(met), 1, OK, "value")


def _relative(
    required: Requirement,
    rows: pd.DataFrame,
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    tables: RunTables | None,
    older: Older | None,
) -> pd.DataFrame:
    """Return the differences from the right side, as rows of the left."""
    other = older.tables.record if older is not None and required.baseline else run
    scores = older.consistency if older is not None and required.baseline else consistency
    found = []
    for key, mine in rows.groupby(["encoder", "task"], sort=False):
        me = System(str(key[0]), str(key[1]), "")
        rival = required.rival or _counterpart(me, consistency, run, scores, other)
        theirs = replace(required, encoder=rival, distances=required.rival_distances)
        against = _rows(theirs, scores, other)
        names = against[["encoder", "task"]].drop_duplicates().itertuples(index=False, name=None)
        they = [System(str(encoder), str(task), "") for encoder, task in names]
        if len(they) > 1:
            told = ", ".join(one.label for one in they)
            raise refused(required, f"'{rival}' means several encoders ({told}): name one")
        if (
            required.rival
            and they[0][:2] == me[:2]
            and required.distances == required.rival_distances
        ):
            continue
        pair = None
        if tables is not None:
            right = older.tables if older is not None and required.baseline else tables
            pair = Pair(SystemOfRun(tables, me), SystemOfRun(right, they[0]))
        found.append(differences(required, mine, against, pair))
    if not found:
        raise refused(required, "holds an encoder against itself: name another on the right")
    return pd.concat(found, ignore_index=True)


def _counterpart(
    me: System,
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    older: pd.DataFrame,
    record: Mapping[str, Any],
) -> str:
    """Return whom an older run has for an encoder: its namesake, else the one that it tested."""
    there = systems_of(record, older)
    same = named(me.label, there, record)
    if same:
        return same[0].label
    tested = [
        [one for one in systems if one.role == "tested"]
        for systems in (systems_of(run, consistency), there)
    ]
    if [len(side) for side in tested] == [1, 1] and tested[0][0].label == me.label:
        return tested[1][0].label
    return me.label  # refused by name when its rows are looked for


def _rows(required: Requirement, consistency: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of a requirement's measure, encoders and distances, at every place."""
    rows = headline(consistency.assign(task=consistency["task"].fillna("")))
    rows = rows[rows["measure"] == required.column]
    if rows.empty:
        known = suggest(required.column, consistency["measure"].unique())
        raise refused(required, f"the run has no {required.column}: {known}")
    systems = systems_of(run, consistency)
    if not required.encoder:
        if required.size:
            require_all_tested(required, systems, rows, "measure it with nearkin gallery")
        tested = {(one.encoder, one.task) for one in systems if one.role == "tested"}
        mine = [pair in tested for pair in zip(rows["encoder"], rows["task"], strict=True)]
        told = "tested encoders"
    else:
        everybody = (*systems, System(AUDIO, "", AUDIO))
        meant = {(one.encoder, one.task) for one in named(required.encoder, everybody, run)}
        mine = [pair in meant for pair in zip(rows["encoder"], rows["task"], strict=True)]
        told = f"encoder '{required.encoder}'"
        if not meant:
            known = suggest(required.encoder, {one.label for one in systems})
            raise refused(required, f"the run has no {told}: {known}")
    rows = rows[np.array(mine, bool)]
    if rows.empty:
        raise refused(required, f"the run has no {required.column} of {told}: name another")
    for distance in required.distances:
        having = (rows["audio_distance"] == distance) | (rows["latent_distance"] == distance)
        if not having.any():
            there = {*rows["audio_distance"], *rows["latent_distance"]} - {""}
            raise refused(
                required, f"no distance '{distance}' there: {suggest(distance, sorted(there))}"
            )
        rows = rows[having]
    return rows


def _reduced(rows: pd.DataFrame, reduction: str) -> pd.DataFrame:
    """Return the mean or median over the points of every encoder and distance."""
    reduce: Callable[[Any], Any] = operator.methodcaller(reduction, skipna=False)
    keys = ["encoder", "task", "audio_distance", "latent_distance"]
    found = []
    for key, part in rows.groupby(keys, sort=False):
        told = part.loc[part["status"] != "ok", "status"]
        found.append(
            dict(zip(keys, key, strict=True))
            | {name: reduce(part[name]) for name in ("value", "ci_low", "ci_high")}
            | {name: part[name].sum() for name in ("n", "n_failed") if name in part.columns}
            | {"status": told.iloc[0] if len(told) else "ok"}
        )
    return pd.DataFrame(found)


def _count(row: pd.Series[Any], column: str) -> int:
    """Return a number of queries; 0 where the table has none."""
    value = row.get(column)
    return 0 if value is None or pd.isna(value) else int(value)


def _where(row: pd.Series[Any]) -> str:
    code, magnitude, side = str(row["transformation"]), float(row["magnitude"]), str(row["side"])
    if code == ATTACKED:
        return "" if math.isnan(magnitude) else f"attacked at {magnitude:g} dB SNR"
    if math.isnan(magnitude):
        return magnitudes.direction(code, side)
    return magnitudes.in_words(code, magnitude)
