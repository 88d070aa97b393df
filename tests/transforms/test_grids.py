"""The built-in grids against the paper's table, and YAML files with all their problems."""

from __future__ import annotations

import pickle

import pytest

from nearkin.errors import InputError
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
                "'pm': known: EN",
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
