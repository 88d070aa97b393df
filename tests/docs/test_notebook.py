"""A notebook, executed and exported by nbconvert: progress, verdicts, table and chart are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbconvert = pytest.importorskip("nbconvert")
pytest.importorskip("ipykernel")

CELLS = """
import nearkin
result = nearkin.evaluate("mfcc", "music/", grid="grid.yaml", references="untrained", resamples=100)
---
result
---
result.table("C_W", distance="cosine")
---
result.plot("C_W", encoders=["mfcc"])
---
[one.sentence() for one in nearkin.gate(result, ["C_W[mfcc] >= C_W[constant]", "N >= 3"])]
---
nearkin.compare(result, against="constant", resamples=200).table[["difference", "ci_high"]]
---
nearkin.evaluate("mfcc", "music/", grid="grid.yaml", references="untrained", progress=False)
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from nbconvert.preprocessors import ExecutePreprocessor

    from conftest import write_tunes

    place = tmp_path_factory.mktemp("notebook")
    write_tunes(place / "music", 3)
    (place / "grid.yaml").write_text("{PN: [0, 30], TS: [1.1]}")
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS.split("---\n")]
    run = ExecutePreprocessor(timeout=300, kernel_name="python3")
    run.preprocess(made, {"metadata": {"path": str(place)}})
    return made


def shown(notebook: Any, number: int) -> dict[str, Any]:
    """What a cell shows, by MIME type; nothing of ours is written to stdout or stderr."""
    outputs = notebook.cells[number].outputs
    written = [one for one in outputs if one.output_type in ("stream", "error")]
    assert [one for one in written if "tqdm" not in str(one)] == []  # pooch's, of librosa
    found: dict[str, Any] = {}
    for output in outputs:
        found |= output.get("data", {})
    return found


def test_progress_stays_below_the_cell(notebook: Any) -> None:
    table = shown(notebook, 0)["text/html"]
    assert "clips transformed and compared" in table
    assert "<td>3/3</td>" in table
    assert '<progress max="3" value="3"' in table


def test_verdicts_are_a_table(notebook: Any) -> None:
    table = shown(notebook, 1)["text/html"]
    assert "small changes stay near" in table
    assert "mfcc" in table


def test_numbers_are_a_frame(notebook: Any) -> None:
    table = shown(notebook, 2)["text/html"]
    assert "ci_low" in table
    assert "mfcc" in table


def test_curves_are_a_chart(notebook: Any) -> None:
    data = shown(notebook, 3)
    assert any("vegalite" in kind for kind in data) or "vega" in data["text/html"]


def test_the_verbs(notebook: Any) -> None:
    sentences = shown(notebook, 4)["text/plain"]
    assert "C_W[mfcc] >= C_W[constant]: difference +" in sentences
    assert "ci_high" in shown(notebook, 5)["text/html"]


def test_no_progress_on_request(notebook: Any) -> None:
    assert "<progress" not in str(shown(notebook, 6))


def test_it_is_exported(notebook: Any, tmp_path: Path) -> None:
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    assert "small changes stay near" in page
    assert "vega" in page
