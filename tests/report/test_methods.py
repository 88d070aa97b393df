"""The methods paragraph: what it says of references, and of encoders at higher rates."""

from __future__ import annotations

from typing import Any

from nearkin.encoders import resolve
from nearkin.encoders.references.trained import WEIGHTS
from nearkin.report.methods import paragraph


def entry(known: str, role: str = "reference", **more: Any) -> dict[str, Any]:
    found = resolve(known)
    return {
        "name": found.name, "task": found.task, "label": found.label, "spec": found.spec,
        "sha256": found.sha256, "role": role, "sample_rate": found.sample_rate, **more,
    }  # fmt: skip


def told(*encoders: dict[str, Any], **plan: Any) -> str:
    run = {"n": 20, "encoders": list(encoders), "plan": {"working_rate": 22_050, **plan}}
    return paragraph(run, audio=["dtw"], latent=["cosine"])


def test_trained_references_are_named_with_what_they_were_trained_on() -> None:
    text = told(*map(entry, ("mfcc", "random", "vgg-ir", "vgg-ae")))
    card = (WEIGHTS / "vgg-ir.md").read_text("utf-8")
    assert "1,350 files, 2.2 h, 397 pieces" in card, "the words come from the model card"
    assert "vgg-ir (a small VGG-like network trained to recognise instruments, on rend" in text
    assert "nearkin corpus rendered-instruments): 1,350 files, 2.2 h, 397 pieces" in text
    assert "vgg-ae (a small VGG-like network trained as an autoencoder, on renderings of" in text
    assert "logmel-projection (a seeded random projection of the log-mel spectrogram" in text
    assert "mfcc (means and standard deviations of 24 MFCCs" in text
    assert "`" not in text


def test_weights_of_another_version_are_not_described() -> None:
    text = told(entry("vgg-ir", sha256="0" * 64))
    assert "Reference encoders: vgg-ir." in text


def test_an_old_runs_random_is_what_it_was() -> None:
    text = told(entry("random", name="random", label="random", spec="random"))
    assert "random (a seeded random projection of the log-mel spectrogram" in text


def test_what_was_not_heard_is_said() -> None:
    clap = {"name": "clap", "label": "clap", "spec": "hf:clap", "role": "tested"}
    text = told({**clap, "sample_rate": 48_000}, entry("mfcc", "tested"))
    assert (
        "clap takes audio at 48,000 Hz and heard nothing above 11 kHz, half the working rate."
        in text
    )
    assert "mfcc takes" not in text
    text = told({**clap, "sample_rate": 48_000}, working_rate=48_000)
    assert "heard nothing" not in text
    table = {**clap, "spec": "embeddings:clap.parquet", "sample_rate": 48_000}
    assert "heard nothing" not in told(table), "what a table was made from is not known"
