"""The trained references: VGG-like networks of the four tasks that come with the package.

Each is an ONNX file under ``weights/`` with a model card beside it (what it was trained on, for how
long, and how it scores). Opening one runs no code and needs no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import sha256_file
from nearkin.encoders.kinds.onnx import open_session
from nearkin.encoders.protocol import Key
from nearkin.errors import InputError

WEIGHTS = Path(__file__).parent / "weights"


class TrainedEncoder:
    """A VGG-like network of one task, [samples] at 22,050 Hz to 256 values.

    Parameters
    ----------
    task : {"ae", "at", "ir", "vs"}
    how : str
        What it was trained to do, in words.
    """

    encoder_name: ClassVar[str] = "vgg"
    trial: ClassVar[int] = 1
    sample_rate: ClassVar[int] = 22_050
    embedding_size: ClassVar[int] = 256

    def __init__(self, task: str, how: str) -> None:
        self.task = task
        self.how = how

    @property
    def what(self) -> str:
        """What it is and was trained on, in words."""
        return f"a small VGG-like network trained {self.how}, on {training_of(self.task)}"

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return WEIGHTS / f"{self.encoder_name}-{self.task}.onnx"

    @property
    def sha256(self) -> str:
        """Hash of the ONNX file."""
        return sha256_file(self.path)

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key] = ()) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as float32[batch, 256].

        Clip by clip: a batch rounds differently with its size.

        Raises
        ------
        InputError
            If the clips have fewer than 128 frames (1.47 s).
        """
        session, least = _session(self.path)
        if audio.shape[1] < least:
            raise InputError(
                f"a clip of {audio.shape[1]} samples: must have at least {least} "
                f"({least / self.sample_rate:.2f} s); take longer clips"
            )
        return np.concatenate([session.run(None, {"audio": clip[None]})[0] for clip in audio])

    def torch_module(self) -> Callable[[Any], Any]:
        """Return the same network as a differentiable function of a tensor."""
        from nearkin.encoders.references.twins import vgg_twin

        return vgg_twin(self.path)


def training_of(task: str) -> str:
    """Return what the network of a task was trained on, as its model card says.

    Examples
    --------
    >>> training_of("vs").split(":")[0]
    'renderings with a sung part (nearkin corpus rendered-vocals)'
    """
    card = (WEIGHTS / f"{TrainedEncoder.encoder_name}-{task}.md").read_text("utf-8")
    row = next(line for line in card.splitlines() if line.startswith("| trained on |"))
    return row.split("|")[2].strip().replace("`", "")


def _trained(task: str, how: str) -> Callable[..., TrainedEncoder]:
    made = functools.partial(TrainedEncoder, task, how)
    made.__doc__ = f"VGG-like network trained {how}."
    return made


vgg_ae = _trained("ae", "as an autoencoder")
vgg_at = _trained("at", "to tag music")
vgg_ir = _trained("ir", "to recognise instruments")
vgg_vs = _trained("vs", "to separate the singing voice")


@functools.lru_cache(maxsize=8)
def _session(path: Path) -> tuple[Any, int]:
    """Return a graph and the samples it needs at the least."""
    session = open_session(path)
    return session, int(session.get_modelmeta().custom_metadata_map["minimum_samples"])
