"""What was damaged is told, removed and made again, to the same bytes; or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nearkin
from nearkin.errors import RunError
from nearkin.files import read_arrays, write_arrays
from nearkin.runs import run as runs_run
from nearkin.runs.folder import RunFolder
from support.runs import files_of, small_run

Damage = Callable[[bytes], bytes]


def flipped(at: float) -> Damage:
    def flip(content: bytes) -> bytes:
        place = int(at * (len(content) - 1))
        return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]

    return flip


DAMAGES: dict[str, Damage] = {
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "zeroed": lambda content: bytes(len(content)),
    "head flipped": flipped(0.1),
    "middle flipped": flipped(0.5),
    "tail flipped": flipped(0.97),
}
TABLES = ("clips.parquet", "queries.parquet", "consistency.parquet", "embeddings/constant.npy")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, music: Path) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("truth") / "run"
    small_run(music, out)
    return files_of(out)


@pytest.fixture
def stopped(tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed before its tables were written."""

    def stop(*_: object) -> None:
        raise RunError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(runs_run, "write_tables", stop)
        with pytest.raises(RunError, match="stopped"):
            small_run(music, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_shard_damaged_at_once(
    damage: str, stopped: Path, music: Path, truth: dict[str, bytes]
) -> None:
    names = [n for n in files_of(stopped) if n.startswith(("work/", "embeddings/"))]
    assert len(names) > 20
    for name in names:
        path = stopped / name
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    told = small_run(music, stopped)
    assert any("were damaged, such as that of 'tune00.wav'" in one for one in told) or (
        "flipped" in damage  # a bit that nothing reads may have been hit
    )
    found = files_of(stopped)
    for name in TABLES:
        assert found[name] == truth[name]


@pytest.mark.parametrize("kind", ["originals", "queries", "points"])
def test_one_bit_anywhere_in_one_shard(
    kind: str, stopped: Path, music: Path, truth: dict[str, bytes]
) -> None:
    """As many places as there are files of the kind, from the first byte to the last."""
    paths = sorted((stopped / "work" / kind).iterdir())
    for number, path in enumerate(paths):
        path.write_bytes(flipped(number / (len(paths) - 1))(path.read_bytes()))
    small_run(music, stopped)
    found = files_of(stopped)
    for name in TABLES:
        assert found[name] == truth[name]


def test_a_shard_that_went_bad_while_the_run_worked(
    stopped: Path, music: Path, truth: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (stopped / "work" / "points").iterdir():
        path.unlink()
    whole = runs_run.queries_stage

    def then_damage(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        path = min((stopped / "work" / "queries").glob("*.npy"))
        path.write_bytes(flipped(0.9)(path.read_bytes()))

    with monkeypatch.context() as patched:
        patched.setattr(runs_run, "queries_stage", then_damage)
        with pytest.raises(RunError, match=r"missing or damaged; give the same command again"):
            small_run(music, stopped)
    small_run(music, stopped)
    found = files_of(stopped)
    for name in TABLES:
        assert found[name] == truth[name]


@pytest.mark.parametrize("name", TABLES)
def test_a_finished_run_that_was_damaged_is_made_again(
    name: str, tmp_path: Path, music: Path, truth: dict[str, bytes]
) -> None:
    out = tmp_path / "run"
    small_run(music, out)
    (out / name).write_bytes(flipped(0.5)((out / name).read_bytes()))
    told = small_run(music, out)
    assert any(f"damaged after the run wrote them, such as {name}" in one for one in told)
    found = files_of(out)
    for one in TABLES:
        assert found[one] == truth[one]


@pytest.mark.parametrize("state", ["finished", "killed while the tables were written"])
def test_a_run_whose_record_is_gone_leaves_nothing_of_before(
    state: str, tmp_path: Path, music: Path, truth: dict[str, bytes]
) -> None:
    """Nothing says of which run they are: the new record would list them as its own."""
    out = tmp_path / "run"
    small_run(music, out, seed=5)
    folder = RunFolder(out)
    for place, name in (("audio", "older.mp3"), ("analysis", "gam.csv"), (".", "gallery.csv")):
        folder.write(folder.open_folder(place) / name, lambda file: file.write(b"of before"))
    folder.write(out / "performance.csv", lambda file: file.write(b"of others"))
    (out / "notes.txt").write_text("the user's")
    if state == "finished":
        sounds = [n for n in files_of(out) if n.startswith("audio/")]
        assert len(sounds) > 1
    else:
        for name in ("clips.parquet", "failures.parquet"):
            (out / name).unlink()
    (out / "run.json").unlink()
    told = small_run(music, out)
    assert any("has no run.json, which says what the" in one for one in told)
    found = files_of(out)
    for name in TABLES:
        assert found[name] == truth[name]
    assert found.keys() - truth.keys() == {"performance.csv", "notes.txt"}
    assert truth.keys() <= found.keys()
    record = json.loads(found["run.json"])
    assert record["files"].keys() == json.loads(truth["run.json"])["files"].keys()
    assert not any("has no run.json" in one for one in small_run(music, out))


def test_a_run_beside_task_scores_alone_takes_nothing_away(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim()
    for name in ("performance.json", "figures/figure_11.svg", "report.html", "work/a.npz"):
        folder.open_folder("figures")
        folder.write(folder.root / name, lambda file: file.write(b"of task scores"))
    assert folder.without_record() == []


def test_a_damaged_table_is_not_read(tmp_path: Path, music: Path) -> None:
    out = tmp_path / "run"
    small_run(music, out)
    path = out / "consistency.parquet"
    path.write_bytes(flipped(0.4)(path.read_bytes()))
    with pytest.raises(RunError, match=r"consistency\.parquet: was changed or damaged after"):
        _ = nearkin.load(out).consistency


def test_every_bit_of_a_small_archive(tmp_path: Path) -> None:
    """Whatever bit is flipped: what is read is what was written, or nothing is."""
    path = tmp_path / "a.npz"
    array = np.arange(5, dtype=np.float32)
    write_arrays(path, {"n": 1.5}, {"x": array})
    content = path.read_bytes()
    refused = 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found = read_arrays(path)
        if found is None:
            refused += 1
            continue
        assert found[0] == {"n": 1.5}
        assert found[1].keys() == {"x"}
        assert found[1]["x"].dtype == np.float32
        assert found[1]["x"].tolist() == array.tolist()
    assert refused > 4 * len(content)
