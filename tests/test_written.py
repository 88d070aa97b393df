"""What people write in YAML and JSON: every mistake is a sentence, none is a trace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from nearkin.cli.settings import merged, options_of
from nearkin.errors import InputError
from nearkin.runs.plan import Plan
from nearkin.transforms import grids
from nearkin.written import parse_json, read_yaml


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written") / "mine.yaml"


def said_of(text: str | bytes, place: Path) -> str:
    """Return the one sentence a configuration is refused with."""
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        merged({} if "audio" in str(text)[:9] else {"audio": ["m"]}, place).resolved()
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 1_000
    return told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("force: 'false'", "force='false': input should be a valid boolean"),
        ("quiet: 0", "quiet=0: input should be a valid boolean"),
        ("json: 'yes'", "json='yes': input should be a valid boolean"),
        ("allow_stochastic: 'false'", "allow_stochastic='false': must be true or false"),
        ("clips: true", "clips=True: must not be true or false"),
        ("pad: no", "pad=False: must not be true or false"),
        ("audio: {a: 1}", "audio={'a': 1}: input should be a valid string"),
        ("audio: [1]", "audio=1: input should be a valid string"),
        ("out: [a, b]", "out=['a', 'b']: input should be a valid string"),
        ("out: 2001-02-03", "out=datetime.date(2001, 2, 3): input should be a valid string"),
        ("workers: '2'", "workers='2': input should be a valid integer"),
        ("workers: 0", "workers=0: input should be greater than or equal to 1"),
        ("workers: 1.5", "workers=1.5"),
        ("encoder: [[mfcc]]", "encoder=['mfcc']: input should be a valid string"),
        ("encoder_options: [3]", "encoder_options=3"),
        ("encoder_options: [{layer: 2001-02-03}]", "is no JSON"),
        ("encoder_options: [{1: 2}]", "encoder_options=1: input should be a valid string"),
        ("seed: 1\nseed: 2", "key 'seed' is there twice"),
        ("mp3-rate: true\nmp3_rate: paper", "key 'mp3_rate' is there twice"),
        ("encoder_options: [{a: 1, a: 2}]", "key 'a' is there twice"),
        ("a: &x 1\nb: *x", "aliases are not read"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "aliases are not read"),
        (f"seed: {'9' * 4300}", "a number has more than 64 bits"),
        (f"seed: {'9' * 5000}", "is not YAML"),
        (f"seed: 0x{'f' * 5000}", "a number has more than 64 bits"),
        (f"seed: {2**64}", "a number has more than 64 bits"),
        (f"seed: -{2**70}", "a number has more than 64 bits"),
        (f"grid: {'[' * 20_000}{']' * 20_000}", "is nested too deeply"),
        ("grid: " + "{a: " * 5_000 + "1" + "}" * 5_000, "is nested too deeply"),
        (f"grid: {'g' * 5_000}", "a text has 5,000 characters"),
        ('out: "a\\0b"', "has control characters"),
        ("out: a\0b", "is not YAML"),
        ("out: |\n  two\n  lines", "has control characters"),
        ("? |\n  two\n: 1", "has control characters"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"out: \xe9", "is not YAML"),
        ("out: 2001-99-99", "is not YAML"),
        ("!!python/object/apply:os.system ['id']", "is not YAML"),
        ("? [a]\n: 1", "is not YAML"),
        ("seed: .nan", "seed=nan"),
        ("clip_seconds: .inf", "clip_seconds=inf"),
        ("1: 2", "unknown key '1'"),
        ("null: 2", "unknown key 'None'"),
        ("dry_run: true", "unknown key 'dry_run'"),
        ("just words", "must map options to values"),
        ("", "must map options to values"),
        ("x: 1\n" * 200_001, "is larger than 1 MB"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(text: str | bytes, words: str, place: Path) -> None:
    assert words in said_of(text, place)


def test_what_is_right_is_read_as_it_stands(place: Path) -> None:
    place.write_text(
        "audio: a b\nencoder: [mfcc, './x.py:f']\nencoder_options: ['{}', {layer: 3}]\n"
        "force: false\nworkers: 3\nallow-stochastic: true\nclip-seconds: 3\n"
        "seed: 9223372036854775807"
    )
    found = merged({"seed": 4, "quiet": True}, place)
    assert (found.audio, found.force, found.workers, found.quiet) == (["a b"], False, 3, True)
    assert found.plan == {"allow_stochastic": True, "clip_seconds": 3, "seed": 4}
    plan, sources, workers = found.resolved()
    assert (plan.clip_seconds, plan.seed, plan.allow_stochastic, workers) == (3.0, 4, True, 3)
    assert sources[1].options == {"layer": 3}


def test_a_grid_is_read_as_strictly(place: Path) -> None:
    for text, words in [
        ("PN: [10]\nPN: [20]", "key 'PN' is there twice"),
        ("PN: &a [10]\nEN: *a", "aliases are not read"),
        (f"PN: [{'9' * 4000}]", "more than 64 bits"),
        ("PN: " + "[" * 20_000, "nested too deeply"),
    ]:
        place.write_text(text)
        with pytest.raises(InputError, match=words):
            grids.grid(place)


def test_a_device_without_end_is_not_read() -> None:
    with pytest.raises(InputError, match="is no regular file"):
        read_yaml(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is no JSON"),
        ('{"a": ' + "9" * 40 + "}", "more than 64 bits"),
        ('{"a": "\\u0000"}', "has control characters"),
        ('{"a": "\\ud800"}', "has control characters"),
    ],
)
def test_options_in_json_are_read_as_strictly(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        options_of(text)
    assert len(str(caught.value)) < 500


# -- anything at all -------------------------------------------------------------------------------

OWN = "audio encoder encoder_options out workers force json keep-distances mp3-rate quiet"
NAMES = st.sampled_from([*Plan.model_fields, *OWN.split(), "points", "name", "PN", "TS"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**30), max_value=10**30),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from(["mfcc", "quick", "paper", "zero", "all", "mean", "0x1f", "1e5", "~", "1:30"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)
SIGNS = (": ", "\n", "- ", "[", "]", "{", "}", ", ", "'", '"', "&a ", "*a", "? ", "<<: ", "\t")
TAGS = ("!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!set ", "!!omap ", "!!map ", "!x ")
WORDS = ("audio", "force", "true", "12", "PN", "|\n  x", "%YAML 1.2\n---\n", "# c", "\\x", "é")
PIECES = st.sampled_from([*SIGNS, *TAGS, *WORDS])


def sentence_of(read: Callable[[], object]) -> str:
    """Return what is said where something is refused; any other error fails the test."""
    try:
        read()
    except InputError as error:
        return str(error)
    return ""


def survives(text: str, place: Path) -> None:
    place.write_text(text, encoding="utf-8", errors="replace")
    for read in (lambda: merged({}, place).resolved(), lambda: grids.grid(place)):
        assert "\n" not in sentence_of(read)


FUZZ = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(content=st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_values_are_taken_or_refused(content: dict, place: Path) -> None:
    survives(yaml.safe_dump(content, allow_unicode=True), place)


@FUZZ
@given(pieces=st.lists(PIECES, max_size=20))
def test_any_text_is_taken_or_refused(pieces: list[str], place: Path) -> None:
    survives("".join(pieces), place)


@FUZZ
@given(text=st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join))
def test_any_options_are_taken_or_refused(text: str) -> None:
    assert "\n" not in sentence_of(lambda: json.dumps(options_of(text)))
    with contextlib.suppress(ValueError):
        parse_json(text)
