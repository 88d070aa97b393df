"""Every example of the page "Bring your encoder" is written down, run, and must end well."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import write_tunes
from support.pages import BLOCK, run_blocks, sections

SECTIONS = sections("bring-your-encoder.md")


@pytest.mark.parametrize("title", [t for t, text in SECTIONS.items() if BLOCK.search(text)])
def test_the_example(title: str, tmp_path: Path) -> None:
    write_tunes(tmp_path / "music", 3)
    run_blocks(SECTIONS[title], tmp_path)


def test_every_kind_has_an_example() -> None:
    assert {"A function", "An object or class", "A HEAR submission", "An X-ARES encoder", "ONNX",
            "TorchScript", "Hugging Face"} < set(SECTIONS)  # fmt: skip
