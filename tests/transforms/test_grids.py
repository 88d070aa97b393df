"""The built-in grids against the paper's table, and YAML files with all their problems."""

from __future__ import annotations

import os
import pickle
import string

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nearkin.errors import InputError, printable
from nearkin.transforms.grids import GRIDS, Grid, Point, grid

# Kim, Urbano, Liem, Hanjalic 2019, Table 2 and footnote 4.
SNR_DB = [-15, -10, -6, -3, 3, 6, 9, 12, 15, 18, 21, 24, 27, 27.5, 28, 28.5, 29, 29.5, 30]
TEMPO = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.92, 0.94, 0.96, 0.98]
TEMPO += [1.02, 1.04, 1.06, 1.08, 1.1, 1.2, 1.3, 1.4, 1.5]
PITCH = [-12, -10, -8, -6, -4, -2, -1, -0.75, -0.5, -0.25]
PITCH += [0.25, 0.5, 0.75, 1, 2, 4, 6, 8, 10, 12]
KBPS = [8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192]


def test_paper_grid():
    paper = grid("paper")
    assert paper.codes == ("PN", "EN", "TS", "PS", "MP")
    assert [list(paper.magnitudes(code)) for code in paper.codes] == [
        SNR_DB,
        SNR_DB,
        TEMPO,
        PITCH,
        KBPS,
    ]
    assert len(paper.points) == 19 + 19 + 20 + 20 + 13 == 91


def test_the_other_grids():
    paper, authors = set(grid("paper").points), set(grid("authors").points)
    assert len(authors) == 94
    assert authors - paper == {Point("MP", 224), Point("MP", 256), Point("MP", 320)}
    small = {("PS", -0.25), ("PS", 0.25), ("TS", 0.98), ("TS", 1.02), ("PN", 30), ("EN", 30)}
    assert set(grid("imperceptible").points) == {*small, ("MP", 192)}
    quick = set(grid("quick").points)
    assert 15 <= len(quick) <= 25
    assert quick >= set(grid("imperceptible").points)
    assert {code for code, _ in quick} == {"PN", "EN", "TS", "PS", "MP"}
    assert quick <= paper


def test_effects_are_those_of_deng_et_al():
    """Deng, Wang, Richard, McFee (ICASSP 2025), their effect_params.py, without their rounding."""
    effects = grid("effects")
    assert set(effects.codes) == {"BD", "GN", "LP", "FV"}
    np.testing.assert_array_equal(effects.magnitudes("BD"), np.arange(4, 16))
    np.testing.assert_allclose(effects.magnitudes("GN"), np.arange(-40.0, 5.01, 1.5))
    cutoffs = np.round(np.geomspace(1600, 22000 / 1.2, num=31), 3)
    np.testing.assert_allclose(effects.magnitudes("LP"), cutoffs)
    np.testing.assert_allclose(effects.magnitudes("FV"), np.linspace(0.01, 1, num=100)[::3])


def test_grids_of_families():
    assert set(grid("codecs").codes) == {"MP", "OP", "AA", "VO", "GS", "AM"}
    assert set(grid("room").codes) == {"RV", "FV", "EC"}
    everyday = grid("everyday")
    assert len(everyday.codes) >= 12
    assert len(everyday.points) < 40


@pytest.mark.parametrize("name", GRIDS)
def test_grid_is_a_value(name):
    made = grid(name)
    assert made == grid(made)
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(grid(name))
    assert Grid(name, made.points[::-1]) == made  # order of writing does not matter
    assert all(type(point.magnitude) is float for point in made.points)


def write(tmp_path, text, name="mine.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_yaml_of_both_forms(tmp_path):
    expected = (Point("PN", 10.0), Point("PN", 20.0), Point("TS", 0.9), Point("TS", 1.1))
    short = grid(write(tmp_path, "{PN: [20, 10], TS: [0.9, 1.1]}"))
    assert short == Grid("mine", expected)
    assert grid(str(write(tmp_path, "PN: [10, 20]\nTS:\n- 0.9\n- 1.1\n", "mine.yml"))) == short
    long = grid(write(tmp_path, "name: études\npoints: {PN: [10, 20.0], TS: [0.9, 1.1]}"))
    assert long == Grid("études", expected)
    assert grid(write(tmp_path, "MP: 64")).points == (Point("MP", 64.0),)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "{pm: [10], ts: [1], TS: [0, 1.1], MP: [100], PS: ['one'], OG: [0], PN: [10, 10.0]}",
            [
                "'pm': known: AA",
                "'ts': did you mean 'TS'",
                "ratio=0",
                "kbps=100",
                "semitones='one'",
                "OG:",
                "twice",
            ],
        ),
        ("name: x\npoint: {PN: [1]}\n", ["did you mean 'points'", "points: must map"]),
        ("name: paper\npoints: {PN: [1]}\n", ["built-in grid"]),
        ("name: 3\npoints: {PN: [.nan]}\n", ["name: 3", "snr_db=nan"]),
        ("PN: []\nTS: [1.1]", ["PN: has no magnitudes"]),
        ("{}", ["no points"]),
        ("PN: [true]", ["snr_db=True"]),
        ("PN: [[1, 2]]", ["snr_db=[1, 2]"]),
        ("", ["must map codes"]),
        ("[1, 2]", ["must map codes"]),
        ("just words", ["must map codes"]),
        ("PN: [1", ["is not YAML"]),
        ("PN: [1]\nTS: [1.1]\nPN: [2]\n", ["key 'PN' is there twice", "line 3"]),
        ("points: {PN: [1], PN: [1]}", ["key 'PN' is there twice"]),
        ("{TS: 1.1, PN: {a: 1, a: 2}}", ["key 'a' is there twice"]),
        (f"PN: [{'9' * 5000}]", ["is not YAML"]),
        (f"PN: [0x{'f' * 5000}]", ["more than 64 bits"]),
        (f"0x{'f' * 500}: [1]", ["more than 64 bits"]),
        ("[" * 5000, ["nested too deeply"]),
        (f"PN: {'[' * 900}{']' * 900}", ["nested too deeply"]),
        ("PN: &a [*a]", ["aliases are not read"]),
        ("PN: !!int ''", ["is not YAML"]),
        ("PN: !!timestamp soon", ["is not YAML"]),
        ("PN: !!bool perhaps", ["is not YAML"]),
        ("PN: 2001-99-99", ["is not YAML"]),
        ("PN: 2001-01-01", ["must be a number"]),
        ('"P\\nN": [1]', ["has control characters"]),
        ("? [PN]\n: 1", ["is not YAML"]),
        ("~: [1]", ["None: must be the code"]),
        ("name: [1]\npoints: {PN: 1}", ["name: [1] must be a text"]),
        ("name: 'a\u2028b'\npoints: {PN: 1}", ["must be a text"]),
        (f"name: {'x' * 100}\npoints: {{PN: 1}}", ["has 100 characters"]),
        (f"PN: [{', '.join(f'x{i}' for i in range(300))}]", ["and 292 more"]),
        ("x" * 200_000, ["a text has 200,000 characters"]),
        ("a: !!python/object/apply:os.getcwd []", ["is not YAML"]),
    ],
)
def test_yaml_problems_are_told_at_once(tmp_path, text, messages):
    with pytest.raises(InputError) as caught:
        grid(write(tmp_path, text))
    told = str(caught.value)
    assert told.startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in told
    for message in messages:
        assert message in told
    assert len(told.replace(str(tmp_path), "")) < 1_500


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="did you mean 'paper'"):
        grid("papre")
    with pytest.raises(InputError, match="cannot be read"):
        grid(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not YAML"):
        grid(tmp_path / "binary.yaml")


def test_file_named_like_a_built_in_grid_is_told_apart(tmp_path):
    assert grid(write(tmp_path, "PN: [3]", "paper.yaml")).name == "paper (paper.yaml)"


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")  # to open it would wait for ever
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(InputError, match=f"is {kind}; name a YAML file"):
            grid(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize("source", [None, 5, ["paper"], {"PN": [1]}, b"paper", float("nan")])
def test_what_is_neither_name_nor_file(source):
    with pytest.raises(InputError, match="must be a name or a file"):
        grid(source)


@pytest.mark.parametrize("source", ["", "x" * 100_000, "x" * 5_000 + ".yaml", "a\0.yaml", "a\nb"])
def test_names_that_no_file_can_have(source):
    with pytest.raises(InputError) as caught:
        grid(source)
    assert "\n" not in str(caught.value)


# Every value that YAML can write, at any place of a grid.
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates(),
    st.datetimes(), st.binary(max_size=8), st.sampled_from([10**4_000, "PN", "TS", "OG", "name"]),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(["PN", "TS", "PS", "MP", "EN", "LP", "name", "points"]), SCALARS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)
PIECES = ("é", "\u2028", "\x00", "PN", ": ", "- ", "!!", "&a ", "*a", "\n  ", "<<: ", "9" * 4_400)
YAMLISH = st.lists(st.sampled_from([*string.printable, *PIECES]), max_size=60).map("".join)


def told_or_made(file):
    try:
        made = grid(file)
    except InputError as error:
        told = str(error).replace(str(file), "")
        assert printable(told) == told
        assert len(told) < 1_500
    else:
        assert made.points
        assert all(type(point.magnitude) is float for point in made.points)
        assert Grid(made.name, made.points) == made


fuzzed = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzzed
@given(content=st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=5)))
def test_any_value_makes_a_grid_or_a_sentence(tmp_path, content):
    told_or_made(write(tmp_path, yaml.safe_dump(content, allow_unicode=True), "any.yaml"))


@fuzzed
@given(text=YAMLISH)
@example("PN: 0o9")
@example("PN: .5:30")
@example("PN: -_")
@example("PN: 0b")
@example("PN: !!float ''")
def test_any_text_makes_a_grid_or_a_sentence(tmp_path, text):
    told_or_made(write(tmp_path, text, "any.yaml"))


@fuzzed
@given(data=st.binary(max_size=60))
def test_any_bytes_make_a_grid_or_a_sentence(tmp_path, data):
    (tmp_path / "any.yaml").write_bytes(data)
    told_or_made(tmp_path / "any.yaml")
