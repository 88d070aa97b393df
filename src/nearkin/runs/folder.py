"""A run's folder: its record, its tables, and the folders beside them; nothing half-written.

Every file is written under a temporary name and renamed, so that a kill at any moment loses only
the unit in work. ``work/`` holds the shards (arrays without pickles, and JSON) and goes when the
run is finished; the tables, ``run.json``, ``embeddings/``, ``audio/`` and the report stay. The
folder is nearkin's own by its marker (`nearkin.ownership`): nothing else in it is touched.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import RunError, printable
from nearkin.files import file_name, sealed, sha256_of, write_whole
from nearkin.lease import Lease, leased
from nearkin.ownership import MARKER, OwnFolder, told_errors
from nearkin.parquet import read_parquet
from nearkin.runs.schema import read_performance_record, read_run_record
from nearkin.runs.shards import FOLDERS as SHARDS
from nearkin.runs.shards import clear_shards, sweep_shards

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("clips", "queries", "consistency", "failures")
ATTACK_TABLES = ("attacks", "attack_scores", "attack_sounds")
"""Tables of a run with ``--attack``."""
FOLDERS = ("work", "embeddings", "distances", "figures", "audio", "analysis", "attacks")
FILES = (
    "run.json",
    "report.html",
    "consistency.csv",
    "attack_scores.csv",
    *(f"{name}.parquet" for name in (*TABLES, *ATTACK_TABLES)),
)
PERFORMANCE_FILES = (
    "performance.json",
    "performance.parquet",
    "performance.csv",
    "performance_clips.parquet",
)
"""What ``nearkin perform`` adds to a run's folder, or keeps in one of its own."""
RECORDS = ("run.json", "performance.json")
"""They hold checksums of themselves, and of the tables that were made with them."""
PERCEPTION_FILES = ("perception.parquet", "audibility.parquet", "audibility.csv")
"""What ``nearkin perceive`` adds."""
TRAJECTORY_FILES = tuple(
    f"{name}.{form}"
    for name in ("trajectories", "trajectory_agreement", "trajectory_paths")
    for form in ("parquet", "csv")
)
"""What ``nearkin trajectories`` adds."""
GALLERY_TABLES = ("gallery.parquet", "gallery.csv", "gallery_queries.parquet")
GALLERY_FILES = ("gallery.json", *GALLERY_TABLES)
"""What ``nearkin gallery`` adds."""
COMPARISON_FILES = ("comparison.parquet", "comparison.csv")
DEMO = "clips"
"""The folder in which ``nearkin demo`` puts the clips that it then runs on."""
CONTENT = (
    *(DEMO, *FOLDERS, *FILES, *PERFORMANCE_FILES),
    *(*PERCEPTION_FILES, *TRAJECTORY_FILES, *GALLERY_FILES, *COMPARISON_FILES),
)
"""All that nearkin may write at the top of a run's folder."""
RUN_FILES = (
    *("embeddings/", "distances/", "audio/", "attacks/", "consistency.csv", "attack_scores.csv"),
    *(f"{name}.parquet" for name in (*TABLES, *ATTACK_TABLES)),
)
"""Files, and folders of files, whose checksums stand in run.json."""
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


def made_by(name: str) -> str:
    """Return the command that makes a file of a run's folder.

    Examples
    --------
    >>> made_by("figures/figure_7.svg"), made_by("analysis/gam.csv")
    ('nearkin report', 'nearkin analyze')
    """
    top, _, rest = name.partition("/")
    commands = {
        "perform": PERFORMANCE_FILES,
        "perceive": PERCEPTION_FILES,
        "trajectories": TRAJECTORY_FILES,
        "gallery": GALLERY_FILES,
        "analyze": ("analysis",),
        "report": ("figures", "audio", "report.html"),
        "demo": (DEMO,),
    }
    if top == "figures" and rest.startswith("trajectories-"):
        return "nearkin trajectories"
    return next(
        (f"nearkin {name}" for name, tops in commands.items() if top in tops), "nearkin run"
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
        self.owned = OwnFolder(root, "run", CONTENT)

    # -- the folder ------------------------------------------------------------------------------

    def decide(self, inputs: Iterable[Path] = ()) -> None:
        """Refuse a folder that may not be written to; change nothing (see `OwnFolder.decide`)."""
        self.owned.decide(self._foreign(inputs))

    def claim(self, inputs: Iterable[Path] = (), *, sweep: bool = True) -> None:
        """Make the folder ready to be written to, and sweep what killed commands left.

        Parameters
        ----------
        inputs : iterable of Path
            What the run is made from; none may lie in the folder.
        sweep : bool
            False where other jobs are at work in the folder.

        Raises
        ------
        InputError
            If it cannot be created or written, or holds something that is not nearkin's own.
        """
        self.owned.claim(self._foreign(inputs), sweep=sweep)
        self._make_work()
        if sweep:
            sweep_shards(self.work)

    @contextlib.contextmanager
    def held(self) -> Iterator[Lease]:
        """Hold the folder's lease, and sweep what killed commands left half-written there.

        Raises
        ------
        InputError
            If another command holds it.
        """
        with leased(self.root) as lease:
            self.owned.sweep()
            yield lease

    def is_run(self) -> bool:
        """Tell whether the folder holds a run or task scores, finished or begun."""
        return self.owned.is_own()

    def clear(self, *, keep: Sequence[str] = ()) -> None:
        """Delete what nearkin wrote here, and nothing else.

        Parameters
        ----------
        keep : sequence of str
            Files and folders at the top that stay.
        """
        kept = {"work", DEMO, *keep}
        names = self.owned.names() or set()
        gone = [name for name in names if name.split("/")[0] not in kept]
        # without its record, which goes first, a half-deleted run is none
        gone.sort(key=lambda name: (name != "run.json", name))
        self.owned.delete(self.root / name for name in gone)
        if "work" not in keep:
            clear_shards(self.work)
        self._make_work()

    def without_record(self) -> list[str]:
        """Return what is there of a run, by name, where nothing says which run it is of.

        Pages and figures are left out: task scores alone have some, too.
        """
        if (self.root / "run.json").exists():
            return []
        others = {"work", DEMO, "figures", "report.html", *PERFORMANCE_FILES}
        names = sorted(self.owned.names() or ())
        return [
            name
            for name in names
            if name.split("/")[0] not in others and (self.root / name).is_file()
        ]

    def finish(self) -> None:
        """Delete the shards of the run."""
        for name in SHARDS:
            clear_shards(self.work / name)
        (self.work / "used.npz").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # task scores are at work there
            self.work.rmdir()

    def _foreign(self, inputs: Iterable[Path]) -> list[Path]:
        """Leave out the demo's clips, which nearkin itself put into the run's folder."""
        clips = self.root / DEMO
        return [p for p in inputs if not (clips in (p, *p.parents) and self.owned.owns(p))]

    def _make_work(self) -> None:
        with told_errors(self.root):
            self.work.mkdir(parents=True, exist_ok=True)
        self.owned.own(self.work)

    def digests(self, *, of: Sequence[str] = RUN_FILES) -> dict[str, str]:
        """Return the SHA-256 of files, by their names in the folder.

        Parameters
        ----------
        of : sequence of str
            Files, and folders (``"audio/"``) with all that is nearkin's own in them.
        """
        names = self.owned.names() or set()
        files = [name for name in names if not name.endswith("/")]
        kept = [name for name in files if name in of or f"{name.split('/')[0]}/" in of]
        return {name: sha256_of(self.root / name) for name in sorted(kept)}

    def damaged(self, record: Mapping[str, Any]) -> list[str]:
        """Return the files of a finished run that are gone, or not as the run wrote them."""
        found = record.get("files")
        files = found if isinstance(found, Mapping) else {}
        return [name for name, sha256 in files.items() if sha256_of(self.root / name) != sha256]

    def removed(self) -> list[str]:
        """Return the files that the run wrote and that are gone, as where it was handed on."""
        return [name for name in self._held_by("run.json") if not (self.root / name).exists()]

    def damaged_beside(self) -> list[str]:
        """Return what is gone or changed of all that no record holds: pages, figures, analyses."""
        held = {name for record in RECORDS for name in self._held_by(record)}
        return self.owned.changed(besides={*held, *RECORDS})

    def require_whole(self, *paths: Path) -> None:
        """Refuse files that are not as they were written, as far as a checksum is known.

        One that is not there is told by who reads it.

        Raises
        ------
        RunError
            With the command that makes the file anew.
        """
        held = {record: self._held_by(record) for record in RECORDS}
        for path in filter(Path.exists, paths):
            name = path.relative_to(self.root).as_posix()
            by = made_by(name)
            record = RECORDS[by == "nearkin perform"]
            sha256 = held[record].get(name)
            holds = record if sha256 else MARKER
            if holds == "run.json":  # sounds are a run's or a page's
                by = "nearkin run"
            if (sha256 and sha256_of(path) != sha256) or not (sha256 or self.owned.is_whole(path)):
                raise RunError(
                    f"{printable(path)}: was changed or damaged after it was written ({holds} "
                    f"holds its checksum); give the {by} command again, it makes it anew"
                )

    def _held_by(self, record_name: str) -> dict[str, str]:
        """Return the checksums that a record holds of other files; none where it is no record."""
        try:
            record = json.loads((self.root / record_name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        files = record.get("files") if isinstance(record, dict) else None
        found = files if isinstance(files, dict) else {}
        return {name: sha256 for name, sha256 in found.items() if isinstance(sha256, str)}

    # -- run.json --------------------------------------------------------------------------------

    def read_run(self) -> dict[str, Any] | None:
        """Return run.json, or None where no run has begun.

        Raises
        ------
        RunError
            If it cannot be read, or holds something else than a run writes.
        """
        return read_run_record(self.root / "run.json")

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._write_record("run.json", run)

    def read_performance(self) -> dict[str, Any] | None:
        """Return performance.json, or None where no task was scored.

        Raises
        ------
        RunError
            If it cannot be read, or holds something else than ``nearkin perform`` writes.
        """
        return read_performance_record(self.root / "performance.json")

    def write_performance(self, record: Mapping[str, Any]) -> None:
        """Write performance.json."""
        self._write_record("performance.json", record)

    def _write_record(self, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(sealed(record), indent=2, ensure_ascii=False, allow_nan=False)
        path = self.root / name
        self.owned.expect([path])
        write_whole(path, lambda file: file.write(text.encode() + b"\n"))

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
            raise RunError(
                f"{printable(self.root)}: has no {name}.parquet; run nearkin run to its end first"
            )
        self.require_whole(path)
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
        self.require_whole(*(folder / f"{name}.csv" for name in ANALYSIS))
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
        """Return the paragraphs of ``analysis/summary.txt``.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        path = self.root / "analysis" / "summary.txt"
        self.require_whole(path)
        try:
            text = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise RunError(
                f"{printable(path)}: cannot be read ({error}); give nearkin analyze "
                f"{printable(self.root)} again"
            ) from error
        return tuple(part.strip() for part in text.split("\n\n") if part.strip())

    # -- arrays that stay ------------------------------------------------------------------------

    def embeddings_path(self, label: str, *, of: str = "queries") -> Path:
        """Return where an encoder's embeddings of ``"queries"`` or ``"originals"`` are."""
        suffix = ".originals.npy" if of == "originals" else ".npy"
        return self.root / "embeddings" / f"{file_name(label)}{suffix}"

    def require_embeddings(self, label: str) -> None:
        """Refuse an encoder's embeddings that are not as they were written; see `require_whole`."""
        files = [self.embeddings_path(label, of=of) for of in ("originals", "queries")]
        self.require_whole(self.root / "embeddings" / "ids.json", *files)

    def write(self, path: Path, put: Callable[[BinaryIO], Any]) -> None:
        """Write a file whole, and note it as nearkin's own where the folder is.

        Raises
        ------
        InputError
            If something that is not nearkin's own is in the way.
        RunError
            If the disk is full or the file cannot be written; what was there before stays.
        """
        self.owned.write(path, put)

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        """Write one array as .npy."""
        self.write(path, lambda file: np.save(file, array))

    def open_folder(self, name: str) -> Path:
        """Return a folder inside, made and noted as nearkin's own before it is written to.

        Raises
        ------
        InputError
            If one is there that is not nearkin's own.
        """
        path = self.root / name
        self.owned.refuse_foreign(path / "new")
        with told_errors(self.root):
            path.mkdir(parents=True, exist_ok=True)
        self.owned.own(path)
        return path


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
