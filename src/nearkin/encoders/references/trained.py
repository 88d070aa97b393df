"""The trained references: VGG-like networks of the four tasks that come with the package.

Each is an ONNX file under ``weights/`` with a model card beside it (what it was trained on, for how
long, and how it scores). Opening one runs no code and needs no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import sha256_file
from nearkin.encoders.kinds.onnx import open_session
from nearkin.encoders.protocol import Key
from nearkin.encoders.references.halves import halves
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

        Clip by clip: a batch rounds differently with its size. The spectrograms of the batch asked
        for last are kept, so that the networks, asked one after the other, share them.

        Raises
        ------
        InputError
            If the clips have fewer than 128 frames (1.47 s).
        """
        network = _network(self.path)
        least = network.minimum_samples
        if audio.shape[1] < least:
            raise InputError(
                f"a clip of {audio.shape[1]} samples: must have at least {least} "
                f"({least / self.sample_rate:.2f} s); take longer clips"
            )
        return np.concatenate(
            [network.rest.run(None, {network.decibels: one})[0] for one in network.front(audio)]
        )

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


KEPT_BYTES = 100_000_000
"""Of the spectrograms of a batch: 260 clips of 2 s."""
SPECTROGRAM = 2.1
"""How large a spectrogram is, beside the audio it is of."""


class _Front:
    """A front end: its session, and what it made of the batch that it heard last."""

    def __init__(self, graph: bytes) -> None:
        self._session = open_session(graph)
        self._last: tuple[NDArray[np.float32], list[NDArray[np.float32]]] | None = None

    def __call__(self, audio: NDArray[np.float32]) -> Iterable[NDArray[np.float32]]:
        """Return the spectrogram in decibels of every clip, float32[1, frames, 513].

        Those of a batch of more than `KEPT_BYTES` are made one by one and not kept.
        """
        if SPECTROGRAM * audio.nbytes > KEPT_BYTES:
            return map(self._decibels, audio)
        last = self._last
        if last is not None and _same_bits(last[0], audio):
            return last[1]
        made = [self._decibels(clip) for clip in audio]
        self._last = (audio.copy(), made)
        return made

    def _decibels(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        made: NDArray[np.float32] = self._session.run(None, {"audio": clip[None]})[0]
        return made


class _Network(NamedTuple):
    """A trained network: the front end that others share, and the rest of it."""

    front: _Front
    rest: Any
    decibels: str
    minimum_samples: int


def _same_bits(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return one.shape == other.shape and np.array_equal(one.view(np.int32), other.view(np.int32))


@functools.lru_cache(maxsize=8)
def _network(path: Path) -> _Network:
    parts = halves(path.read_bytes())
    rest = open_session(parts.rest)
    least = rest.get_modelmeta().custom_metadata_map["minimum_samples"]
    return _Network(_front(parts.front), rest, parts.decibels, int(least))


@functools.lru_cache(maxsize=8)
def _front(graph: bytes) -> _Front:
    return _Front(graph)
