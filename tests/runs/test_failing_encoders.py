"""Whole runs with encoders that fail on some clips, and with several clips a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binomtest

import nearkin
from nearkin.errors import InputError, RunError
from nearkin.runs.folder import RunFolder


def clean(audio: Any, sample_rate: int) -> Any:
    middle = len(audio) // 2
    return np.abs(np.fft.rfft(audio[middle : middle + 4096]))[:400]


def fails_on_noise(audio: Any, sample_rate: int) -> Any:
    """NaN where the 20 strongest frequencies hold little of the sound: noise, no original."""
    spectrum = clean(audio, sample_rate)
    power = np.sort(spectrum**2)
    return np.full(400, np.nan) if power[-20:].sum() < 0.5 * power.sum() else spectrum


def run(music: Path, encoder: Any, tmp_path: Path, grid: str, **settings: Any) -> nearkin.Result:
    path = tmp_path / "grid.yaml"
    path.write_text(grid)
    rest = {"references": "untrained", "out": tmp_path / "out", **settings}
    return nearkin.evaluate([encoder], music, grid=str(path), **rest)


def test_failing_on_the_hard_queries_does_not_help(music: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"encoder fails_on_noise: failed on \d+ of 30 queries"):
        result = run(music, fails_on_noise, tmp_path, "{PN: [-15, 0, 30], TS: [0.9, 1.1]}")
    name = "fails_on_noise"
    scores = result.consistency
    mine = scores[scores["encoder"].str.contains(name) & (scores["latent_distance"] == "euclidean")]
    noisy = mine[mine["transformation"] == "PN"].set_index(["measure", "magnitude"])
    assert (noisy.loc["C_W", "n"] == 5).all()
    assert noisy.loc[("C_W", 30.0), "n_failed"] == 0
    c_w = noisy.loc[("C_W", -15.0)]
    assert c_w["n_failed"] > 2
    assert c_w["value"] < 0.5
    assert c_w["status"] == f"{c_w['n_failed']} of 5 queries failed"
    # again from the kept embeddings, by scipy alone
    folder = RunFolder(tmp_path / "out")
    label = next(e["label"] for e in result.run["encoders"] if name in e["label"])
    originals = np.load(folder.embeddings_path(label, of="originals")).astype(float)
    queries = np.load(folder.embeddings_path(label)).astype(float)
    point = [tuple(p) for p in [("OG", 0.0), *result.run["grid"]["points"]]].index(("PN", -15.0))
    kept = np.isfinite(queries[:, point]).all(axis=1)
    assert int((~kept).sum()) == c_w["n_failed"]
    d = cdist(queries[kept, point], originals)
    own = np.flatnonzero(kept)
    nearest = [set(np.flatnonzero(row <= row[i])) == {i} for i, row in zip(own, d, strict=True)]
    assert c_w["value"] == pytest.approx(sum(nearest) / len(kept))
    exact = binomtest(sum(nearest), len(kept)).proportion_ci(method="exact")
    assert (c_w["ci_low"], c_w["ci_high"]) == pytest.approx(tuple(exact))
    grown = mine[(mine["measure"] == "monotonicity") & (mine["transformation"] == "PN")].iloc[0]
    assert (grown["n"], grown["n_failed"]) == (5, c_w["n_failed"])
    assert grown["status"].startswith(f"{c_w['n_failed']} of 5 clips have failed queries")


def test_one_original_that_fails_costs_one_clip(music: Path, tmp_path: Path) -> None:
    """NaN on the original of one clip and on nothing else."""
    calls: list[int] = []

    def fails_once(audio: Any, sample_rate: int) -> Any:
        calls.append(len(calls))
        return np.full(400, np.nan) if calls[-1] == fail_at else clean(audio, sample_rate)

    fail_at = -1
    run(music, fails_once, tmp_path, "{TS: [0.9, 1.1]}", out=tmp_path / "whole")
    n_checked = len(calls)  # the second run asks as often, the check before it too
    calls.clear()
    n = len(list(music.iterdir()))
    whole = nearkin.load(tmp_path / "whole")
    used = int(whole.run["n"])
    fail_at = n_checked - used * (len(whole.run["grid"]["points"]) + 1) - 1
    with pytest.warns(UserWarning, match="failed on 1 of 5 originals"):
        result = run(music, fails_once, tmp_path, "{TS: [0.9, 1.1]}")
    rows = result.consistency
    mine = rows[rows["encoder"].str.contains("fails_once") & (rows["measure"] == "C_W")]
    assert used <= n
    assert (mine["n"] == used - 1).all()
    assert mine["value"].notna().all()
    assert (mine["n_failed"] == 0).all()
    assert set(mine["status"]) == {f"1 of {used} originals failed"}
    assert mine["chance"].to_numpy() == pytest.approx(1 / (used - 1))
    audio = rows[(rows["encoder"] == "audio") & (rows["measure"] == "C_W")]
    assert (audio["n"] == used).all()


def test_others_may_be_of_other_groups(music: Path, tmp_path: Path) -> None:
    files = sorted(path for path in music.iterdir() if path.is_file())[:3]
    lines = ["path,clip_id,start_s,group"]
    for file, group in zip(files, ("a", "a", "b"), strict=True):
        lines.append(f"{file},{file.stem},0,{group}")
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines))
    result = run(manifest, clean, tmp_path, "{TS: [0.9, 1.1]}", others="group")
    clips = result.clips.set_index("clip_id")
    assert clips["group"].tolist() == ["a", "a", "b"]
    queries = result.queries
    found = queries[queries["nearest_id"].notna()]
    groups = clips["group"]
    assert (groups[found["nearest_id"]].to_numpy() != groups[found["clip_id"]].to_numpy()).all()
    rows = result.consistency
    c_w = rows[(rows["measure"] == "C_W") & (rows["encoder"] != "constant")]
    assert set(c_w["ci_method"]) == {"korn-graubard"}
    assert c_w["chance"].to_numpy() == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    manifest.write_text("\n".join(lines).replace(",b", ",c"))
    with pytest.raises(InputError, match=r"groups \(was"):
        run(manifest, clean, tmp_path, "{TS: [0.9, 1.1]}", others="group")
    manifest.write_text("\n".join(lines).replace(",b", ",a"))
    with pytest.raises(InputError, match=r"--others group: all 3 clips are of one group \('a'\)"):
        run(manifest, clean, tmp_path, "{TS: [0.9]}", others="group", out=tmp_path / "alone")


def nothing(audio: Any, sample_rate: int) -> Any:
    return np.full(3, np.nan)


def test_python_is_told_what_the_exit_code_tells(music: Path, tmp_path: Path) -> None:
    grid = "{TS: [1.1]}"
    with pytest.raises(RunError, match="every tested encoder failed, nothing: returned NaN"):
        run(music, nothing, tmp_path, grid)
    kept = nearkin.load(tmp_path / "out")  # the tables are there, and say the same
    assert {row["label"]: row["status"] for row in kept.run["encoders"]}["nothing"] != "ok"
    path = tmp_path / "grid.yaml"
    with pytest.warns(UserWarning, match="encoder nothing: returned NaN"):
        result = nearkin.evaluate(
            [nothing, clean], music, grid=str(path), references="untrained", out=tmp_path / "two"
        )
    assert result.consistency["encoder"].str.contains("clean").any()
