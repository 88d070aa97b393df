"""Every link, picture and sound of a built site: each must be there, and be what it says.

python docs/making/links.py SITE
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import soundfile

_ADDRESSES = {"href", "src"}


class _Page(HTMLParser):
    """Gathers a page's anchors and addresses."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
            elif name in _ADDRESSES:
                self.addresses.append(value or "")


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page


def problems(site: Path) -> list[str]:
    """Return a sentence for every address of a site's pages that leads nowhere.

    Addresses of other sites are not asked for: only their form is looked at.
    """
    found = []
    for path in sorted(site.rglob("*.html")):
        if "report.html" in path.name:  # one self-contained file, tested by itself
            continue
        for address in dict.fromkeys(_read(path).addresses):
            said = _problem(path, address)
            if said:
                found.append(f"{path.relative_to(site)}: {address!r} {said}")
    for path in sorted(site.rglob("*")):
        said = _unreadable(path)
        if said:
            found.append(f"{path.relative_to(site)}: {said}")
    return found


def _problem(page: Path, address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return "" if parts.hostname and "." in parts.hostname else "names no host"
    if parts.scheme in ("mailto", "data"):
        return ""
    if parts.scheme:
        return "is of an unknown kind"
    target = page.parent / unquote(parts.path) if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "is not there"
    if parts.fragment and target.suffix == ".html" and "report.html" not in target.name:
        anchors = _read(target.resolve()).anchors
        return "" if unquote(parts.fragment) in anchors else "has no such anchor"
    return ""


def _unreadable(path: Path) -> str:
    """Return what is wrong with a picture or a sound; empty where nothing is."""
    try:
        if path.suffix == ".svg":
            ElementTree.parse(path)
        elif path.suffix == ".flac" and soundfile.info(path).frames == 0:
            return "is silent: it has no samples"
    except (ElementTree.ParseError, soundfile.LibsndfileError) as error:
        return f"cannot be read ({' '.join(str(error).split())})"
    return ""


if __name__ == "__main__":
    told = problems(Path(sys.argv[1]).resolve())
    print(*told, sep="\n", end="\n" if told else "", file=sys.stderr)
    sys.exit(1 if told else 0)
