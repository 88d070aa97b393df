"""A figure brought to the width and the font size of a journal's column.

A point of the page is a pixel of the chart: a figure 6.9 inches wide is laid out 497 px wide, its
text as large as asked. Panels are folded into as many columns as leave each wide enough to read,
the legend likewise; the width is measured on the drawn chart, not guessed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from nearkin.errors import InputError
from nearkin.report.figures import style
from nearkin.report.figures.files import drawable, svg_of

POINTS_PER_INCH = 72
NARROWEST = 7.0
"""Width of the narrowest panel worth reading, in font sizes."""
LEGEND_COLUMNS = (8, 6, 5, 4, 3, 2, 1)
FONTS = ("fontSize", "labelFontSize", "titleFontSize")


class TooNarrowError(InputError):
    """A figure that cannot be read at the width that was asked for."""


def fitted(chart: Any, *, width_in: float, font_pt: float) -> dict[str, Any]:
    """Lay a figure out for print.

    Parameters
    ----------
    chart : altair chart
        A figure of `nearkin.report.figures`.
    width_in : float
        Width in inches, at least 2.
    font_pt : float
        Size of all text in points, 4 to 24; titles of rows are a point larger.

    Returns
    -------
    dict
        A Vega-Lite spec, `width_in` wide to a point.

    Raises
    ------
    InputError
        If the width or the font cannot be; a `TooNarrowError` if no panel is wide enough to be
        read.
    """
    if not 2 <= width_in <= 40:
        raise InputError(f"width {width_in:g} in: must be in 2..40; pass --width such as 6.9in")
    if not 4 <= font_pt <= 24:
        raise InputError(f"font size {font_pt:g} pt: must be in 4..24; pass --font-size such as 8")
    target = width_in * POINTS_PER_INCH
    whole = drawable(chart)
    _set_fonts(whole, font_pt)
    widest = max((len(row["concat"]) for row in _rows(whole)), default=1)
    # 5 panels that do not fit into a row stand 3 and 2, not 4 and 1
    folded = dict.fromkeys(-(-widest // -(-widest // columns)) for columns in range(widest, 0, -1))
    for columns in folded:
        for legend in LEGEND_COLUMNS:
            spec = copy.deepcopy(whole)
            if (head := spec["config"].get("legend")) is not None:
                head["columns"] = legend
            for row in _rows(spec):
                row["columns"] = columns
            found = _panels_at(spec, target, font_pt)
            if found is not None:
                return found
    raise TooNarrowError(
        f"width {width_in:g} in: too narrow for text of {font_pt:g} pt; pass a larger --width or a "
        "smaller --font-size"
    )


def drawn_width(spec: dict[str, Any]) -> float:
    """Return the width of a chart as it is drawn, in px."""
    match = re.search(r'<svg[^>]*?\swidth="([0-9.]+)"', svg_of(spec))
    if match is None:  # pragma: no cover - every SVG of vl-convert has a width
        raise InputError("the drawn figure has no width; report this")
    return float(match[1])


def _panels_at(spec: dict[str, Any], target: float, font_pt: float) -> dict[str, Any] | None:
    """Return the spec with panels that make it as wide as asked; None if they get too narrow."""
    least = NARROWEST * font_pt
    set_widths = _panel_setter(spec)
    set_widths(least)
    width = drawn_width(spec)
    if width > target + 1:
        return None
    size = least
    for _ in range(6):  # the drawn width is linear in the panels', but for labels that come and go
        if abs(width - target) <= 1:
            return spec
        before, size = size, size + (target - width) / _across(spec)
        set_widths(max(size, least))
        width = drawn_width(spec)
        if before == size:
            break
    return spec if abs(width - target) <= 2 else None


def _across(spec: dict[str, Any]) -> int:
    """Return how many panels stand side by side."""
    return max((min(row["columns"], len(row["concat"])) for row in _rows(spec)), default=1)


def _panel_setter(spec: dict[str, Any]) -> Callable[[float], None]:
    panels = [(panel, panel["height"]) for panel in _panels(spec)]
    height_of_text = spec["config"]["axis"]["labelFontSize"] / 10

    def set_widths(width: float) -> None:
        for panel, height in panels:
            panel["width"] = round(width, 2)
            curves = height == style.PANEL_HEIGHT
            panel["height"] = round(0.85 * width if curves else height * height_of_text, 2)

    return set_widths


def _rows(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in spec.get("vconcat", ()):
        if "concat" in row:
            yield row


def _panels(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("width"), int | float) and isinstance(
            value.get("height"), int | float
        ):
            yield value
        for key, inner in value.items():
            if key not in ("data", "datasets", "config"):
                yield from _panels(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _panels(inner)


def _set_fonts(value: Any, font_pt: float) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in FONTS and isinstance(inner, int | float):
                value[key] = font_pt + (1 if inner >= 12 else 0)
            elif key not in ("data", "datasets"):
                _set_fonts(inner, font_pt)
    elif isinstance(value, list):
        for inner in value:
            _set_fonts(inner, font_pt)
