"""``FILE.onnx``: a graph that onnxruntime computes; opening it runs no code.

Its input is a waveform: [batch, samples] or [samples], each length symbolic or fixed, with or
without one more axis of length 1. Its rate is ``sample_rate`` in the file's metadata where it is
stated, else ``--sample-rate``; a file that ``nearkin train`` exported also states its encoder, task
and trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.calling.forward import BATCH, ModelEncoder
from nearkin.encoders.calling.options import read_options
from nearkin.encoders.calling.probing import time_axis_of
from nearkin.encoders.identity import sha256_of_files
from nearkin.encoders.kinds.onnx_data import external_files
from nearkin.encoders.protocol import Handling, ResolvedEncoder
from nearkin.errors import InputError

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}


@dataclass(frozen=True)
class Input:
    """A graph's input: where its batch, its samples and its axis of length 1 are.

    Attributes
    ----------
    name : str
    dtype : type
        What the graph takes.
    batch, samples : int or None
        The only length that axis takes; None for any. `batch` is 0 where there is no such axis.
    extra : int or None
        Place of the axis of length 1.
    """

    name: str
    dtype: type
    batch: int | None
    samples: int | None
    extra: int | None


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Open an ONNX file.

    Raises
    ------
    InputError
        If it is none, takes no waveform, keeps weights outside its folder, or the device is not
        there.
    """
    path = Path(spec)
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    chosen = read_options(options, handling, spec=spec)
    provider = _provider(spec, chosen.handling.device)
    beside = external_files(path, spec=spec)
    session = _session(path, spec, provider)
    taken = _input(spec, session.get_inputs())
    names = [output.name for output in session.get_outputs()]

    def forward(audio: NDArray[np.float32]) -> Any:
        n_rows = len(audio)
        if taken.batch:  # a graph of one batch size is given that, the rest of it silence
            audio = np.pad(audio, ((0, taken.batch - n_rows), (0, 0)))
        shaped = audio if taken.extra is None else np.expand_dims(audio, taken.extra)
        answers = session.run(None, {taken.name: shaped.astype(taken.dtype, copy=False)})
        if taken.batch and taken.batch != n_rows:
            answers = [a[:n_rows] if a.ndim and len(a) == taken.batch else a for a in answers]
        return answers[0] if len(names) == 1 else dict(zip(names, answers, strict=True))

    about = session.get_modelmeta().custom_metadata_map
    stated, least = about.get("sample_rate", ""), about.get("minimum_samples", "")
    has_rate = _count(stated) is not None
    rate = _count(stated) or 1
    if chosen.rate_stated or not has_rate:
        rate = chosen.handling.rate
    samples = taken.samples or chosen.samples
    single = taken.batch == 0
    axis = 1 if single else _time_axis(session, names, chosen.output)
    if axis is None and not samples and len(names) == 1 and taken.batch is None:
        axis = time_axis_of(forward, 2 * rate)
    encoder = ModelEncoder(
        forward,
        sample_rate=rate,
        reading=chosen.reading(time_axis=axis),
        samples=samples,
        pad=chosen.handling.pad,
        single=single,
        batch=taken.batch or BATCH,
        alone=chosen.handling.device == "cpu",
        minimum_samples=_count(least),
    )
    source = "" if has_rate or chosen.rate_stated else " (the file states none)"
    length = "any length" if samples is None else f"{samples} samples, longer clips in windows"
    trial = about.get("nearkin.trial", "")
    return ResolvedEncoder(
        name=about.get("nearkin.encoder", "") or path.stem,
        task=about.get("nearkin.task", ""),
        trial=_count(trial) or 1,
        spec=spec,
        matched=f"matched an ONNX graph: {rate} Hz{source}, {length}",
        encoder=encoder,
        sha256=sha256_of_files([path, *beside]),
    )


def _count(text: str) -> int | None:
    """Return a number that a file's metadata states; None where it is none that anything has."""
    plain = text.isascii() and text.isdecimal() and len(text) < 8
    return int(text) or None if plain else None


def _provider(spec: str, device: str) -> str:
    import onnxruntime as ort

    provider = PROVIDERS[device.split(":")[0]]
    if provider not in ort.get_available_providers():
        raise InputError(
            f"encoder '{spec}': device '{device}' is not there (this onnxruntime has no "
            f"{provider}); use --device cpu"
        )
    return provider


def _session(path: Path, spec: str, provider: str) -> Any:
    try:
        return open_session(path, provider)
    except Exception as error:  # onnxruntime's errors share no root of their own
        text = " ".join(str(error).split())[:300]
        raise InputError(f"encoder '{spec}': onnxruntime cannot open it: {text}") from error


def open_session(graph: Path | bytes, provider: str = PROVIDERS["cpu"]) -> Any:
    """Open a graph for one thread: workers share the cores, and sums must not depend on them."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    model = graph if isinstance(graph, bytes) else str(graph)
    return ort.InferenceSession(model, settings, providers=[provider])


def _input(spec: str, inputs: list[Any]) -> Input:
    seen = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
    if len(inputs) != 1:
        raise InputError(
            f"encoder '{spec}': has {len(inputs)} inputs ({seen}): must have one, a waveform; "
            "export it with the others fixed"
        )
    (one,) = inputs
    if one.type not in TYPES:
        raise InputError(f"encoder '{spec}': its input is {seen}: must be a float tensor")
    lengths = [length if isinstance(length, int) and length > 0 else None for length in one.shape]
    known = {"name": one.name, "dtype": TYPES[one.type]}
    if len(lengths) == 1:
        return Input(**known, batch=0, samples=lengths[0], extra=None)
    if len(lengths) == 2:
        return Input(**known, batch=lengths[0], samples=lengths[1], extra=None)
    if len(lengths) == 3 and lengths[1:].count(1) == 1:
        extra = 1 if lengths[1] == 1 else 2
        return Input(**known, batch=lengths[0], samples=lengths[3 - extra], extra=extra)
    raise InputError(
        f"encoder '{spec}': its input is {seen}: must be a waveform, [batch, samples] or "
        "[samples] (an axis of length 1 may be added); export it with its front end, or write a "
        "./file.py:function that computes its input"
    )


def _time_axis(session: Any, names: list[str], output: str | int | None) -> int | None:
    """Tell time from dimension where the graph states one of them only as symbolic."""
    outputs = session.get_outputs()
    if isinstance(output, str) and output in names:
        outputs = [outputs[names.index(output)]]
    elif isinstance(output, int) and -len(names) <= output < len(names):
        outputs = [outputs[output]]
    shape = outputs[0].shape
    if len(outputs) != 1 or not shape or len(shape) != 3:
        return None
    symbolic = [axis for axis in (1, 2) if not isinstance(shape[axis], int)]
    return symbolic[0] if len(symbolic) == 1 else None
