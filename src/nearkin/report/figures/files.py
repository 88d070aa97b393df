"""Charts to SVG and PDF, without a browser and without a clock.

Equal charts give equal SVG, byte for byte. PDF holds no date either, but its writer numbers fonts
and graphics states in the order of a hash table: equal pages, not always equal bytes.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, BinaryIO

import altair as alt
import vl_convert

from nearkin.files import write_whole


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
    spec = _measurable(chart.to_dict(validate=False))
    version = "v" + ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    svg, pdf = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "pdf"))
    pages = {
        svg: vl_convert.vegalite_to_svg(spec, vl_version=version).encode("utf-8"),
        pdf: vl_convert.vegalite_to_pdf(spec, vl_version=version),
    }
    for path, page in pages.items():
        write_whole(path, functools.partial(_put, page))
    return [svg, pdf]


def _put(page: bytes, file: BinaryIO) -> None:
    file.write(page)


def _measurable(value: Any) -> Any:
    """Write characters beyond U+FFFF as escapes: vl-convert fails where it cuts one in two."""
    if isinstance(value, str):
        return "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in value)
    if isinstance(value, dict):
        return {key: _measurable(inner) for key, inner in value.items()}
    return [_measurable(inner) for inner in value] if isinstance(value, list) else value
