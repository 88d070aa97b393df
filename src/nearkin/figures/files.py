"""Charts to SVG and PDF, without a browser and without a clock: equal charts give equal bytes."""

from __future__ import annotations

import re
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
    pdf.write_bytes(_sorted_resources(vl_convert.vegalite_to_pdf(spec, vl_version=version)))
    return [svg, pdf]


def _sorted_resources(pdf: bytes) -> bytes:
    """Return a PDF with the entries of its resource dictionaries sorted.

    The writer leaves them in the order of a hash table, another one each time. Sorting moves whole
    lines within a dictionary, so that every offset in the file stays right.
    """
    block = rb"(/(?:ExtGState|Font|XObject|Pattern|Shading|ColorSpace) <<\n)((?: +/\w+ \d+ 0 R\n)+)"

    def ordered(match: re.Match[bytes]) -> bytes:
        return match[1] + b"".join(sorted(match[2].splitlines(keepends=True)))

    return re.sub(block, ordered, pdf)


def write_all(consistency: pd.DataFrame, run: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write every figure of ``FIGURES`` into a folder, as SVG and PDF; return the files."""
    from nearkin.figures import FIGURES

    written: list[Path] = []
    for name, figure in FIGURES.items():
        written += save(figure(consistency, run=run), Path(folder) / name)
    return written
