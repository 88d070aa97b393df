r"""The report: a run's tables in, one self-contained HTML page out.

The page works offline from one file: figures are Vega-Lite specs beside the inlined Vega bundle,
audio is base64 MP3, nothing is loaded from anywhere. Every text from outside (file names, encoder
names, reasons) is escaped: by jinja2 in HTML, by ``\u`` in JSON; characters nobody can see or
print are shown as their escapes. Equal data give an equal page, byte for byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from nearkin.errors import printable
from nearkin.report import figures, listings, methods
from nearkin.report.data import ReportData
from nearkin.results import survival, verdicts
from nearkin.results.answers import RunTables
from nearkin.results.by_task import on_tasks
from nearkin.results.systems import AUDIO, System, distance_name, distance_order, systems_of
from nearkin.transforms import magnitudes

Survivals = list[tuple[System, list[survival.Survival]]]

__all__ = ["FigureBlock", "build", "json_for_script"]


@dataclass(frozen=True)
class FigureBlock:
    """A figure on the page: its id, caption and spec."""

    id: str
    caption: str
    spec: Markup
    title: str = ""


def build(data: ReportData) -> str:
    """Return the report as HTML text that encodes to UTF-8.

    Parameters
    ----------
    data : ReportData
        The run.

    Returns
    -------
    str
        The page.
    """
    run, consistency = data.run, data.consistency
    said = verdicts.verdicts(consistency, data.queries, run)
    latent = consistency[consistency["encoder"] != AUDIO]
    used = consistency.get("ci_method", pd.Series(dtype=str)).dropna().unique()
    made = [str(method) for method in used]
    audio_distances = distance_order(consistency["audio_distance"].dropna())
    latent_distances = distance_order(latent["latent_distance"].dropna())
    distance, survivals = survival.of_run(consistency, run)
    page = _environment().get_template("report.html.j2")
    html = page.render(
        run=run,
        lead=_lead(run, consistency),
        verdicts=[one for one in said if one.role == "tested"],
        references=[one for one in said if one.role != "tested"],
        answers=_answers(data, distance, survivals),
        survived=_survived(distance, survivals),
        overview=_overview(said),
        rules=verdicts.RULES,
        caveat=verdicts.caveat(consistency),
        on_tasks=on_tasks(RunTables("", run, data.clips, data.queries)),
        n=run.get("n", 0),
        figures=_figures(data),
        task_scores=listings.task_scores_of(data),
        on_performance=methods.on_performance(data.performed),
        analysis=data.words,
        groups=listings.failure_groups(data),
        tables=listings.tables_of(data),
        identical=listings.identical_of(data),
        methods=methods.paragraph(
            run,
            audio=audio_distances,
            latent=latent_distances,
            intervals=made,
            counts_failed="n_failed" in consistency.columns,
        ),
        intervals=methods.intervals_in_words(made),
        bibtex=[methods.PAPER_BIBTEX, methods.software_bibtex(run)],
        css=Markup(_text("report.css")),
        script=Markup(_text("report.js")),
        bundle=Markup(_bundle()),
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def json_for_script(value: object) -> Markup:
    """Return JSON in ASCII that may stand inside any ``<script>``; NaN is refused.

    ``<``, ``>`` and ``&`` are escaped, so neither ``</script>`` nor ``<!--`` can arise; everything
    outside ASCII (U+2028, lone surrogates) is.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nearkin.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = printable
    environment.filters["number"] = _number
    environment.filters["slug"] = lambda word: str(word).replace(" ", "-")
    return environment


def _text(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    import vl_convert

    make: Any = vl_convert.javascript_bundle  # its stub lacks the default
    bundle: str = make()
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _number(value: Any) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def _lead(run: Mapping[str, Any], consistency: pd.DataFrame) -> str:
    n = int(run.get("n") or 0)
    points = run.get("grid", {}).get("points") or []
    parts = [f"{n} clips" + (f" (chance level of C_W: 1/{n} = {1 / n:.3g})" if n else "")]
    if points:
        parts.append(f"grid “{run['grid'].get('name', 'unnamed')}”, {len(points)} points")
    series = systems_of(run, consistency)
    tested = [one.label for one in series if one.role == "tested"]
    references = [one.label for one in series if one.role != "tested"]
    if tested:
        parts.append(f"tested: {', '.join(tested)}")
    if references:
        parts.append(f"references: {', '.join(references)}")
    if "seed" in run.get("plan", {}):
        parts.append(f"seed {run['plan']['seed']}")
    return "; ".join(parts) + "."


def _answers(data: ReportData, distance: str, found: Survivals) -> list[dict[str, str]]:
    """Return what the first screen says of every tested encoder."""
    yardstick = survival.yardstick_of(one for one, _ in found)
    rows = []
    for system, reached in found:
        if system.role == "tested":
            against = (
                survival.difference(system, yardstick, distance, data.queries, data.clips, data.run)
                if yardstick
                else ""
            )
            told = survival.answer(system, reached, data.consistency, distance, against)
            if told:
                rows.append({"label": system.label, "text": told})
    return rows


def _survived(distance: str, found: Survivals) -> dict[str, Any]:
    """Return the table of the first screen: the most severe magnitude every encoder survives."""
    heads = list(dict.fromkeys((one.code, one.side) for _, row in found for one in row))
    rows = []
    for system, reached in found:
        cells = {(one.code, one.side): one for one in reached}
        rows.append(
            {
                "label": system.label,
                "aside": system.role != "tested",
                "cells": [_survived_cell(cells.get(head)) for head in heads],
            }
        )
    return {
        "distance": distance_name(distance) if distance else "",
        "near": f"{verdicts.NEAR:g}",
        "heads": [
            {"short": magnitudes.direction(*head), "title": magnitudes.axis(head[0]).title}
            for head in heads
        ],
        "rows": rows,
    }


def _survived_cell(one: survival.Survival | None) -> dict[str, Any]:
    if one is None:
        return {"text": "–", "key": -math.inf, "interval": "", "word": "undefined"}
    none, whole = one.kept is None, one.lost is None
    key = -math.inf if one.kept is None else magnitudes.severity(one.code, one.kept.magnitude)
    interval = f"{_number(one.value)} [{_number(one.ci_low)}, {_number(one.ci_high)}]"
    word = "does-not-hold" if none else "holds" if whole else "some"
    return {"text": one.cell(), "key": key, "interval": interval, "word": word}


def _overview(said: Iterable[verdicts.Verdict]) -> list[dict[str, Any]]:
    rows = []
    for one in said:
        near = [number for number in one.near.numbers if math.isfinite(number.value)]
        further = [number for number in one.further.numbers if math.isfinite(number.value)]
        rows.append(
            {
                "label": one.label,
                "role": {"audio": "audio space"}.get(one.role, one.role),
                "near": one.near.word,
                "near_line": one.near.line,
                "further": one.further.word,
                "further_line": one.further.line,
                "c_w": min(near, key=lambda number: number.value) if near else None,
                "rho": min(further, key=lambda number: number.value) if further else None,
            }
        )
    return rows


def _figures(data: ReportData) -> dict[str, FigureBlock]:
    run, table = data.run, data.consistency
    bands = "Bands are 95 % intervals; dotted lines the value of the unchanged clips."
    behind = "References are dashed."
    blocks = [
        _block(
            "figure-7",
            figures.figure_7(table, run=run),
            f"C_W in the latent space over magnitude (the paper’s Figure 7). The audio space lies "
            f"in grey behind. {behind} {bands} The lowest dotted line is chance, 1/N; the red line "
            "is the place of no change.",
        ),
        _block(
            "figure-6",
            figures.figure_6(table, run=run),
            f"C_W in the audio space over magnitude (the paper’s Figure 6): what the distances "
            f"of the MFCC sequences themselves reach. {bands}",
        ),
        _block(
            "figure-10",
            figures.figure_10(table, run=run),
            "Agreement of the two spaces over magnitude (the paper’s Figure 10). C_B_acc rises "
            "again where both spaces fail: read it beside C_W, and the agreement expected by "
            f"chance in its tooltip. {behind} {bands}",
        ),
        _block(
            "figure-12",
            figures.figure_12(table, run=run, performance=data.performance),
            f"The mildest change of every transformation in the grid (the paper’s Figure 12"
            f"{', without task performance' if data.performance is None else ''}); PS and TS by "
            "direction (+ up or faster, − down or slower). Bars are 95 % intervals, the black tick "
            f"is the median of an encoder’s dots.{_on_top_row(data)}",
        ),
        _block(
            "gravest",
            figures.figure_12(table, run=run, end="most severe"),
            "The same at the gravest change of every transformation in the grid.",
        ),
        _block(
            "figure-13",
            figures.figure_13(table, run=run),
            "C_B_rho on the unchanged clips (the paper’s Figure 13): how far the latent space "
            "orders the originals as the audio space does. Bars are 95 % intervals.",
        ),
        _block(
            "figure-3",
            figures.figure_3(table, run=run),
            "The grid (the paper’s Figure 3): every dot is a magnitude that was run, the red line "
            "the place of the original or, for noise and MP3, the magnitude closest to it.",
        ),
    ]
    if data.performance is not None:
        blocks.append(
            _block(
                "figure-4",
                figures.figure_4(data.performance, run=run),
                "Task scores over magnitude (the paper’s Figure 4), each task on its own test set. "
                "Bands are 95 % intervals; dotted lines of an encoder’s colour its score on the "
                "unchanged clips, the dotted black line what chance scores on the changed ones "
                "(the training set’s mean spectrum, the untouched mixture, a guess); the red line "
                "is the place of no change. Where there are several trials the curve is their mean "
                "and each is a dot.",
            )
        )
    if data.analysis:
        blocks += _figures_of_means(data)
    return {block.id: block for block in blocks}


def _on_top_row(data: ReportData) -> str:
    if data.performance is None:
        return ""
    return (
        " Task scores are standardised within each task over all its changed clips, MSE’s sign "
        "turned; the hollow diamond is the score of the unchanged clips."
    )


def _figures_of_means(data: ReportData) -> list[FigureBlock]:
    means = data.analysis["marginal_means"]
    behind = (
        "Bars are the 95 % intervals of the additive model, not of the bootstrap; black ticks are "
        "means over the encoders."
    )
    blocks = []
    if figures.holds_performance(means):
        blocks.append(
            _block(
                "figure-5",
                figures.figure_5(means, consistency=data.consistency, run=data.run),
                "Estimated marginal means of task performance by encoder and task (the paper’s "
                "Figure 5), in standard deviations of a task’s scores; MSE’s sign is turned, so "
                f"that more is better. {behind}",
            )
        )
    return [
        *blocks,
        _block(
            "figure-8",
            figures.figure_8(means, consistency=data.consistency, run=data.run),
            f"Estimated marginal means of C_W (the paper’s Figure 8). {behind}",
        ),
        _block(
            "figure-11",
            figures.figure_11(means, consistency=data.consistency, run=data.run),
            f"Estimated marginal means of C_B_acc and C_B_rho (the paper’s Figure 11). {behind}",
        ),
    ]


def _block(name: str, chart: Any, caption: str, *, title: str = "") -> FigureBlock:
    spec = chart.to_dict(validate=False)  # the tests validate
    spec["description"] = caption
    return FigureBlock(name, caption, json_for_script(spec), title)
