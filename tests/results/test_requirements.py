"""The language of requirements: what is written is read back, what is malformed says where."""

from __future__ import annotations

import contextlib
import doctest
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin.errors import InputError
from nearkin.results import requirements as language
from nearkin.results.requirement import Condition, Requirement
from nearkin.results.requirements import COMPARISONS, parse
from nearkin.tables import MEASURES

PLAIN_CODE = re.compile(r"(?!and\b|in\b|imperceptible\b)[A-Za-z_][A-Za-z0-9_]*\Z")

PIECES = [
    *"[](),@><=.",
    ">=",
    "..",
    "#",
    "0.5",
    "-#",
    "#e#",
    "C_W",
    "C_W@",
    "C_W@#",
    "kappa",
    "mean(",
]
PIECES += [
    "mean",
    "and",
    "in",
    "imperceptible",
    "MP",
    "MP>=#",
    "'",
    '"a',
    "OG",
    "monotonicity",
    "C_W >= .5 @",
]

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
codes = st.from_regex(r"\A[A-Z][A-Z0-9_]{0,4}\Z").filter(PLAIN_CODE.match)


@st.composite
def conditions(draw: st.DrawFn, measure: str) -> Condition:
    code = draw(codes)
    kind = draw(st.sampled_from(["", "in", "=", *COMPARISONS]))
    if not kind or measure == "monotonicity":
        return Condition(code)
    low, high = sorted((draw(numbers), draw(numbers)))
    return Condition(code, kind, low, high if kind == "in" else 0.0)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    measure = draw(st.sampled_from([*sorted(MEASURES), "N"]))
    comparison = draw(st.sampled_from(COMPARISONS))
    if measure == "N":
        return Requirement("N", comparison, float(draw(st.integers(0, 10**9))))
    low, high = MEASURES[measure].low, MEASURES[measure].high
    encoder = draw(st.one_of(st.just(""), names))
    most = 2 if measure in ("C_B_rho", "C_B_acc", "kappa") else 1
    group = st.lists(conditions(measure), min_size=1, max_size=3).map(tuple)
    if measure != "monotonicity":
        group = st.one_of(group, st.just((Condition("imperceptible"),)))
    baseline = draw(st.booleans())
    rival = "" if baseline else draw(st.one_of(st.just(""), names))
    if baseline or rival:
        low, high = -2.0, 2.0
    return Requirement(
        measure=measure,
        comparison=comparison,
        bound=draw(st.floats(low, high).map(lambda x: x + 0.0)),
        size=draw(st.one_of(st.just(0), st.integers(2, 10**6))) if measure == "C_W" else 0,
        encoder=encoder,
        distances=tuple(draw(st.lists(names, max_size=most))) if encoder else (),
        reduction=draw(st.sampled_from(["", "mean", "median"])),
        places=tuple(draw(st.lists(group, max_size=3))),
        rival=rival,
        rival_distances=tuple(draw(st.lists(names, max_size=most))) if rival else (),
        baseline=baseline,
    )


def read_or_refused(text: str) -> None:
    """Anything but InputError fails the test."""
    with contextlib.suppress(InputError):
        parse(text)


@given(requirements())
@settings(deadline=None, max_examples=400)
def test_what_is_written_is_read_back(required: Requirement) -> None:
    assert parse(str(required)) == required
    assert str(parse(str(required))) == str(required)


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    read_or_refused(text)


@given(requirements(), st.data())
@settings(deadline=None, max_examples=300)
def test_a_text_cut_short_never_becomes_another_kind_of_error(
    required: Requirement, data: st.DataObject
) -> None:
    text = str(required)
    place = data.draw(st.integers(0, len(text)))
    letter = data.draw(st.sampled_from(list("[](),@><=.'\"\\ a1")))
    for spoilt in (text[:place], text[:place] + letter + text[place:]):
        read_or_refused(spoilt)


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.integers(1, 5000))
@settings(deadline=None, max_examples=500)
def test_pieces_in_any_order_are_read_or_refused_in_one_short_sentence(
    pieces: list[str], digits: int
) -> None:
    text = " ".join(pieces).replace("#", "9" * digits)
    with contextlib.suppress(InputError):
        required = parse(text)
        assert parse(str(required)) == required
        return
    with pytest.raises(InputError) as caught:
        parse(text)
    assert len(str(caught.value)) < 700


def test_what_stands_on_the_right() -> None:
    required = parse("mean(C_W[a]) >= mean(C_W[b, cosine]) - .05 @ MP")
    assert (required.rival, required.rival_distances, required.bound) == ("b", ("cosine",), -0.05)
    assert required.is_relative
    assert not required.baseline
    assert parse("C_W >= baseline + 0.1").baseline
    assert parse("N >= 59") == Requirement("N", ">=", 59.0)
    assert not parse("N >= 59").is_relative


def test_a_task_written_as_labels_once_were() -> None:
    assert parse("C_W[vgg · ae, cosine] >= 0.9").encoder == "vgg · ae"
    assert parse("C_W[vgg · ae] >= C_W[vgg · at]").rival == "vgg · at"


def test_the_parts_of_a_requirement() -> None:
    found = parse(
        " mean( C_B_acc [ hear:my.module@~/w.pt , dtw,cosine ] ) >=.5 "
        "@ MP>=64 and MP<=128, PS in -1..1 , TS==0.98,imperceptible"
    )
    assert found == Requirement(
        measure="C_B_acc",
        comparison=">=",
        bound=0.5,
        encoder="hear:my.module@~/w.pt",
        distances=("dtw", "cosine"),
        reduction="mean",
        places=(
            (Condition("MP", ">=", 64.0), Condition("MP", "<=", 128.0)),
            (Condition("PS", "in", -1.0, 1.0),),
            (Condition("TS", "=", 0.98),),
            (Condition("imperceptible"),),
        ),
    )
    assert parse("C_W@100['my, \\'own\\' [x]']>0.9").encoder == "my, 'own' [x]"
    assert parse("C_W@100[a]>0.9").column == "C_W@100"
    assert parse("C_W > 0.5 @ OG").places == ((Condition("OG"),),)
    assert parse("C_W >= 5e-1").bound == 0.5


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("", 1, "expected a measure"),
        ("C_w > 0.5", 1, "did you mean 'C_W'?"),
        ("mean(C_B_rh) > 0", 6, "did you mean 'C_B_rho'?"),
        ("C_W", 4, "expected '>=', '>', '<=' or '<', found the end"),
        ("C_W = 1", 5, "expected '>=', '>', '<=' or '<', found '= 1'"),
        ("C_W[mfcc > 0.5", 10, "expected ',' or ']', found '> 0.5'"),
        ("C_W[] > 0.5", 5, "expected an encoder's name"),
        ("C_W[''] > 0.5", 5, "expected an encoder's name"),
        ("C_W['mfcc] > 0.5", 5, "expected a closing '"),
        ("C_W[mfcc,] > 0.5", 10, "expected a distance"),
        ("C_W[mfcc,dtw,cosine] > 0.5", 14, "expected ']': C_W has one distance"),
        ("kappa[m,dtw,cosine,x] > 0.5", 20, "expected ']': kappa has two distances"),
        ("C_W > 95", 7, "expected a number in 0..1"),
        ("C_W > nan", 7, "expected a number"),
        ("C_B_rho > -1.01", 11, "expected a number in -1..1"),
        ("C_W > 0.5 0.6", 11, "expected the end"),
        ("C_W > 0.5 @", 12, "expected a transformation"),
        ("C_W > 0.5 @ MP>=", 17, "expected a number"),
        ("C_W > 0.5 @ MP>=128 PS", 21, "expected ',', 'and' or the end"),
        ("C_W > 0.5 @ PS in 1..-1", 13, "expected a range that rises"),
        ("C_W > 0.5 @ PS in -1", 21, "expected '..'"),
        ("C_W > 0.5 @ MP and imperceptible", 13, "'imperceptible' alone between commas"),
        ("C_W > 0.5 @ and", 13, "expected a transformation"),
        ("C_W@1 > 0.5", 4, "a collection of 2 clips or more"),
        ("kappa@10 > 0.5", 6, "only C_W has one"),
        ("C_W@" + "9" * 5000 + " > 0.5", 4, "a whole number of up to nine digits"),
        ("C_W > " + "9" * 5000, 7, "expected a number"),
        ("C_W@5.5 > 0.5", 4, "a whole number of up to nine digits"),
        ("C_W > \u0660.5", 7, "expected a number"),
        ("mean C_W > 0.5", 6, "expected '('"),
        ("mean(C_W > 0.5", 10, "expected ')'"),
        ("monotonicity > 0.5 @ PS>1", 22, "a transformation alone"),
        ("__import__('os') > 1", 1, "unknown measure"),
        ("C_W[a] >= C_B_rho[b]", 11, "the left side's measure of another encoder"),
        ("C_W[a] >= C_W", 11, "such as 'C_W[random]'"),
        ("mean(C_W[a]) >= C_W[b]", 17, "such as 'mean(C_W[random])'"),
        ("C_W[a] >= basline", 11, "expected a number, 'baseline', or a score"),
        ("C_W[a] >= C_W[b] - 3", 20, "a number in 0..2"),
        ("C_W[a] >= baseline - x", 22, "a number"),
        ("N >= 59.5", 6, "a number of clips"),
        ("N >= 59 @ MP", 9, "N is that of the whole run"),
        ("mean(N) >= 3", 6, "unknown measure 'N'"),
    ],
)
def test_what_is_malformed_says_where(text: str, position: int, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert f"position {position}:" in str(caught.value)
    assert told in str(caught.value)


def test_doc_examples() -> None:
    assert doctest.testmod(language).failed == 0


@pytest.mark.parametrize("text", ["Ö\n0", "C_W[mfcc,cosine]\n? 1", "mean(\r\x1b[31m)"])
def test_what_is_wrong_is_told_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse(text)
    assert str(raised.value).isprintable()
