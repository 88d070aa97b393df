"""Units for tests of workers: they write a file each, and some end or hold up their process."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np

from nearkin.files import write_whole
from nearkin.progress import at


class Toy:
    """A session: a folder, and a text that all workers must read alike."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def identity(self) -> str:
        return (self.root / "encoder.txt").read_text()

    def path(self, item: int) -> Path:
        return self.root / f"{item}.txt"

    def done(self, item: int) -> bool:
        return self.path(item).is_file()


class Keeps(Toy):
    """A session that reads what its encoder is once, as those of runs do."""

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root}

    def identity(self) -> str:
        self.__dict__.setdefault("kept", super().identity())
        return str(self.__dict__["kept"])


class SlowToBegin(Toy):
    """A session that lasts 2 s to unpack, and leaves a file for each process that does."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return unpacked_slowly, (self.root,)


def unpacked_slowly(root: Path) -> Toy:
    (root / f"{os.getpid()}.began").touch()
    time.sleep(2)
    return Toy(root)


def square(session: Toy, item: int) -> int:
    write_whole(session.path(item), lambda file: file.write(str(item * item).encode()))
    return item * item


def counted_square(session: Toy, item: int) -> int:
    """Leave a file for each process that did this, and let the second item last a while."""
    (session.root / f"{item}.by-{os.getpid()}").write_text("")
    time.sleep(2.0 * item)
    return square(session, item)


def waits_for_the_end(session: Toy, item: int) -> int:
    (session.root / "begun").write_text("")
    while not (session.root / "over").exists():
        time.sleep(0.05)
    return square(session, item)


def page_faults(session: Toy, item: int) -> int:
    """Return how many pages the kernel had to give for a megabyte that is made 200 times."""
    del session, item
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200):
        np.ones(2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def keeps_much(session: Toy, item: int) -> int:
    """Keep 350 MB for later units, past the second after which loky looks; return the process."""
    if item > 1 and not hasattr(session, "kept"):
        session.kept = np.ones(350_000_000, np.uint8)  # type: ignore[attr-defined]
    time.sleep(0.6)
    return os.getpid()


def slow_square(session: Toy, item: int) -> int:
    time.sleep(0.05)
    return square(session, item)


def deadly_at_seven(session: Toy, item: int) -> int:
    at("PN 10, encoder bad")
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(session, item)


def stuck_once_at_three(session: Toy, item: int) -> int:
    flag = session.root / "was-stuck"
    if item == 3 and not flag.exists():
        flag.write_text("")
        time.sleep(120)
    return square(session, item)


def lose(session: Toy, item: int, reason: str) -> None:
    write_whole(session.path(item), lambda file: file.write(reason.encode()))


def working_folder(session: Toy, item: int) -> str:
    del session, item
    return str(Path.cwd())
