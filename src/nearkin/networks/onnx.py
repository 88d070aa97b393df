"""A model's encoder as ONNX, for any tool: waveforms in, latent vectors out; and back."""

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


def read_onnx(path: str | os.PathLike[str]) -> Model:
    """Build a network anew from the ONNX file of a VGG-like encoder that `export_onnx` wrote.

    Normalisation is folded into the weights there: here it does nothing, until it learns. There is
    no head.

    Raises
    ------
    ExtraError
        If torch or onnx is not installed.
    """
    weights, about = read_weights(path)
    from nearkin.networks.files import Model
    from nearkin.networks.network import NetworkConfig, build

    network = build(NetworkConfig("vgg", "none"), seed=0)
    state = network.state_dict()
    for name in state:
        if name in weights:
            state[name] = weights[name]
    network.load_state_dict(state)
    for part in network.modules():
        if hasattr(part, "running_var"):
            part.running_var.fill_(1.0 - part.eps)
    return Model(
        task=about["nearkin.task"],
        features="vgg",
        head="none",
        network=network.eval(),
        trial=int(about["nearkin.trial"]),
        training_sha256=about["nearkin.training_sha256"],
    )


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the weights of an ONNX file as torch tensors, by name, and the file's metadata.

    Raises
    ------
    ExtraError
        If torch or onnx is not installed.
    """
    import numpy as np

    torch = need("torch", extra="torch")
    onnx = need("onnx", extra="torch")
    numpy_helper = need("onnx.numpy_helper", extra="torch")
    model = onnx.load(str(path))
    weights = {
        one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for one in model.graph.initializer
    }
    return weights, {entry.key: entry.value for entry in model.metadata_props}


def _strip(message: Any) -> None:
    """Take out what an exporter notes of itself, such as stack traces: paths of a machine."""
    for field, value in list(message.ListFields()):
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for one in [value] if hasattr(value, "ListFields") else value:
                _strip(one)


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
    _strip(proto)
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
