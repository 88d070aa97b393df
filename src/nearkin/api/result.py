"""A finished run in Python: its tables, what it says, its report; read from the run's folder."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.errors import InputError, RunError
from nearkin.files import refuse_links, refuse_other_file
from nearkin.progress import Progress, silent
from nearkin.runs.folder import CONTENT, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.repair.run import Repair
    from nearkin.report.data import ReportData
    from nearkin.results.verdicts import Verdict


class Result:
    """A finished run: its tables, its report.

    Parameters
    ----------
    folder : RunFolder
        A finished run's folder.
    temporary : Path, optional
        A folder to delete when the result is no longer used.

    Attributes
    ----------
    run : dict
        run.json.
    clips, queries, consistency, failures : pandas.DataFrame
        The tables; their columns are described in the documentation.
    """

    def __init__(self, folder: RunFolder, *, temporary: Path | None = None) -> None:
        self.folder = folder
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        refuse_links(folder.root, CONTENT)
        found = folder.read_run()
        if found is None and folder.has_table("performance"):
            raise InputError(
                f"{folder.root}: holds task scores of nearkin perform alone, which nearkin report "
                "shows; this needs a run: give nearkin run the same --out"
            )
        if found is None:
            raise InputError(f"{folder.root}: holds no run; give the folder that --out named")
        if not found.get("finished"):
            raise RunError(
                f"{folder.root}: the run is not finished; give its nearkin run command again"
            )
        self.run: dict[str, Any] = found

    @cached_property
    def clips(self) -> pd.DataFrame:
        """One row a clip, skipped and failed ones too."""
        return self._table("clips")

    @cached_property
    def queries(self) -> pd.DataFrame:
        """One row a question: a transformed clip in one space under one distance."""
        return self._table("queries")

    @cached_property
    def consistency(self) -> pd.DataFrame:
        """Every measure with its 95 % interval, N and chance."""
        return self._table("consistency")

    @cached_property
    def failures(self) -> pd.DataFrame:
        """The failures that the report plays."""
        return self._table("failures")

    @cached_property
    def performance(self) -> pd.DataFrame | None:
        """The encoders' scores in their tasks; None where the run has none."""
        if not self.folder.has_table("performance"):
            return None
        found = self._table("performance")
        return None if found.empty else found

    @cached_property
    def perception(self) -> pd.DataFrame | None:
        """How much is heard of every change; None where ``nearkin perceive`` was not given."""
        if not self.folder.has_table("perception"):
            return None
        return self._table("perception")

    @cached_property
    def audibility(self) -> pd.DataFrame | None:
        """C_W where changes are equally audible; None where ``nearkin perceive`` was not given."""
        if not self.folder.has_table("audibility"):
            return None
        return self._table("audibility")

    @cached_property
    def attacks(self) -> pd.DataFrame | None:
        """One row a question about attacked clips; None where the run had no ``attack``."""
        return self._optional_table("attacks")

    @cached_property
    def attack_scores(self) -> pd.DataFrame | None:
        """C_W of attacked clips and what stands beside it, and where half are led astray."""
        return self._optional_table("attack_scores")

    @cached_property
    def attack_sounds(self) -> pd.DataFrame | None:
        """The attacked clips that the report plays."""
        return self._optional_table("attack_sounds")

    @cached_property
    def gallery(self) -> pd.DataFrame | None:
        """C_W in collections of every size; None where the run has no gallery."""
        return self._optional_table("gallery")

    @cached_property
    def gallery_queries(self) -> pd.DataFrame | None:
        """The rank of every query among originals and gallery; None where there is none."""
        return self._optional_table("gallery_queries")

    @cached_property
    def trajectories(self) -> pd.DataFrame | None:
        """How embeddings move; None where ``nearkin trajectories`` was not given."""
        return self._optional_table("trajectories")

    def _optional_table(self, name: str) -> pd.DataFrame | None:
        return self._table(name) if self.folder.has_table(name) else None

    def _table(self, name: str) -> pd.DataFrame:
        """Read a table and check it against its schema."""
        from nearkin.results.schemas import read_checked

        file = self.folder.root / f"{name}.parquet"
        return read_checked(lambda: self.folder.read_table(name), name, file)

    @cached_property
    def analysis(self) -> dict[str, pd.DataFrame]:
        """Tables of ``nearkin analyze`` by name; empty where it was not run."""
        from nearkin.results.schemas import checked

        folder = self.folder.root / "analysis"
        return {
            name: checked(table, name, folder / f"{name}.csv")
            for name, table in self.folder.read_analysis().items()
        }

    @cached_property
    def projection(self) -> pd.DataFrame | None:
        """Where originals and mildest changes lie in a plane; None where no embeddings are kept."""
        from nearkin.results.projection import Embedded, projected
        from nearkin.results.systems import systems_of
        from nearkin.runs.kept import kept_embeddings

        kept = kept_embeddings(self.folder, self.run)
        if kept is None:
            return None
        systems = {(one.encoder, one.task): one for one in systems_of(self.run, self.consistency)}
        embedded = [
            Embedded(systems[key], originals, queries)
            for row, originals, queries in kept.arrays
            if (key := (str(row["name"]), str(row.get("task") or ""))) in systems
        ]
        seed = int(self.run["plan"]["seed"])
        return projected(embedded, kept.clip_ids, kept.points, seed=seed)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.root

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """What the run says of every encoder, tested ones first, the audio space last."""
        from nearkin.results.verdicts import verdicts

        return verdicts(self.consistency, self.queries, self.run)

    @property
    def summary(self) -> pd.DataFrame:
        """One row an encoder: its role, and both verdicts as a word and a line that names why."""
        import pandas as pd

        rows = [
            {
                "encoder": one.label,
                "role": one.role,
                "assumption_i": one.near.word,
                "assumption_i_line": one.near.line,
                "assumption_ii": one.further.word,
                "assumption_ii_line": one.further.line,
            }
            for one in self.verdicts
        ]
        return pd.DataFrame(rows).set_index("encoder")

    def table(
        self,
        measure: str = "C_W",
        *,
        distance: str | None = None,
        at: str = "mildest",
        encoders: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Lay one measure out: encoders by transformations, with 95 % intervals.

        Parameters
        ----------
        measure : str
            ``"C_W"``, ``"C_W@100"``, ``"C_B_rho"``, ``"C_B_acc"``, ``"kappa"``, ``"monotonicity"``.
        distance : str, optional
            Such as ``"cosine"``; between spaces both, ``"dtw,cosine"``.
        at : str
            ``"mildest"``, ``"most-severe"``, or points such as ``"TS=1.1, PN=30"``.
        encoders : sequence of str, optional
            Only these.

        Returns
        -------
        pandas.DataFrame
            Index the encoders; columns (point, ``value | ci_low | ci_high``).

        Raises
        ------
        InputError
            If the run has no such measure, distance, point or encoder.
        """
        from nearkin.results.crosstab import crosstab

        asked = {"measure": measure, "distance": distance, "at": at, "encoders": encoders}
        return crosstab(self.consistency, self.run, **asked).frame()  # type: ignore[arg-type]

    def plot(self, measure: str = "C_W", *, encoders: Sequence[str] | None = None) -> Any:
        """Draw a measure over magnitude, a panel a transformation, as an Altair chart.

        Parameters
        ----------
        measure : {"C_W", "C_B_rho", "C_B_acc"}
            What to draw: the paper's figure 7, or 10.
        encoders : sequence of str, optional
            Only these, by name or label; the audio space stays.

        Returns
        -------
        altair.TopLevelMixin
            A notebook shows it.

        Raises
        ------
        InputError
            If the measure has no curves, or the run no such encoder.
        """
        from nearkin.registry import suggest
        from nearkin.report.figures import figure_7, figure_10
        from nearkin.results.systems import only

        figures = {"C_W": figure_7, "C_B_rho": figure_10, "C_B_acc": figure_10}
        if measure not in figures:
            raise InputError(f"measure '{measure}': {suggest(measure, figures)}")
        rows = only(self.consistency, self.run, encoders=encoders)
        if measure != "C_W":
            rows = rows[rows["measure"] == measure]
        return figures[measure](rows, run=self.run)

    def _repr_html_(self) -> str:
        """Show the verdicts in a notebook."""
        from nearkin.api.pages import as_html

        return as_html(self.run, self.verdicts)

    def report_data(self) -> ReportData:
        """Return what the report is made of."""
        from nearkin.api.pages import read_mp3
        from nearkin.report.data import ReportData
        from nearkin.report.listings import SOUNDS
        from nearkin.results.projection import about

        tables = [one for one in (self.failures, self.attack_sounds) if one is not None]
        named = {str(file) for one in tables for column in SOUNDS for file in one[column].dropna()}
        there = sorted((self.folder.root / "audio").glob("*.mp3"))
        sounds = [path for path in there if path.name in named]
        audio = {path.name: read_mp3(path) for path in sounds}
        self.folder.require_whole(*sounds)
        return ReportData(
            run=self.run,
            clips=self.clips,
            queries=self.queries,
            consistency=self.consistency,
            failures=self.failures,
            audio=audio,
            analysis=self.analysis,
            words=self.folder.read_words() if self.analysis else (),
            performance=self.performance,
            performed=self.folder.read_performance() or {},
            map=self.projection,
            map_about=about(int(self.run["n"]), int(self.run["plan"]["seed"])),
            perception=self.perception,
            audibility=self.audibility,
            attack_scores=self.attack_scores,
            attack_sounds=self.attack_sounds,
            gallery=self.gallery,
            trajectories=self.trajectories,
            trajectory_agreement=self._optional_table("trajectory_agreement"),
            trajectory_paths=self._optional_table("trajectory_paths"),
        )

    def repair(self, encoder: str = "") -> Repair:
        """Learn a linear map against what an encoder loses, and test it held out.

        Parameters
        ----------
        encoder : str
            The encoder's label; may be left out where one was tested.

        Returns
        -------
        nearkin.repair.run.Repair
            ``found``, the map (``found.apply(embeddings)``), and ``table``, as ``nearkin repair``
            writes it.

        Raises
        ------
        InputError
            If there is no such encoder, or too little to learn from.
        """
        from nearkin.repair.run import repair

        return repair(self.folder, self.run, self.clips, self.queries, encoder=encoder)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sounds: str = "worst",
        progress: Progress = silent,
    ) -> Path:
        """Write the report, one self-contained HTML file.

        Parameters
        ----------
        path : path, optional
            Where; ``report.html`` in the run's folder by default.
        sounds : str
            Which lost clips can be heard at the points of the explorer: ``"worst"``, the worst of
            every point until 2 MB are full, ``"10MB"`` or another size, ``"all"`` or ``"none"``;
            they are made from the music, which must be there.
        progress : callable
            Told ``("sounds", percent, 100)``.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        InputError
            If a file is there that is no page of nearkin's.
        """
        from nearkin.listening import sounds_of_page
        from nearkin.report.page import build, is_page

        target = self.folder.root / "report.html" if path is None else Path(path)
        if not self.folder.owned.owns(target):
            refuse_other_file(target, is_page)
        with self.folder.held() if path is None else nullcontext():
            heard, silence = sounds_of_page(
                self.folder,
                self.run,
                self.clips,
                self.queries,
                which=sounds,
                keep=path is None,
                progress=progress,
            )
            page = build(replace(self.report_data(), sounds=heard, silence=silence))
            text = page.encode("utf-8", "backslashreplace")
            self.folder.write(target, lambda file: file.write(text))
        return target

    def figures(self, folder: str | os.PathLike[str] | None = None) -> list[Path]:
        """Write the paper's figures as SVG and PDF.

        Parameters
        ----------
        folder : path, optional
            Where; ``figures/`` in the run's folder by default.

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        InputError
            If a file is in the way that nearkin did not write.
        """
        from nearkin.api.pages import write_figures

        return write_figures(self.folder, folder, self._figures)

    def _figures(self, target: Path) -> list[Path]:
        from nearkin.report.figures import write_all, write_means, write_projection

        try:
            target.mkdir(parents=True, exist_ok=True)
            written = write_all(self.consistency, self.run, target, performance=self.performance)
            if self.projection is not None:
                written += write_projection(self.projection, self.run, target)
            if self.analysis:
                means = self.analysis["marginal_means"]
                written += write_means(means, self.consistency, self.run, target)
            return written
        except OSError as error:
            raise RunError(f"{target}: figures cannot be written ({error.strerror})") from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copy the run to a folder that does not exist yet, or is empty.

        Raises
        ------
        InputError
            If the folder holds something.
        """
        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{target}: exists already; name a new folder")
        shutil.copytree(self.folder.root, target, dirs_exist_ok=True)
        return target


def load(path: str | os.PathLike[str]) -> Result:
    """Open a finished run's folder.

    Raises
    ------
    InputError
        If it holds no run.
    RunError
        If the run is not finished.
    """
    return Result(RunFolder(Path(path)))
