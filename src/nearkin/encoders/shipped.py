"""The trained references: VGG-like networks of the four tasks that come with the package.

Each is an ONNX file under ``weights/`` with a model card beside it (what it was trained on, for how
long, and how it scores). Opening one runs no code and needs no torch.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import Key
from nearkin.errors import InputError

WEIGHTS = Path(__file__).parent / "weights"
MINIMUM_SAMPLES = 127 * 256
"""128 frames; as `nearkin.networks.MINIMUM_SAMPLES`, which needs torch to be read."""


class TrainedEncoder:
    """A VGG-like network of one task, [samples] at 22,050 Hz to 256 values."""

    encoder_name: ClassVar[str] = "vgg"
    task: ClassVar[str]
    trial: ClassVar[int] = 1
    sample_rate: ClassVar[int] = 22_050
    embedding_size: ClassVar[int] = 256

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return WEIGHTS / f"{self.encoder_name}-{self.task}.onnx"

    @property
    def sha256(self) -> str:
        """Hash of the ONNX file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key] = ()) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as float32[batch, 256].

        Clip by clip: a batch rounds differently with its size.

        Raises
        ------
        InputError
            If the clips have fewer than 128 frames (1.47 s).
        """
        if audio.shape[1] < MINIMUM_SAMPLES:
            raise InputError(
                f"a clip of {audio.shape[1]} samples: must have at least {MINIMUM_SAMPLES} "
                f"({MINIMUM_SAMPLES / self.sample_rate:.2f} s); take longer clips"
            )
        session = _session(str(self.path))
        return np.concatenate([session.run(None, {"audio": clip[None]})[0] for clip in audio])


class VggAE(TrainedEncoder):
    """VGG-like network trained as an autoencoder."""

    task: ClassVar[str] = "ae"


class VggAT(TrainedEncoder):
    """VGG-like network trained to tag music."""

    task: ClassVar[str] = "at"


class VggIR(TrainedEncoder):
    """VGG-like network trained to recognise instruments."""

    task: ClassVar[str] = "ir"


class VggVS(TrainedEncoder):
    """VGG-like network trained to separate the singing voice."""

    task: ClassVar[str] = "vs"


@functools.lru_cache(maxsize=8)
def _session(path: str) -> Any:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
