"""The table of figures that every run has, and the one call that writes all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.report.figures.curves import figure_6, figure_7, figure_10
from nearkin.report.figures.dots import figure_3, figure_12, figure_13
from nearkin.report.figures.files import save
from nearkin.report.figures.performance import write_performance

Figure = Callable[..., Any]

FIGURES: dict[str, Figure] = {
    "figure_3": figure_3,
    "figure_6": figure_6,
    "figure_7": figure_7,
    "figure_10": figure_10,
    "figure_12": figure_12,
    "figure_13": figure_13,
}


def write_all(
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
    folder: str | Path,
    *,
    performance: pd.DataFrame | None = None,
) -> list[Path]:
    """Write every figure of ``FIGURES`` into a folder, as SVG and PDF; return the files.

    With task scores there is figure 4 too, and they stand at the top of figure 12.
    """
    written: list[Path] = []
    for name, figure in FIGURES.items():
        more = {"performance": performance} if figure is figure_12 else {}
        written += save(figure(consistency, run=run, **more), Path(folder) / name)
    if performance is not None:
        written += write_performance(performance, run, folder)
    return written
