"""Repair: the known optimum in a simulation, groups and changes left out, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.linalg import fractional_matrix_power
from scipy.spatial.distance import cdist

import nearkin
from nearkin.errors import InputError
from nearkin.maps.files import read_map
from nearkin.repair.choosing import Choice
from nearkin.repair.held_out import held_out
from nearkin.repair.pairs import Embeddings, Folds, Without
from nearkin.repair.table import COLUMNS, rows_of
from nearkin.tables import ORIGINAL
from nearkin.transforms.grids import Point
from support.commands import command, refused
from support.pages import sections

POINTS = (Point(ORIGINAL, 0.0), Point("PN", 10.0), Point("PN", 0.0), Point("MP", 16.0))
SIZE = 12


def nuisance() -> NDArray[np.float64]:
    """A known covariance: six directions move 100 times as far (in variance) as the others."""
    turned, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((SIZE, SIZE)))
    return (turned * np.repeat([2.0, 0.02], SIZE // 2)) @ turned.T


def simulated(n_groups: int = 60, each: int = 2, *, seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(nuisance())
    song = rng.standard_normal((n_groups, SIZE))
    groups = np.repeat(np.arange(n_groups), each)
    originals = song[groups] + 0.5 * rng.standard_normal((len(groups), SIZE)) + 3
    queries = originals[:, None] + rng.standard_normal((len(groups), len(POINTS), SIZE)) @ root.T
    queries[:, 0] = originals
    asked = np.ones(queries.shape[:2], bool)
    return Embeddings(originals, queries, POINTS, asked, groups)


def test_the_known_optimum_is_found() -> None:
    folds = Folds(simulated(1500, seed=3), seed=0)
    matrix = folds.learned(Without()).spectrum.matrix(0.0)
    scale = np.trace(nuisance()) / SIZE
    expected = fractional_matrix_power(nuisance() / scale, -0.5).real
    assert np.abs(matrix - expected).max() < 0.03 * np.abs(expected).max()


def test_held_out_clips_are_found_as_with_the_true_covariance() -> None:
    found = simulated()
    folds = Folds(found, seed=0)
    scores = held_out(folds, Choice(folds), distances=("euclidean",), audio={}, apart=None)
    table = rows_of(found, scores, seed=0)
    here = table[(table["measure"] == "C_W") & (table["transformation"] == "PN")]
    here = here[here["magnitude"] == 10].set_index("fit")
    best = fractional_matrix_power(nuisance(), -0.5).real
    nearest = cdist(found.queries[:, 1] @ best, found.originals @ best).argmin(axis=1)
    optimum = float((nearest == np.arange(len(nearest))).mean())
    plain = cdist(found.queries[:, 1], found.originals).argmin(axis=1)
    before = float((plain == np.arange(len(plain))).mean())
    assert optimum - before > 0.3  # there is something to repair
    assert here.loc["seen", "before"] == pytest.approx(before)
    assert here.loc["centred", "after"] == pytest.approx(before)  # Euclidean: a shift is nothing
    for fit in ("seen", "unseen"):  # all changes have one covariance: none is missed
        assert here.loc[fit, "after"] > optimum - 0.06
        assert here.loc[fit, "ci_low"] > 0.2
        assert here.loc[fit, "p"] < 0.01


def test_a_map_never_saw_what_was_left_out() -> None:
    found = simulated()
    folds = Folds(found, seed=0)
    assert len(set(zip(found.groups.tolist(), folds.fold_of.tolist(), strict=True))) == 60
    out = Without.these([1], ["MP"])
    before = folds.learned(out)
    spoiled = found.queries.copy()
    spoiled[folds.fold_of == 1] *= 50
    spoiled[:, 3] *= -3
    originals = found.originals.copy()
    originals[folds.fold_of == 1] += 100
    other = Folds(Embeddings(originals, spoiled, POINTS, found.asked, found.groups), seed=0)
    assert np.array_equal(other.learned(out).centre, before.centre)
    assert np.array_equal(other.learned(out).spectrum.values, before.spectrum.values)
    assert not np.allclose(other.learned(Without()).centre, folds.learned(Without()).centre)


def test_lost_queries_are_errors_and_those_not_asked_are_left_out() -> None:
    found = simulated()
    queries, asked = found.queries.copy(), found.asked.copy()
    queries[:10, 1] = np.nan
    queries[10:25, 1] = np.nan
    asked[10:25, 1] = False
    lossy = Embeddings(found.originals, queries, POINTS, asked, found.groups)
    folds = Folds(lossy, seed=0)
    scores = held_out(folds, Choice(folds), distances=("cosine",), audio={}, apart=None)
    table = rows_of(lossy, scores, seed=0)
    row = table[(table["measure"] == "C_W") & (table["magnitude"] == 10)].iloc[0]
    assert row["n"] == 105
    best = [by for where, by in scores.by_clip.items() if where.magnitude == 10]
    for by_clip in best:
        assert (by_clip[:10] == 0).all()
        assert np.isnan(by_clip[10:25]).all()


def test_what_unchanged_music_pays_is_counted() -> None:
    found = simulated()
    folds = Folds(found, seed=0)
    scores = held_out(folds, Choice(folds), distances=("euclidean",), audio={}, apart=None)
    table = rows_of(found, scores, seed=0).set_index(["measure", "fit"])
    d = cdist(found.originals, found.originals)
    np.fill_diagonal(d, np.inf)
    same = float((found.groups[d.argmin(axis=1)] == found.groups).mean())
    assert table.loc[("P@1", "seen"), "before"] == pytest.approx(same)
    assert table.loc[("kept@10", "centred"), "after"] == 1.0
    assert 0.1 < table.loc[("kept@10", "seen"), "after"] < 0.95


@pytest.mark.parametrize(
    ("n_groups", "points", "told"),
    [(2, POINTS, "2 groups .* at least 3"), (9, POINTS[:1], "changed nothing")],
)
def test_too_little_to_learn_from(n_groups: int, points: tuple[Point, ...], told: str) -> None:
    found = simulated(n_groups)
    cut = found.queries[:, : len(points)]
    with pytest.raises(InputError, match=told):
        Folds(
            Embeddings(found.originals, cut, points, found.asked[:, : len(points)], found.groups),
            seed=0,
        )


@pytest.fixture(scope="module")
def repaired(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("repaired") / "map.safetensors"
    done = command("repair", small_run, "--encoder", "mfcc", "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["encoder"] == "mfcc"
    assert "load_file" in done.stdout
    return out


def test_before_is_what_the_run_found(repaired: Path, small_run: Path) -> None:
    table = pd.read_csv(repaired.with_suffix(".csv"))
    assert list(table.columns) == list(COLUMNS)
    rows = table[(table["measure"] == "C_W") & (table["fit"] == "seen")]
    rows = rows[rows["magnitude"].notna()]
    key = ["latent_distance", "transformation", "magnitude"]
    told = nearkin.load(small_run).consistency
    told = told[(told["encoder"] == "mfcc") & (told["measure"] == "C_W")]
    both = rows.merge(told, on=key)
    assert len(both) == 2 * 17  # the grid's points and OG, two distances
    assert np.allclose(both["before"], both["value"])
    assert np.allclose(both["before_low"], both["ci_low_y"])


def test_python_learns_the_same(repaired: Path, small_run: Path) -> None:
    found = nearkin.load(small_run).repair("mfcc").found
    z = np.random.default_rng(0).standard_normal((4, found.size))
    assert np.array_equal(found.apply(z), read_map(repaired).apply(z))


def test_the_map_is_an_encoder(
    repaired: Path, small_run: Path, music: Path, tmp_path: Path
) -> None:
    grid = tmp_path / "g.yaml"
    grid.write_text("{MP: [16]}")
    spec = f"map:{repaired}+mfcc"
    result = nearkin.evaluate(
        [spec], music, grid=str(grid), out=tmp_path / "run", references="untrained", clips=3
    )
    names = [row["label"] for row in result.run["encoders"]]
    assert names[0] == "mfcc+map"
    folder = result.folder
    mapped = np.load(folder.embeddings_path("mfcc+map"))
    plain = np.load(folder.embeddings_path("mfcc"))
    expected = read_map(repaired).apply(plain.reshape(-1, plain.shape[-1]))
    assert np.allclose(mapped.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    assert result.run["inputs"]["encoder files"]["mfcc+map"]


def test_a_map_for_another_encoder_is_refused(repaired: Path, tmp_path: Path) -> None:
    told = refused("check", f"map:{repaired}+constant")
    assert "learned for 'mfcc', 144 values; this one returns 16" in told
    told = refused("check", f"map:{repaired}+vgg-at")
    assert "of no file, this one has sha256" in told
    told = refused("check", f"map:{repaired}")
    assert "must be map:FILE.safetensors+SPEC" in told
    (tmp_path / "other.py").write_text(
        "import numpy as np\n"
        "class other:\n"
        "    sample_rate, embedding_size = 22050, 144\n"
        "    def embed(self, audio):\n"
        "        return np.ones((len(audio), 144), 'f4')\n"
    )
    assert "this one has sha256" in refused("check", f"map:{repaired}+{tmp_path}/other.py:other")


def test_an_encoder_that_answers_otherwise_now_is_refused(
    repaired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearkin.encoders.references.untrained import MfccEncoder

    plain = MfccEncoder.embed
    monkeypatch.setattr(
        MfccEncoder, "embed", lambda self, audio, *, keys=(): plain(self, audio)[:, ::-1]
    )
    assert "answers the test clips differently" in refused("check", f"map:{repaired}+mfcc")


def test_bad_input_is_told_in_one_sentence(small_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.safetensors"
    assert "2 encoders were tested" in refused("repair", small_run, "--out", out)
    assert "encoder 'mfc'" in refused("repair", small_run, "--encoder", "mfc", "--out", out)
    assert "must end in .safetensors" in refused("repair", small_run, "--out", tmp_path / "m.npz")
    assert "do not move" in refused("repair", small_run, "--encoder", "constant", "--out", out)
    out.write_bytes(b"a model, perhaps")
    assert "is there and is no map" in refused(
        "repair", small_run, "--encoder", "mfcc", "--out", out
    )
    assert out.read_bytes() == b"a model, perhaps"


@pytest.mark.parametrize("name", ["map.csv", "map.svg", "model.onnx"])
def test_nothing_is_written_over_what_is_no_maps(
    name: str, small_run: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"theirs")
    words = ("--encoder", "mfcc", "--out", tmp_path / "map.safetensors")
    told = refused("repair", small_run, *words, "--onnx", tmp_path / "model.onnx")
    assert f"{name}: is there" in told or f"{name} is there" in told
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"theirs"


def test_every_column_is_explained() -> None:
    text = sections("repair.md")["The table"]
    for column in COLUMNS:
        assert f"`{column}`" in text
