"""A study's folder: where everything lies, whose it is, and which steps are done.

``study.json`` holds the settings and, of every finished step, its files with their SHA-256: a step
counts as done only while these are as they were. No clock stands in it; how long steps took is in
``log.csv``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.files import sha256_of, write_whole
from nearkin.ownership import OwnFolder, told_errors
from nearkin.runs.folder import RunFolder

FOLDERS = ("corpora", "cache", "models", "run", "figures")
FILES = ("study.json", "log.csv", "claims.csv", "report.html")
LOG = ("step", "seconds", "cpu_seconds", "peak_mb")
TRIALS = ("trials", "head_trials")
"""The settings of which a study may be given more."""
KEPT = ("corpus ", "train ")
"""How the steps are called that more trials leave as they are."""


class StudyFolder:
    """A study's folder.

    Parameters
    ----------
    root : Path
        It need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owned = OwnFolder(root, "study", (*FOLDERS, *FILES))

    @property
    def run(self) -> Path:
        """The folder of the consistency part, with the task scores and the analysis."""
        return self.root / "run"

    @property
    def cache(self) -> Path:
        """Decoded audio."""
        return self.root / "cache"

    def corpus(self, name: str) -> Path:
        """Return the folder of a rendered corpus."""
        return self.root / "corpora" / name

    def manifest(self, name: str) -> Path:
        """Return the manifest of a rendered corpus."""
        return self.corpus(name) / "manifest.csv"

    def model(self, features: str, task: str, trial: int) -> Path:
        """Return a model's file."""
        return self.root / "models" / f"{features}-{task}-{trial}.safetensors"

    def claim(self) -> None:
        """Make the folder a study's own, with its folders."""
        self.owned.claim()
        with told_errors(self.root):
            for name in FOLDERS:
                (self.root / name).mkdir(exist_ok=True)
        self.owned.own(*(self.root / name for name in FOLDERS))

    # -- what is done ------------------------------------------------------------------------------

    def read(self) -> dict[str, Any] | None:
        """Return study.json; None where no study has begun.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        path = self.root / "study.json"
        try:
            found = json.loads(path.read_text("utf-8"))
            if not isinstance(found["settings"], dict) or not isinstance(found["done"], dict):
                raise ValueError("it is no study's")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{printable(path)}: cannot be read ({error}); put it back as it was, or name "
                "another --out"
            ) from error
        return dict(found)

    def begin(self, settings: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Begin a study, or go on with one; return its finished steps.

        A study may be given more trials: its corpora and trainings are kept, and what was made of
        them is made anew.

        Raises
        ------
        InputError
            If the folder holds a study with other settings, which are named.
        """
        done = self.done_with(settings)
        before = self.read()
        if before is not None and before["settings"] != settings:
            self.clear_run()
        self.write(settings, done)
        return done

    def done_with(self, settings: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Return the steps that a study with these settings finds done; change nothing.

        Raises
        ------
        InputError
            If the folder holds a study with other settings, which are named.
        """
        before = self.read()
        if before is None:
            return {}
        old, done = before["settings"], before["done"]
        changed = [
            name for name in old.keys() | settings.keys() if old.get(name) != settings.get(name)
        ]
        if changed and not (set(changed) <= set(TRIALS) and _more(old, settings)):
            told = [f"{n} (was {old.get(n)}, now {settings.get(n)})" for n in sorted(changed)]
            raise InputError(
                f"--out {printable(self.root)}: holds a study with other settings: "
                f"{', '.join(told)}; give the same settings or more trials, or name another --out"
            )
        kept = {name: one for name, one in done.items() if name.startswith(KEPT) or not changed}
        return dict(kept)

    def clear_run(self) -> None:
        """Delete what was made of models that have changed: the run, its scores and its pages."""
        run = RunFolder(self.run)
        if run.is_run():
            run.clear()

    def write(self, settings: dict[str, Any], done: dict[str, dict[str, str]]) -> None:
        """Write study.json."""
        text = json.dumps({"settings": settings, "done": done}, indent=1) + "\n"
        self.put("study.json", text)

    def put(self, name: str, text: str) -> None:
        """Write a file at the top, whole."""
        path = self.root / name
        self.owned.refuse_foreign(path)
        self.owned.own(path)
        write_whole(path, lambda file: file.write(text.encode("utf-8", "backslashreplace")))

    def digests(self, files: list[Path]) -> dict[str, str]:
        """Return the SHA-256 of files, by their names in the folder."""
        return {str(path.relative_to(self.root)): sha256_of(path) for path in files}

    def is_done(self, files: dict[str, str] | None) -> bool:
        """Tell whether a step's files are there as it left them."""
        return files is not None and all(
            sha and sha256_of(self.root / name) == sha for name, sha in files.items()
        )

    def log(self, row: tuple[str, float, float, float]) -> None:
        """Add a row to log.csv: what a step took. Lines that were damaged are left out."""
        path, head = self.root / "log.csv", ",".join(LOG)
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        whole = re.compile(r"[\w -]+" + (len(LOG) - 1) * r",(\d+\.\d|nan)")
        lines = [head, *filter(whole.fullmatch, text.replace("\r\n", "\n").split("\n"))]
        before = "".join(f"{line}\n" for line in lines)
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([row[0], *(f"{x:.1f}" for x in row[1:])])
        self.put("log.csv", before + line.getvalue())


def _more(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether a study has every trial of another; heads have as many as networks, or fewer."""
    counts = [
        (one.get("trials"), one.get("head_trials") or one.get("trials")) for one in (old, new)
    ]
    return all(
        isinstance(before, int) and isinstance(now, int) and before <= now
        for before, now in zip(*counts, strict=True)
    )
