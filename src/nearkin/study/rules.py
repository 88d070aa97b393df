"""How a claim is decided from a study's numbers: an order, a value, a trend, a bound, a test.

Every rule is a frozen record whose `decide` takes the study's evidence and returns a `Decision`.
Verdicts are four words: the claim comes out, it does not, the study does not settle it, or it is
not testable here, for a reason that is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from nearkin.study.draws import Draws
from nearkin.study.evidence import Evidence
from nearkin.study.scores import UntestableError

COMES_OUT = "comes out"
DOES_NOT = "does not"
NOT_SETTLED = "not settled"
NOT_TESTABLE = "not testable here"
VERDICTS = (COMES_OUT, DOES_NOT, NOT_SETTLED, NOT_TESTABLE)

SURE = 0.95
"""An order comes out where it holds in so many of the joint replicates, or more."""
SIGNIFICANT = 1e-4
"""The paper's level for its tests of effects."""
ROUNDING = 1e-12
"""What is left, at the most, where equal numbers of the size of 1 are subtracted."""

Number = Callable[[Evidence], Draws]
Numbers = Callable[[Evidence], Sequence[Draws]]


class Decision(NamedTuple):
    """What a study says of a claim.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`.
    ours : str
        Our numbers, for reading.
    low, high : float
        Their 95 % interval, where the rule is about one number; else NaN.
    probability : float
        Share of the joint replicates in which the claim holds; NaN where none were drawn.
    because : str
        Why it is not testable, or by what else it was decided.
    """

    verdict: str
    ours: str = ""
    low: float = math.nan
    high: float = math.nan
    probability: float = math.nan
    because: str = ""


class Rule(Protocol):
    """What decides a claim."""

    def decide(self, evidence: Evidence) -> Decision:
        """Decide; raise `UntestableError` where the study lacks what is asked about."""

    def words(self) -> str:
        """Say in a few words how it decides."""


@dataclass(frozen=True)
class Order:
    """Numbers fall from the first to the last.

    Several chains of numbers may be asked for at once: all must fall.
    """

    chains: Callable[[Evidence], Sequence[Sequence[Draws]]]

    def words(self) -> str:
        """Say how it decides."""
        return f"the order holds in {SURE:.0%} of joint resamples of clips and trials"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        chains = self.chains(evidence)
        steps = [one - two for chain in chains for one, two in itertools.pairwise(chain)]
        ours = "; ".join(" > ".join(map(_short, chain)) for chain in chains)
        return _by_share(steps, ours)


@dataclass(frozen=True)
class Value:
    """A number is the paper's: its 95 % interval holds the paper's number."""

    number: Number
    paper: float

    def words(self) -> str:
        """Say how it decides."""
        return "our 95 % interval holds the paper's value"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        found = self.number(evidence)
        low, high = found.limits()
        ours = f"{found.value:.3f}"
        if math.isnan(low):
            return Decision(NOT_SETTLED, ours, because="no interval is known")
        return Decision(COMES_OUT if low <= self.paper <= high else DOES_NOT, ours, low, high)


@dataclass(frozen=True)
class Bound:
    """All of some numbers are above a bound, or below it."""

    numbers: Numbers
    bound: float
    above: bool = True

    def words(self) -> str:
        """Say how it decides."""
        side = "above" if self.above else "below"
        return f"{side} {self.bound:g} in {SURE:.0%} of joint resamples"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        found = list(self.numbers(evidence))
        sign = 1 if self.above else -1
        steps = [
            Draws(sign * (one.value - self.bound), sign * (one.replicates - self.bound))
            for one in found
        ]
        ours = ", ".join(map(_short, found))
        decided = _by_share(steps, ours)
        if len(found) == 1:
            low, high = found[0].limits()
            decided = decided._replace(low=low, high=high)
        return decided


@dataclass(frozen=True)
class Trend:
    """Slopes over the magnitude's severity are below 0 (`falls`), or above.

    A slope is by how much a score changes from the mildest to the most severe magnitude, by least
    squares over the magnitudes' places from 0 to 1.
    """

    slopes: Numbers
    falls: bool = True

    def words(self) -> str:
        """Say how it decides."""
        return f"slopes over severity {'below' if self.falls else 'above'} 0, by their intervals"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        found = list(self.slopes(evidence))
        ours = ", ".join(f"{_rounded(one.value):+.3g}" for one in found)
        ends = [one.limits() for one in found]
        low = high = math.nan
        if len(found) == 1:
            low, high = ends[0]
        sign = -1 if self.falls else 1
        if any(math.isnan(end[0]) for end in ends):
            return Decision(NOT_SETTLED, ours, because="no interval is known")
        right = [min(sign * end[0], sign * end[1]) > ROUNDING for end in ends]
        wrong = [max(sign * end[0], sign * end[1]) < -ROUNDING for end in ends]
        verdict = COMES_OUT if all(right) else DOES_NOT if any(wrong) else NOT_SETTLED
        return Decision(verdict, ours, low, high)


@dataclass(frozen=True)
class Effects:
    """Terms of the paper's analysis have an effect at its level (p < .0001)."""

    score: tuple[str, str, str]
    terms: tuple[str, ...]

    def words(self) -> str:
        """Say how it decides."""
        return f"F tests of nearkin analyze, p < {SIGNIFICANT:g}"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        found = [evidence.effect(self.score, term) for term in self.terms]
        ours = "; ".join(f"F({one.df:.0f}, {one.residual_df:.0f}) = {one.f:.0f}" for one in found)
        told = "rows of one trial share weights and clips: such F are too large"
        sure = all(one.p < SIGNIFICANT for one in found)
        return Decision(COMES_OUT if sure else DOES_NOT, ours, because=told)


@dataclass(frozen=True)
class Fit:
    """The paper's model explains so much of the scores' variance, or more."""

    score: tuple[str, str, str]
    least: float

    def words(self) -> str:
        """Say how it decides."""
        return f"adjusted R² of nearkin analyze is {self.least:g} or more"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        r2 = evidence.r2(self.score)
        return Decision(COMES_OUT if r2 >= self.least else DOES_NOT, f"{r2:.3f}")


@dataclass(frozen=True)
class NoTest:
    """No study of ours can decide it."""

    because: str

    def words(self) -> str:
        """Say how it decides."""
        return "none"

    def decide(self, evidence: Evidence) -> Decision:
        """See `Rule`."""
        raise UntestableError(self.because)


def _short(one: Draws) -> str:
    return f"{_rounded(one.value):.3g}"


def _rounded(number: float) -> float:
    """Return a number, 0 for what is left where equal numbers are subtracted."""
    return 0.0 if abs(number) <= ROUNDING else number


def _by_share(steps: Sequence[Draws], ours: str) -> Decision:
    """Decide by the share of replicates in which all steps are above 0, by more than rounding."""
    if any(math.isnan(one.value) for one in steps):
        raise UntestableError("a score is undefined")
    if not len(steps[0].replicates):
        holds = all(one.value > ROUNDING for one in steps)
        return Decision(COMES_OUT if holds else DOES_NOT, ours, because="by its value alone")
    share = float(np.mean(np.all([one.replicates > ROUNDING for one in steps], axis=0)))
    if share >= SURE:
        verdict = COMES_OUT
    elif share <= 1 - SURE:
        verdict = DOES_NOT
    else:
        verdict = NOT_SETTLED
    return Decision(verdict, ours, probability=share)
