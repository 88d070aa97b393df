"""Encoders by transformations, for a paper or a page: one measure at one magnitude each.

Tables in, a table out, and the same as LaTeX (booktabs), Markdown or CSV. A row is an encoder (and
task), tested ones first; a column is a point, in the order of the report. Every cell is a value
with its 95 % interval.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results.systems import AUDIO, distance_order, headline, of, only, systems_of
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

FORMATS = ("markdown", "latex", "csv")
BETWEEN = ("C_B_rho", "C_B_acc", "kappa")
"""Measures between two spaces, which need a distance of each."""


class Crosstab(NamedTuple):
    """One measure of every encoder at some points.

    Attributes
    ----------
    measure, distance : str
        What the cells are; the distance as it was asked for, ``"cosine"`` or ``"dtw,cosine"``.
    n : int
        Clips asked about.
    points : list of Point
        The columns; for monotonicity the magnitude is NaN.
    labels : list of str
        The columns' heads: ``"TS 1.1"``; for monotonicity ``"PS+"``.
    rows : list of str
        The encoders.
    value, low, high : float64[rows, points]
        Values and 95 % intervals; NaN where there is none.
    """

    measure: str
    distance: str
    n: int
    points: list[Point]
    labels: list[str]
    rows: list[str]
    value: np.ndarray[Any, np.dtype[np.float64]]
    low: np.ndarray[Any, np.dtype[np.float64]]
    high: np.ndarray[Any, np.dtype[np.float64]]

    def frame(self) -> pd.DataFrame:
        """Return a DataFrame: index the encoders, columns (point, ``value | ci_low | ci_high``)."""
        heads = pd.MultiIndex.from_product([self.labels, ["value", "ci_low", "ci_high"]])
        cells = np.stack([self.value, self.low, self.high], axis=2).reshape(len(self.rows), -1)
        return pd.DataFrame(cells, index=pd.Index(self.rows, name="encoder"), columns=heads)


def crosstab(
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    *,
    measure: str = "C_W",
    distance: str | None = None,
    at: str = "mildest",
    encoders: Sequence[str] | None = None,
) -> Crosstab:
    """Lay one measure out, encoders by points.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's table.
    run : mapping
        The run's record.
    measure : str
        A measure of the table, such as ``"C_W"``, ``"C_W@100"``, ``"C_B_rho"``, ``"monotonicity"``.
    distance : str, optional
        The latent distance; between spaces ``"AUDIO,LATENT"``, such as ``"dtw,cosine"``. By default
        the only one, or cosine (with DTW).
    at : str
        ``"mildest"`` or ``"most-severe"`` magnitude of every transformation and direction, or
        points such as ``"TS=1.1, PN=30"``. Monotonicity has no magnitudes; its columns are the
        transformations and directions.
    encoders : sequence of str, optional
        Names or labels; all by default.

    Returns
    -------
    Crosstab

    Raises
    ------
    InputError
        If the run has no such measure, distance, point or encoder.
    """
    known = sorted(set(consistency["measure"]))
    if measure not in known:
        raise InputError(f"measure '{measure}': {suggest(measure, known)}")
    rows = headline(only(consistency, run, encoders=encoders))
    rows = rows[(rows["measure"] == measure) & (rows["encoder"] != AUDIO)]
    rows, distance = _of_distance(rows, measure, distance)
    systems = systems_of(run, rows)
    if measure == "monotonicity":
        columns = _directions(rows)
    else:
        columns = [(point, "", f"{point.code} {point.magnitude:g}") for point in _points(rows, at)]
    shape = len(systems), len(columns)
    value, low, high = (np.full(shape, math.nan) for _ in range(3))
    for i, system in enumerate(systems):
        mine = of(rows, system)
        for j, (point, side, _) in enumerate(columns):
            cell = mine[mine["transformation"] == point.code]
            if math.isnan(point.magnitude):
                cell = cell[cell["side"].fillna("") == side]
            else:
                cell = cell[cell["magnitude"] == point.magnitude]
            if len(cell):
                value[i, j], low[i, j], high[i, j] = cell.iloc[0][["value", "ci_low", "ci_high"]]
    return Crosstab(
        measure,
        distance,
        int(rows["n"].max()),
        [point for point, _, _ in columns],
        [label for _, _, label in columns],
        [system.label for system in systems],
        value,
        low,
        high,
    )


def _of_distance(
    rows: pd.DataFrame, measure: str, distance: str | None
) -> tuple[pd.DataFrame, str]:
    between = measure in BETWEEN
    latent = distance_order(rows["latent_distance"].fillna(""))
    audio = distance_order(rows["audio_distance"].fillna("")) if between else [""]
    known = [f"{a},{b}".lstrip(",") for a in audio for b in latent]
    wanted = [part.strip() for part in (distance or "").split(",")]
    if distance is None:
        usual = [name for name in known if name.split(",")[-1] == "cosine"]
        chosen = usual[0] if usual else known[0]
    else:
        chosen = ",".join(wanted)
        if chosen not in known:
            demand = "AUDIO,LATENT, such as" if between else "one of the run's:"
            raise InputError(f"distance '{distance}': must be {demand} {', '.join(known)}")
    *first, last = chosen.split(",")
    rows = rows[rows["latent_distance"] == last]
    return (rows[rows["audio_distance"] == first[0]] if between else rows), chosen


def _directions(rows: pd.DataFrame) -> list[tuple[Point, str, str]]:
    found = rows.assign(side=rows["side"].fillna(""))[["transformation", "side"]].drop_duplicates()
    pairs = list(found.itertuples(index=False, name=None))
    codes = magnitudes.code_order(code for code, _ in pairs)
    pairs.sort(key=lambda pair: (codes.index(pair[0]), magnitudes.direction(*pair)))
    return [(Point(code, math.nan), side, magnitudes.direction(code, side)) for code, side in pairs]


def _points(rows: pd.DataFrame, at: str) -> list[Point]:
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    there = [Point(str(a), float(b)) for a, b in pairs.itertuples(index=False) if a != ORIGINAL]
    if at == "mildest":
        return magnitudes.mildest(there)
    if at == "most-severe":
        return magnitudes.most_severe(there)
    points = []
    for part in at.split(","):
        code, sign, number = (piece.strip() for piece in part.partition("="))
        try:
            point = Point(code, float(number))
        except ValueError:
            point = Point(code, math.nan)
        if not sign or point not in there:
            mine = ", ".join(f"{p.code}={p.magnitude:g}" for p in there if p.code == code)
            have = mine or ", ".join(magnitudes.code_order(p.code for p in there))
            raise InputError(
                f"at '{part.strip()}': must be mildest, most-severe or points of the run such as "
                f"TS=1.1, PN=30; the run has {have}"
            )
        points.append(point)
    return points


def render(table: Crosstab, form: str, *, digits: int = 2) -> str:
    """Write a table as Markdown, LaTeX or CSV.

    Parameters
    ----------
    table : Crosstab
        What to write.
    form : {"markdown", "latex", "csv"}
        LaTeX needs the package booktabs; its names are escaped. CSV has a column for each value and
        each end of an interval.
    digits : int
        Decimals of Markdown and LaTeX; CSV keeps all.

    Returns
    -------
    str
        Lines, the last one ended.

    Raises
    ------
    InputError
        If there is no such form.
    """
    if form == "csv":
        return _csv(table)
    if form == "markdown":
        return _markdown(table, digits)
    if form == "latex":
        return _latex(table, digits)
    raise InputError(f"format '{form}': {suggest(form, FORMATS)}")


def _cells(table: Crosstab, digits: int, shape: str, minus: str) -> list[list[str]]:
    def number(x: float) -> str:
        text = f"{x:.{digits}f}"
        return text.replace("-", minus) if float(text) else text.lstrip("-")

    def cell(value: float, low: float, high: float) -> str:
        if math.isnan(value):
            return "--"
        if math.isnan(low):
            return number(value)
        return shape.format(number(value), number(low), number(high))

    return [
        [cell(*numbers) for numbers in zip(*row, strict=True)]
        for row in zip(table.value, table.low, table.high, strict=True)
    ]


def _csv(table: Crosstab) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [f"{name} {part}" for name in table.labels for part in ("value", "ci_low", "ci_high")]
    writer.writerow(["encoder", *heads])
    for name, *cells in table.frame().itertuples(name=None):
        writer.writerow([name, *("" if math.isnan(x) else repr(float(x)) for x in cells)])
    return out.getvalue()


def _markdown(table: Crosstab, digits: int) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def safe(text: str) -> str:
        for sign in "\\|`*_<>[]":
            text = text.replace(sign, "\\" + sign)
        return " ".join(text.split())

    body = _cells(table, digits, "{} [{}, {}]", "-")
    lines = [
        row([f"{table.measure}, {table.distance}", *table.labels]),
        row(["---", *("---:" for _ in table.labels)]),
        *(row([safe(name), *cells]) for name, cells in zip(table.rows, body, strict=True)),
    ]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{MINUS SIGN}": r"$-$",
}


def latex_text(text: str) -> str:
    r"""Escape a name for LaTeX.

    Examples
    --------
    >>> print(latex_text("my_encoder 50%"))
    my\_encoder 50\%
    """
    return " ".join("".join(_LATEX.get(sign, sign) for sign in text).split())


def _latex(table: Crosstab, digits: int) -> str:
    body = _cells(table, digits, r"{} {{\scriptsize [{}, {}]}}", "$-$")
    heads = [latex_text(label).replace(" -", " $-$") for label in table.labels]
    names = {"C_W": "$C^W$", "C_B_rho": r"$C^B_\rho$", "C_B_acc": r"$C^B_{\mathrm{acc}}$"}
    measure = names.get(table.measure, latex_text(table.measure))
    lines = [
        f"% {table.measure}, {table.distance}; {table.n} clips; 95 % intervals; needs booktabs",
        rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
        r"\toprule",
        " & ".join([measure, *heads]) + r" \\",
        r"\midrule",
        *(
            " & ".join([latex_text(name), *cells]) + r" \\"
            for name, cells in zip(table.rows, body, strict=True)
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"
