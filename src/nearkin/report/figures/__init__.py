"""The paper's figures: a tidy table in, an Altair chart out; and their SVG and PDF files.

Every function of ``FIGURES`` takes the consistency table and the run's record; figures 5, 8 and 11
take an analysis's marginal means as well, figure 4 takes task scores instead. Conventions: the
magnitude axis is in true units and says on which side changes are more severe; C_W and C_B_acc run
from 0 to 1; values are rounded at the sixth decimal; undefined values are left out of curves, named
where there is a place for it. Numbers of figures are those of Kim, Urbano, Liem and Hanjalic
(2019), doi 10.3389/fams.2019.00053.
"""

from __future__ import annotations

from nearkin.report.figures.curves import figure_6, figure_7, figure_10
from nearkin.report.figures.dots import figure_3, figure_12, figure_13
from nearkin.report.figures.files import save
from nearkin.report.figures.means import (
    FIGURES_OF_MEANS,
    figure_5,
    figure_8,
    figure_11,
    holds_performance,
    write_means,
)
from nearkin.report.figures.performance import figure_4, write_performance
from nearkin.report.figures.projection import figure_9, write_projection
from nearkin.report.figures.table import FIGURES, write_all

PICTURES = tuple(
    f"{name}.{form}"
    for name in (*FIGURES, "figure_4", "figure_9", *FIGURES_OF_MEANS)
    for form in ("svg", "pdf")
)
"""All files that the figures of a run can be."""

__all__ = [
    "FIGURES",
    "PICTURES",
    "figure_3",
    "figure_4",
    "figure_5",
    "figure_6",
    "figure_7",
    "figure_8",
    "figure_9",
    "figure_10",
    "figure_11",
    "figure_12",
    "figure_13",
    "holds_performance",
    "save",
    "write_all",
    "write_means",
    "write_performance",
    "write_projection",
]
