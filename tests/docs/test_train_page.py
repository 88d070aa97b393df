"""The page "Train the paper's encoders": its small round is run as it stands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nearkin.corpora import CORPORA
from nearkin.tasks import TASKS, task
from support.pages import run_blocks, sections

SECTIONS = sections("train.md")


@pytest.mark.slow
@pytest.mark.timeout(7200)  # 5 minutes on an idle core; it may share one with other work
def test_a_small_round(tmp_path: Path) -> None:
    run_blocks(SECTIONS["A small round"], tmp_path)
    scores = pd.read_parquet(tmp_path / "study" / "performance.parquet")
    assert set(scores["encoder"]) == {"vgg", "mfcc"}
    assert set(scores.loc[scores["encoder"] == "vgg", "trial"]) == {0, 1, 2}
    consistency = pd.read_parquet(tmp_path / "study" / "consistency.parquet")
    assert {0, 1, 2} <= set(consistency.loc[consistency["task"] == "ir", "trial"])
    assert "accuracy" in (tmp_path / "study" / "report.html").read_text("utf-8")


def test_every_corpus_and_task_is_told() -> None:
    for name in CORPORA:
        assert f"`{name}`" in SECTIONS["Data sets"]
    for name in TASKS:
        assert task(name).measure in SECTIONS["How tasks are scored"]
