"""An SVG badge for a README: "nearkin" on the left, what was found on the right."""

from __future__ import annotations

import re
from html import escape

GOOD, BAD = "#2d7d46", "#b3372f"
_PICTURE = re.compile(
    rb'<svg xmlns="http://www.w3.org/2000/svg" width="\d+" height="20" role="img" '
    rb'aria-label="[^"]*"><title>[^<]*</title><rect width="\d+" height="20" rx="3" '
    rb'fill="#[0-9a-f]{6}"/><path d="M0 3a3 3 0 0 1 3-3H\d+V20H3a3 3 0 0 1-3-3z" '
    rb'fill="#3b4048"/><g [^>]*><text [^>]*>nearkin</text><text [^>]*>[^<]*</text></g></svg>\n'
)


def badge_svg(told: str, *, colour: str, title: str) -> str:
    """Return a badge.

    Parameters
    ----------
    told : str
        The right half.
    colour : str
        Of the right half.
    title : str
        What a pointer shows, and what is read aloud.

    Examples
    --------
    >>> badge_svg("2 of 2 met", colour=GOOD, title="all").startswith("<svg ")
    True
    """
    left = "nearkin"
    widths = [round(7.2 * len(text)) + 14 for text in (left, told)]
    whole = sum(widths)
    title, told = escape(title), escape(told)
    middle = widths[0] / 2, widths[0] + widths[1] / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{whole}" height="20" rx="3" fill="{colour}"/>'
        f'<path d="M0 3a3 3 0 0 1 3-3H{widths[0]}V20H3a3 3 0 0 1-3-3z" fill="#3b4048"/>'
        '<g fill="#ffffff" text-anchor="middle" '
        'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{middle[0]:g}" y="14">{left}</text>'
        f'<text x="{middle[1]:g}" y="14">{told}</text></g></svg>\n'
    )


def is_badge(data: bytes) -> bool:
    """Tell whether a file is a badge as `badge_svg` draws it.

    Examples
    --------
    >>> is_badge(badge_svg("2 of 2 met", colour=GOOD, title="all").encode()), is_badge(b"<svg/>")
    (True, False)
    """
    return _PICTURE.fullmatch(data) is not None
