"""Charts to SVG and PDF, without a browser and without a clock.

Equal charts give equal SVG, byte for byte. PDF holds no date either, but its writer numbers fonts
and graphics states in the order of a hash table: equal pages, not always equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert


def save(chart: Any, stem: str | Path) -> list[Path]:
    """Write a chart as ``stem.svg`` and ``stem.pdf``.

    Parameters
    ----------
    chart : altair chart
        Any chart of ``FIGURES``.
    stem : str or path
        Where to, without a suffix; its folder is made.

    Returns
    -------
    list of pathlib.Path
        The two files.
    """
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    spec = chart.to_dict(validate=False)
    version = "v" + ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    svg, pdf = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "pdf"))
    svg.write_text(vl_convert.vegalite_to_svg(spec, vl_version=version), encoding="utf-8")
    pdf.write_bytes(vl_convert.vegalite_to_pdf(spec, vl_version=version))
    return [svg, pdf]


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
    from nearkin.figures import FIGURES, figure_12, write_performance

    written: list[Path] = []
    for name, figure in FIGURES.items():
        more = {"performance": performance} if figure is figure_12 else {}
        written += save(figure(consistency, run=run, **more), Path(folder) / name)
    if performance is not None:
        written += write_performance(performance, run, folder)
    return written
