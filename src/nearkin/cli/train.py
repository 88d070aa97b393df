"""``nearkin train``: from a manifest to a trained network."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearkin.cli.common import EXIT_FAILURES, Json, Quiet, Workers, note, say, sentences

if TYPE_CHECKING:
    from nearkin.networks.files import Model


def train_command(
    task: Annotated[
        str, typer.Argument(help="ae (autoencoder), at (tags), ir (instruments), vs (voice).")
    ],
    manifest: Annotated[
        Path, typer.Option(help="Recordings with labels and splits; see nearkin corpus.")
    ],
    out: Annotated[Path, typer.Option(help="The model to write, FILE.safetensors.")],
    features: Annotated[str, typer.Option(help="vgg or mfcc: the encoder.")] = "vgg",
    trial: Annotated[int, typer.Option(help="From 1: other first weights and crops.")] = 1,
    seed: Annotated[int, typer.Option(help="Equal seeds, equal weights on the CPU.")] = 0,
    scale: Annotated[str, typer.Option(help="small (300 steps) or paper (its epochs).")] = "small",
    max_steps: Annotated[
        int | None, typer.Option(help="Steps at the most, whatever the scale.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Minutes of training at the most.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Clips of a step, shared among devices.")] = 24,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Devices of each machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    precision: Annotated[
        str, typer.Option(help="32-true, bf16-mixed (twice as fast on recent CPUs), 16-mixed.")
    ] = "32-true",
    patience: Annotated[
        int | None,
        typer.Option(help="Validations (every 100 steps) without progress before it stops [20]."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads [all cores].")] = None,
    workers: Workers = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for decoded audio [the user's cache folder].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Start anew, whatever is there.")] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Train a network for a task; the same command goes on where it was stopped.

    Beside FILE.safetensors stands FILE.onnx: its encoder alone, for any tool.
    """
    with sentences():
        from nearkin.cli.bars import show
        from nearkin.networks.onnx import export_onnx
        from nearkin.optional import need
        from nearkin.workers import available_cores

        torch = need("torch", extra="torch")
        need("onnxscript", extra="torch")
        from nearkin.training import is_first, train

        if threads is not None:
            torch.set_num_threads(threads)
        keep_freed_memory()
        told: list[str] = []

        def tell(sentence: str) -> None:
            told.append(sentence)
            note(f"nearkin: {sentence}")

        with show(quiet=bool(quiet)) as progress:
            model = train(
                task,
                manifest,
                out,
                features=features,
                trial=trial,
                seed=seed,
                scale=scale,
                max_steps=max_steps,
                max_minutes=max_minutes,
                batch=batch,
                device=device,
                devices=devices,
                nodes=nodes,
                precision=precision,
                patience=patience,
                workers=workers or available_cores(),
                cache=cache or _cache(),
                force=force,
                progress=progress,
                tell=tell,
            )
        if not is_first():
            return
        encoder = out.with_suffix(".onnx")
        if not encoder.exists() or encoder.stat().st_mtime < out.stat().st_mtime:
            export_onnx(model, encoder)
        if not quiet:
            for line in _lines(model):
                say(line)
            say(f"model: {out}")
            say(f"its encoder as ONNX: {encoder}")
        code = EXIT_FAILURES if told else 0
        if as_json:
            say(json.dumps({**_summary(out, model), "left_out": told, "exit": code}))
        raise typer.Exit(code)


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors for the next ones.

    Otherwise it goes back to the system at every step and is fetched anew: a third and more of a
    step's time on the CPU. This process does nothing but train, so that it may.
    """
    import ctypes

    m_mmap_max, m_trim_threshold = -4, -1
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def _cache() -> Path:
    from platformdirs import user_cache_path

    return Path(user_cache_path("nearkin", appauthor=False)) / "audio"


def _lines(model: Model) -> list[str]:
    lines = [f"{model.label}: {model.steps} steps, {model.epochs:g} epochs"]
    for split, score in model.scores.items():
        if score["value"] is None or score["chance"] is None:
            lines.append(f"{split}: no clip has a score")
            continue
        lines.append(
            f"{split}: {score['measure']} {score['value']:.4g} (chance {score['chance']:.4g}) "
            f"over {score['n']} clips"
        )
    return lines


def _summary(out: Path, model: Model) -> dict[str, object]:
    return {
        "model": str(out),
        "onnx": str(out.with_suffix(".onnx")),
        "task": model.task,
        "features": model.features,
        "trial": model.trial,
        "steps": model.steps,
        "epochs": model.epochs,
        "training_sha256": model.training_sha256,
        "scores": dict(model.scores),
    }
