r"""The report: a run's tables in, one self-contained HTML page out.

The page works offline from one file: figures are Vega-Lite specs beside the inlined Vega bundle,
audio is base64 MP3, nothing is loaded from anywhere. Every text from outside (file names, encoder
names, reasons) is escaped: by jinja2 in HTML, by ``\u`` in JSON; characters nobody can see or
print are shown as their escapes. Equal data give an equal page, byte for byte.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from nearkin.errors import printable
from nearkin.report import listings, methods
from nearkin.report.blocks import FigureBlock, figure_blocks, json_for_script, score_block
from nearkin.report.collection import collection_section
from nearkin.report.data import ReportData
from nearkin.report.explorer import explorer_json, packed, sounds_json
from nearkin.report.figures import style
from nearkin.report.figures.files import vega_bundle
from nearkin.report.heard import heard_section
from nearkin.report.moved import moved_section
from nearkin.report.worst import worst_blocks
from nearkin.results import survival, verdicts
from nearkin.results.answers import RunTables
from nearkin.results.by_task import on_tasks
from nearkin.results.systems import AUDIO, System, distance_name, distance_order, systems_of
from nearkin.transforms import magnitudes

COLOUR = re.compile(r"#[0-9a-f]{6}")
_COMMAND = re.compile(r"\bnearkin [a-z]+( --[a-z-]+ \w+)*|--[a-z-]+ \w+")
Survivals = list[tuple[System, list[survival.Survival]]]

__all__ = ["build", "build_scores", "is_page"]


def build(data: ReportData, *, stills: bool = True) -> str:
    """Return the report as HTML text that encodes to UTF-8.

    Parameters
    ----------
    data : ReportData
        The run.
    stills : bool
        Draw every figure for readers without scripts, which takes most of the time.

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
    blocks = figure_blocks(data, stills=stills)
    explored = explorer_json(data)
    distance, survivals = survival.of_run(consistency, run)
    return _rendered(
        whole=True,
        run=run,
        tasks_tested=any(one.task for one in systems_of(run, consistency) if one.role == "tested"),
        effects=listings.effects_of(data),
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
        figures=blocks,
        task_scores=listings.task_scores_of(data),
        heard=heard_section(data),
        collection=collection_section(data),
        moved=moved_section(data),
        on_performance=methods.on_performance(data.performed),
        analysis=data.words,
        groups=listings.failure_groups(data),
        worst=worst_blocks(data),
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
        explorer=packed(explored) if explored else "",
        sounds=Markup(sounds_json(data)),  # base64 by numbers
        silence=data.silence,
        script=Markup(_text("report.js") + (_text("explorer.js") if explored else "")),
    )


def build_scores(
    performance: pd.DataFrame, performed: Mapping[str, Any], *, stills: bool = True
) -> str:
    """Return the page of task scores alone, where no run stands beside them.

    Parameters
    ----------
    performance : pandas.DataFrame
        performance.parquet.
    performed : mapping
        performance.json.
    stills : bool
        As of `build`.

    Returns
    -------
    str
        The page.
    """
    none = pd.DataFrame()
    data = ReportData({}, none, none, none, none, performance=performance, performed=performed)
    models = dict.fromkeys(zip(performance["encoder"], performance["task"], strict=True))
    labels = [System(str(encoder), str(task), "tested").label for encoder, task in models]
    return _rendered(
        whole=False,
        run=performed,
        lead=f"Task scores of {', '.join(labels)}, on the unchanged and the changed clips.",
        verdicts=[],
        figures={one.id: one for one in [score_block(performance, {}, stills=stills)]},
        task_scores=listings.task_scores_of(data),
        on_performance=methods.on_performance(performed),
        analysis=(),
        explorer="",
        script=Markup(_text("report.js")),
    )


def is_page(data: bytes) -> bool:
    """Tell whether a file is a page of this room: by its head, which names nearkin."""
    head = data[:2000].lstrip()
    ours = b'<meta name="generator" content="nearkin '
    return head.startswith(b"<!DOCTYPE html>") and ours in head


def _rendered(**parts: Any) -> str:
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            **parts,
            bibtex=[methods.PAPER_BIBTEX, methods.software_bibtex(parts["run"])],
            css=Markup(_text("report.css")),
            palette=_palette(parts["figures"]),
            bundle=_bundle(),
        )
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nearkin.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["packed"] = packed
    environment.filters["plain"] = printable
    environment.filters["commands"] = _commands
    environment.filters["number"] = _number
    environment.filters["slug"] = lambda word: str(word).replace(" ", "-")
    return environment


def _commands(text: str) -> Markup:
    """Keep each command, and each option with its value, on one line: a break would end it."""
    held = _COMMAND.sub(r'<span class="command">\g<0></span>', str(escape(printable(text))))
    return Markup(held)


def _text(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache
def _bundle() -> Markup:
    """Return Vega and Vega-Lite, packed: 0.4 MB of the page for 0.9."""
    return packed(vega_bundle())


def _palette(blocks: Mapping[str, FigureBlock]) -> Markup:
    """Return every colour of the figures with the one that a dark page shows instead."""
    used = {colour for block in blocks.values() for colour in COLOUR.findall(block.spec)}
    return json_for_script({colour: style.on_dark(colour) for colour in sorted(used)})


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
