"""What a model returned, as one vector a clip: outputs, layers and time axes told apart or refused.

Taken as they are: [B, D] and [B, T, D] for a batch of B clips, [D] and [T, D] from a model of one
clip; the time axis T is pooled. Where a shape can be read in two ways nothing is guessed: the error
names the shapes seen and the option that settles it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.protocol import EncoderError, as_array, kind_of, pool


@dataclass(frozen=True)
class Reading:
    """How an answer is to be read.

    Attributes
    ----------
    pool : {"mean", "max", "meanstd", "first"}
        How the time axis is pooled.
    layer : int, "all" or None
        Which of several hidden states.
    output : str, int or None
        Which of several outputs, by name or place.
    time_axis : int or None
        Axis of time in a three-dimensional answer; None where it is not known.
    size : int or None
        The embedding size that was declared.
    declared : str
        The name under which it was declared.
    """

    pool: str = "mean"
    layer: int | str | None = None
    output: str | int | None = None
    time_axis: int | None = None
    size: int | None = None
    declared: str = "embedding_size"


_ARRAYS = ("__array__", "__dlpack__", "detach")
"""One of these methods makes an answer an array."""


def read_answer(answer: Any, *, n_rows: int, single: bool, how: Reading) -> list[NDArray[Any]]:
    """Read a model's answer as vectors.

    Parameters
    ----------
    answer : array, tensor, or list, tuple or mapping of them
        What the model returned.
    n_rows : int
        Clips it was given.
    single : bool
        Whether it takes one clip, without a batch axis.
    how : Reading
        What is known of the answer.

    Returns
    -------
    list of array[n_rows, D]
        One for every layer asked for; one where none was.

    Raises
    ------
    EncoderError
        If the answer cannot be read, or can be read in several ways.
    """
    return [
        _vectors(values, n_rows=n_rows, single=single, how=how) for values in _chosen(answer, how)
    ]


def shapes_of(answer: Any) -> str:
    """Name the shapes of an answer.

    Examples
    --------
    >>> shapes_of({"a": np.ones((1, 2)), "b": np.ones(3)})
    'a [1, 2], b [3]'
    """
    answer = _as_mapping(answer)
    if _is_mapping(answer):
        return _shortened([f"{name} {shapes_of(answer[name])}" for name in _names(answer)])
    if _is_several(answer):
        return _shortened([shapes_of(value) for value in answer])
    shape = getattr(answer, "shape", None)
    return type(answer).__name__ if shape is None else str([int(length) for length in shape])


def _chosen(answer: Any, how: Reading) -> list[Any]:
    """Pick the output, then the layers."""
    answer = _output(answer, how)
    if how.layer is None:
        if _is_several(answer):
            if len(answer) == 1:
                return [answer[0]]
            raise EncoderError(
                f"returned {len(answer)} arrays ({shapes_of(answer)}): choose one with --layer "
                f"0 to {len(answer) - 1}, or --layer all; outputs that are no layers with "
                "--encoder-options '{\"output\": 0}'"
            )
        return [answer]
    if not _is_several(answer):
        raise EncoderError(
            f"returned one array of shape {shapes_of(answer)}: it has no layers; leave --layer out"
        )
    if how.layer == "all":
        return list(answer)
    number = int(how.layer)
    if not -len(answer) <= number < len(answer):
        raise EncoderError(
            f"layer {number}: the model returned {len(answer)} layers, 0 to {len(answer) - 1}"
        )
    return [answer[number]]


def _output(answer: Any, how: Reading) -> Any:
    answer = _as_mapping(answer)
    if _is_mapping(answer):
        names = _names(answer)
        if how.output is not None:
            name = how.output
            if isinstance(name, int) and _is_place(name, names):
                name = names[name]
            if name not in names:
                raise EncoderError(f"has no output {how.output!r}: it returned {shapes_of(answer)}")
            return answer[name]
        if how.layer is not None:
            if "hidden_states" in names:
                return answer["hidden_states"]
            return [answer[name] for name in names]
        if len(names) == 1:
            return answer[names[0]]
        raise EncoderError(
            f"returned several outputs ({shapes_of(answer)}): choose one with --encoder-options "
            f'\'{{"output": "{names[0]}"}}\''
        )
    if how.output is not None:
        if not _is_several(answer) or not _is_place(how.output, answer):
            raise EncoderError(f"has no output {how.output!r}: it returned {shapes_of(answer)}")
        return answer[how.output]
    return answer


def _vectors(answer: Any, *, n_rows: int, single: bool, how: Reading) -> NDArray[Any]:
    wanted = f"must be an array [batch, {how.declared}]"
    try:
        values = as_array(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:120]
        raise EncoderError(f"returned {kind_of(answer)} ({why}): {wanted}") from error
    if values.ndim == 0 and values.dtype == object:
        told = "nothing (None)" if answer is None else kind_of(answer)
        raise EncoderError(f"returned {told}: {wanted}")
    if not np.issubdtype(values.dtype, np.floating) and not np.issubdtype(values.dtype, np.integer):
        told = str(values.dtype)
        told = told if len(told) <= 60 else f"{told[:59]}…"
        raise EncoderError(f"returned dtype {told}: must be float32 or convertible to it")
    shape = list(values.shape)
    if single:
        if values.ndim == 3 and len(values) == 1:
            values = values[0]
        if values.ndim not in (1, 2) or values.size == 0:
            raise EncoderError(f"returned shape {shape} for one clip: must be [D] or [T, D]")
        values = values[None]
    elif values.ndim not in (2, 3) or len(values) != n_rows or values.size == 0:
        raise EncoderError(
            f"returned shape {shape} for a batch of {n_rows}: must be [{n_rows}, {how.declared}] "
            f"or [{n_rows}, time, {how.declared}]"
        )
    if values.ndim == 2:
        _require_size(values.shape[1], how)
        return values
    axis = _time_axis(values, shape, how)
    frames = np.moveaxis(values, axis, 1)
    _require_size(frames.shape[2], how)
    return pool(frames, how=how.pool)


def _time_axis(values: NDArray[Any], shape: list[int], how: Reading) -> int:
    if how.time_axis is not None:
        axis = how.time_axis % 3
        if axis == 0:
            raise EncoderError(f"time_axis={how.time_axis}: must be 1 or 2 of shape {shape}")
        return axis
    if how.size is not None and values.shape[2] == how.size:
        return 1
    if how.size is not None and values.shape[1] == how.size:
        raise EncoderError(
            f"returned shape {shape} but declares {how.declared}={how.size}, the axis where time "
            "is expected: if time comes last, pass --encoder-options '{\"time_axis\": 2}'"
        )
    if how.size is not None:
        return 1
    raise EncoderError(
        f"returned shape {shape}, in which time and dimension cannot be told apart: pass "
        "--encoder-options '{\"time_axis\": 1}' for [batch, time, dimension], 2 for [batch, "
        "dimension, time]"
    )


def _require_size(size: int, how: Reading) -> None:
    if how.size is not None and size != how.size:
        raise EncoderError(
            f"returned {size} values but declares {how.declared}={how.size}: correct one of the two"
        )


def _as_mapping(answer: Any) -> Any:
    """Return a dataclass or a named tuple as its fields by name, all else as it is.

    A record that is itself an array, or can be made one, is as it is too.
    """
    if any(callable(getattr(answer, name, None)) for name in _ARRAYS):
        return answer
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type | Mapping):
        return {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    if isinstance(answer, tuple) and hasattr(answer, "_asdict"):
        return answer._asdict()
    return answer


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _names(answer: Mapping[str, Any]) -> list[str]:
    return [name for name in answer if answer[name] is not None]


def _is_several(answer: Any) -> bool:
    """Several arrays, not one array written as a list of rows."""
    return (
        isinstance(answer, list | tuple)
        and len(answer) > 0
        and all(len(getattr(value, "shape", ())) >= 2 for value in answer)
    )


def _is_place(output: str | int, among: Sequence[Any]) -> bool:
    return isinstance(output, int) and -len(among) <= output < len(among)


def _shortened(texts: list[str]) -> str:
    if len(texts) > 6:
        texts = [*texts[:3], "...", texts[-1]]
    return ", ".join(texts)
