"""How Sphinx builds the documentation; ``scripts/docs`` calls it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import making  # noqa: E402
import nearkin  # noqa: E402

project = "nearkin"
author = "The nearkin contributors"
copyright = "The nearkin contributors"
version = release = nearkin.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["making", "extra", "build"]
html_extra_path = ["extra"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme = "furo"
html_title = "nearkin"
html_copy_source = False
templates_path: list[str] = []

myst_heading_anchors = 4
suppress_warnings = ["ref.python"]  # fields of one name in two classes are no doubt
myst_links_external_new_tab = False
default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types, with shapes and units
smartquotes = False  # two hyphens are an option
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_use_param = False  # as fields, "path" of a type would be linked to anything called path
napoleon_preprocess_types = False


_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#:]+)\)")
"""Text and place of a link that leaves a page's folder."""


def setup(app: Any) -> None:
    """Make what follows from the code, before a page is read."""
    app.add_config_value("nearkin_run", "", "env", str)
    app.connect("config-inited", lambda _, config: making.everything(HERE, run=config.nearkin_run))
    app.connect("source-read", _finished)


def _finished(app: Any, name: str, source: list[str]) -> None:
    """Make files outside docs/ downloads, and name the pages that the index does not name."""
    source[0] = text = _LINK.sub(lambda link: _outside(name, link), source[0])
    if name != "index":
        return
    pages = sorted(str(path.relative_to(HERE).with_suffix("")) for path in HERE.rglob("*.md"))
    made = ("transformations/", "api/", "commands/", "making/", "extra/", "build/", "index")
    named = set(text.split())
    further = [page for page in pages if not page.startswith(made) and page not in named]
    source[0] = text.replace("<!-- further pages -->", "\n".join(further))


def _outside(page: str, link: re.Match[str]) -> str:
    text, place = link.groups()
    target = ((HERE / page).parent / place).resolve()
    if target.is_relative_to(HERE):
        return link[0]
    return text if target.is_dir() else f"[{text}](<path:{place}>)"  # a folder is no download
