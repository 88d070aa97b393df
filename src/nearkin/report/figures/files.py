"""Charts to SVG and PDF, without a browser and without a clock.

Equal charts give equal SVG, byte for byte. PDF holds no date either, but its writer numbers fonts
and graphics states in the order of a hash table: equal pages, not always equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import vl_convert


def save(chart: Any, stem: str | Path) -> list[Path]:
    """Write a chart as ``stem.svg`` and ``stem.pdf``.

    Parameters
    ----------
    chart : altair chart
        Any chart of `nearkin.report.figures.FIGURES`.
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
