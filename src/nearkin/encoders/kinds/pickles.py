"""Pickled checkpoints: refused, because opening one can run any code, with the way to convert it.

Nothing here opens a pickle. A TorchScript archive, recognised by the names inside it, is pointed to
its own SPEC.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from nearkin.encoders.protocol import Handling
from nearkin.errors import InputError

CONVERT = (
    "where you trust it, load it yourself and save what runs no code: torch.onnx.export(model, "
    "..., 'model.onnx'), or the weights alone with safetensors.torch.save_model(model, "
    "'model.safetensors') and a ./file.py:Class that builds the network and loads them"
)


def is_torchscript(path: Path) -> bool:
    """Tell by the names inside whether a file is a TorchScript archive; nothing is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any("/code/" in f"/{name}" for name in names) and any(
        name.endswith("constants.pkl") for name in names
    )


def refuse(spec: str, *, options: Mapping[str, Any], handling: Handling) -> NoReturn:
    """Refuse a SPEC that names a file which may be a pickle.

    Raises
    ------
    InputError
        Always.
    """
    path = Path(spec)
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    if is_torchscript(path):
        raise InputError(
            f"encoder '{spec}': is a TorchScript archive, which is code; write torchscript:{spec} "
            "and --trust where you trust whoever made it, or export the model as ONNX"
        )
    if path.suffix == ".npy":
        raise InputError(
            f"encoder '{spec}': holds arrays, no encoder; nearkin score takes embeddings as .npy"
        )
    raise InputError(
        f"encoder '{spec}': a {path.suffix} file may be a pickle, and opening one can run any "
        f"code, so it is not opened: {CONVERT}"
    )
