"""A run among a gallery is the run that had those recordings among its originals."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

import nearkin
from conftest import write_tunes
from nearkin.distances import cosine
from nearkin.gallery.scores import EXTRAPOLATED, MEASURED
from nearkin.results.embeddings import read_embeddings
from support.commands import command, refused
from support.shown import specs_of
from support.signals import write_float

GRID = "{PN: [-10, 6], TS: [0.6]}"
KEY = ["clip_id", "transformation", "magnitude", "distance"]


@pytest.fixture(scope="module")
def runs(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the five tunes, and one on those and four others, which are a folder too."""
    place = tmp_path_factory.mktemp("gallery")
    (place / "g.yaml").write_text(GRID)
    others = write_tunes(place / "others", 4, first=20)
    everything = place / "all"
    everything.mkdir()
    for path in [*music.iterdir(), *others.iterdir()]:
        shutil.copy(path, everything / path.name)
    settings: dict[str, Any] = {"grid": str(place / "g.yaml"), "references": "untrained"}
    nearkin.evaluate(["mfcc"], music, out=place / "few", **settings)
    nearkin.evaluate(["mfcc"], everything, out=place / "many", **settings)
    return place


def ranks(table: pd.DataFrame) -> pd.Series:
    return table[table["encoder"] == "mfcc"].set_index(KEY)["rank"].sort_index()


def test_ranks_are_those_of_one_run_on_everything(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(runs / "few", out)
    done = command("gallery", out, runs / "all", "--workers", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert "5 recordings of the gallery are the run's own; they are left out" in done.stderr
    many = pd.read_parquet(runs / "many" / "queries.parquet")
    mine = pd.read_parquet(out / "gallery_queries.parquet")
    own = many[(many["space"] == "latent") & many["clip_id"].isin(mine["clip_id"])]
    found, wanted = ranks(mine), ranks(own)
    assert len(found) == len(wanted) == 5 * 4 * 2
    assert (found == wanted).all()
    assert (wanted > 1).any()
    table = pd.DataFrame(json.loads(done.stdout.splitlines()[-1])["rows"])
    assert set(table["size"]) == {5, 9}
    assert set(table["kind"]) == {MEASURED}
    # C_W among all nine is the share of ranks of 1; with 5 clips each counts .2
    all_nine = table[(table["size"] == 9) & (table["encoder"] == "mfcc")]
    for row in all_nine.itertuples():
        at = wanted.xs((row.transformation, row.magnitude, row.latent_distance),
                       level=("transformation", "magnitude", "distance"))  # fmt: skip
        assert row.value == pytest.approx((at == 1).mean())
        assert row.ci_low <= row.value <= row.ci_high


def test_vectors_of_a_file_are_a_gallery(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(runs / "few", out)
    embedded = read_embeddings(out, "mfcc")
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 5, (3_000, 2))
    noise = rng.standard_normal((3_000, embedded.originals.shape[1]))
    vectors = embedded.originals[pairs].mean(axis=1) + 0.2 * embedded.originals.std(0) * noise
    np.save(tmp_path / "mfcc.npy", vectors.astype(np.float32))
    done = command("gallery", out, f"mfcc={tmp_path / 'mfcc.npy'}", "--extrapolate", "--quiet")
    assert done.exit_code == 0, done.stderr
    found = pd.read_parquet(out / "gallery_queries.parquet")
    stored = np.load(tmp_path / "mfcc.npy")
    for row in found[found["distance"] == "cosine"].itertuples():
        clip = embedded.clip_ids.index(row.clip_id)
        point = embedded.points.index((row.transformation, row.magnitude))
        query = embedded.changed[clip, point][None]
        d = cosine(query, stored)[0]
        assert row.n_nearer == (d <= cosine(query, embedded.originals[clip][None])[0, 0]).sum()
        assert row.nearest_row == d.argmin()
    table = pd.read_parquet(out / "gallery.parquet")
    assert set(table["size"]) == {5, 10, 100, 1_000, 3_005, 10_000}
    assert set(table.loc[table["size"] == 10_000, "kind"]) == {EXTRAPOLATED}
    for _, part in table.groupby(["transformation", "magnitude", "latent_distance"]):
        curve = part.sort_values("size")["value"].to_numpy()
        assert (np.diff(curve) <= 1e-9).all()


def test_an_encoder_that_failed_the_run_does_not_empty_the_gallery(
    runs: Path, music: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text("def embed(audio, sample_rate):\n    raise ValueError('no')\n")
    encoders = ["mfcc", f"{tmp_path / 'bad.py'}:embed"]
    settings: dict[str, Any] = {"grid": str(runs / "g.yaml"), "references": "untrained"}
    with pytest.warns(UserWarning, match="encoder bad:embed: raised ValueError"):
        nearkin.evaluate(encoders, music, out=tmp_path / "run", **settings)
    done = command("gallery", tmp_path / "run", runs / "others", "--workers", "1", "--quiet")
    assert done.exit_code == 0, done.stderr
    found = pd.read_parquet(tmp_path / "run" / "gallery_queries.parquet")
    assert {"mfcc", "logmel-projection"} <= set(found["encoder"])
    assert "bad:embed" not in set(found["encoder"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["mfc=v.npy"], "the run has no such encoder; did you mean 'mfcc'?"),
        (["mfcc=nowhere.npy"], "there is no such file"),
        (["mfcc=v.npy", "mfcc=v.npy"], "is given twice"),
        (["mfcc=v.npy"], "vectors of 3 dimensions"),
        (["mfcc=text.npy"], "is no array of numbers"),
        (["mfcc=pickled.npy"], "is no array of numbers"),
        (["mfcc=half.npy"], "is an archive of arrays; save one array"),
        (["mfcc=archive.npy"], "is an archive of arrays; save one array"),
        (["mfcc=text.parquet"], "is no Parquet file"),
        (["v.npy"], "must be ENCODER=FILE"),
    ],
)
def test_galleries_that_cannot_be_used(
    given: list[str], said: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.ones((2, 3)))
    Path("text.npy").write_text("no array")
    Path("text.parquet").write_text("PAR1 no table PAR1")
    np.savez("archive.npz", v=np.ones((2, 3)))
    Path("archive.npz").rename("archive.npy")
    Path("half.npy").write_bytes(Path("archive.npy").read_bytes()[:100])
    np.save("pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert said in refused("gallery", runs / "few", *given)


# -- nearkin run --gallery -------------------------------------------------------------------------


def arguments(runs: Path, music: Path, out: Path, *more: Any) -> list[Any]:
    given = ["run", music, "--encoder", "mfcc", "--grid", runs / "g.yaml", "--workers", "1"]
    return [*given, "--references", "untrained", "--out", out, "--gallery", runs / "others", *more]


@pytest.fixture(scope="module")
def laid(runs: Path, music: Path) -> Path:
    """A run with a gallery of four other tunes; its page is there too."""
    out = runs / "laid"
    done = command(*arguments(runs, music, out, "--n", "7", "--extrapolate", "--quiet"))
    assert done.exit_code == 0, done.stderr
    return out


def test_a_run_with_a_gallery_has_the_tables_of_the_command(runs: Path, laid: Path) -> None:
    many = pd.read_parquet(runs / "many" / "queries.parquet")
    mine = pd.read_parquet(laid / "gallery_queries.parquet")
    own = many[(many["space"] == "latent") & many["clip_id"].isin(mine["clip_id"])]
    assert (ranks(mine) == ranks(own)).all()
    table = pd.read_parquet(laid / "gallery.parquet")
    assert set(table["size"]) == {5, 7, 9, 10, 100}
    assert set(table.loc[table["size"] > 9, "kind"]) == {EXTRAPOLATED}
    assert set(table.loc[table["size"] <= 9, "kind"]) == {MEASURED}
    # of a query with k of 8 others as near, a share C(8 - k, 6) / C(8, 6) of collections of 7 holds
    k = ranks(mine).xs(("PN", -10.0, "cosine"), level=KEY[1:]).to_numpy() - 1
    shares = [math.comb(8 - one, 6) / math.comb(8, 6) for one in k]
    of_mine = table[(table["encoder"] == "mfcc") & (table["latent_distance"] == "cosine")]
    at = of_mine[(of_mine["transformation"] == "PN") & (of_mine["magnitude"] == -10)]
    assert at.set_index("size")["value"][7] == pytest.approx(np.mean(shares))
    record = json.loads((laid / "run.json").read_text())
    assert record["plan"]["gallery"] == [str(runs / "others")]
    assert record["inputs"]["gallery"]["recordings"] == 4
    assert not (laid / "work").exists()


def test_a_finished_gallery_is_not_made_again(runs: Path, music: Path, laid: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in laid.iterdir() if path.is_file()}
    done = command(*arguments(runs, music, laid, "--n", "7", "--extrapolate"))
    assert done.exit_code == 0, done.stderr
    assert "gallery: its tables are there, nothing was computed" in done.stderr
    names = ["gallery.parquet", "gallery.json", "report.html", "run.json"]
    assert {name: (laid / name).stat().st_mtime_ns for name in names} == {
        name: before[name] for name in names
    }


def test_a_gallery_that_was_stopped_goes_on(
    runs: Path, music: Path, laid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nearkin.gallery.music as embedding

    out, embedded = tmp_path / "run", []
    told = embedding.originals_unit

    def stops(session: Any, recording: Any) -> None:
        if len(embedded) == 2:
            raise KeyboardInterrupt
        embedded.append(recording.name)
        told(session, recording)

    monkeypatch.setattr(embedding, "originals_unit", stops)
    arguments_now = arguments(runs, music, out, "--n", "7", "--extrapolate", "--quiet")
    assert command(*arguments_now).exit_code != 0
    assert json.loads((out / "run.json").read_text())["finished"]
    assert not (out / "gallery.parquet").exists()

    def goes_on(session: Any, recording: Any) -> None:
        embedded.append(recording.name)
        told(session, recording)

    monkeypatch.setattr(embedding, "originals_unit", goes_on)
    done = command(*arguments_now)
    assert done.exit_code == 0, done.stderr
    assert len(embedded) == len(set(embedded)) == 4  # what was embedded is not embedded again
    for name in ("gallery.csv", "consistency.csv"):
        assert (out / name).read_bytes() == (laid / name).read_bytes()


def test_another_gallery_is_refused(runs: Path, music: Path, laid: Path) -> None:
    other = arguments(runs, music, laid)
    other[other.index("--gallery") + 1] = runs / "all"
    assert "gallery (was 1 entries" not in refused(*other)
    assert "holds a run with other settings: gallery" in refused(*other)
    # of the same name, but not what it was
    (runs / "others" / "more.wav").write_bytes((next(music.iterdir())).read_bytes())
    try:
        assert "gallery ('recordings' was 4, now 5, 'sha256' was" in refused(
            *arguments(runs, music, laid)
        )
    finally:
        (runs / "others" / "more.wav").unlink()


def test_music_of_the_same_names_and_sizes_is_another_gallery(
    runs: Path, music: Path, laid: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", shutil.copytree(runs / "others", tmp_path / "second")
    shutil.copytree(second, first)
    for path in second.iterdir():
        size = path.stat().st_size
        samples, rate = soundfile.read(path)
        write_float(path, samples[::-1].astype(np.float32), rate)
        assert path.stat().st_size == size

    def lay(out: Path, folder: Path, *more: Any) -> pd.DataFrame:
        done = command("gallery", out, folder, "--workers", "1", *more)
        assert done.exit_code == 0, done.stderr
        assert "nothing was computed" not in done.stderr
        return pd.read_parquet(out / "gallery_queries.parquet")

    fresh = shutil.copytree(runs / "few", tmp_path / "fresh")
    wanted = lay(fresh, second)
    # what an earlier gallery left half-way is not taken for this one
    out = shutil.copytree(runs / "few", tmp_path / "out")
    refused("gallery", out, first, "--n", "99999999", "--workers", "1")
    pd.testing.assert_frame_equal(lay(out, second), wanted)
    # nor are its tables, where it lies in the same place now
    shutil.rmtree(out)
    shutil.copytree(runs / "few", out)
    before = lay(out, first)
    for path in second.iterdir():
        shutil.copy(path, first / path.name)
    after = lay(out, first)
    pd.testing.assert_frame_equal(after, wanted)
    assert not before["d_nearest"].equals(after["d_nearest"])


def test_a_dry_run_counts_the_gallery(runs: Path, music: Path, tmp_path: Path) -> None:
    done = command(*arguments(runs, music, tmp_path / "run", "--dry-run", "--json"))
    assert done.exit_code == 0, done.stderr
    assert "gallery: 4 recordings" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["gallery"] == 4
    np.save(tmp_path / "mfcc.npy", np.ones((6, 144), np.float32))
    vectors = arguments(runs, music, tmp_path / "run", "--dry-run")
    vectors[vectors.index("--gallery") + 1] = f"mfcc={tmp_path / 'mfcc.npy'}"
    assert "gallery: 6 recordings" in command(*vectors).stdout
    np.savez(tmp_path / "mfcc.npz", v=np.ones((6, 144), np.float32))
    vectors[vectors.index("--gallery") + 1] = f"mfcc={tmp_path / 'mfcc.npz'}"
    assert "is an archive of arrays; save one array" in refused(*vectors)
    assert not (tmp_path / "run").exists()


def test_sizes_that_no_collection_has(runs: Path, music: Path, laid: Path) -> None:
    assert "--n 10: must be at most 9, the clips of run and gallery; --extrapolate goes beyond" in (
        refused("gallery", laid, runs / "others", "--n", "10", "--workers", "1")
    )
    assert "--n 1: must be 2 clips or more" in refused("gallery", laid, runs / "others", "--n", "1")
    plain = ["run", music, "--encoder", "mfcc", "--out", runs / "none", "--n", "7"]
    assert "--n and --extrapolate: are for a run with --gallery" in refused(*plain)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--n", "1"], "--n 1: must be 2 clips or more"),
        (["--n", "10"], "--n 10: must be at most 9, the clips of run and gallery"),
        (["--n", "172", "--extrapolate"], "--n 172: must be at most 19 times the 9 clips"),
    ],
)
def test_sizes_are_refused_before_the_work(
    more: list[str], said: str, runs: Path, music: Path, tmp_path: Path
) -> None:
    assert said in refused(*arguments(runs, music, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_vectors_of_another_size_are_refused_before_the_work(
    runs: Path, music: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.ones((6, 3), np.float32))
    words = arguments(runs, music, tmp_path / "run")
    words[words.index("--gallery") + 1] = f"mfcc={tmp_path / 'v.npy'}"
    assert "vectors of 3 dimensions: the run's have 144" in refused(*words)
    assert not (tmp_path / "run").exists()
    with pytest.raises(nearkin.InputError, match="vectors of 3 dimensions"):
        nearkin.evaluate("mfcc", music, gallery=words[words.index("--gallery") + 1])


def test_a_size_above_the_usable_clips_is_refused_before_the_queries(
    runs: Path, music: Path, tmp_path: Path
) -> None:
    shutil.copytree(music, tmp_path / "music")
    write_float(tmp_path / "music" / "silent.wav", np.zeros(110_250, np.float32), 22_050)
    words = arguments(runs, tmp_path / "music", tmp_path / "run", "--n", "10")
    assert "--n 10: must be at most 9, the clips" in refused(*words)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is None
    assert not list((tmp_path / "run").glob("work/queries/*"))


def test_a_gate_takes_what_was_measured_and_nothing_beyond(laid: Path) -> None:
    table = pd.read_parquet(laid / "gallery.parquet")
    mine = table[(table["encoder"] == "mfcc") & (table["latent_distance"] == "cosine")]
    worst = mine[(mine["size"] == 9) & (mine["transformation"] == "PN")]["value"].min()
    require = "C_W@9[mfcc,cosine] >= {} @ PN"
    assert command("gate", laid, "--require", require.format(worst)).exit_code == 0
    assert command("gate", laid, "--require", require.format(worst + 0.01)).exit_code == 1
    assert "C_W@10: must be in 2..9, the clips of run and gallery; what lies beyond is " in (
        refused("gate", laid, "--require", "C_W@10[mfcc,cosine] >= 0 @ PN")
    )


def test_the_report_shows_the_curve(laid: Path) -> None:
    page = (laid / "report.html").read_text()
    assert "4 other recordings lay among the 5 originals" in page
    assert "Dashed values, up to 100 clips, are extrapolated" in page
    table = pd.read_parquet(laid / "gallery.parquet")
    mine = table[(table["encoder"] == "mfcc") & (table["latent_distance"] == "cosine")]
    means = mine.groupby("size")["value"].mean()
    assert f"is {means[5]:.2f} among the run&#39;s 5 clips and {means[9]:.2f} among 9" in page
    spec = json.loads(specs_of(page)["collection-sizes-spec"])
    points = [one for row in spec["vconcat"] for p in row["concat"] for one in p["data"]["values"]]
    assert {one["x"] for one in points if one["beyond"]} == {9, 10, 100}  # the dashes begin at all
    assert {one["x"] for one in points if not one["beyond"]} == {5, 7, 9}


def test_a_gallery_from_python(runs: Path, music: Path, laid: Path, tmp_path: Path) -> None:
    result = nearkin.evaluate(
        ["mfcc"], music, out=tmp_path / "run", grid=str(runs / "g.yaml"), references="untrained",
        gallery=runs / "others", sizes=[7], extrapolate=True,
    )  # fmt: skip
    assert result.gallery is not None
    pd.testing.assert_frame_equal(result.gallery, nearkin.load(laid).gallery)


def test_an_encoder_that_is_an_object_embeds_the_gallery(
    runs: Path, music: Path, tmp_path: Path
) -> None:
    def loudness(audio: Any, sample_rate: int) -> Any:
        parts = np.array_split(audio, 8)
        return [float(np.sqrt(np.mean(part**2))) for part in parts]

    result = nearkin.evaluate(
        loudness, music, out=tmp_path / "run", grid=str(runs / "g.yaml"), references="untrained",
        gallery=runs / "others",
    )  # fmt: skip
    assert result.gallery is not None
    assert set(result.gallery["size"]) == {5, 9}
    assert "loudness" in set(result.gallery["encoder"])
    # where the object is not at hand, the remedy is told
    shutil.copytree(runs / "others", tmp_path / "more")
    (tmp_path / "more" / "tune20.wav").unlink()
    told = refused("gallery", tmp_path / "run", tmp_path / "more", "--workers", "1")
    assert "cannot be made again; give the gallery's vectors" in told


def test_a_gallery_writes_over_nothing_and_reads_nothing_of_its_own(
    runs: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(runs / "few", tmp_path / "run")
    size = nearkin.load(run).run["encoders"][0]["embedding_size"]
    np.save(run / "v.npy", np.ones((2, size)))
    assert "v.npy, which is an input" in refused("gallery", run, f"mfcc={run / 'v.npy'}")
    np.save(tmp_path / "v.npy", np.ones((2, size)))
    (run / "gallery.csv").write_text("theirs")
    told = refused("gallery", run, f"mfcc={tmp_path / 'v.npy'}")
    assert "'gallery.csv' in it was not written by nearkin" in told
    assert (run / "gallery.csv").read_text() == "theirs"
    assert not (run / "gallery.parquet").exists()


def test_embeddings_that_were_damaged_are_not_ranked(runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "few", tmp_path / "run")
    path = run / "embeddings" / "mfcc.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    size = nearkin.load(run).run["encoders"][0]["embedding_size"]
    np.save(tmp_path / "v.npy", np.ones((2, size)))
    for words in (("gallery", run, f"mfcc={tmp_path / 'v.npy'}"), ("trajectories", run)):
        told = refused(*words)
        assert "mfcc.npy: was changed or damaged after it was written" in told
        assert "give the nearkin run command again" in told
