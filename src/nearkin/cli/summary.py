"""What a finished run says on a terminal: a line an encoder, what failed, where the report is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearkin.errors import printable
from nearkin.results.remarks import no_query_made
from nearkin.results.verdicts import verdict
from nearkin.tables import OK
from nearkin.transforms import magnitudes

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.api import Result

LISTED = 10
"""Clips not used that are named on the terminal."""
DISTANCE = "cosine"
"""The latent distance of the terminal's table; the report has both."""


@dataclass(frozen=True)
class Summary:
    """What came of a run.

    Attributes
    ----------
    out : str
        The run's folder.
    report : str or None
        The page, where there is one.
    n : int
        Clips compared.
    encoders : list of dict
        Name, role, status, verdicts (a word, and the line that names the transformations), and the
        median C_W over the mildest and over the most severe magnitude of every transformation and
        side, with the worst of them beside it.
    notes : list of str
        What was skipped or failed, in sentences.
    failed : int
        Clips that could not be read, and encoders that failed.
    graded : bool
        Whether any transformation has more than one magnitude, so that mildest and most severe
        changes are two things.
    nothing : str
        Why no query at all could be made, so that the run measured nothing; else "".
    """

    out: str
    report: str | None
    n: int
    encoders: list[dict[str, Any]]
    notes: list[str]
    failed: int = 0
    graded: bool = True
    nothing: str = ""

    @property
    def is_whole(self) -> bool:
        """Tell whether all was done: no clip and no encoder failed, and something was measured."""
        return not (self.failed or self.nothing)

    def as_dict(self) -> dict[str, Any]:
        """Return finite JSON values."""
        from nearkin.files import finite

        plain: dict[str, Any] = finite(vars(self))
        return plain

    @property
    def page(self) -> str:
        """Say where the report is, or what makes one."""
        if self.report is None:
            return f"no report; nearkin report {self.out} makes one"
        return f"report: {self.report}"

    def result(self) -> str:
        """Return the one line that ``--quiet`` leaves."""
        tested = [row for row in self.encoders if row["role"] == "tested"] or self.encoders
        parts = [
            f"{printable(row['name'])}: (i) {row['assumption_i']}, (ii) {row['assumption_ii']}"
            for row in tested
        ]
        if self.failed:
            lost = "clip or encoder" if self.failed == 1 else "clips or encoders"
            parts.append(f"{self.failed} {lost} failed")
        if self.nothing:
            parts.append(self.nothing)
        return "; ".join([*parts, self.page])

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        names = [printable(encoder["name"]) for encoder in self.encoders]
        width = max(12, *map(len, names))
        head = f"{'encoder':{width}}  {'C_W mild':>8}  worst"
        if self.graded:
            head = f"{head:{width + 26}}  {'C_W severe':>10}  worst"
        rows = []
        for name, encoder in zip(names, self.encoders, strict=True):
            mild, severe = (_number(encoder[at]) for at in ("C_W_mild", "C_W_severe"))
            at_mild, at_severe = (encoder[at] for at in ("worst_mild", "worst_severe"))
            row = f"{name:{width}}  {mild:>8}  {at_mild}"
            if self.graded:
                row = f"{row:{width + 26}}  {severe:>10}  {at_severe}"
            rows += [
                row,
                f"   (i)  {encoder['assumption_i_line']}",
                f"   (ii) {encoder['assumption_ii_line']}",
            ]
        chance = (
            f"{self.n} clips, chance {1 / self.n:.3g}; cosine distance, median and worst of the"
        )
        changes = "mildest and of the most severe changes" if self.graded else "changes"
        told = [
            f"{chance} {changes}; (i) small changes stay nearest, "
            "(ii) more severe changes move further, under every distance"
        ]
        nothing = [self.nothing] if self.nothing else []
        return [*told, head, *rows, *self.notes, *nothing, self.page]


def summary(result: Result) -> Summary:
    """Sum up a finished run."""
    encoders = [
        _encoder_row(result, encoder)
        for encoder in sorted(result.run["encoders"], key=lambda row: row["role"] != "tested")
    ]
    page = result.path / "report.html"
    return Summary(
        out=str(result.path),
        report=str(page) if page.is_file() else None,
        n=int(result.run["n"]),
        encoders=encoders,
        notes=_notes(result),
        failed=failed(result.run),
        graded=magnitudes.is_graded(result.run["grid"]["points"]),
        nothing=no_query_made(result.queries),
    )


def failed(run: Mapping[str, Any]) -> int:
    """Count the clips that could not be read and the encoders that failed."""
    encoders = sum(1 for row in run["encoders"] if row["status"] != OK)
    return int(run["clips"]["failed"]) + encoders


def _encoder_row(result: Result, encoder: Mapping[str, Any]) -> dict[str, Any]:
    table = result.consistency
    found = verdict(table, result.queries, result.run, encoder["name"], task=encoder["task"])
    rows = table[
        (table["encoder"] == encoder["name"])
        & (table["task"] == encoder["task"])
        & (table["trial"] == encoder["trial"])
        & (table["measure"] == "C_W")
        & (table["latent_distance"] == DISTANCE)
    ].set_index(["transformation", "magnitude"])["value"]
    points = [(str(code), float(value)) for code, value in result.run["grid"]["points"]]
    mild = [(point.code, point.magnitude) for point in magnitudes.mildest(points)]
    severe = [(point.code, point.magnitude) for point in magnitudes.most_severe(points)]
    return {
        "name": encoder["label"],
        "role": encoder["role"],
        "status": encoder["status"],
        "C_W_mild": float(rows.reindex(mild).median()),
        "worst_mild": _worst(rows.reindex(mild)),
        "C_W_severe": float(rows.reindex(severe).median()),
        "worst_severe": _worst(rows.reindex(severe)),
        "assumption_i": found.near.word,
        "assumption_i_line": found.near.line,
        "assumption_ii": found.further.word,
        "assumption_ii_line": found.further.line,
    }


def _worst(values: pd.Series[float]) -> str:
    """Return the transformation and side with the lowest C_W, and the value: "PS+ 0.017"."""
    known = values.dropna()
    if known.empty:
        return "-"
    code, magnitude = known.index[int(known.to_numpy().argmin())]
    side = magnitudes.side(code, magnitude)
    return f"{magnitudes.direction(code, side)} {_number(float(known.min()))}"


def _notes(result: Result) -> list[str]:
    notes = []
    for encoder in result.run["encoders"]:
        if encoder["status"] != OK:
            notes.append(f"encoder {printable(encoder['label'])} failed: {encoder['status']}")
    clips = result.clips[result.clips["status"] != OK].sort_values("status", kind="stable")
    for row in clips.head(LISTED).itertuples(index=False):  # "failed" comes before "skipped"
        notes.append(f"{row.clip_id}: {row.status}")
    if len(clips) > LISTED:
        notes.append(f"and {len(clips) - LISTED} more not used: see the report or clips.parquet")
    for group in result.run["clips"]["identical"]:
        notes.append(f"identical clips, which tie: {', '.join(group)}")
    return notes


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
