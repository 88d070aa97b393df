"""A run's folder: its record, its tables, and the folders beside them; nothing half-written.

Every file is written under a temporary name and renamed, so that a kill at any moment loses only
the unit in work. ``work/`` holds the shards (arrays without pickles, and JSON) and goes when the
run is finished; the tables, ``run.json``, ``embeddings/``, ``audio/`` and the report stay.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nearkin.errors import InputError, RunError
from nearkin.files import disk_full, file_name, finite, read_parquet, write_whole

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("clips", "queries", "consistency", "failures")
FOLDERS = ("work", "embeddings", "distances", "figures", "audio", "analysis")
FILES = (
    "run.json",
    "report.html",
    "consistency.csv",
    *(f"{name}.parquet" for name in TABLES),
)
PERFORMANCE_FILES = (
    "performance.json",
    "performance.parquet",
    "performance.csv",
    "performance_clips.parquet",
)
"""What ``nearkin perform`` adds to a run's folder, or keeps in one of its own."""
CONTENT = (*FOLDERS, *FILES, *PERFORMANCE_FILES)


ANALYSIS = ("gam", "anova", "marginal_means", "contrasts", "correlations")
LABELS = (
    *("measure", "audio_distance", "latent_distance", "factor", "level", "level_a", "level_b"),
    *(
        "encoder",
        "task",
        "transformation",
        "term",
        "at",
        "status",
        "trial_status",
        "kind",
        "a",
        "b",
    ),
)


class RunFolder:
    """Paths and tables of one run.

    Parameters
    ----------
    root : Path
        The folder; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"

    # -- the folder ------------------------------------------------------------------------------

    def claim(self) -> None:
        """Make the folder ready to be written to.

        Raises
        ------
        InputError
            If it cannot be created or written, or holds something that is no run.
        """
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"--out {self.root}: is a file; name a folder")
        if self.root.is_dir() and not self.is_run() and any(self.root.iterdir()):
            raise InputError(
                f"--out {self.root}: holds something that is no nearkin run; name another folder"
            )
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            probe = self.work / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full(self.root) from error
            raise InputError(
                f"--out {self.root}: cannot be written ({error.strerror}); name another folder"
            ) from error
        for leftover in self.work.rglob("*.tmp"):
            leftover.unlink(missing_ok=True)

    def is_run(self) -> bool:
        """Tell whether the folder holds a run or task scores, finished or begun."""
        records = (self.root / "run.json", self.root / "performance.json")
        return any(path.is_file() for path in records) or self.work.is_dir()

    def clear(self) -> None:
        """Delete everything a run writes, and nothing else."""
        for name in FOLDERS:
            shutil.rmtree(self.root / name, ignore_errors=True)
        for name in (*FILES, *PERFORMANCE_FILES):
            (self.root / name).unlink(missing_ok=True)

    def finish(self) -> None:
        """Delete the shards."""
        shutil.rmtree(self.work, ignore_errors=True)

    # -- run.json --------------------------------------------------------------------------------

    def read_run(self) -> dict[str, Any] | None:
        """Return run.json, or None where no run has begun.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        return self._read_record("run.json", "start anew")

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._write_record("run.json", run)

    def read_performance(self) -> dict[str, Any] | None:
        """Return performance.json, or None where no task was scored.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        return self._read_record("performance.json", "score anew")

    def write_performance(self, record: Mapping[str, Any]) -> None:
        """Write performance.json."""
        self._write_record("performance.json", record)

    def _read_record(self, name: str, remedy: str) -> dict[str, Any] | None:
        path = self.root / name
        try:
            record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error}); use --force to {remedy}") from error
        return record

    def _write_record(self, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(finite(record), indent=2, ensure_ascii=False, allow_nan=False)
        self.write(self.root / name, lambda file: file.write(text.encode() + b"\n"))

    # -- tables ----------------------------------------------------------------------------------

    def write_table(self, name: str, table: pd.DataFrame, *, csv: bool = False) -> None:
        """Write ``name.parquet`` and, on request, ``name.csv``."""
        path = self.root / f"{name}.parquet"
        self.write(path, lambda file: table.to_parquet(file, index=False))
        if csv:
            self.write_csv(name, table)

    def write_csv(self, name: str, table: pd.DataFrame) -> None:
        """Write ``name.csv``."""
        text = table.to_csv(index=False, lineterminator="\n").encode()
        self.write(self.root / f"{name}.csv", lambda file: file.write(text))

    def read_table(self, name: str) -> pd.DataFrame:
        """Read ``name.parquet``.

        Raises
        ------
        RunError
            If the run has no such table (yet).
        """
        path = self.root / f"{name}.parquet"
        if not path.is_file():
            raise RunError(f"{self.root}: has no {name}.parquet; run nearkin run to its end first")
        return read_parquet(path)

    def has_table(self, name: str) -> bool:
        """Tell whether the run has ``name.parquet``."""
        return (self.root / f"{name}.parquet").is_file()

    # -- what `nearkin analyze` adds -------------------------------------------------------------

    def read_analysis(self) -> dict[str, pd.DataFrame]:
        """Return the tables of ``analysis/`` by name; empty where the run was not analysed.

        Raises
        ------
        RunError
            If one is missing or cannot be read.
        """
        import pandas as pd

        folder = self.root / "analysis"
        if not (folder / "summary.txt").is_file():
            return {}
        tables = {}
        for name in ANALYSIS:
            path = folder / f"{name}.csv"
            try:
                # Labels are texts whatever they look like: an encoder may be called "1" or "NA".
                found = pd.read_csv(
                    path,
                    dtype=dict.fromkeys(LABELS, str),
                    keep_default_na=False,
                    na_values={column: [""] for column in _header(path) if column not in LABELS},
                )
            except (OSError, ValueError) as error:
                raise RunError(
                    f"{path}: cannot be read ({error}); give nearkin analyze {self.root} again"
                ) from error
            tables[name] = found
        return tables

    def read_words(self) -> tuple[str, ...]:
        """Return the paragraphs of ``analysis/summary.txt``."""
        text = (self.root / "analysis" / "summary.txt").read_text("utf-8")
        return tuple(part.strip() for part in text.split("\n\n") if part.strip())

    # -- arrays that stay ------------------------------------------------------------------------

    def embeddings_path(self, label: str, *, of: str = "queries") -> Path:
        """Return where an encoder's embeddings of ``"queries"`` or ``"originals"`` are."""
        suffix = ".originals.npy" if of == "originals" else ".npy"
        return self.root / "embeddings" / f"{file_name(label)}{suffix}"

    def write(self, path: Path, put: Callable[[BinaryIO], Any]) -> None:
        """Write a file under a temporary name and rename it.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written; what was there before stays.
        """
        write_whole(path, put)


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
