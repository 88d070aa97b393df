"""Which excerpts are used: loud enough, of the music, not cancelled, none twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

import nearkin
from conftest import RATE, tune
from nearkin.corpora.recordings import Recording
from nearkin.runs.clips import Original
from nearkin.runs.originals import originals
from nearkin.runs.plan import Plan, make_plan
from nearkin.tables import OK
from nearkin.transforms.grids import Grid, Point
from support import signals


def plan_for(**settings: Any) -> Plan:
    grid = Grid("test", (Point("PN", 30.0),))
    return make_plan({"encoders": ["mfcc"], "grid": grid, **settings})


def take(path: Path, plan: Plan, **place: Any) -> list[Original]:
    return originals(plan, Recording(path.name, path, **place), [])


def lufs(y: np.ndarray) -> float:
    return float(pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(y.astype(float)))


def at_lufs(y: np.ndarray, level: float) -> np.ndarray:
    return y * 10 ** ((level - lufs(y)) / 20)


@pytest.mark.parametrize(
    ("level", "status"),
    [
        (-59.0, OK),
        (-61.0, "skipped: near-silent excerpt of -61.0 LUFS: must be at least -60"),
        (-69.0, "skipped: near-silent excerpt of -69.0 LUFS: must be at least -60"),
    ],
)
def test_clips_near_the_gate_are_skipped(level: float, status: str, tmp_path: Path) -> None:
    # one tone throughout: all of it is equally loud
    y = at_lufs(signals.sine(997, 6.0, RATE), level)
    soundfile.write(tmp_path / "x.wav", y, RATE, subtype="DOUBLE")
    (clip,) = take(tmp_path / "x.wav", plan_for())
    assert clip.status == status
    if status == OK:
        assert clip.loudness_lufs == pytest.approx(level, abs=0.05)


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_channels_that_cancel_are_told(suffix: str, tmp_path: Path) -> None:
    y = 0.5 * tune(1)
    path = tmp_path / f"x.{suffix}"
    for right, status in (
        (-y, "skipped: its channels cancel each other, "),
        (-0.9 * y, "skipped: its channels cancel each other, the mono mix is 26 dB below them; "),
        (-0.5 * y, OK),
        (0 * y, OK),
    ):
        soundfile.write(path, np.stack([y, right], 1), RATE)
        (clip,) = take(path, plan_for())
        assert clip.status.startswith(status)
        assert clip.status == OK or clip.status.endswith("; invert one of them")
    if suffix == "wav":
        signals.write_float(path, np.stack([y, -y], 1), RATE)
        assert "nothing is left in the mono mix" in take(path, plan_for())[0].status


@pytest.fixture(scope="module")
def mostly_hiss(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A minute of hiss at -55 LUFS with music from 20 to 40 s, and the loudness of the whole."""
    path = tmp_path_factory.mktemp("hiss") / "hiss.wav"
    y = at_lufs(signals.white(60.0, RATE), -55.0)
    y[20 * RATE : 40 * RATE] = at_lufs(tune(5, seconds=20.0), -14.0)
    signals.write_float(path, y, RATE)
    return path, lufs(y)


def test_an_excerpt_far_below_its_file_is_drawn_again(mostly_hiss: tuple[Path, float]) -> None:
    path, level = mostly_hiss
    assert level == pytest.approx(-14.0, abs=0.5)
    redrawn = 0
    for seed in range(12):
        (clip,) = take(path, plan_for(seed=seed))
        assert clip.status == OK, seed
        assert clip.loudness_lufs > level - 30
        assert 20 - 3 < clip.start_s < 40 - 1  # its middle two seconds touch the music
        if clip.note:
            redrawn += 1
            assert clip.note.startswith("drawn again: the file of -14.")
            said = re.search(r" LUFS is at (\S+) LUFS at ", clip.note)
            assert said is not None
            assert float(said[1]) == pytest.approx(-55.0, abs=0.3)
            first = float(clip.note.rpartition(" at ")[2].removesuffix(" s"))
            assert not 20 - 3 < first < 40 - 1
        assert take(path, plan_for(seed=seed))[0].start_s == clip.start_s
    # two thirds of the places are hiss: among 12 seeds neither none nor all of them
    assert 3 <= redrawn <= 11


def test_excerpts_drawn_again_do_not_overlap(mostly_hiss: tuple[Path, float]) -> None:
    for seed in range(6):
        clips = take(mostly_hiss[0], plan_for(seed=seed, excerpts_per_file=4))
        starts = [clip.start_s for clip in clips]
        assert min(np.diff(starts)) >= 4.0 - 1e-6
        assert starts[-1] <= 56.0 + 1e-6


def test_a_file_with_little_music_is_skipped_with_its_reason(tmp_path: Path) -> None:
    y = at_lufs(signals.white(400.0, RATE), -55.0)
    y[200 * RATE : 201 * RATE] = at_lufs(tune(5, seconds=1.0), -10.0)
    signals.write_float(tmp_path / "x.wav", y, RATE)
    (chosen,) = take(tmp_path / "x.wav", plan_for(), start_s=30.0)
    assert (chosen.status, chosen.note) == (OK, "")  # where a person says so, hiss is meant
    assert chosen.loudness_lufs == pytest.approx(-55.0, abs=0.3)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_silent_file_is_silent(level: float, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.full(30 * RATE, level), RATE)
    (clip,) = take(tmp_path / "x.wav", plan_for())
    assert (clip.status, clip.note) == ("skipped: silent or constant excerpt", "")


def test_silence_before_the_music_is_drawn_over(tmp_path: Path) -> None:
    y = np.concatenate([np.zeros(20 * RATE), tune(2, seconds=20.0)])
    signals.write_float(tmp_path / "x.wav", y, RATE)
    clips = [take(tmp_path / "x.wav", plan_for(seed=seed))[0] for seed in range(8)]
    assert {clip.status for clip in clips} == {OK}
    assert any(" LUFS is silent at " in clip.note for clip in clips)


def same_sounds(folder: Path) -> Path:
    """Three tunes; the first is there four times: its file, without loss, in stereo, by a link."""
    folder.mkdir()
    for seed in range(3):
        y = np.round(30_000 * tune(seed)).clip(-32_768, 32_767).astype(np.int16)
        soundfile.write(folder / f"{seed}.wav", y, RATE)
    first, _ = soundfile.read(folder / "0.wav", dtype="int16")
    soundfile.write(folder / "0 again.flac", first, RATE)
    soundfile.write(folder / "0 stereo.wav", np.stack([first, first], 1), RATE)
    (folder / "0.link.wav").symlink_to("0.wav")
    return folder


def test_of_what_sounds_the_same_one_is_used(tmp_path: Path) -> None:
    music = same_sounds(tmp_path / "music")
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [30]}")
    settings: dict[str, Any] = {"grid": str(grid), "references": "untrained"}
    found = nearkin.evaluate(["mfcc"], music, **settings).clips.set_index("clip_id")
    twins = ["0 stereo.wav", "0.link.wav", "0.wav"]
    assert found.loc["0 again.flac", "status"] == OK
    assert set(found.loc[twins, "status"]) == {"skipped: sounds the same as '0 again.flac'"}
    assert (found.loc[["1.wav", "2.wav"], "status"] == OK).all()
    assert found["sound_sha256"].nunique() == 3
    # as many as are asked for, however many copies are drawn
    for seed in range(4):
        few = nearkin.evaluate(["mfcc"], music, clips=3, seed=seed, **settings)
        assert few.run["n"] == 3
        assert few.clips.query("status == 'ok'")["sound_sha256"].nunique() == 3
    every = nearkin.evaluate(["mfcc"], music, duplicates="all", **settings)
    assert every.run["n"] == 6
    assert ["0.link.wav", "0.wav"] in every.run["clips"]["identical"]


def test_places_of_one_recording_are_no_copies(tmp_path: Path) -> None:
    signals.write_float(tmp_path / "x.wav", tune(0, seconds=20.0), RATE)
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,clip_id,start_s\nx.wav,a,0\nx.wav,b,8\nx.wav,c,8\nx.wav,d,\n")
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [30]}")
    result = nearkin.evaluate(["mfcc"], manifest, grid=str(grid), references="untrained")
    assert result.clips.set_index("clip_id")["status"].to_dict() == {
        "a": OK,
        "b": OK,
        "c": "skipped: sounds the same as 'b'",
        "d": OK,
    }


def test_a_part_that_is_not_heard_is_noted(tmp_path: Path) -> None:
    pieces = []
    for seed in range(2):
        path = tmp_path / f"{seed}.ogg"
        soundfile.write(path, tune(seed), RATE, format="OGG", subtype="VORBIS")
        pieces.append(bytearray(path.read_bytes()))
    pieces[0][28:58] = bytes(30)  # what says that it is Vorbis
    path = tmp_path / "radio.ogg"
    path.write_bytes(b"".join(pieces))
    (clip,) = take(path, plan_for())
    assert clip.status == OK
    assert clip.note == "heard are 5.00 s: part 1 of 2 cannot be decoded"
