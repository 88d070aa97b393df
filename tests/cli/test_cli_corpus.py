"""``nearkin corpus`` by its contract: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from conftest import write_tunes
from nearkin.cli import app
from nearkin.corpora import CORPORA
from support.trees import irmas_tree, musdb_tree


def corpus(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)])


@pytest.fixture(scope="module")
def irmas_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return irmas_tree(tmp_path_factory.mktemp("irmas"))


def test_what_it_prints(irmas_root: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    done = corpus("irmas", "--root", irmas_root, "--out", manifest, "--json")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["split", "clips", "hours", "groups"]
    assert [line.split() for line in lines[1:4]] == [
        ["train", "264", "0.01", "88"],
        ["valid", "33", "0.00", "11"],
        ["test", "33", "0.00", "11"],
    ]
    assert lines[4].startswith("11 instruments: acoustic guitar 30, cello 30, clarinet 30")
    assert lines[5] == f"manifest: {manifest}"
    summary = json.loads(lines[-1])
    assert summary["manifest"] == str(manifest)
    assert summary["clips"] == 330
    assert summary["splits"]["valid"]["groups"] == 11
    assert summary["splits"]["valid"]["hours"] == pytest.approx(33 * 0.1 / 3600)
    assert sum(summary["labels"]["instrument"].values()) == 330
    assert summary["left_out"] == 0
    assert "files looked at: 330/330" in done.stderr


def test_the_same_command_again_and_another(irmas_root: Path, tmp_path: Path) -> None:
    given = ("irmas", "--root", irmas_root, "--out", tmp_path / "m.parquet", "--quiet")
    assert corpus(*given).output == f"manifest: {tmp_path / 'm.parquet'}\n"
    before = (tmp_path / "m.parquet").read_bytes()
    assert corpus(*given).exit_code == 0
    refused = corpus(*given, "--seed", 1)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "holds another manifest; name another file or pass --force" in refused.stderr
    assert (tmp_path / "m.parquet").read_bytes() == before
    assert corpus(*given, "--seed", 1, "--force").exit_code == 0
    assert (tmp_path / "m.parquet").read_bytes() != before


def test_vocals_and_what_is_left_out(tmp_path: Path) -> None:
    root = musdb_tree(tmp_path / "hq", stems=False)
    done = corpus("musdb18", "--root", root, "--out", tmp_path / "m.csv")
    assert "vocals: 13 clips" in done.stdout
    write_tunes(tmp_path / "music", 10, seconds=0.5)
    (tmp_path / "music" / "x.wav").write_bytes(b"")
    done = corpus("folder", "--root", tmp_path / "music", "--out", tmp_path / "f.csv")
    assert "left out: 1 files; the first: " in done.stdout
    assert "x.wav: is empty (0 bytes)" in done.stdout


def test_a_run_takes_the_manifest(music: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    assert corpus("folder", "--root", music, "--out", manifest).exit_code == 0
    run = ["run", str(manifest), "--split", "train", "--encoder", "mfcc", "--dry-run"]
    done = CliRunner().invoke(app, run)
    assert done.exit_code == 0, done.output
    assert "3 recordings" in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("irms",), "unknown corpus 'irms': did you mean 'irmas'?"),
        (("folder", "--hours", "0"), "hours=0: must be above 0"),
        (("folder", "--hours", "nan"), "hours=nan: must be above 0"),
        (("folder", "--out", "m.txt"), "m.txt: a manifest must end in .csv or .parquet"),
        (("musdb18",), "has no folder 'train'"),
    ],
)
def test_refusals(arguments: tuple[str, ...], sentence: str, music: Path, tmp_path: Path) -> None:
    given = ["--root", music, "--out", tmp_path / "m.csv", "--quiet"]
    done = corpus(arguments[0], *given, *arguments[1:])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_of_options_is_the_flags(music: Path, tmp_path: Path) -> None:
    """A YAML key for every flag, and a flag overrides it."""
    config = tmp_path / "corpus.yaml"
    config.write_text(f"name: folder\nroot: {music}\nout: {tmp_path / 'a.csv'}\nworkers: 1\n")
    assert CliRunner().invoke(app, ["corpus", "--config", str(config)]).exit_code == 0
    words = ["corpus", "--config", str(config), "--out", str(tmp_path / "b.csv")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    config.write_text("name: folder\nhour: 2")
    refused = CliRunner().invoke(app, ["corpus", "--config", str(config)])
    assert refused.exit_code == 2
    assert "unknown key 'hour': did you mean 'hours'?" in refused.stderr
    assert "no root given" in CliRunner().invoke(app, ["corpus", "folder"]).stderr


def test_help_lists_the_data_sets() -> None:
    text = corpus("--help").stdout
    for name, row in CORPORA.items():
        assert f"{name} " in text
        assert row.title in text
