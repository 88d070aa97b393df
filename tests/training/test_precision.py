"""Half precision on a processor that only imitates it is told, where it would be computed in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from typer.testing import CliRunner  # noqa: E402

from nearkin.cli import app  # noqa: E402
from nearkin.study.estimate import estimate  # noqa: E402
from nearkin.study.places import StudyFolder  # noqa: E402
from nearkin.study.plan import StudyPlan  # noqa: E402
from nearkin.training import Settings, train  # noqa: E402
from nearkin.training.estimate import StepTime  # noqa: E402
from nearkin.training.precision import arithmetic, half_over_single, imitated  # noqa: E402
from support.labelled_tones import make_corpus  # noqa: E402

TIMES = "--precision bf16-mixed: takes 10 times as long as single precision on this processor"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let half precision take 9.6 times as long; note what is measured."""
    measured: list[str] = []

    def nearly_ten(precision: str) -> float:
        measured.append(precision)
        return 9.6

    monkeypatch.setattr("nearkin.training.precision.half_over_single", nearly_ten)
    return measured


def test_what_is_imitated_is_told_and_what_is_not_is_not(
    slow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = Settings("ae", precision="bf16-mixed", device="cpu")
    assert imitated(half).startswith(TIMES)
    assert imitated(Settings("ae", device="cpu")) == ""
    assert slow == ["bf16-mixed"]  # single precision needs no measuring
    monkeypatch.setattr("nearkin.training.precision.half_over_single", lambda _: 1.2)
    assert imitated(half) == ""
    monkeypatch.setattr(
        "nearkin.training.precision.device_of", lambda settings: torch.device("meta")
    )
    monkeypatch.setattr("nearkin.training.precision.half_over_single", lambda _: 9.6)
    assert imitated(half) == ""  # another device than the processor


def test_it_is_measured_in_the_arithmetic_of_training() -> None:
    ones = torch.ones(2, 2)
    kinds = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
    for precision, kind in kinds.items():
        with arithmetic(precision, ones.device):
            assert (ones @ ones).dtype == kind
    assert 0 < half_over_single("bf16-mixed") < math.inf


def test_training_tells_it_once_and_when_it_is_over_not_again(
    tmp_path: Path, slow: list[str]
) -> None:
    told: list[str] = []
    settings = Settings(
        *("ir", "mfcc"), max_steps=2, batch=4, crop_s=1.5, device="cpu", precision="bf16-mixed"
    )
    for _ in range(2):
        train(
            settings,
            make_corpus(tmp_path / "corpus"),
            tmp_path / "m.safetensors",
            cache=tmp_path / "cache",
            tell=told.append,
        )
    assert [sentence.startswith(TIMES) for sentence in told].count(True) == 1
    assert slow == ["bf16-mixed"]


def test_a_dry_run_tells_it(tmp_path: Path, slow: list[str]) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    words = ["train", "ir", "--manifest", str(manifest), "--features", "mfcc", "--max-steps", "2"]
    words += ["--batch", "4", "--device", "cpu", "--out", str(tmp_path / "m.safetensors")]
    done = CliRunner().invoke(app, [*words, "--dry-run", "--precision", "bf16-mixed"])
    assert done.exit_code == 0, done.output
    assert TIMES in done.stdout
    assert TIMES not in CliRunner().invoke(app, [*words, "--dry-run"]).stdout


def test_a_dry_run_of_a_study_tells_it(
    tmp_path: Path, slow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearkin.training.estimate.step_time", lambda *_: StepTime(0.5, 0.9))
    monkeypatch.setattr("nearkin.study.estimate.comparing_seconds", lambda _: 800.0)
    monkeypatch.setattr("nearkin.study.estimate.scoring_seconds", lambda _: 90.0)
    for precision, is_told in (("bf16-mixed", True), ("32-true", False)):
        plan = StudyPlan(trials=1, precision=precision)
        lines = estimate(plan, StudyFolder(tmp_path / "study"), workers=1).lines()
        assert any(line.startswith(TIMES) for line in lines) is is_told
