"""A run with --attack: tables that agree with themselves, the same bytes after a stop, the page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from scipy.spatial.distance import cdist

import nearkin
from conftest import write_tunes
from nearkin.encoders import resolve
from nearkin.errors import RunError
from nearkin.results.gate import ON, judge
from nearkin.results.schemas import read_checked
from nearkin.runs.attack_tables import _half
from nearkin.tables import ATTACK_SCORES, ATTACKS, CONSISTENCY
from support.commands import command, refused
from support.pages import sections
from support.runs import files_of

SNRS = [60.0, 50.0, 40.0, 30.0]


class Bands:
    """An encoder without a gradient: levels of eight bands."""

    sample_rate, embedding_size = 8_000, 8

    def embed(self, audio: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(audio, axis=1)) ** 2
        edges = np.geomspace(20, power.shape[1], 9).astype(int)
        bands = [power[:, a:b].mean(axis=1) for a, b in pairwise(edges)]
        return np.log10(np.stack(bands, axis=1) + 1e-6).astype(np.float32)


def attack(music: Path, out: Path, encoders: list[Any], **options: Any) -> nearkin.Result:
    grid = out.parent / "attack-grid.yaml"
    grid.write_text("{PN: [-15]}")  # failures to listen to, beside those of the attack
    settings = {"references": "untrained", "attack": True, "resamples": 100, "clips": 3, **options}
    return nearkin.evaluate(encoders, music, grid=str(grid), out=out, **settings)


@pytest.fixture(scope="module")
def attacked(music: Path, tmp_path_factory: pytest.TempPathFactory) -> nearkin.Result:
    pytest.importorskip("torch")
    out = tmp_path_factory.mktemp("attacked") / "run"
    return attack(music, out, [Bands(), "constant"], keep_attacks=True)


def rows(result: nearkin.Result, **where: Any) -> pd.DataFrame:
    table = result.attacks
    assert table is not None
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_every_snr_of_every_clip_is_asked_about(attacked: nearkin.Result) -> None:
    assert list(rows(attacked).columns) == list(ATTACKS)
    for name in ("Bands", "constant", "mfcc"):  # mfcc stands beside what is tested
        mine = rows(attacked, encoder=name, space="latent", transformation="AD")
        assert sorted(set(mine["magnitude"])) == sorted(SNRS)
        assert len(mine) == 4 * 3
    assert set(rows(attacked)["encoder"]) == {"Bands", "constant", "mfcc"}


def test_the_snr_of_the_kept_sound_is_exact(attacked: nearkin.Result) -> None:
    paths = sorted((attacked.path / "attacks" / "mfcc").glob("*.wav"))
    assert len(paths) == 12
    by_clip: dict[str, dict[float, np.ndarray]] = {}
    for path in paths:
        clip, _, snr = path.stem.rpartition("-")
        rate, y = wavfile.read(path)
        assert rate == 22_050
        assert y.dtype == np.float32
        by_clip.setdefault(clip, {})[float(snr)] = y.astype(np.float64)
    for versions in by_clip.values():
        # the perturbations of one clip differ by 10 dB each, so that two of them tell the clip
        power = {snr: np.var(versions[snr] - versions[60.0]) for snr in (40.0, 30.0)}
        assert 10 * np.log10(power[30.0] / power[40.0]) == pytest.approx(10, abs=1.0)
    told = rows(attacked, encoder="mfcc", transformation="AD", space="latent")
    assert np.abs(told["effective_magnitude"] - told["magnitude"]).max() < 0.01


def test_the_rows_are_what_the_encoder_says_of_the_kept_sound(attacked: nearkin.Result) -> None:
    encoder = resolve("mfcc").encoder
    folder = attacked.folder
    originals = np.load(folder.embeddings_path("mfcc", of="originals"))
    ids = list(attacked.clips.loc[attacked.clips["status"] == "ok", "clip_id"])
    for row in rows(attacked, encoder="mfcc", transformation="AD", space="latent").to_dict(
        "records"
    ):
        from nearkin.files import file_name

        name = f"{file_name(row['clip_id'])}-{row['magnitude']:g}.wav"
        _, y = wavfile.read(attacked.path / "attacks" / "mfcc" / name)
        d = cdist(encoder.embed(y[None], keys=()), originals, "cosine")[0]
        own = ids.index(row["clip_id"])
        others = np.delete(d, own)
        assert row["d_own"] == pytest.approx(d[own], abs=1e-6)
        assert row["margin"] == pytest.approx(others.min() - d[own], abs=1e-6)
        assert row["error"] == int(row["rank"] > 1)


def test_the_attack_beats_noise(attacked: nearkin.Result) -> None:
    key = ["clip_id", "magnitude"]
    mfcc = rows(attacked, encoder="mfcc", space="latent")
    both = mfcc[mfcc["transformation"] == "AD"].merge(
        mfcc[mfcc["transformation"] == "PN"], on=key, suffixes=("", "_noise")
    )
    assert len(both) == 12
    assert (both["margin"] < both["margin_noise"]).mean() > 0.8
    assert both["margin"].mean() < both["margin_noise"].mean()


def test_how_it_was_searched_is_said_and_never_mixed(attacked: nearkin.Result) -> None:
    table = rows(attacked)
    methods = table.groupby("encoder")["method"].unique()
    assert [list(methods[name]) for name in ("mfcc", "Bands")] == [["pgd"], ["nes"]]
    assert set(rows(attacked, encoder="mfcc", transformation="AD", space="latent")["asked"]) == {21}


def test_constant_scores_nothing(attacked: nearkin.Result) -> None:
    scores = attacked.attack_scores
    assert scores is not None
    assert list(scores.columns) == list(ATTACK_SCORES)
    mine = scores[(scores["encoder"] == "constant") & (scores["space"] == "latent")]
    assert (mine.loc[mine["measure"] == "C_W", "value"] == 0).all()
    assert mine.loc[mine["measure"] == "half_astray", "status"].tolist() == ["above 60 dB"]


@pytest.mark.parametrize(
    ("error", "end", "unmet", "met"),
    [
        (1, np.inf, "AD_snr <= 40", "AD_snr >= 40"),
        (0, -np.inf, "AD_snr >= 40", "AD_snr <= 40"),
    ],
)
def test_where_half_fall_beyond_the_run_is_certain(
    error: int, end: float, unmet: str, met: str, tmp_path: Path
) -> None:
    """All of 40 clips astray at every SNR, or none: both ends lie on the same side of the run."""
    ids = [f"c{i}" for i in range(40)]
    asked = pd.DataFrame(
        [{"clip_id": clip, "magnitude": snr, "error": error} for snr in SNRS for clip in ids]
    ).assign(transformation="AD", space="latent")
    row = _half(SimpleNamespace(clip_ids=ids), asked, None)  # type: ignore[arg-type]
    who = {"encoder": "a", "task": "", "trial": 1, "method": "pgd", "measure": "half_astray"}
    file = tmp_path / "attack_scores.parquet"
    pd.DataFrame([who | row], columns=list(ATTACK_SCORES)).to_parquet(file)
    scores = read_checked(lambda: pd.read_parquet(file), "attack_scores", file)
    assert scores.loc[0, ["value", "ci_low", "ci_high"]].tolist() == [end] * 3
    record = {"encoders": [{"name": "a", "task": "", "role": "tested"}], "n": 40}
    grid = pd.DataFrame(columns=list(CONSISTENCY))
    for on in ON:
        found = judge([unmet, met], grid, record, on=on, attack_scores=scores)  # type: ignore[arg-type]
        assert [one.met for one in found] == [False, True]
        assert row["status"] in found[0].sentence()


def test_the_scores_are_those_of_the_rows(attacked: nearkin.Result) -> None:
    scores = attacked.attack_scores
    assert scores is not None
    for row in scores[scores["measure"] == "C_W"].to_dict("records"):
        named = ("encoder", "space", "distance", "transformation")
        mine = rows(attacked, **{name: row[name] for name in named})
        if np.isfinite(row["magnitude"]):
            mine = mine[mine["magnitude"] == row["magnitude"]]
        assert row["value"] == pytest.approx(1 - mine["error"].mean())
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["n"] == 3
        assert row["chance"] == pytest.approx(1 / 3)


def test_what_is_heard_of_it_stands_beside_it(attacked: nearkin.Result) -> None:
    pytest.importorskip("zimtohrli")
    scores = attacked.attack_scores
    assert scores is not None
    mine = scores[(scores["encoder"] == "mfcc") & (scores["measure"] == "MOS")]
    assert mine["magnitude"].tolist() == SNRS
    values = mine["value"].tolist()
    assert values == sorted(values, reverse=True)  # a stronger change is heard more
    assert values[0] > 4.5
    told = rows(attacked, encoder="mfcc", transformation="AD", space="latent", magnitude=40.0)
    assert mine["value"].iloc[2] == pytest.approx(told["mos"].median())
    silent = rows(attacked, transformation="PN")
    assert silent["mos"].isna().all()


def test_the_report_plays_it(attacked: nearkin.Result) -> None:
    assert len(attacked.failures)
    page = attacked.report().read_text("utf-8")
    section = page[page.index('<section id="worst"') : page.index('<section id="failures"')]
    assert "searched along its gradient" in section
    assert "by questions alone, which finds less than a gradient does" in section
    assert "attacked, then MP3 at 128 kb/s" in section
    sounds = attacked.attack_sounds
    assert sounds is not None
    assert section.count("data:audio/mpeg;base64,") == 3 * len(sounds) > 0


def test_a_stopped_run_goes_on_to_the_same_bytes(
    music: Path, attacked: nearkin.Result, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "attacks" and done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        attack(music, tmp_path / "run", [Bands(), "constant"], progress=stop)
    assert len(list((tmp_path / "run" / "work" / "attacks").glob("*.npz"))) == 4
    again = attack(music, tmp_path / "run", [Bands(), "constant"], keep_attacks=True)
    for name in ("attacks.parquet", "attack_scores.csv", "attack_sounds.parquet"):
        assert (again.path / name).read_bytes() == (attacked.path / name).read_bytes()
    sounds = [
        {p.relative_to(run.path): p.read_bytes() for p in sorted(run.path.glob("attacks/*/*.wav"))}
        for run in (again, attacked)
    ]
    assert sounds[0] == sounds[1]
    assert len(sounds[0]) == 3 * 12


def test_files_that_a_finished_run_did_not_keep_are_not_promised(
    music: Path, attacked: nearkin.Result, tmp_path: Path
) -> None:
    """Nothing was computed, and the exit code was 0: the files that were asked for never came."""
    out, few = tmp_path / "run", {"clips": 2}
    attack(music, out, ["constant"], **few)
    before = files_of(out)
    with pytest.raises(RunError, match=r"was made without --keep-attacks and is finished"):
        attack(music, out, ["constant"], keep_attacks=True, **few)
    with pytest.raises(RunError, match=r"was made without --keep-distances and is finished"):
        attack(music, out, ["constant"], keep_distances=True, **few)
    assert files_of(out) == before
    attack(music, attacked.path, [Bands(), "constant"], keep_attacks=True)  # made with it


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_kill_9_in_the_middle(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_tunes(tmp_path / "music", 8)
    (tmp_path / "grid.yaml").write_text("{MP: [64]}")

    def start(out: Path) -> subprocess.Popen[bytes]:
        words = ["run", str(tmp_path / "music"), "--grid", str(tmp_path / "grid.yaml"), "--attack"]
        words += ["--references", "untrained", "--out", str(out), "--workers", "2", "--quiet"]
        return subprocess.Popen([sys.executable, "-m", "nearkin", *words], start_new_session=True)

    assert start(tmp_path / "straight").wait() == 0
    broken = tmp_path / "broken"
    for n_shards in (1, 4):
        process = start(broken)
        while process.poll() is None:
            if len(list((broken / "work" / "attacks").glob("*.npz"))) >= n_shards:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (broken / "attacks.parquet").exists()
    assert start(broken).wait() == 0
    for name in ("attacks.parquet", "attack_scores.parquet", "attack_sounds.parquet"):
        assert (broken / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_without_torch_it_asks_questions(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearkin.runs import attacking

    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    monkeypatch.setattr(attacking, "nes", partial(attacking.nes, steps=1))
    told: list[str] = []
    from nearkin.runs.run import run
    from nearkin.runs.sources import make_sources

    grid = tmp_path / "g.yaml"
    grid.write_text("{MP: [64]}")
    settings = {"grid": str(grid), "references": "untrained", "attack": True, "clips": 2}
    plan, sources = make_sources(["mfcc"], [{}], settings)
    run(plan, [music], tmp_path / "run", encoders=sources, tell=told.append)
    assert any("attacked by questions alone" in line and "torch" in line for line in told)
    result = nearkin.load(tmp_path / "run")
    assert result.attacks is not None
    assert set(result.attacks["method"]) == {"nes"}


def test_a_run_without_attack_has_no_such_table(small_run: Path) -> None:
    result = nearkin.load(small_run)
    assert result.attacks is None
    assert result.attack_scores is None


def test_it_is_estimated_and_a_setting(music: Path, small_run: Path, tmp_path: Path) -> None:
    grid = tmp_path / "g.yaml"
    grid.write_text("{MP: [64]}")
    words = ["run", music, "--grid", grid, "--out", tmp_path / "run", "--dry-run", "--json"]
    without = command(*words)
    attacking = command(*words, "--attack")
    assert attacking.exit_code == without.exit_code == 0, attacking.stderr

    def seconds(text: str) -> float:
        found = re.search(r'"seconds": ([\d.]+)', text)
        assert found is not None
        return float(found[1])

    assert seconds(attacking.stdout) > seconds(without.stdout)
    assert not (tmp_path / "run").exists()
    told = refused("run", music, "--encoder", "mfcc", "--encoder", "random", "--attack",
                   "--grid", small_run.parent / "small.yaml", "--out", small_run)  # fmt: skip
    assert "attack (was unset, now True)" in told


@pytest.mark.parametrize(
    ("page", "columns"),
    [("attacks.parquet", ATTACKS), ("attack_scores.parquet", ATTACK_SCORES)],
)
def test_every_column_is_explained(page: str, columns: tuple[str, ...]) -> None:
    text = next(part for title, part in sections("tables.md").items() if title.startswith(page))
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    assert named == set(columns)
