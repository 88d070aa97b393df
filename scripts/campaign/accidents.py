"""Run in bad surroundings: full disks, little memory, closed pipes, strange locales, moved audio.

python scripts/campaign/accidents.py STAGE

Right is: the command ends well, or in one sentence with the exit code that is expected. Wrong is a
traceback, an abort by a signal that nobody sent, or another code.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stage import build, keep

FOR_ALL = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
"""A Python of this version that every user may run."""
Case = tuple[str, Callable[[Path, Path], subprocess.CompletedProcess[str]], set[int]]


def call(
    words: list[str],
    *,
    python: tuple[str, ...] = (),
    program: str = sys.executable,
    limit: float = 1800,
    **more: object,
) -> subprocess.CompletedProcess[str]:
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.run(
        [program, *python, "-m", "nearkin", *words],
        errors="replace",
        timeout=limit,
        check=False,
        **{**settings, **more},  # type: ignore[call-overload]
    )


def run_words(stage: Path, out: Path) -> list[str]:
    common = ("--grid", str(stage / "grid.yaml"), "--workers", "2", "--quiet")
    return ["run", str(stage / "music"), "--references", "untrained", *common, "--out", str(out)]


def environment(**changes: str | None) -> dict[str, str]:
    found = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def full_disk(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    with small_disk(out.with_name("disk"), "2m") as disk:
        return call(run_words(stage, disk / "run"))


def full_disk_export(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    with small_disk(out.with_name("disk"), "2m") as disk:
        words = ["export", str(stage / "music"), "--grid", str(stage / "grid.yaml"), "--quiet"]
        return call([*words, "--workers", "2", "--out", str(disk / "export")])


def little_memory(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))

    return call(run_words(stage, out), preexec_fn=limit)


def halted(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "nearkin", *run_words(stage, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(3):
        time.sleep(3)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGSTOP)
            time.sleep(1.5)
            os.killpg(process.pid, signal.SIGCONT)
    told, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess([], process.returncode, told, error)


def audio_changed(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    music = out.with_name("changing")
    shutil.rmtree(music, ignore_errors=True)
    shutil.copytree(stage / "music", music)
    words = [str(music) if w == str(stage / "music") else w for w in run_words(stage, out)]
    first = call(words)
    if first.returncode:
        return first
    one, two = sorted(music.glob("*.flac"))[:2]
    one.write_bytes(two.read_bytes())
    return call(words)


def audio_removed(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    music = out.with_name("vanishing")
    shutil.rmtree(music, ignore_errors=True)
    shutil.copytree(stage / "music", music)
    words = [str(music) if w == str(stage / "music") else w for w in run_words(stage, out)]
    first = call(words)
    if first.returncode:
        return first
    sorted(music.glob("*.flac"))[0].unlink()
    return call(words)


def twice_at_once(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    first = subprocess.Popen(
        [sys.executable, "-m", "nearkin", *run_words(stage, out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 60
    while not (out / "run.json").exists() and time.monotonic() < limit:
        time.sleep(0.1)
    second = call([*run_words(stage, out), "--seed", "7"])
    if first.wait() not in (0, 3):
        return subprocess.CompletedProcess([], 99, "", f"the first one ended: {first.returncode}")
    return second


def clock_set_back(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Half a run, then files from the future: what is newer than now is gone on with."""
    first = call([*run_words(stage, out), "--dry-run"])
    process = subprocess.Popen([sys.executable, "-m", "nearkin", *run_words(stage, out)])
    limit = time.monotonic() + 120
    while not list((out / "work").rglob("*.npz")) and time.monotonic() < limit:
        time.sleep(0.1)
    process.kill()
    process.wait()
    for path in out.rglob("*"):
        os.utime(path, (2**32, 2**32))
    return call(run_words(stage, out)) if first.returncode == 0 else first


def another_user(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The package belongs to root, and there is no home; only --out can be written."""
    if os.geteuid() != 0:
        return subprocess.CompletedProcess([], 0, "", "")
    place = Path(tempfile.mkdtemp(prefix="nearkin-nobody-"))
    os.chmod(place, 0o777)  # noqa: PTH101
    shutil.copytree(stage / "music", place / "music")
    shutil.copy(stage / "grid.yaml", place / "grid.yaml")
    surroundings = environment(HOME="/nonexistent", XDG_CACHE_HOME=None, NUMBA_CACHE_DIR=None)
    more = {"user": 65534, "group": 65534, "extra_groups": [], "env": surroundings, "cwd": place}
    program = sys.executable
    if not Path(FOR_ALL).exists():
        return subprocess.CompletedProcess([], 0, "", "nearkin: (not possible here)")
    try:
        subprocess.run([program, "-c", ""], capture_output=True, check=True, **more)  # type: ignore[call-overload]
    except (PermissionError, subprocess.CalledProcessError):  # closed to others: the system's own
        program = FOR_ALL
        places = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), *site.getsitepackages()]
        surroundings["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    try:
        done = call(run_words(place, place / "run"), program=program, **more)
        if done.returncode == 0 and (place / "run" / "report.html").stat().st_uid != 65534:
            return subprocess.CompletedProcess([], 99, "", "it was not another user")
        return done
    finally:
        shutil.rmtree(place, ignore_errors=True)


def interrupted_at_once(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "nearkin", *run_words(stage, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = time.monotonic() + 120
    while not (out / "run.json").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess([], process.returncode, told, error)


def to_a_reader_that_leaves(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = " ".join(map(str, [sys.executable, "-m", "nearkin", "list", "transformations"]))
    return subprocess.run(
        ["bash", "-c", f"{words} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )


def shell(ending: str) -> Callable[[Path, Path], subprocess.CompletedProcess[str]]:
    def act(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
        words = " ".join(map(str, [sys.executable, "-m", "nearkin", "list", "encoders"]))
        return subprocess.run(
            ["bash", "-c", f"{words} {ending}"], capture_output=True, text=True, check=False
        )

    return act


def plain(
    *python: str, umask: int | None = None, **changes: str | None
) -> Callable[[Path, Path], subprocess.CompletedProcess[str]]:
    def act(stage: Path, out: Path) -> subprocess.CompletedProcess[str]:
        more = {} if umask is None else {"preexec_fn": lambda: os.umask(umask) and None}
        return call(run_words(stage, out), python=python, env=environment(**changes), **more)

    return act


CASES: list[Case] = [
    ("a disk of 2 MB, run", full_disk, {2}),
    ("a disk of 2 MB, export", full_disk_export, {2}),
    ("1.5 GB of memory", little_memory, {0, 2, 70}),
    ("stopped and continued three times", halted, {0}),
    ("audio replaced between two runs", audio_changed, {2}),
    ("audio removed between two runs", audio_removed, {2}),
    ("two commands in one folder at once", twice_at_once, {2}),
    ("a reader that leaves", to_a_reader_that_leaves, {0, 2, 141}),
    ("stdout closed", shell(">&-"), {0, 2, 70}),
    ("stdout full", shell(">/dev/full"), {0, 2, 70}),
    ("stderr closed", shell("2>&-"), {0}),
    ("the C locale", plain(LC_ALL="C", LANG="C", PYTHONUTF8="0"), {0}),
    ("no HOME", plain(HOME=None, XDG_CACHE_HOME=None), {0}),
    ("umask 077", plain(umask=0o077), {0}),
    ("python -O", plain("-O"), {0}),
    ("python -OO", plain("-OO"), {2}),
    ("python -I", plain("-I"), {0}),
    ("a clock that is set back", clock_set_back, {0}),
    ("another user, without a home", another_user, {0}),
    ("SIGINT at once", interrupted_at_once, {130}),
    ("a dumb terminal of 20 columns", plain(TERM="dumb", COLUMNS="20"), {0}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--only", nargs="*", help="cases, by a part of their names")
    given = parser.parse_args()
    stage = given.stage.resolve()
    build(stage, torch=False)
    rows, faults = {}, []
    for name, act, codes in CASES:
        if given.only and not any(part in name for part in given.only):
            continue
        out = stage / "accident"
        shutil.rmtree(out, ignore_errors=True)
        try:
            done = act(stage, out)
        except subprocess.TimeoutExpired:
            rows[name] = "stuck"
            faults.append(f"{name}: stuck")
            continue
        told = [line for line in done.stderr.splitlines() if line.startswith("nearkin: ")]
        rows[name] = f"{done.returncode}: {told[-1][:200] if told else ''}"
        if done.returncode not in codes or "Traceback" in done.stderr:
            faults.append(f"{name}: {done.returncode}: {done.stderr[-600:]}")
        print(name, "|", rows[name], flush=True)
    path = keep("accidents-again" if given.only else "accidents", {"cases": rows, "faults": faults})
    print(f"{len(rows)} accidents, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
