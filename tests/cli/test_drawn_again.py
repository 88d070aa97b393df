"""What a finished run holds beside its tables is looked at, told, and drawn again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nearkin
from nearkin.errors import RunError
from nearkin.runs.folder import CONTENT, RunFolder, made_by
from support.commands import command, refused
from support.runs import files_of


@pytest.fixture(scope="module")
def words(music: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    place = tmp_path_factory.mktemp("drawn")
    (place / "grid.yaml").write_text("{PN: [-15], MP: [64]}")
    more = ("--references", "untrained", "--workers", "1")
    words = ("run", music, "--grid", place / "grid.yaml", "--out", place / "run", *more)
    assert command(*words).exit_code == 0
    return words


def test_drawn_files_that_were_damaged_are_drawn_again(words: tuple[object, ...]) -> None:
    out = Path(str(words[5]))
    before = files_of(out)
    drawn = [n for n in before if n == "report.html" or n.startswith("figures/")]
    assert len(drawn) > 12
    for number, name in enumerate(drawn):
        path, content = out / name, before[name]
        half = len(content) // 2
        damaged = [
            bytes(len(content)),
            b"",
            content[:half],
            content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
            None,
        ][number % 5]
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
    done = command(*words)
    assert done.exit_code == 0
    assert f"{drawn[0]} (and {len(drawn) - 1} more) was changed, damaged or removed" in done.stderr
    assert "it is drawn again" in done.stderr
    after = files_of(out)
    assert after.keys() == before.keys()
    for name, content in after.items():
        if not name.endswith((".pdf", ".nearkin")):  # a PDF's bytes hang on a hash table
            assert content == before[name], name
    assert "drawn again" not in command(*words).stderr


@pytest.mark.parametrize(
    "command_words",
    [
        ("trajectories", "--encoder", "mfcc"),
        ("report",),
        ("compare", "--encoder", "mfcc", "--encoder", "logmel-projection", "--out"),
    ],
    ids=lambda words: words[0],
)
def test_what_a_killed_command_left_half_written_is_swept_by_the_next(
    command_words: tuple[str, ...], small_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    (run / "figures").mkdir(exist_ok=True)
    RunFolder(run).open_folder("figures")
    left = [
        run / ".trajectory_agreement.parquet.13032197120362.tmp",
        run / "figures" / ".figure_7.svg.13032197120362.tmp",
    ]
    for path in left:
        path.write_bytes(b"half")
    name, *more = command_words
    place = [*more, run] if more[-1:] == ["--out"] else more
    done = command(name, run, *place)
    assert done.exit_code == 0, done.stderr
    assert not [path for path in left if path.exists()]


def test_trajectories_wait_for_nobody_at_work(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    with RunFolder(run).held():
        told = refused("trajectories", run, "--encoder", "mfcc")
    assert "is at work there" in told


def test_a_sound_of_the_run_that_was_damaged_is_not_put_into_a_page(
    words: tuple[object, ...],
) -> None:
    out = Path(str(words[5]))
    held = json.loads((out / "run.json").read_text())["files"]
    path = out / next(name for name in held if name.startswith("audio/"))
    whole, page = path.read_bytes(), (out / "report.html").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    told = refused("report", out)
    assert f"{path.name}: was changed or damaged after it was written (run.json" in told
    assert "give the nearkin run command again" in told
    assert (out / "report.html").read_bytes() == page
    assert command(*words).exit_code == 0
    assert path.read_bytes() == whole
    assert command("report", out).exit_code == 0


def test_a_page_of_a_run_that_lacks_files_tells_so(words: tuple[object, ...]) -> None:
    out = Path(str(words[5]))
    assert "is gone" not in command("report", out).stderr
    held = json.loads((out / "run.json").read_text())["files"]
    names = [n for n in held if n.startswith(("audio/", "embeddings/ids"))]
    kept = {name: (out / name).read_bytes() for name in names}
    for name in names:
        (out / name).unlink()
    done = command("report", out)
    assert done.exit_code == 0
    assert f"{names[0]} (and {len(names) - 1} more) of the run is gone" in done.stderr
    assert "give the nearkin run command again" in done.stderr
    assert "is gone" not in command("report", out, "--quiet").stderr
    assert command(*words).exit_code == 0
    assert {name: (out / name).read_bytes() for name in names} == kept


def test_tables_of_other_commands_are_told_with_their_command(words: tuple[object, ...]) -> None:
    folder = RunFolder(Path(str(words[5])))
    folder.open_folder("analysis")
    for name in ("gallery.csv", "audibility.csv", "analysis/summary.txt"):
        folder.write(folder.root / name, lambda file: file.write(b"some text"))
    (folder.root / "gallery.csv").write_bytes(b"some Text")
    (folder.root / "audibility.csv").unlink()
    (folder.root / "analysis" / "summary.txt").write_bytes(b"")
    with pytest.raises(RunError, match=r"summary\.txt: was changed or damaged.*nearkin analyze c"):
        nearkin.load(folder.root).folder.read_words()
    done = command(*words)
    assert done.exit_code == 0
    for name, made in (
        ("gallery.csv", "gallery"),
        ("audibility.csv", "perceive"),
        ("analysis/summary.txt", "analyze"),
    ):
        [line] = [one for one in done.stderr.splitlines() if name in one]
        assert line.endswith(f"give the nearkin {made} command again")
    assert "audibility" not in command(*words).stderr  # what was taken away is told once
    folder.owned.delete(folder.root / n for n in ("gallery.csv", "analysis/summary.txt"))


def test_every_file_of_a_run_is_made_by_a_command() -> None:
    from nearkin.cli import app

    known = {f"nearkin {one.name or one.callback.__name__}" for one in app.registered_commands}  # type: ignore[union-attr]
    for name in CONTENT:
        assert made_by(f"{name}/x" if "." not in name else name) in known
