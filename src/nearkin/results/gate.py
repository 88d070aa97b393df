"""Requirements held against a run's consistency table: met or unmet, with value, bound, interval.

Tables in, outcomes out. A requirement that names an encoder, distance, transformation or magnitude
the run does not have is refused, never passed; an undefined score is unmet. Where a requirement
names several points, encoders or distances, all must hold, and the worst is told. Of "mean" and
"median" the interval is the mean or median of the points' bounds: no narrower than their own.
An encoder with several trials is judged by the mean over them.
"""

from __future__ import annotations

import math
import operator
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.results.requirements import IMPERCEPTIBLE, Condition, Requirement, compares, parse
from nearkin.results.systems import AUDIO, System, distance_name, headline, named, systems_of
from nearkin.tables import OK
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL

On = Literal["value", "lower"]

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
        "value", or "lower" where the interval's end had to hold.
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

    def sentence(self) -> str:
        """Say it in one line."""
        word = "met" if self.met else "UNMET"
        value = "undefined" if math.isnan(self.value) else f"{self.value:.4g}"
        if not math.isnan(self.ci_low):
            value += f" [{self.ci_low:.4g}, {self.ci_high:.4g}]"
        kind = f"{self.requirement.reduction} " if self.requirement.reduction else ""
        at = f"{self.encoder}, {self.distance}" if self.distance else self.encoder
        told = f"{word:5}  {self.requirement}: {kind}{value} for {at}"
        if self.where:
            told += f", {self.where}"
        if self.places > 1:
            told += f", the worst of {self.places}; {self.held} of {self.places} hold"
        if self.on == "lower":
            end = "lower" if self.requirement.comparison.startswith(">") else "upper"
            told += f" (by the interval's {end} end)"
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
    on : {"value", "lower"}
        What has to hold: the score, or the end of its 95 % interval that lies on the wrong side
        (the lower one for >=, the upper one for <=).

    Returns
    -------
    list of Outcome
        One a requirement, in their order.

    Raises
    ------
    InputError
        If one cannot be read or names what the run does not have: all problems in one message.
    """
    if on not in ("value", "lower"):
        raise InputError(f"--on {on}: {suggest(str(on), ('value', 'lower'))}")
    if not requirements:
        raise InputError("no requirement: a gate needs one; pass --require 'C_W[mfcc] >= 0.9'")
    outcomes, problems = [], []
    for text in requirements:
        try:
            required = parse(text) if isinstance(text, str) else text
            outcomes.append(_judge(required, consistency, run, on))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(" | ".join(problems))
    return outcomes


def _judge(
    required: Requirement, consistency: pd.DataFrame, run: Mapping[str, Any], on: On
) -> Outcome:
    rows = _rows(required, consistency, run)
    rows = rows[_places(required, rows)]
    sign = 1 if required.comparison.startswith(">") else -1
    if required.reduction:
        rows = _reduced(rows, required.reduction)
    scored = rows["value"]
    if on == "lower":
        scored = rows["ci_low"] if sign > 0 else rows["ci_high"]
    held = [compares(float(value), required.comparison, required.bound) for value in scored]
    # Undefined is worst of all, then what is furthest on the wrong side.
    order = (sign * scored).fillna(-math.inf).to_numpy()
    worst = rows.iloc[int(np.argmin(order))]
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


def _rows(required: Requirement, consistency: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of a requirement's measure, encoders and distances, at every place."""
    rows = headline(consistency.assign(task=consistency["task"].fillna("")))
    rows = rows[rows["measure"] == required.column]
    if rows.empty:
        known = suggest(required.column, consistency["measure"].unique())
        raise _refused(required, f"the run has no {required.column}: {known}")
    systems = systems_of(run, consistency)
    if not required.encoder:
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
            raise _refused(required, f"the run has no {told}: {known}")
    rows = rows[mine]
    if rows.empty:
        raise _refused(required, f"the run has no {required.column} of {told}: name another")
    for distance in required.distances:
        having = (rows["audio_distance"] == distance) | (rows["latent_distance"] == distance)
        if not having.any():
            there = {*rows["audio_distance"], *rows["latent_distance"]} - {""}
            raise _refused(
                required, f"no distance '{distance}' there: {suggest(distance, sorted(there))}"
            )
        rows = rows[having]
    return rows


def _places(required: Requirement, rows: pd.DataFrame) -> Mask:
    """Return which rows are meant; every condition must find some."""
    if not required.places:
        anywhere = (rows["transformation"] != ORIGINAL).to_numpy()
        if not anywhere.any():
            raise _refused(required, "the run has no transformation but OG: add '@ OG'")
        return anywhere
    meant = np.zeros(len(rows), bool)
    for group in required.places:
        for code in dict.fromkeys(condition.code for condition in group):
            here = np.ones(len(rows), bool)
            told = " and ".join(str(one) for one in group if one.code == code)
            for condition in group:
                if condition.code == code:
                    here &= _meets(required, condition, rows)
            if not here.any():
                raise _refused(
                    required, f"'{told}' names no point of the run: {_known(code, rows)}"
                )
            meant |= here
    return meant


def _meets(required: Requirement, condition: Condition, rows: pd.DataFrame) -> Mask:
    pairs = list(zip(rows["transformation"], rows["magnitude"], strict=True))
    if condition.code == IMPERCEPTIBLE:
        return np.array([_imperceptible(str(code), float(value)) for code, value in pairs])
    codes = rows["transformation"].unique()
    if condition.code not in codes:
        known = suggest(condition.code, [*codes, IMPERCEPTIBLE])
        raise _refused(required, f"the run has no transformation '{condition.code}': {known}")
    return np.array(
        [code == condition.code and condition.holds(float(value)) for code, value in pairs]
    )


def _imperceptible(code: str, magnitude: float) -> bool:
    if code == ORIGINAL or math.isnan(magnitude):
        return False
    return magnitudes.is_imperceptible(magnitudes.Point(code, magnitude))


def _known(code: str, rows: pd.DataFrame) -> str:
    if code == IMPERCEPTIBLE:
        return "its mildest magnitudes are more severe than the paper's; run --grid imperceptible"
    values = sorted(rows.loc[rows["transformation"] == code, "magnitude"].unique())
    told = ", ".join(f"{value:g}" for value in values[:6])
    return f"{code} has {told}" + (f" ... {values[-1]:g}" if len(values) > 6 else "")


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
    if math.isnan(magnitude):
        return magnitudes.direction(code, side)
    return magnitudes.in_words(code, magnitude)


def _refused(required: Requirement, problem: str) -> InputError:
    return InputError(f"requirement '{required}': {problem}")


def junit(outcomes: Sequence[Outcome], *, run: str, problem: str = "") -> bytes:
    """Return JUnit XML: a test case a requirement.

    Parameters
    ----------
    outcomes : sequence of Outcome
        What was judged.
    run : str
        The run's name.
    problem : str
        Why nothing could be judged: one test case in error.

    Returns
    -------
    bytes
        UTF-8 XML.
    """
    unmet = sum(not outcome.met for outcome in outcomes)
    count = {"tests": str(len(outcomes) + bool(problem)), "failures": str(unmet)}
    count["errors"] = str(int(bool(problem)))
    suites = ET.Element("testsuites", count)
    suite = ET.SubElement(suites, "testsuite", {"name": f"nearkin gate {printable(run)}", **count})
    named = {"classname": f"nearkin.gate.{printable(run)}"}
    for outcome in outcomes:
        name = printable(str(outcome.requirement))
        case = ET.SubElement(suite, "testcase", {**named, "name": name})
        told = printable(outcome.sentence())
        if not outcome.met:
            ET.SubElement(case, "failure", {"message": told}).text = told
        else:
            ET.SubElement(case, "system-out").text = told
    if problem:
        case = ET.SubElement(suite, "testcase", {**named, "name": "requirements"})
        ET.SubElement(case, "error", {"message": printable(problem)}).text = printable(problem)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
