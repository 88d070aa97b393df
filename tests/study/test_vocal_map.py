"""Figure 14 on tones: pieces, the level of the voice in them, and one colour a song."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from nearkin.errors import InputError
from nearkin.networks.files import Model, save
from nearkin.networks.network import NetworkConfig, build
from nearkin.study.vocal_map import SONGS_NAMED, figure_14, vocal_map, write
from nearkin.tasks import task
from support.labelled_tones import make_corpus


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    head = task("vs").head
    network = build(NetworkConfig("mfcc", head, 0), seed=1).eval()
    path = tmp_path_factory.mktemp("model") / "mfcc-vs-1.safetensors"
    save(path, Model(task="vs", features="mfcc", head=head, network=network, labels=(), trial=1))
    return path


def test_pieces_lie_on_a_map_with_the_level_of_their_voice(model: Path, tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path, n=20, seconds=3.0)
    table = vocal_map(model, manifest, piece_seconds=1.5)
    # four mixtures of three seconds in the test split, in pieces of one and a half
    assert len(table) == 8
    assert sorted(table["song"].unique()) == ["song14", "song19", "song4", "song9"]
    assert set(table["start_s"]) == {0.0, 1.5}
    # the voice is a sine of amplitude .05: 20 lg (.05 / sqrt 2) dB
    assert table["vocals_db"].to_numpy() == pytest.approx(-29.03, abs=0.1)
    assert table["x"].std(ddof=0) > 0
    again = vocal_map(model, manifest, piece_seconds=1.5)
    assert again.equals(table)
    written = write(table, tmp_path / "figures")
    assert [path.name for path in written] == ["figure_14.svg", "figure_14.pdf"]
    assert written[0].read_text("utf-8").count('aria-roledescription="point"') >= 16


def test_songs_beyond_the_first_few_share_a_colour(model: Path, tmp_path: Path) -> None:
    table = vocal_map(model, make_corpus(tmp_path, n=60, seconds=1.6), piece_seconds=1.5)
    assert table["song"].nunique() == 12
    spec = figure_14(table).to_dict(validate=False)
    colour = spec["vconcat"][0]["hconcat"][1]["encoding"]["color"]
    assert len(colour["scale"]["domain"]) == SONGS_NAMED + 1
    assert colour["scale"]["domain"][-1] == "others"


def test_too_few_pieces_are_no_map(model: Path, tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path, n=5, seconds=3.0)
    with pytest.raises(InputError, match=r"2 pieces of 1\.5 s, but a map needs 4"):
        vocal_map(model, manifest, piece_seconds=1.5)
