"""A small corpus with labels for every task, made of tones and noises."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.signals import write_float

SR = 22_050


def make_corpus(folder: Path, *, n: int = 10, seconds: float = 2.0) -> Path:
    """Tones called organ and noises called drum, each with a quiet voice in it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * SR)) / SR
    lines = ["path,split,group,tags,instrument,vocals_path"]
    for k in range(n):
        split = {3: "valid", 4: "test"}.get(k % 5, "train")
        voice = 0.05 * np.sin(2 * np.pi * (200 + 20 * rng.integers(20)) * t)
        tone = 0.2 * np.sign(np.sin(2 * np.pi * (700 + 30 * rng.integers(20)) * t))
        other, word = (tone, "organ") if k % 2 else (0.2 * rng.standard_normal(len(t)), "drum")
        write_float(folder / f"mix{k}.wav", voice + other, SR)
        write_float(folder / f"voice{k}.wav", voice, SR)
        lines.append(f"mix{k}.wav,{split},song{k},{word};any,{word},voice{k}.wav")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest
