"""Model files: weights and all that is known of them in one safetensors file.

Opening a model file runs no code: safetensors holds arrays and one JSON text, from which the
network is built anew. Encoder, task and trial stand inside, so that files which share encoder and
task are trials of one another.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.errors import InputError, printable
from nearkin.files import is_whole, sealed, write_whole
from nearkin.optional import need

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
_KEY = "nearkin"


@dataclass(frozen=True)
class Model:
    """A trained network.

    Attributes
    ----------
    task : str
        ``"ae"``, ``"at"``, ``"ir"``, ``"vs"``.
    features : str
        ``"vgg"`` or ``"mfcc"``: the encoder's column in every table.
    head : str
        `nearkin.networks.network.NetworkConfig.head`; ``"none"`` for a fine-tuned reference.
    labels : tuple of str
        Tags or classes, in the order of the outputs.
    trial : int
        From 1 up.
    seed : int
        The seed of the first weights and of the crops.
    scale : str
        ``"small"`` or ``"paper"``.
    steps, epochs : int, float
        How long the weights that were kept were trained.
    trained_steps : int
        Steps in all; those after `steps` did not lower the validation loss.
    stopped : str
        Why it ended: ``"steps"``, ``"plateau"`` or ``"minutes"``.
    training_sha256 : str
        Hash of the training set.
    scores : mapping
        By split: ``{"measure", "value", "n", "chance"}``.
    network : nearkin.networks.network.TaskNetwork
        In evaluation mode.
    changes : mapping
        What changed the clips it learned from, empty where nothing did: ``"augment"`` (share
        ``unchanged``, ``grid``), ``"consistency"`` (``weight``, ``grid``), ``"finetune"``
        (``parent``, ``parent_sha256``, ``parent_steps``, ``steps``, ``anchor``, ``grid``,
        ``training_sha256``). A grid has a ``name`` and ``points``, code and magnitude.
    sha256 : str
        Of the file it was read from; empty for one that was not.
    """

    task: str
    features: str
    head: str
    network: Any = field(repr=False)
    labels: tuple[str, ...] = ()
    trial: int = 1
    seed: int = 0
    scale: str = "small"
    steps: int = 0
    epochs: float = 0.0
    training_sha256: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    trained_steps: int = 0
    stopped: str = ""
    sha256: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def encoder(self) -> str:
        """The encoder's name in every table."""
        return encoder_name(self.features, self.changes)

    @property
    def label(self) -> str:
        """Encoder, task and trial as one word."""
        return f"{self.encoder}-{self.task}" + (f"-{self.trial}" if self.trial != 1 else "")


def encoder_name(features: str, changes: Mapping[str, Any]) -> str:
    """Return an encoder's name: networks that learned from changed clips are no trials of others.

    Examples
    --------
    >>> encoder_name("vgg", {}), encoder_name("vgg", {"augment": {}, "finetune": {}})
    ('vgg', 'vgg_augmented_finetuned')
    """
    return "_".join([features, *(word for how, word in _WORDS.items() if how in changes)])


def learned_from(changes: Mapping[str, Any]) -> str:
    """Say what changed the clips that a network learned from; empty where nothing did.

    Examples
    --------
    >>> grid = {"name": "g", "points": [["PN", 10.0], ["PN", 20.0], ["MP", 32.0]]}
    >>> learned_from({"augment": {"grid": grid}})
    'augmented with PN 10, 20; MP 32'
    """
    told = []
    for how, word in _WORDS.items():
        if how in changes:
            points: dict[str, list[str]] = {}
            for code, magnitude in changes[how]["grid"]["points"]:
                points.setdefault(code, []).append(f"{magnitude:g}")
            each = "; ".join(f"{code} {', '.join(values)}" for code, values in points.items())
            told.append(f"{word} with {each}")
    return ", ".join(told)


_WORDS = {"augment": "augmented", "consistency": "consistent", "finetune": "finetuned"}


_HEADER: dict[str, Any] = {
    "task": str,
    "features": str,
    "head": str,
    "labels": list,
    "trial": int,
    "seed": int,
    "scale": str,
    "steps": int,
    "epochs": (int, float),
    "training_sha256": str,
    "scores": dict,
}
_OPTIONAL: dict[str, Any] = {"trained_steps": 0, "stopped": ""}


def save(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model, under a temporary name first.

    Parameters
    ----------
    path : path
        ``FILE.safetensors``.
    model : Model

    Raises
    ------
    RunError
        If it cannot be written.
    """
    from nearkin import __version__

    safetensors = need("safetensors.torch", extra="torch")
    header = {name: getattr(model, name) for name in (*_HEADER, *_OPTIONAL)}
    header["labels"] = list(model.labels)
    if model.changes:  # else the file is, byte for byte, as ever
        header["changes"] = dict(model.changes)
    about = {"format": FORMAT, "nearkin": __version__, **header}
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.network.state_dict().items()
    }
    about["weights_sha256"] = _digest(safetensors.save(weights))
    data = safetensors.save(weights, metadata={_KEY: json.dumps(sealed(about), allow_nan=False)})
    write_whole(Path(path), lambda file: file.write(data))


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file says of itself; torch is not needed.

    Raises
    ------
    InputError
        If the file is not there, is no safetensors file, or is not nearkin's.
    """
    shown = printable(Path(path))
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise OSError(errno.EINVAL, "is no regular file")
        with Path(path).open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                raise ValueError("no safetensors header")
            text = json.loads(file.read(length))["__metadata__"][_KEY]
        about: dict[str, Any] = json.loads(text)
        wrong = [name for name, kind in _HEADER.items() if not isinstance(about.get(name), kind)]
    except OSError as error:
        raise InputError(
            f"{shown}: cannot be read ({error.strerror or error}); check the path"
        ) from error
    except (
        *(ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error),
    ) as error:
        raise InputError(
            f"{shown}: is no model of nearkin's; pass a file that nearkin train wrote"
        ) from error
    if about.get("format") != FORMAT:
        raise InputError(
            f"{shown}: has format {about.get('format')!r}: this version reads {FORMAT}; "
            "use the version of nearkin that wrote it"
        )
    if not isinstance(about.get("changes", {}), dict):
        wrong.append("changes")
    if wrong:
        raise InputError(f"{shown}: its header lacks {', '.join(wrong)}; train the model anew")
    if not is_whole(about):
        raise _damaged(shown)
    return about


def _digest(data: bytes) -> str:
    """Return the SHA-256 of the weights in a file: of all that follows its header."""
    (length,) = struct.unpack("<Q", data[:8])
    return hashlib.sha256(data[8 + length :]).hexdigest()


def _damaged(shown: str) -> InputError:
    return InputError(
        f"{shown}: was changed or damaged after it was written (it holds its checksum); give its "
        "nearkin train command again, or put it back as it was"
    )


def load(path: str | os.PathLike[str], *, device: str = "cpu") -> Model:
    """Read a model and build its network, in evaluation mode.

    Parameters
    ----------
    path : path
        What `save` wrote.
    device : str
        Where its network is to compute.

    Raises
    ------
    InputError
        If it is no such file, or its weights are not those of the network it names.
    ExtraError
        If torch is not installed.
    """
    about = read_header(path)
    safetensors = need("safetensors", extra="torch")
    torch = need("torch", extra="torch")
    from nearkin.networks.network import NetworkConfig, build

    data = Path(path).read_bytes()
    if about.get("weights_sha256", "") not in ("", _digest(data)):
        raise _damaged(printable(Path(path)))
    try:
        weights = need("safetensors.torch", extra="torch").load(data)
        config = NetworkConfig(
            about["features"],
            about["head"],
            len(about["labels"]) if about["head"] == "classes" else 0,
        )
        network = build(config, seed=0)
        network.load_state_dict(weights)
    except (safetensors.SafetensorError, RuntimeError, InputError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(
            f"{printable(Path(path))}: its weights are not those of its network ({text}); "
            "train the model anew"
        ) from error
    network.eval().to(memory_format=torch.channels_last)  # as it was trained
    try:
        network.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"device '{device}': cannot be used here ({text})") from error
    return Model(
        network=network,
        labels=tuple(about["labels"]),
        sha256=hashlib.sha256(data).hexdigest(),
        changes=about.get("changes", {}),
        **{name: about[name] for name in _HEADER if name != "labels"},
        **{name: type(empty)(about.get(name, empty)) for name, empty in _OPTIONAL.items()},
    )
