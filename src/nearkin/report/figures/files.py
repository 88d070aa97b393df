"""Charts to SVG and PDF, without a browser and without a clock.

Equal charts give equal SVG, byte for byte. PDF holds no date either, but its writer numbers fonts
and graphics states in the order of a hash table: equal pages, not always equal bytes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import altair as alt
import vl_convert

from nearkin.errors import RunError
from nearkin.files import read_regular, write_whole
from nearkin.report.figures.style import UNSEEN

RESERVED = 64 * 2**30
"""Bytes of addresses that vl-convert (V8) reserves: 48 GiB were too few, 96 enough."""


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
    return write_spec(drawable(chart), Path(stem), ("svg", "pdf"))


def write_spec(
    spec: dict[str, Any], stem: Path, formats: Sequence[str], *, ppi: float = 300
) -> list[Path]:
    """Write a Vega-Lite spec in several formats.

    Parameters
    ----------
    spec : dict
        Of `drawable`.
    stem : Path
        Where to, without a suffix.
    formats : sequence of {"svg", "pdf", "png"}
        Which; in a PDF a pixel is a point, and fonts are embedded.
    ppi : float
        Pixels an inch of a PNG.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the formats.
    """
    version = vega_lite_version()
    write: dict[str, Callable[[], bytes]] = {
        "svg": lambda: svg_of(spec).encode("utf-8"),
        "pdf": lambda: _draw().svg_to_pdf(svg_of(spec)),
        "png": lambda: _draw().vegalite_to_png(spec, vl_version=version, ppi=ppi),
    }
    paths = []
    for form in formats:
        path = stem.with_name(f"{stem.name}.{form}")
        write_whole(path, functools.partial(_put, write[form]()))
        paths.append(path)
    return paths


def is_drawn(path: Path) -> bool:
    """Tell whether a file is as `write_spec` draws figures: an SVG by its fonts and colours.

    A PDF holds too little to be known by; it is a figure where its SVG lies beside it.
    """
    try:
        data = read_regular(path)
        if path.suffix == ".pdf":
            return b"/Producer (svg2pdf)" in data and is_drawn(path.with_suffix(".svg"))
    except OSError:
        return False
    signs = (b'class="marks"', b'font-family="Helvetica, Arial, sans-serif"', b'"#222222"')
    return data.startswith(b"<svg ") and all(sign in data for sign in signs)


def svg_of(spec: dict[str, Any]) -> str:
    """Return a spec's SVG; what was drawn last is kept, because a page and its files share it."""
    return _svg(json.dumps(spec))


@functools.lru_cache(maxsize=16)
def _svg(spec: str) -> str:
    drawn = str(_draw().vegalite_to_svg(spec, vl_version=vega_lite_version()))
    return _renamed(drawn.replace(UNSEEN, ""), hashlib.sha256(spec.encode()).hexdigest()[:8])


_NAMED = re.compile(r'(\bid="|\burl\(#)((?:clip|gradient_)\d+)(?=["\)])')


def _renamed(svg: str, of: str) -> str:
    """Name the parts that others point to by their figure, numbered in it.

    The drawing program numbers them over all that a process draws; figures share a page.
    """
    names = dict.fromkeys(match[2] for match in _NAMED.finditer(svg))
    new = {name: f"part-{of}-{number}" for number, name in enumerate(names, start=1)}
    return _NAMED.sub(lambda match: match[1] + new[match[2]], svg)


def vega_bundle() -> str:
    """Return Vega and Vega-Lite as one script, for a page that works offline."""
    return str(_draw().javascript_bundle())


def _draw() -> Any:
    """Return the drawing program; all calls of it pass here.

    Where the address space is limited it would abort: it reserves some 64 GiB of addresses, of
    which it uses next to nothing.

    Raises
    ------
    RunError
    """
    try:
        import resource
    except ImportError:  # no such limits here
        return vl_convert
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < RESERVED:
        raise RunError(
            f"figures: cannot be drawn where addresses are limited to {limit / 2**30:.3g} GiB "
            f"(ulimit -v): the drawing program reserves {RESERVED / 2**30:g} GiB and uses little "
            "of it; raise the limit and give the same command again"
        )
    return vl_convert


def drawable(chart: Any) -> dict[str, Any]:
    """Return a chart's Vega-Lite spec, with nothing in it that the drawing program fails on."""
    spec: dict[str, Any] = _measurable(chart.to_dict(validate=False))
    return spec


def vega_lite_version() -> str:
    """Return the version the charts are written for, as vl-convert names it."""
    return "v" + ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def _put(page: bytes, file: BinaryIO) -> None:
    file.write(page)


def _measurable(value: Any) -> Any:
    """Write characters beyond U+FFFF as escapes: vl-convert fails where it cuts one in two."""
    if isinstance(value, str):
        return "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in value)
    if isinstance(value, dict):
        return {key: _measurable(inner) for key, inner in value.items()}
    return [_measurable(inner) for inner in value] if isinstance(value, list) else value
