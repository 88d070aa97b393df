"""The page's figures: each one's spec, its caption, and a drawing for readers without scripts."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from nearkin.report import figures
from nearkin.report.data import ReportData
from nearkin.report.figures.files import drawable, svg_of
from nearkin.report.figures.gallery import gallery_curves
from nearkin.report.figures.trajectories import figure_trajectories
from nearkin.report.moved import moved_of
from nearkin.results.systems import points_of
from nearkin.transforms import magnitudes

ARIA = re.compile(r' (?:aria-[a-z]+|role|class)="[^"]*"')


@dataclass(frozen=True)
class FigureBlock:
    """A figure on the page: its id, caption, spec, and its drawing for readers without scripts."""

    id: str
    caption: str
    spec: Markup
    still: Markup


Block = Callable[..., FigureBlock]


def figure_blocks(data: ReportData, *, stills: bool) -> dict[str, FigureBlock]:
    """Return the page's figures by their ids.

    Parameters
    ----------
    data : ReportData
        The run.
    stills : bool
        Draw each for readers without scripts, too.
    """
    block = functools.partial(_block, stills=stills)
    run, table = data.run, data.consistency
    bands = "Bands are 95 % intervals; dotted lines the value of the unchanged clips."
    behind = "References are dashed."
    blocks = [
        block(
            "figure-7",
            figures.figure_7(table, run=run),
            f"C_W in the latent space over magnitude (the paper’s Figure 7). The audio space lies "
            f"in grey behind. {behind} {bands} The lowest dotted line is chance, 1/N; the red line "
            "is the place of no change.",
        ),
        block(
            "figure-6",
            figures.figure_6(table, run=run),
            f"C_W in the audio space over magnitude (the paper’s Figure 6): what the distances "
            f"of the MFCC sequences themselves reach. {bands}",
        ),
        block(
            "figure-10",
            figures.figure_10(table, run=run),
            "Agreement of the two spaces over magnitude (the paper’s Figure 10). C_B_acc rises "
            "again where both spaces fail: read it beside C_W, and the agreement expected by "
            f"chance in its tooltip. {behind} {bands}",
        ),
        block(
            "figure-12",
            figures.figure_12(table, run=run, performance=data.performance),
            f"The mildest change of every transformation in the grid (the paper’s Figure 12"
            f"{', without task performance' if data.performance is None else ''}); PS and TS by "
            "direction (+ up or faster, − down or slower). Bars are 95 % intervals, the black tick "
            f"is the median of an encoder’s dots.{_on_top_row(data)}",
        ),
        block(
            "figure-13",
            figures.figure_13(table, run=run),
            "C_B_rho on the unchanged clips (the paper’s Figure 13): how far the latent space "
            "orders the originals as the audio space does. Bars are 95 % intervals.",
        ),
        block(
            "figure-3",
            figures.figure_3(table, run=run),
            "The grid (the paper’s Figure 3): every dot is a magnitude that was run, the red line "
            "the place of the original or, for noise and MP3, the magnitude closest to it.",
        ),
    ]
    if magnitudes.is_graded(points_of(table)):
        blocks.append(
            block(
                "most_severe",
                figures.figure_12(table, run=run, end="most severe"),
                "The same at the most severe change of every transformation in the grid.",
            )
        )
    if data.map is not None and not data.map.empty:
        blocks.append(
            block(
                "figure-9",
                figures.figure_9(data.map, run=run),
                "Originals and their mildest changes in a plane (the paper’s Figure 9), a colour a "
                f"direction. {data.map_about}",
            )
        )
    if data.gallery is not None and not data.gallery.empty:
        blocks.append(
            block(
                "collection-sizes",
                gallery_curves(data.gallery, run=run, consistency=table),
                "C_W over the size of the collection, at the mildest change of every kind. Solid "
                "lines were measured and have 95 % bands; dashed ones are extrapolated, between "
                "the ends of a bracket. The dotted line is chance, the grey rule the run’s own N.",
            )
        )
    for one in moved_of(data):
        blocks.append(
            block(
                one.figure,
                figure_trajectories(one.paths, encoder=one.label),
                f"{one.label}: the mean clip’s way from its original, at 0, 0, as every change "
                "gets more severe, in the plane of the two directions that hold most of these "
                "ways. A dot is a magnitude.",
            )
        )
    if data.performance is not None:
        blocks.append(score_block(data.performance, run, stills=stills))
    if data.analysis:
        blocks += _figures_of_means(data, block)
    return {one.id: one for one in blocks}


def score_block(performance: Any, run: Mapping[str, Any], *, stills: bool) -> FigureBlock:
    """Return figure 4, the task scores over magnitude."""
    return _block(
        "figure-4",
        figures.figure_4(performance, run=run),
        "Task scores over magnitude (the paper’s Figure 4), each task on its own test set. "
        "Bands are 95 % intervals; dotted lines of an encoder’s colour its score on the "
        "unchanged clips, the dotted black line what chance scores on the changed ones "
        "(the training set’s mean spectrum, the untouched mixture, a guess); the red line "
        "is the place of no change. Where there are several trials the curve is their mean "
        "and each is a dot.",
        stills=stills,
    )


def _on_top_row(data: ReportData) -> str:
    if data.performance is None:
        return ""
    return (
        " Task scores are standardised within each task over all its changed clips, MSE’s sign "
        "turned; the hollow diamond is the score of the unchanged clips."
    )


def _figures_of_means(data: ReportData, block: Block) -> list[FigureBlock]:
    means = data.analysis["marginal_means"]
    behind = (
        "Bars are the 95 % intervals of the additive model, not of the bootstrap; black ticks are "
        "means over the encoders."
    )
    blocks = []
    if figures.holds_performance(means):
        blocks.append(
            block(
                "figure-5",
                figures.figure_5(means, consistency=data.consistency, run=data.run),
                "Estimated marginal means of task performance by encoder and task (the paper’s "
                "Figure 5), in standard deviations of a task’s scores; MSE’s sign is turned, so "
                f"that more is better. {behind}",
            )
        )
    return [
        *blocks,
        block(
            "figure-8",
            figures.figure_8(means, consistency=data.consistency, run=data.run),
            f"Estimated marginal means of C_W (the paper’s Figure 8). {behind}",
        ),
        block(
            "figure-11",
            figures.figure_11(means, consistency=data.consistency, run=data.run),
            f"Estimated marginal means of C_B_acc and C_B_rho (the paper’s Figure 11). {behind}",
        ),
    ]


def _block(name: str, chart: Any, caption: str, *, stills: bool) -> FigureBlock:
    spec = chart.to_dict(validate=False)  # the tests validate
    spec["description"] = caption
    return FigureBlock(
        name, caption, json_for_script(spec), _still(name, chart, caption) if stills else Markup()
    )


def _still(name: str, chart: Any, caption: str) -> Markup:
    """Return a figure's drawing without the descriptions of its single marks, which are many."""
    drawn = ARIA.sub("", svg_of(drawable(chart)))
    drawn = drawn.replace('id="clip', f'id="{name}-clip').replace("url(#clip", f"url(#{name}-clip")
    label = escape(caption)
    return Markup(drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def json_for_script(value: object) -> Markup:
    """Return JSON in ASCII that may stand inside any ``<script>``; NaN is refused.

    ``<``, ``>`` and ``&`` are escaped, so neither ``</script>`` nor ``<!--`` can arise; everything
    outside ASCII (U+2028, lone surrogates) is.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
