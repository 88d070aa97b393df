"""Whole runs: the same bytes for any workers, order, subset and interruption; a naive twin agrees.

The naive twin recomputes a run's numbers from its kept distances and embeddings with scipy alone.
"""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

import nearkin
from conftest import tune, write_tunes
from nearkin.encoders import TRAINED
from nearkin.errors import InputError, RunError
from support.runs import write_record
from support.tables import same_tables


@pytest.fixture
def grid(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text("{PN: [0, 30], TS: [0.9, 1.1, 1.3], PS: [-4, 4], MP: [8, 64]}")
    return str(path)


def spectrum(audio: Any, sample_rate: int) -> Any:
    return np.abs(np.fft.rfft(audio[:1024]))


def evaluated(*arguments: Any, **settings: Any) -> nearkin.Result:
    """A run without the trained references, which would be most of its work."""
    return nearkin.evaluate(*arguments, **{"references": "untrained", **settings})


def test_the_same_bytes_for_any_number_of_workers(music: Path, grid: str, tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        nearkin.evaluate(
            ["mfcc", spectrum], music, grid=grid, out=tmp_path / str(workers), workers=workers
        )
    same_tables(tmp_path / "1", tmp_path / "2")
    same_tables(tmp_path / "1", tmp_path / "3")


def test_clips_and_points_do_not_depend_on_one_another(music: Path, tmp_path: Path) -> None:
    """Own distances of a clip at a point are the same in any subset of clips or grid."""
    small, large = tmp_path / "s.yaml", tmp_path / "l.yaml"
    small.write_text("{PN: [0], TS: [1.1]}")
    large.write_text("{PN: [0, 30], EN: [3], TS: [0.4, 1.1], PS: [-4], MP: [8, 64]}")
    whole = nearkin.evaluate(["mfcc", spectrum], music, grid=str(large)).queries
    files = sorted(music.iterdir())[1:4]
    part = nearkin.evaluate(["mfcc", spectrum], files[::-1], grid=str(small)).queries
    columns = ["encoder", "task", "distance", "transformation", "magnitude", "clip_id"]
    both = part.merge(whole, on=columns, suffixes=("", "_whole"))
    assert len(both) == len(part)
    assert (both["d_own"] == both["d_own_whole"]).all()


def test_goes_on_after_any_interruption(music: Path, grid: str, tmp_path: Path) -> None:
    """Stopped after every single unit in turn, the run ends with the same bytes."""

    class StopError(Exception):
        pass

    def stop_once(stage: str, done: int, total: int) -> None:
        if done not in (0, reached.get(stage, 0)):
            reached[stage] = done
            raise StopError

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    evaluated(["mfcc", spectrum], music, grid=grid, out=straight)
    reached: dict[str, int] = {}
    stops = 0
    while True:
        try:
            evaluated(["mfcc", spectrum], music, grid=grid, out=broken, progress=stop_once)
            break
        except StopError:
            stops += 1
    assert stops == 5 + 5 + 10
    same_tables(straight, broken)


def test_a_broken_shard_is_made_again(music: Path, grid: str, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "scores":
            raise StopError

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    evaluated(["mfcc"], music, grid=grid, out=straight)
    with pytest.raises(StopError):
        evaluated(["mfcc"], music, grid=grid, out=broken, progress=stop)
    shards = sorted((broken / "work" / "originals").iterdir())
    shards[0].write_bytes(shards[0].read_bytes()[:1000])
    shards[1].write_bytes(b"")
    queries = sorted((broken / "work" / "queries").glob("*.npz"))
    queries[0].unlink()
    evaluated(["mfcc"], music, grid=grid, out=broken)
    same_tables(straight, broken)


@pytest.fixture(scope="module")
def kept(music: Path, tmp_path_factory: pytest.TempPathFactory) -> nearkin.Result:
    folder = tmp_path_factory.mktemp("kept")
    grid = folder / "grid.yaml"
    grid.write_text("{PN: [-15, 0, 30], TS: [0.5, 1.1, 1.5], MP: [8, 160, 192]}")
    return nearkin.evaluate(
        ["mfcc", spectrum], music, grid=str(grid), out=folder / "run", keep_distances=True
    )


def test_a_naive_twin_agrees(kept: nearkin.Result) -> None:
    """Every C_W, rho, accuracy and rank, recomputed with scipy from what was kept."""
    folder = kept.path
    ids = json.loads((folder / "embeddings" / "ids.json").read_text())
    audio = {name: np.load(folder / "distances" / f"{name}.npy") for name in ("dtw", "simple")}
    n = len(ids["clip_id"])
    others = ~np.eye(n, dtype=bool)
    keys = [
        "encoder",
        "measure",
        "audio_distance",
        "latent_distance",
        "transformation",
        "magnitude",
    ]
    value = kept.consistency.set_index(keys)["value"]
    for encoder in ("mfcc", "spectrum", "logmel-projection"):
        queries = np.load(folder / "embeddings" / f"{encoder}.npy").astype(float)
        originals = np.load(folder / "embeddings" / f"{encoder}.originals.npy").astype(float)
        for p, point in enumerate(map(tuple, ids["points"])):
            for latent in ("euclidean", "cosine"):
                d = cdist(queries[:, p], originals, latent)
                right = np.array([(d[i, i] < np.delete(d[i], i)).all() for i in range(n)])
                assert value[encoder, "C_W", "", latent, *point] == right.mean()
                for name, matrices in audio.items():
                    a = matrices[:, p]
                    right_a = np.array([(a[i, i] < np.delete(a[i], i)).all() for i in range(n)])
                    assert value["audio", "C_W", name, "", *point] == right_a.mean()
                    rho = spearmanr(a[others], d[others]).statistic
                    got = value[encoder, "C_B_rho", name, latent, *point]
                    assert got == pytest.approx(rho, abs=1e-9)
                    accuracy = (right == right_a).mean()
                    assert value[encoder, "C_B_acc", name, latent, *point] == accuracy


def test_tables_keep_their_promises(kept: nearkin.Result) -> None:
    queries, table = kept.queries, kept.consistency
    n = kept.run["n"]
    encoders = len(["mfcc", "spectrum", "logmel-projection", "constant"]) + len(TRAINED)
    assert len(queries) == n * 10 * (2 + encoders * 2)
    assert (queries["error"] == (queries["rank"] > 1).astype(int)).all()
    assert ((queries["margin"] > 0) == (queries["error"] == 0)).all()
    assert (queries["clip_id"] != queries["nearest_id"]).all()
    assert (table["n"] == n).all()
    c_w = table[table["measure"] == "C_W"]
    assert (c_w["chance"] == 1 / n).all()
    assert ((c_w["ci_low"] <= c_w["value"]) & (c_w["value"] <= c_w["ci_high"])).all()
    constant = table[table["encoder"] == "constant"]
    assert (constant.query("measure == 'C_W'")["value"] == 0).all()
    rho = constant.query("measure == 'C_B_rho'")
    assert rho["value"].isna().all()
    assert rho["status"].str.startswith("undefined").all()
    agreement = constant.query("measure == 'C_B_acc'")
    audio = table.query("encoder == 'audio' and measure == 'C_W'")
    by_point = audio.set_index(["audio_distance", "transformation", "magnitude"])["value"]
    for row in agreement.itertuples():
        right = by_point[row.audio_distance, row.transformation, row.magnitude]
        assert row.value == pytest.approx(1 - right)


def test_mp3_rates_that_come_out_as_one_are_equally_severe(kept: nearkin.Result) -> None:
    queries = kept.queries.query("transformation == 'MP' and encoder == 'mfcc'")
    effective = queries.groupby("magnitude")["effective_magnitude"].unique()
    assert effective[192.0] == effective[160.0] == 160.0
    rows = kept.consistency.query("measure == 'monotonicity' and encoder == 'mfcc'")
    assert set(rows["transformation"] + rows["side"]) == {"PN", "TSfaster", "MP"}
    for distance in ("euclidean", "cosine"):
        part = queries[queries["distance"] == distance]
        moved = part.pivot(index="clip_id", columns="magnitude", values="d_own")
        assert (moved[192.0] == moved[160.0]).all()
        truth = np.mean([spearmanr([3, 1, 1], row).statistic for row in moved.to_numpy()])
        found = rows.query("transformation == 'MP'").set_index("latent_distance")["value"]
        assert found[distance] == pytest.approx(truth)


def test_monotonicity_is_spearman(kept: nearkin.Result) -> None:
    rows = kept.queries.query(
        "encoder == 'mfcc' and distance == 'cosine' and transformation == 'PN'"
    )
    moved = rows.pivot(index="clip_id", columns="magnitude", values="d_own")
    truth = np.mean([spearmanr([15, 0, -30], row).statistic for row in moved.to_numpy()])
    found = kept.consistency.query(
        "measure == 'monotonicity' and encoder == 'mfcc' and latent_distance == 'cosine' "
        "and transformation == 'PN'"
    )
    assert found["value"].item() == pytest.approx(truth)


def test_run_json_follows_its_schema(kept: nearkin.Result) -> None:
    from importlib import resources

    schema = json.loads((resources.files("nearkin.runs") / "run.schema.json").read_text())
    text = (kept.path / "run.json").read_text()
    jsonschema.validate(json.loads(text), schema)
    assert "NaN" not in text
    assert "Infinity" not in text


def test_several_trials_are_pooled_with_a_crossed_interval(music: Path, grid: str) -> None:
    class Trial:
        sample_rate = 22_050
        embedding_size = 129
        encoder_name = "trained"
        task = "ir"

        def __init__(self, trial: int) -> None:
            self.trial = trial

        def embed(self, audio: Any) -> Any:
            return np.abs(np.fft.rfft(audio[:, self.trial * 4_000 :][:, :256]))

    result = evaluated([Trial(1), Trial(2), Trial(3)], music, grid=grid)
    rows = result.consistency.query("encoder == 'trained' and measure == 'C_W'")
    assert set(rows["trial"]) == {0, 1, 2, 3}
    assert set(rows["task"]) == {"ir"}
    keys = ["latent_distance", "transformation", "magnitude"]
    mean = rows[rows["trial"] > 0].groupby(keys)["value"].mean()
    pooled = rows[rows["trial"] == 0].set_index(keys)["value"]
    pd.testing.assert_series_equal(mean.sort_index(), pooled.sort_index())


def test_clips_are_drawn_and_the_rest_left_alone(music: Path, grid: str) -> None:
    two = evaluated(["mfcc"], music, grid=grid, clips=2).clips
    three = evaluated(["mfcc"], music, grid=grid, clips=3).clips
    assert len(two) == 2
    assert set(two["clip_id"]) < set(three["clip_id"])


def test_the_draw_goes_on_past_clips_that_cannot_be_used(grid: str, tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "music", 3)
    for name in "abcdef":
        (folder / f"{name}.wav").write_text("no audio")
    result = evaluated(["mfcc"], folder, grid=grid, clips=3)
    assert result.run["n"] == 3
    assert (result.clips["status"] == "ok").sum() == 3


def test_several_excerpts_of_one_recording(grid: str, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "long.wav", tune(1, seconds=20), 22_050)
    result = evaluated(["mfcc"], tmp_path / "long.wav", grid=grid, excerpts_per_file=3)
    assert list(result.clips["clip_id"]) == ["long.wav#1", "long.wav#2", "long.wav#3"]


@pytest.mark.parametrize("rho", ["clips", "own"])
def test_the_other_readings_of_rho(rho: str, music: Path, grid: str) -> None:
    result = evaluated(["mfcc"], music, grid=grid, rho=rho, keep_distances=True)
    rows = result.consistency.query("measure == 'C_B_rho' and encoder == 'mfcc'")
    part = rows.query("transformation == 'PN' and magnitude == 0 and audio_distance == 'dtw'")
    part = part.query("latent_distance == 'euclidean'")
    index = [tuple(p) for p in result.run["grid"]["points"]].index(("PN", 0.0)) + 1
    a = np.load(result.path / "distances" / "dtw.npy")[:, index]
    z = np.load(result.path / "embeddings" / "mfcc.npy")[:, index]
    d = cdist(z, np.load(result.path / "embeddings" / "mfcc.originals.npy"))
    if rho == "own":
        truth = spearmanr(np.diag(a), np.diag(d)).statistic
    else:
        one = [spearmanr(np.delete(a[i], i), np.delete(d[i], i)).statistic for i in range(len(a))]
        truth = np.mean(one)
    assert part["value"].item() == pytest.approx(truth, abs=1e-9)


def test_save_and_load(kept: nearkin.Result, tmp_path: Path) -> None:
    saved = kept.save(tmp_path / "copy")
    same_tables(kept.path, saved)
    assert nearkin.load(saved).run == kept.run
    with pytest.raises(InputError, match="exists already"):
        kept.save(saved)
    with pytest.raises(InputError, match="holds no run"):
        nearkin.load(tmp_path)
    run = json.loads((saved / "run.json").read_text())
    write_record(saved / "run.json", {**run, "finished": None})
    with pytest.raises(RunError, match="not finished"):
        nearkin.load(saved)


def test_a_temporary_run_lives_as_long_as_its_result(music: Path, grid: str) -> None:
    result = evaluated("constant", music, grid=grid)
    assert result.path.is_dir()
    assert len(result.consistency)
    path = result.path
    del result
    gc.collect()
    assert not path.exists()


def test_worker_that_dies_is_one_sentence(
    music: Path, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURVIVOR", str(os.getpid()))
    code = tmp_path / "deadly.py"
    code.write_text(
        "import os\n"
        "def die(audio, sample_rate):\n"
        "    if os.environ['SURVIVOR'] != str(os.getpid()):\n"
        "        os._exit(9)\n"
        "    return audio[:8]\n"
    )
    with pytest.raises(RunError, match="a worker process died"):
        evaluated([f"{code}:die"], music, grid=grid, out=tmp_path / "run", workers=2)
