"""A report looked at: its tags and texts, and what headless Chromium makes of it."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

# Errors are written into the page, because a dumped page cannot show its console.
SPY = (
    "<script>window.seen=[];addEventListener('error',e=>seen.push(String(e.message)));"
    "addEventListener('unhandledrejection',e=>seen.push(String(e.reason)));"
    "for(const k of['error','warn']){const f=console[k];"
    "console[k]=(...a)=>{seen.push(a.join(' '));f(...a)}}"
    "const saved=[];HTMLAnchorElement.prototype.click=function(){"
    "saved.push(this.download+' '+this.href.slice(0,14))};"
    "const wait=setInterval(async()=>{if(!window.nearkin)return;clearInterval(wait);"
    "await nearkin.drawAll();"
    "for(const b of document.querySelectorAll('#figure-7 button'))b.click()},50);"
    "setInterval(()=>{document.documentElement.dataset.saved=saved.sort().join(', ');"
    "document.documentElement.dataset.seen=JSON.stringify(seen);"
    "document.documentElement.dataset.hacked=String(window.hacked)},50)</script>"
)


ACT = (
    "<script>const ready=setInterval(async()=>{"
    "if(!document.getElementById('explore')?.dataset.drawn)return;clearInterval(ready);"
    "try{SCRIPT}catch(error){seen.push(String(error))}},50)</script>"
)


class Page(HTMLParser):
    """What a page is made of; complains about tags that do not nest."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "source"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)


@dataclass(frozen=True)
class Seen:
    """What a browser saw: the page as it stands at the end, its console, what was saved.

    ``told`` is what the script of the test put into ``document.documentElement.dataset.told``.
    """

    dom: str
    drawn: bool
    complaints: list[str]
    hacked: str
    saved: list[str]
    told: str = ""


def specs_of(text: str) -> dict[str, str]:
    """Return the Vega-Lite specs of a page as JSON, by their ids."""
    found = re.findall(r'<script type="text/plain" id="([^"]*-spec)">(.*?)</script>', text)
    return {name: gzip.decompress(base64.b64decode(packed)).decode() for name, packed in found}


def seen_by_chromium(
    text: str, folder: Path, *, script: str = "", flags: tuple[str, ...] = ()
) -> Seen:
    """Open a page in headless Chromium; skips where there is none.

    Parameters
    ----------
    text : str
        The page.
    folder : Path
        Where it and the browser's profile are put.
    script : str
        The body of an async function, called when the explorer is drawn.
    flags : tuple of str
        More flags of Chromium.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium")
    path = folder / "report.html"
    act = ACT.replace("SCRIPT", script) if script else ""
    path.write_text(text.replace("<head>", "<head>" + SPY + act, 1), encoding="utf-8")
    given = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    given += "--disable-background-networking --disable-component-update --disable-sync "
    given += f"--virtual-time-budget=60000 --user-data-dir={folder / 'profile'} --dump-dom"
    done = subprocess.run(
        [browser, *given.split(), *flags, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    root = re.search(r"<html[^>]*>", done.stdout)
    assert root is not None

    def told(name: str) -> str:
        found = re.search(f'data-{name}="([^"]*)"', root[0])
        return html.unescape(found[1]) if found else ""

    return Seen(
        dom=done.stdout,
        drawn=told("figures") == "drawn",
        complaints=json.loads(told("seen") or "[]"),
        hacked=told("hacked"),
        saved=told("saved").split(", "),
        told=told("told"),
    )
