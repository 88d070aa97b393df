"""Data sets in their published layouts become manifests; what is wrong in them is said where."""

from __future__ import annotations

import inspect
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import write_tunes
from nearkin.audio import read, sound_info
from nearkin.audio.decoding import addressed
from nearkin.corpora import CORPORA, Corpus
from nearkin.corpora.collect import collect
from nearkin.corpora.folder import folder
from nearkin.corpora.index import index
from nearkin.corpora.irmas import IRMAS_CODES, irmas, song_number
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.msd import _splits, msd_lastfm50, read_tags
from nearkin.corpora.musdb import musdb18
from nearkin.corpora.splits import limited, split_by_group
from nearkin.errors import InputError
from nearkin.registry import load
from support.trees import (
    CLASSES,
    STEM_HZ,
    irmas_tree,
    lastfm_file,
    msd_tree,
    musdb_tree,
    stem_file,
    tone,
    track_id,
)

READERS = {"folder": folder, "irmas": irmas, "musdb18": musdb18, "msd-lastfm50": msd_lastfm50}


def silent(stage: str, done: int, total: int) -> None:
    pass


def frame(name: str, root: Path, *, hours: float | None = None, seed: int = 0) -> pd.DataFrame:
    return READERS[name](root, hours=hours, seed=seed, workers=1, progress=silent)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tree a data set, made once; read them, never write them."""
    base = tmp_path_factory.mktemp("trees")
    for artist in range(10):
        write_tunes(base / "folder" / f"artist {artist}" / "album", 2, seconds=0.5)
    return {
        "folder": base / "folder",
        "irmas": irmas_tree(base / "irmas" / "IRMAS-TrainingData"),
        "musdb18": musdb_tree(base / "musdb18", stems=True),
        "msd-lastfm50": msd_tree(base / "msd")[0],
    }


@pytest.mark.parametrize("name", CORPORA)
def test_every_row_of_the_table_keeps_the_contract(name: str) -> None:
    function = load(CORPORA[name].function)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters]
    assert names[:5] == ["root", "hours", "seed", "workers", "progress"]
    assert {*names[5:]} <= {"test_soundfont", "voices"}
    needed, optional = list(parameters)[1:5], list(parameters)[5:]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in needed)
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in optional)
    assert 10 < len(CORPORA[name].title) < 80


@pytest.mark.parametrize("name", READERS)
def test_every_reader_is_fair_and_repeatable(
    name: str, trees: dict[str, Path], tmp_path: Path
) -> None:
    told = []
    contents = index(
        name, trees[name], tmp_path / "m.csv", progress=lambda *words: told.append(words)
    )
    assert told[-1][1] == told[-1][2] > 0
    assert list(contents.splits) == ["train", "valid", "test"]
    found = read_labelled(tmp_path / "m.csv")
    assert Counter(row.split for row in found.rows) == {
        split: part.clips for split, part in contents.splits.items()
    }
    seconds = sum(sound_info(row.path).duration_s for row in found.rows)
    hours = sum(part.hours for part in contents.splits.values())
    assert hours == pytest.approx(seconds / 3600, rel=0.15)  # AAC and MP3 decode with padding
    for split, part in contents.splits.items():
        recordings = collect([tmp_path / "m.csv"], split=split)
        assert len(recordings) == part.clips > 0
        assert all(recording.path.is_file() for recording in recordings)

    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(trees[name], moved)
    index(name, moved, moved / "m.csv")
    index(name, moved, moved / "again.csv")
    assert (moved / "m.csv").read_bytes() == (moved / "again.csv").read_bytes()
    assert [row.split for row in read_labelled(moved / "m.csv").rows] == [
        row.split for row in found.rows
    ]
    index(name, moved, moved / "other.csv", seed=1)
    assert (moved / "m.csv").read_bytes() != (moved / "other.csv").read_bytes()


@pytest.mark.parametrize("name", READERS)
def test_hours_draw_clips_that_more_hours_keep(name: str, trees: dict[str, Path]) -> None:
    whole = frame(name, trees[name])
    total = whole["duration_s"].sum() / 3600
    half, most = (frame(name, trees[name], hours=part * total) for part in (0.5, 0.8))
    assert set(half["path"]) < set(most["path"]) < set(whole["path"])
    assert half.merge(whole).equals(half)  # the same rows, in the same splits
    # A part keeps at most its share, but at least one clip.
    parts = whole.groupby(["split", *({"instrument"} & set(whole.columns))])
    assert half["duration_s"].sum() / 3600 <= 0.5 * total + len(parts) * whole["duration_s"].max()
    assert frame(name, trees[name], hours=2 * total).equals(whole)
    assert set(frame(name, trees[name], hours=1e-9)["split"]) == {"train", "valid", "test"}
    with pytest.raises(InputError, match="hours=-1: must be above 0"):
        frame(name, trees[name], hours=-1)


@pytest.mark.parametrize("name", READERS)
def test_no_such_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder; name the one"):
        frame(name, tmp_path / "nowhere")


def fake(
    root: Path, *, hours: float | None, seed: int, workers: int, progress: object
) -> pd.DataFrame:
    write_tunes(root, 3, seconds=0.5)
    splits = ["train", "valid", "test"]
    return pd.DataFrame({"path": [f"tune0{k}.wav" for k in range(3)], "split": splits})


def test_hours_are_measured_where_a_data_set_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CORPORA, "fake", Corpus(f"{__name__}:fake", "tones"))
    contents = index("fake", tmp_path / "new", tmp_path / "m.csv")
    assert contents.splits == dict.fromkeys(["train", "valid", "test"], (1, 0.5 / 3600, 1))
    assert contents.labels == {}


# Splits


@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=40),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=50)
def test_splits_are_whole_balanced_and_full(sizes: list[int], seed: int) -> None:
    groups = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    shares = {"train": 0.8, "valid": 0.1, "test": 0.1}
    chosen = split_by_group(groups, shares, seed=seed, purpose="x")
    assert chosen.keys() == set(groups)
    assert set(chosen.values()) == set(shares)
    again = split_by_group(groups[::-1], shares, seed=seed, purpose="x")
    assert again == chosen
    counts = Counter(chosen[group] for group in groups)
    for split, share in shares.items():
        # What is given to the neediest never overshoots its need by more than one group.
        assert counts[split] - share * len(groups) < max(sizes) + 1


def test_single_files_are_split_exactly() -> None:
    groups = [f"g{k}" for k in range(200)]
    shares = {"train": 0.8, "valid": 0.1, "test": 0.1}
    chosen = split_by_group(groups, shares, seed=3, purpose="x")
    assert Counter(chosen.values()) == {"train": 160, "valid": 20, "test": 20}
    assert chosen != split_by_group(groups, shares, seed=4, purpose="x")
    assert chosen != split_by_group(groups, shares, seed=3, purpose="y")


def test_hours_draw_whole_groups() -> None:
    table = pd.DataFrame(
        {
            "path": [f"{k}.wav" for k in range(100)],
            "split": "train",
            "group": [f"song {k // 4}" for k in range(100)],
            "duration_s": 3.0,
        }
    )
    kept = limited(table, hours=120 / 3600, seed=0)
    assert len(kept) == 40
    assert set(Counter(kept["group"]).values()) == {4}


# Folder


def test_folders_stay_whole_and_single_files_are_groups(tmp_path: Path) -> None:
    for artist in ("a", "b", "c"):
        write_tunes(tmp_path / artist / "one", 2, seconds=0.5)
        write_tunes(tmp_path / artist / "two", 1, seconds=0.5)
    write_tunes(tmp_path, 2, seconds=0.5)
    (tmp_path / "a" / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "b" / "empty.mp3").write_bytes(b"")
    (tmp_path / "b" / "notes.txt").write_text("x")
    table = frame("folder", tmp_path)
    assert len(table) == 11
    assert set(table["group"]) == {"a", "b", "c", "tune00.wav", "tune01.wav"}
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["duration_s"].unique().tolist() == [0.5]
    first, second = table.attrs["left_out"]
    assert "broken.wav: is not a sound file" in first
    assert "empty.mp3: is empty (0 bytes)" in second


def test_names_of_any_bytes(tmp_path: Path) -> None:
    for artist in ("Bj\udcf6rk", 'comma, quote"', "line\nbreak", "#stream=1"):
        write_tunes(tmp_path / "music" / "new", 1, seconds=0.5)
        (tmp_path / "music" / "new").rename(tmp_path / "music" / artist)
    contents = index("folder", tmp_path / "music", tmp_path / "m.csv")
    assert sum(part.clips for part in contents.splits.values()) == 4
    rows = read_labelled(tmp_path / "m.csv").rows
    assert {row.path.parent.name for row in rows} == {
        path.name for path in (tmp_path / "music").iterdir()
    }
    assert all(len(read(row.path)) == 11_025 for row in rows)


def test_a_file_may_be_called_like_a_stream(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, tone(440.0, 0.5, 22_050), 22_050)
    assert addressed(tmp_path / "a.wav#stream=0") == (file, 0)
    assert len(read(tmp_path / "a.wav#stream=0")) == 11_025
    with pytest.raises(InputError, match=r"stream=1: holds 1 audio stream, .* has no stream 1"):
        read(tmp_path / "a.wav#stream=1")
    named = tmp_path / "a.wav#stream=1"
    file.rename(named)
    assert addressed(named) == (named, 0)
    assert len(read(named)) == 11_025
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.wav#stream=0")


def test_folders_that_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no sound file"):
        frame("folder", tmp_path)
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"x\.wav: is not a sound file .* none of 1 files"):
        frame("folder", tmp_path)
    write_tunes(tmp_path / "album", 5, seconds=0.5)
    with pytest.raises(InputError, match=r"holds 1 group \(album\)"):
        frame("folder", tmp_path)


# IRMAS


def test_irmas(trees: dict[str, Path]) -> None:
    table = frame("irmas", trees["irmas"])
    assert table.equals(frame("irmas", trees["irmas"].parent).assign(path=table["path"]))
    assert len(table) == 11 * 10 * 3
    assert Counter(table["instrument"]) == dict.fromkeys(IRMAS_CODES.values(), 30)
    assert tuple(IRMAS_CODES) == CLASSES
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["group"].nunique() == 110
    by_class = table.groupby(["instrument", "split"])["group"].nunique().unstack()
    assert by_class.drop_duplicates().to_dict("records") == [{"train": 8, "valid": 1, "test": 1}]
    for row in table.to_dict("records"):
        assert IRMAS_CODES[row["path"][:3]] == row["instrument"]


@pytest.mark.parametrize(
    ("name", "song"),
    [
        # Names of the published training set.
        ("[cel][cla]0001__1.wav", "0001"),
        ("008__[cel][nod][cla]0058__3.wav", "0058"),
        ("094__[sax][dru][jaz_blu]1703__3.wav", "1703"),
        ("[gac][pop_roc]0503__2.wav", "0503"),
    ],
)
def test_irmas_songs(name: str, song: str) -> None:
    assert song_number(Path(name)) == song


def test_a_song_of_irmas_is_one_group_whatever_its_labels(tmp_path: Path) -> None:
    songs = {
        code: [f"[{code}][cla]{100 * k + j:04d}" for j in range(5)]
        for k, code in enumerate(CLASSES)
    }
    songs["voi"].append("[voi][pop_roc]0001")  # also a song of the cello
    songs["cel"].append("017__[cel][nod][cla]0001")  # and once more
    table = frame("irmas", irmas_tree(tmp_path, songs))
    assert (table["group"] == "0001").sum() == 9
    assert len(set(table["split"][table["group"] == "0001"])) == 1


def test_what_is_wrong_in_irmas(tmp_path: Path) -> None:
    root = irmas_tree(tmp_path / "i")
    (root / "vio").rename(root / "voilin")
    with pytest.raises(InputError, match=r"voilin: must be one of .* did you mean 'vio'\?; rename"):
        frame("irmas", root)
    (root / "pia").rename(root / "paino")
    with pytest.raises(InputError, match=r"paino: must be .* did you mean 'pia'\?; rename"):
        frame("irmas", root)
    (root / "paino").rename(root / "pia")
    (root / "voilin").rename(tmp_path / "away")
    with pytest.raises(InputError, match="has no folder vio: must hold IRMAS's 11 classes"):
        frame("irmas", root)
    (root / "vio").mkdir()
    with pytest.raises(InputError, match="vio: holds no sound file"):
        frame("irmas", root)
    shutil.rmtree(root / "vio")
    (tmp_path / "away").rename(root / "vio")
    (root / "__MACOSX").mkdir()
    assert len(frame("irmas", root)) == 330
    odd = root / "vio" / "[vio][cla]2105.wav"
    shutil.copy(next((root / "vio").iterdir()), odd)
    with pytest.raises(InputError, match=r"2105\.wav: must end in __ and the excerpt's number"):
        frame("irmas", root)
    odd.rename(root / "vio" / "[vio][cla]2105__1.wav")
    (root / "vio" / "[vio][cla]2105__1.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"2105__1\.wav: is empty \(0 bytes\)"):
        frame("irmas", root)
    with pytest.raises(InputError, match="holds none of IRMAS's 11 folders"):
        frame("irmas", tmp_path / "i" / "cel")
    few = irmas_tree(
        tmp_path / "few", {code: [f"[{code}][cla]{code}{k}" for k in (1, 2)] for code in CLASSES}
    )
    with pytest.raises(InputError, match="IRMAS's class cel: 2 groups: must be at least 3"):
        frame("irmas", few)


# MUSDB18


def test_musdb_stems(trees: dict[str, Path], tmp_path: Path) -> None:
    index("musdb18", trees["musdb18"], tmp_path / "m.csv")
    rows = read_labelled(tmp_path / "m.csv", column="vocals_path").rows
    assert Counter(row.split for row in rows) == {"train": 7, "valid": 3, "test": 3}
    for row in rows:
        assert row.group == row.path.name.removesuffix(".stem.mp4")
        assert ("test song" in row.group) == (row.split == "test")
    row = rows[0]
    assert row.vocals_path is not None
    for path, stem in ((row.path, "mixture"), (row.vocals_path, "vocals")):
        y = read(path, sr=44_100, start_s=0.1, duration_s=0.8)
        peak = np.argmax(np.abs(np.fft.rfft(y))) / 0.8
        assert peak == pytest.approx(STEM_HZ[stem], abs=1.25)
    assert read(row.path).shape == read(row.vocals_path).shape


def test_musdb_wav(tmp_path: Path) -> None:
    root = musdb_tree(tmp_path / "hq", stems=False)
    (root / "test" / ".DS_Store").write_bytes(b"x")
    (root / "train" / "list.txt").write_text("x")
    table = frame("musdb18", root)
    assert Counter(table["split"]) == {"train": 7, "valid": 3, "test": 3}
    assert table["path"].str.endswith("/mixture.wav").all()
    assert table["vocals_path"].tolist() == [
        path.replace("mixture", "vocals") for path in table["path"]
    ]
    # Both editions, the same seed: the same songs in the same splits.
    stems = musdb_tree(tmp_path / "stems", stems=True)
    assert frame("musdb18", stems)[["group", "split"]].equals(table[["group", "split"]])


def test_what_is_wrong_in_musdb(tmp_path: Path) -> None:
    root = musdb_tree(tmp_path / "m", stems=False, train=3, test=1)
    vocals = root / "train" / "Band 1 - The train song, no. 1" / "vocals.wav"
    soundfile.write(vocals, tone(440.0, 0.4, 44_100), 44_100)
    sentence = r"no\. 1/vocals\.wav: lasts 0\.400 s and its mixture 0\.500 s: must be equally long"
    with pytest.raises(InputError, match=sentence):
        frame("musdb18", root)
    vocals.unlink()
    with pytest.raises(InputError, match=r"no\. 1/vocals\.wav: no such file: every song must have"):
        frame("musdb18", root)
    shutil.rmtree(vocals.parent)
    shutil.copytree(
        root / "train" / "Band 2 - The train song, no. 2",
        root / "test" / "Band 2 - The train song, no. 2",
    )
    with pytest.raises(InputError, match=r"'Band 2 .*' is in train and test: must be in one"):
        frame("musdb18", root)
    with pytest.raises(InputError, match="has no folder 'train': must hold MUSDB18's train"):
        frame("musdb18", tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(InputError, match=r"holds neither \.stem\.mp4 files nor folders"):
        frame("musdb18", tmp_path)
    for split in ("train", "test"):
        for number in range(2):
            stem_file(tmp_path / split / f"{split}{number}.stem.mp4")
    stem_file(tmp_path / "train" / "train1.stem.mp4", {"vocals": 0.7})
    with pytest.raises(InputError, match=r"train1\.stem\.mp4#stream=4: lasts 0\.7.* s and its"):
        frame("musdb18", tmp_path)
    stem_file(tmp_path / "train" / "train1.stem.mp4", n=2)
    with pytest.raises(InputError, match=r"train1\.stem\.mp4#stream=4: holds 2 audio streams"):
        frame("musdb18", tmp_path)


# Million Song Dataset and Last.fm


def test_msd(tmp_path: Path) -> None:
    root, tags = msd_tree(tmp_path)
    odd = root / "audio" / "song.mp3"
    source = next(root.rglob("TR*.mp3"))
    shutil.copy(source, odd)
    shutil.copy(source, root / "audio" / source.name)
    table = frame("msd-lastfm50", root)
    # Twenty clips: one has none of the 50 tags.
    assert len(table) == 19
    for row in table.to_dict("records"):
        assert row["clip_id"] in row["path"]
        assert sorted(row["tags"].split(";")) == sorted(tags[row["clip_id"]])
        assert row["tags"].split(";")[0] == "tag00"
    assert Counter(table["split"]) == {"train": 13, "valid": 3, "test": 3}
    reasons = " ".join(table.attrs["left_out"])
    assert len(table.attrs["left_out"]) == 3
    assert "song.mp3: is not named by a track" in reasons
    assert "its track is there twice" in reasons
    assert f"{track_id(79)}.mp3: has none of the 50 tags" in reasons


def test_the_paper_s_training_share() -> None:
    tracks = [str(k) for k in range(102_161)]
    assert Counter(_splits(tracks, 0).values())["train"] == 71_512


def test_tags_are_ranked_over_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "lastfm_tags.db"
    had = {track_id(k): ["common"] for k in range(10)}
    had[track_id(10)] = ["b;c", *(f"zz{k:02d}" for k in range(60))]
    lastfm_file(path, had)
    wanted = {track_id(10): Path(), track_id(3): Path(), "TRAAAAA000000000000": Path()}
    assert read_tags(path, wanted) == {
        track_id(3): ("common",),
        track_id(10): ("b,c", *(f"zz{k:02d}" for k in range(48))),
    }
    assert [file.name for file in tmp_path.iterdir()] == ["lastfm_tags.db"]


def test_what_is_wrong_in_msd(tmp_path: Path) -> None:
    root, _ = msd_tree(tmp_path)
    file = root / "lastfm_tags.db"
    file.unlink()
    with pytest.raises(InputError, match=r"lastfm_tags\.db: no such file: must be the Last\.fm"):
        frame("msd-lastfm50", root)
    lastfm_file(file, {track_id(k): ["rock", "pop"] for k in range(20)})
    with pytest.raises(InputError, match=r"lastfm_tags\.db: holds 2 tags .* at least 50"):
        frame("msd-lastfm50", root)
    file.write_text("TRAAAAW128F429D538 rock\n" * 100)
    with pytest.raises(InputError, match=r"lastfm_tags\.db: cannot be read as a SQLite file"):
        frame("msd-lastfm50", root)
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE tids (track TEXT)")
    database.close()
    with pytest.raises(InputError, match=r"table 'tids' must have tid \(it has: track\)"):
        frame("msd-lastfm50", root)
    file.unlink()
    lastfm_file(file, {"TRZZZZZ128F4000000": [f"tag{k}" for k in range(50)]})
    sentence = r"holds 0 clips with one of the 50 tags: must be at least 4, named .*none of the 50"
    with pytest.raises(InputError, match=sentence):
        frame("msd-lastfm50", root)
