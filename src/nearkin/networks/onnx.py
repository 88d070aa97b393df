"""A model's encoder as ONNX, for any tool: waveforms in, latent vectors out."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.files import write_whole
from nearkin.optional import need

if TYPE_CHECKING:
    from nearkin.networks.files import Model


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model's encoder, front end and all, as ONNX: waveforms in, latent vectors out.

    Batch and length are free, from 128 frames (1.47 s) up. Encoder, task, trial and rate stand in
    the file's metadata.

    Raises
    ------
    ExtraError
        If torch or its exporter is not installed.
    RunError
        If the file cannot be written.
    """
    torch = need("torch", extra="torch")
    need("onnxscript", extra="torch")
    from nearkin.networks.front_end import MINIMUM_SAMPLES, SAMPLE_RATE

    class Embedding(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, encoder: Any) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, audio: Any) -> Any:
            return self.encoder(audio).z

    batch = torch.export.Dim("batch", min=1)
    samples = torch.export.Dim("samples", min=MINIMUM_SAMPLES)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            exported = torch.onnx.export(
                Embedding(model.network.encoder).eval(),
                (torch.zeros(2, 2 * SAMPLE_RATE),),
                dynamo=True,
                external_data=False,
                opset_version=20,
                input_names=["audio"],
                output_names=["embedding"],
                dynamic_shapes={"audio": {0: batch, 1: samples}},
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    proto = exported.model_proto
    stated = {
        "sample_rate": SAMPLE_RATE,
        "minimum_samples": MINIMUM_SAMPLES,
        "nearkin.encoder": model.encoder,
        "nearkin.task": model.task,
        "nearkin.trial": model.trial,
        "nearkin.training_sha256": model.training_sha256,
    }
    for name, value in stated.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, str(value)
    write_whole(Path(path), lambda file: file.write(proto.SerializeToString()))
