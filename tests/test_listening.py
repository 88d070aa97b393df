"""Sounds of a finished run are those the run heard; which are made, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

import nearkin
from nearkin.api import Result
from nearkin.cli import app
from nearkin.errors import InputError
from nearkin.listening import listen, place_to_hear, sounds_of_page
from nearkin.results.lost_queries import lost_queries
from nearkin.runs.sounds import GAIN, Sounds
from nearkin.transforms.magnitudes import Point


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Result:
    """A copy of the run, for what writes into it."""
    return nearkin.load(shutil.copytree(small_run, tmp_path / "run"))


def test_a_sound_made_again_is_embedded_where_the_runs_own_was(small_run: Path) -> None:
    from nearkin.encoders import resolve

    result = nearkin.load(small_run)
    made = Sounds(result.folder, result.run, result.clips, keep=False)
    stored = np.load(result.folder.embeddings_path("mfcc"))
    unchanged = np.load(result.folder.embeddings_path("mfcc", of="originals"))
    encoder = resolve("mfcc").encoder
    points = [None, *(Point(str(code), float(m)) for code, m in result.run["grid"]["points"])]
    for place in (2, 8, 13, 16):
        heard = made.heard("tune03.wav", points[place])
        again = np.asarray(encoder.embed(heard[None]))[0]
        np.testing.assert_allclose(again, stored[3, place], rtol=1e-4, atol=1e-3)
    again = np.asarray(encoder.embed(made.heard("tune03.wav")[None]))[0]
    np.testing.assert_allclose(again, unchanged[3], rtol=1e-4, atol=1e-3)


def test_the_page_plays_the_worst_of_every_point(run: Result) -> None:
    lost = lost_queries(run.queries)
    assert len(lost)
    sounds, why = sounds_of_page(run.folder, run.run, run.clips, run.queries)
    assert why == ""
    for row in lost[lost["place"] == 0].itertuples():
        assert (row.clip_id, Point(row.transformation, row.magnitude)) in sounds
        assert (row.clip_id, None) in sounds
        assert (row.nearest_id, None) in sounds
    none, told = sounds_of_page(run.folder, run.run, run.clips, run.queries, which="none")
    assert none == {}
    assert "--sounds none" in told


def test_a_page_takes_as_much_as_is_asked_for(run: Result) -> None:
    """A size of its own: of 0.2 MB eight sounds of 22,400 characters are filled, and no ninth."""
    every, _ = sounds_of_page(run.folder, run.run, run.clips, run.queries, which="all")
    sounds, why = sounds_of_page(run.folder, run.run, run.clips, run.queries, which="0.2MB")
    assert 0 < sum(4 * -(-len(mp3) // 3) for mp3 in sounds.values()) <= 200_000
    assert set(sounds) < set(every)
    assert "nearkin report --sounds 10MB" in why
    for wrong in ("10", "MB", "-1MB", "worse"):
        with pytest.raises(InputError, match="or a size, such as 10MB"):
            sounds_of_page(run.folder, run.run, run.clips, run.queries, which=wrong)


def test_a_full_page_takes_no_more_and_says_so(run: Result) -> None:
    made = Sounds(run.folder, run.run, run.clips)
    wanted = [("tune00.wav", Point("PN", 30.0)), ("tune01.wav", Point("PN", 30.0))]
    one = 4 * -(-len(made.mp3("tune00.wav")) // 3)
    found, why = made.chosen(wanted, lambda _: [], budget=round(2.5 * one))
    assert set(found) == {wanted[0], ("tune00.wav", None)}
    assert why.startswith("The sounds of 1 of 2 lost clips fill")


def test_only_a_report_in_the_runs_folder_keeps_sounds_there(run: Result, tmp_path: Path) -> None:
    before = sorted(path.name for path in run.path.rglob("*.mp3"))
    page = run.report(tmp_path / "elsewhere.html").read_text("utf-8")
    assert sorted(path.name for path in run.path.rglob("*.mp3")) == before
    assert run.report().read_text("utf-8") == page
    assert len(list(run.path.rglob("*.mp3"))) > len(before)


def test_music_that_is_gone_is_told_on_the_page(run: Result, tmp_path: Path) -> None:
    clips = run.clips.assign(path="nowhere/" + run.clips["clip_id"])
    sounds, why = sounds_of_page(run.folder, run.run, clips, run.queries)
    assert sounds == {}
    assert "is not there; call nearkin in the folder in which the run was called" in why


def test_music_that_has_changed_is_refused(run: Result) -> None:
    clips = run.clips.assign(content_sha256="0" * 64)
    with pytest.raises(InputError, match="has changed since the run"):
        Sounds(run.folder, run.run, clips).heard("tune00.wav")


def test_the_command_writes_three_sounds_a_lost_clip(run: Result, tmp_path: Path) -> None:
    lost = lost_queries(run.queries)
    worst = lost[(lost["place"] == 0) & (lost["distance"] == "cosine")].iloc[0]
    asked = ["listen", str(run.path), "--encoder", worst["encoder"], "--out", str(tmp_path / "o")]
    asked += ["--transformation", worst["transformation"]]
    asked += [f"--magnitude={worst['magnitude']:g}", "--worst", "1"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert f"{worst['clip_id']}: its own original ranks {worst['rank']} of 5" in done.output
    files = sorted((tmp_path / "o").iterdir())
    assert [re.sub(".*--", "", path.name) for path in files] == [
        "1-changed.wav",
        "2-original.wav",
        "3-intruder.wav",
    ]
    rate, y = wavfile.read(files[1])
    heard = Sounds(run.folder, run.run, run.clips).heard(worst["clip_id"])
    assert rate == 22_050
    assert np.abs(y / 32_767 - np.clip(heard * GAIN, -1, 1)).max() < 1 / 32_000


def point_table(*rows: tuple[str, str, float, int]) -> pd.DataFrame:
    """Rows of queries.parquet: encoder, code, magnitude, and how many of four clips it lost."""
    return pd.DataFrame(
        [
            {
                **{"encoder": name, "task": "", "trial": 1, "space": "latent"},
                **{"distance": "cosine", "transformation": code, "magnitude": magnitude},
                **{"clip_id": f"c{i}", "error": int(i < n), "rank": 2.0 if i < n else 1.0},
                **{"nearest_id": "c3", "d_own": 0.2, "d_nearest": 0.1, "status": "ok"},
            }
            for name, code, magnitude, n in rows
            for i in range(4)
        ]
    )


LOST = {
    Point("OG", 0.0): 0,
    Point("PN", 30.0): 0,
    Point("PN", 6.0): 3,
    Point("MP", 128.0): 1,
    Point("PS", -2.0): 2,
    Point("PS", 12.0): 3,
}
QUERIES = point_table(
    *(("good", *point, 0) for point in LOST), *(("poor", *point, n) for point, n in LOST.items())
)
ENCODERS = {"encoders": [{"name": one, "task": "", "role": "tested"} for one in ("good", "poor")]}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # PS -2 and 12, of one side each, and MP 128 are as mild; PN 6 has a milder one
        ({}, ("poor", Point("PS", 12.0))),
        ({"encoder": "poor", "transformation": "PN"}, ("poor", Point("PN", 6.0))),
        ({"transformation": "MP"}, ("poor", Point("MP", 128.0))),
        ({"magnitude": -2.0}, ("poor", Point("PS", -2.0))),
        ({"clip_ids": ["c2"], "transformation": "PN"}, ("poor", Point("PN", 6.0))),
        ({"clip_ids": ["c3"]}, None),
        ({"encoder": "good"}, None),
        ({"encoder": "any", "transformation": "X", "magnitude": 1.0}, ("any", Point("X", 1.0))),
    ],
)
def test_what_is_not_named_is_the_mildest_change_that_lost_a_clip(
    asked: dict[str, Any], expected: tuple[str, Point] | None
) -> None:
    assert place_to_hear(ENCODERS, QUERIES, **asked) == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"magnitude": 7.0}, "magnitude 7: no transformation was run at it; name one"),
        ({"transformation": "PN", "magnitude": 7.0}, "PN was run at 6, 30; give one of them"),
        ({"transformation": "PX"}, "transformation 'PX'"),
        ({"clip_ids": ["c9"]}, "clip 'c9'"),
        ({"encoder": "god"}, "did you mean 'good'"),
    ],
)
def test_what_is_named_in_part_and_is_not_there(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        place_to_hear(ENCODERS, QUERIES, **asked)


def test_the_command_needs_the_run_only(run: Result, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["listen", str(run.path), "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, done.output
    whose, _, point = done.output.splitlines()[0].partition(", ")
    assert whose == "mfcc"
    assert re.fullmatch(r"[A-Z]{2} at .+", point)
    assert len(list((tmp_path / "o").iterdir())) % 3 == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder": "mfc"}, "did you mean 'mfcc'"),
        ({"point": Point("PX", 6.0)}, "transformation 'PX'"),
        ({"point": Point("PN", 7.0)}, r"magnitude 7: PN was run at -15, .*; give one of them"),
        ({"clip_ids": ["tune99.wav"]}, "clip 'tune99.wav'"),
        ({"distance": "cosin"}, "distance 'cosin'"),
    ],
)
def test_what_the_run_has_not_is_refused(
    small_run: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    result = nearkin.load(small_run)
    asked = {"encoder": "mfcc", "point": Point("PN", 6.0), "out": tmp_path} | changed
    with pytest.raises(InputError, match=message):
        listen(result.folder, result.run, result.clips, result.queries, **asked)  # type: ignore[arg-type]
