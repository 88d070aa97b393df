"""The commands' pages: what ``nearkin COMMAND --help`` says, as tables."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import typer

from nearkin.cli import app


def write(folder: Path) -> None:
    """Write a page a command, and the index."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    commands: dict[str, Any] = dict(typer.main.get_group(app).commands)
    for name, command in commands.items():
        (folder / f"{name}.md").write_text(_page(name, command), "utf-8")
    rows = [f"| [`nearkin {name}`]({name}.md) | {_first(one)} |" for name, one in commands.items()]
    lines = [
        *("# Commands", ""),
        "What `nearkin --help` and `nearkin COMMAND --help` say, with links.",
        *("", "| command | |", "|---|---|", *rows, ""),
        *("```{toctree}", ":hidden:", "", *commands, "```", ""),
    ]
    (folder / "index.md").write_text("\n".join(lines), "utf-8")


def _page(name: str, command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        told = _cell(getattr(parameter, "help", "") or "")
        named = " ".join(f"`{one}`" for one in parameter.opts if one.startswith("-"))
        rows.append(f"| {named or f'`{parameter.name.upper()}`'} | {told} |")
    lines = [f"# nearkin {name}", "", _text(command.help or ""), ""]
    if rows:
        lines += ["| argument or option | |", "|---|---|", *rows, ""]
    if command.epilog:
        lines += [_text(command.epilog), ""]
    return "\n".join(lines)


def _first(command: Any) -> str:
    return _cell((command.help or "").partition("\n\n")[0])


def _text(text: str) -> str:
    return re.sub(r"``(.*?)``", r"`\1`", text.replace("\b\n", "").replace("<", "&lt;"))


def _cell(text: str) -> str:
    return " ".join(_text(text).replace("|", "\\|").replace("*", "\\*").split())
