"""What a differentiable model returned, as one vector a clip: tensors in, a tensor out."""

from __future__ import annotations

from typing import Any

from nearkin.encoders.calling.answers import Reading
from nearkin.encoders.protocol import EncoderError
from nearkin.optional import need


def tensor_vectors(answer: Any, how: Reading) -> Any:
    """Read a tensor as one vector a clip, as `read_answer` does of an array.

    Raises
    ------
    EncoderError
        If it is no tensor [B, D], or [B, T, D] whose time axis is known.
    """
    torch = need("torch", extra="torch")
    if isinstance(answer, list | tuple) and len(answer) == 1:
        (answer,) = answer
    if how.layer is not None or how.output is not None or not torch.is_tensor(answer):
        raise EncoderError("a gradient through layers or several outputs is not had")
    if answer.ndim == 2:
        return answer
    axis = how.time_axis
    if axis is None and answer.ndim == 3 and how.size in answer.shape[1:]:
        axis = 1 if answer.shape[2] == how.size else 2
    if answer.ndim != 3 or axis not in (1, 2):
        raise EncoderError(f"a gradient through an answer {list(answer.shape)} is not had")
    frames = answer.transpose(1, 2) if axis == 2 else answer
    if how.pool == "max":
        return frames.amax(dim=1)
    if how.pool == "first":
        return frames[:, 0]
    if how.pool == "meanstd":
        return torch.cat([frames.mean(dim=1), frames.std(dim=1, correction=0)], dim=1)
    return frames.mean(dim=1)
