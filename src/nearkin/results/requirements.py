"""The small language of ``nearkin gate``: what a score has to be, and where.

::

    requirement = score comparison (number | (score | "baseline") [("+" | "-") number])
                  ["@" places]
                | "N" comparison number                 how many clips were compared
    score       = [reduction "("] measure ["[" encoder {"," distance} "]"] [")"]
    reduction   = "mean" | "median"                 over the points named; without it all must hold
    measure     = "C_W" | "C_W@" n | "C_B_rho" | "C_B_acc" | "kappa" | "monotonicity"
                | "AD_snr"                          the SNR at which half can be led astray, in dB
    comparison  = ">=" | ">" | "<=" | "<"
    places      = group {"," group}                 the points of every group
    group       = "imperceptible" | condition {"and" condition}
    condition   = code [comparison number | "=" number | "in" number ".." number]
    code        = a transformation's | "MOS" | "JND" | "AD"

Conditions joined by "and" on one transformation narrow it (``MP>=64 and MP<=128``); on different
ones they name the points of each. "MOS" is the mean opinion score of the median clip at a point,
"JND" its just noticeable differences (after ``nearkin perceive``): ``@ MOS>=4.5``; beside other
codes they narrow those. "AD" is the attacked clip of a run with ``--attack``, at an SNR in dB:
``C_W[mine] >= 0.5 @ AD>=50``; the whole grid does not hold it. Without brackets every tested
encoder is meant, without a distance every distance, without places the whole grid (not OG). A name
with a space, comma, quote or bracket is quoted: ``C_W["my model, v2",cosine] >= 0.9``. kappa has no
value where both spaces are perfect, because chance alone then agrees, and what has no value is
unmet: require C_B_acc there. On the right may stand the same measure of another encoder
(``C_W[a] >= C_W[random]``), or "baseline": the same encoder in the older run that ``--baseline``
names; the difference of the two, clip by clip, is then held to the number behind (0 where none is).
Nothing is evaluated: the text is read character by character into a frozen record, and
``parse(str(requirement)) == requirement``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.results.requirement import (
    BARE,
    BASELINE,
    CLIPS,
    HALF_ASTRAY,
    IMPERCEPTIBLE,
    Condition,
    Requirement,
)
from nearkin.tables import MEASURES, Measure

KNOWN = {**MEASURES, HALF_ASTRAY: Measure(-100.0, 200.0, 1)}
REDUCTIONS = ("mean", "median")
COMPARISONS = (">=", "<=", ">", "<")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TASK = re.compile(r"\s+(·\s+[^\s,\[\]\"'()\\]+)")
_SIZE = re.compile(r"@(\d{1,9})(?![\d.])", re.ASCII)
_ENCODER = "an encoder's name"
_LONGEST = 200
"""Letters of a requirement that a sentence repeats."""


def parse(text: str) -> Requirement:
    """Read a requirement.

    Parameters
    ----------
    text : str
        As in the module's heading.

    Returns
    -------
    Requirement

    Raises
    ------
    InputError
        If it is not in the language: says where, what was expected and what is nearest.

    Examples
    --------
    >>> parse("C_W[mfcc, cosine] >= .95 @ MP>=128 and PS in -1..1").bound
    0.95
    >>> str(parse("mean(C_W@100[./my.py:embed]) > 0.9 @ imperceptible"))
    'mean(C_W@100[./my.py:embed]) > 0.9 @ imperceptible'
    """
    return _Reader(text).requirement()


class _Score(NamedTuple):
    """One side of a requirement."""

    measure: str
    size: int
    encoder: str
    distances: tuple[str, ...]
    reduction: str

    def __str__(self) -> str:
        column = f"{self.measure}@{self.size}" if self.size else self.measure
        return f"{self.reduction}({column}[random])" if self.reduction else f"{column}[random]"


class _Reader:
    """A place in a text; every method reads one thing and moves on, or says what is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def requirement(self) -> Requirement:
        left = self._score((*KNOWN, *REDUCTIONS, CLIPS))
        if left.measure == CLIPS:
            return self._clips()
        comparison = self._comparison()
        right, bound = self._right(left)
        word = left.measure
        attacks = word == HALF_ASTRAY
        places: tuple[tuple[Condition, ...], ...] = ()
        if not attacks and self._take("@"):
            groups = [self._group(word)]
            while self._take(","):
                groups.append(self._group(word))
            places = tuple(groups)
        if self._rest():
            self._fail(
                "the end: the SNR is that of all clips" if attacks
                else "',', 'and' or the end" if places
                else "the end, '@', ',' or 'and'"
            )  # fmt: skip
        return Requirement(
            measure=word,
            size=left.size,
            encoder=left.encoder,
            distances=left.distances,
            reduction=left.reduction,
            comparison=comparison,
            bound=bound,
            places=places,
            rival=right.encoder if right else "",
            rival_distances=right.distances if right else (),
            baseline=right is not None and not right.encoder,
        )

    # -- parts -----------------------------------------------------------------------------------

    def _score(self, known: Iterable[str]) -> _Score:
        known = tuple(known)
        reduction = ""
        word = self._word("a measure", known)
        if word in REDUCTIONS:
            reduction = word
            self._expect("(")
            known = tuple(MEASURES)
            word = self._word("a measure", known)
        if word not in known:
            self._wrong_word(word, "measure", known)
        if word == CLIPS:
            return _Score(word, 0, "", (), "")
        size = self._size(word)
        encoder, distances = self._brackets(word)
        if reduction:
            self._expect(")")
        return _Score(word, size, encoder, distances, reduction)

    def _clips(self) -> Requirement:
        """Read what is left of a requirement on the number of clips."""
        comparison = self._comparison()
        self._skip()
        begin = self.at
        bound = self._number()
        if bound != int(bound) or bound < 0:
            self.at = begin
            self._fail("a number of clips")
        if self._rest():
            self._fail("the end: N is that of the whole run")
        return Requirement(measure=CLIPS, comparison=comparison, bound=bound)

    def _right(self, left: _Score) -> tuple[_Score | None, float]:
        """Read the right side: None for a number alone, a score without encoder for baseline."""
        self._skip()
        if _NUMBER.match(self.text, self.at) or left.measure == HALF_ASTRAY:
            return None, self._bound(left.measure)
        begin = self.at
        if self._take_word(BASELINE):
            right = left._replace(encoder="", distances=())
        elif not self._opens_a_score():
            self._fail("a number, 'baseline', or a score such as 'C_W[random]'")
        else:
            right = self._score((*MEASURES, *REDUCTIONS))
            same = (right.measure, right.size, right.reduction)
            if same != (left.measure, left.size, left.reduction) or not right.encoder:
                self.at = begin
                self._fail(f"the left side's measure of another encoder, such as '{left}'")
        sign = 1 if self._take("+") else -1 if self._take("-") else 0
        if not sign:
            return right, 0.0
        self._skip()
        begin = self.at
        margin = self._number()
        if not 0 <= margin <= 2:
            self.at = begin
            self._fail("a number in 0..2")
        return right, sign * margin + 0.0

    def _opens_a_score(self) -> bool:
        found = _WORD.match(self.text, self.at)
        follows = self.text[found.end() : found.end() + 1] if found else ""
        return found is not None and (found[0] in (*MEASURES, *REDUCTIONS) or follows == "[")

    def _size(self, measure: str) -> int:
        found = _SIZE.match(self.text, self.at)
        if found is None:
            if re.match(r"@\d", self.text[self.at : self.at + 2]):
                self._fail("a whole number of up to nine digits after '@'")
            return 0
        if measure != "C_W":
            self._fail(f"no '@n' after {measure}: only C_W has one")
        size = int(found[1])
        if size < 2:
            self._fail("a collection of 2 clips or more after 'C_W@'")
        self.at = found.end()
        return size

    def _brackets(self, measure: str) -> tuple[str, tuple[str, ...]]:
        if not self._take("["):
            return "", ()
        names = [self._name(_ENCODER)]
        most = 1 + KNOWN[measure].distances
        while self._take(","):
            if len(names) == most:
                self._fail(f"']': {measure} has {'two distances' if most > 2 else 'one distance'}")
            names.append(self._name("a distance"))
        if not self._take("]"):
            self._fail("',' or ']'")
        return names[0], tuple(names[1:])

    def _name(self, what: str) -> str:
        self._skip()
        quote = self.text[self.at : self.at + 1]
        if quote not in ('"', "'") or not quote:
            found = BARE.match(self.text, self.at)
            if found is None:
                self._fail(what)
            self.at = found.end()
            task = _TASK.match(self.text, self.at)
            if task is not None and what == _ENCODER:  # as labels were written: vgg · ae
                self.at = task.end()
                return f"{found[0]} {' '.join(task[1].split())}"
            return found[0]
        letters: list[str] = []
        begin, place = self.at, self.at + 1
        while place < len(self.text) and self.text[place] != quote:
            place += self.text[place] == "\\"
            letters.append(self.text[place : place + 1])
            place += 1
        if place >= len(self.text):
            self.at = begin
            self._fail(f"a closing {quote}")
        if not letters:
            self._fail(what)
        self.at = place + 1
        return "".join(letters)

    def _comparison(self) -> str:
        for sign in COMPARISONS:
            if self._take(sign):
                return sign
        self._fail("'>=', '>', '<=' or '<'")

    def _bound(self, measure: str) -> float:
        self._skip()
        begin = self.at
        bound = self._number()
        low, high = KNOWN[measure].low, KNOWN[measure].high
        if not low <= bound <= high:
            self.at = begin
            self._fail(f"a number in {low:g}..{high:g}, where {measure} lies")
        return bound

    def _group(self, measure: str) -> tuple[Condition, ...]:
        self._skip()
        begin = self.at
        conditions = [self._condition(measure)]
        while self._take_word("and"):
            conditions.append(self._condition(measure))
        if len(conditions) > 1 and any(c.code == IMPERCEPTIBLE for c in conditions):
            self.at = begin
            self._fail(f"'{IMPERCEPTIBLE}' alone between commas")
        return tuple(conditions)

    def _condition(self, measure: str) -> Condition:
        self._skip()
        begin = self.at
        code = self._word("a transformation such as 'MP>=128', or 'imperceptible'", ())
        if code in ("and", "in"):
            self.at = begin
            self._fail("a transformation")
        if code == IMPERCEPTIBLE:
            condition = Condition(code)
        elif self._take_word("in"):
            low = self._number()
            self._expect("..")
            high = self._number()
            if low > high:
                self.at = begin
                self._fail(f"a range that rises, such as '{code} in {high:g}..{low:g}'")
            condition = Condition(code, "in", low, high)
        else:
            condition = Condition(code)
            for sign in (*COMPARISONS, "==", "="):
                if self._take(sign):
                    condition = Condition(code, "=" if sign == "==" else sign, self._number())
                    break
        if measure == "monotonicity" and (condition.comparison or code == IMPERCEPTIBLE):
            self.at = begin
            self._fail("a transformation alone: monotonicity is over its magnitudes")
        return condition

    # -- letters ---------------------------------------------------------------------------------

    def _skip(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def _rest(self) -> str:
        self._skip()
        return self.text[self.at :]

    def _take(self, sign: str) -> bool:
        self._skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _take_word(self, word: str) -> bool:
        self._skip()
        found = _WORD.match(self.text, self.at)
        if found is None or found[0] != word:
            return False
        self.at = found.end()
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            self._fail(f"'{sign}'")

    def _word(self, what: str, known: Iterable[str]) -> str:
        self._skip()
        found = _WORD.match(self.text, self.at)
        if found is None:
            names = ", ".join(known)
            self._fail(what + (f" ({names})" if names else ""))
        self.at = found.end()
        return found[0]

    def _number(self) -> float:
        self._skip()
        found = _NUMBER.match(self.text, self.at)
        if found is None or float(found[0]) in (float("inf"), float("-inf")):
            self._fail("a number")
        self.at = found.end()
        return float(found[0])

    def _wrong_word(self, word: str, kind: str, known: Iterable[str]) -> NoReturn:
        self.at -= len(word)
        raise InputError(
            f"requirement {self._shown()}, position {self.at + 1}: unknown {kind} '{word[:40]}': "
            f"{suggest(word, known)}"
        )

    def _fail(self, expected: str) -> NoReturn:
        rest = self._rest()
        found = f"'{printable(rest[:12])}'" if rest else "the end"
        raise InputError(
            f"requirement {self._shown()}, position {self.at + 1}: expected {expected}, "
            f"found {found}"
        )

    def _shown(self) -> str:
        text = self.text if len(self.text) <= _LONGEST else f"{self.text[:_LONGEST]}..."
        return repr(text)
