"""What every distance asks of its arguments, and how it calls its kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

T = TypeVar("T")

_LARGEST_AUDIO = 1e15  # squares and their sums stay far below float32's 3.4e38


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return an array, or say that the rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name}: must be a rectangular array; {error}") from error


def as_frames(sequence: ArrayLike, name: str, dtype: type[np.floating]) -> NDArray[Any]:
    """Return a finite, C-contiguous ``[frames, dimensions]`` array of `dtype`."""
    array = as_array(sequence, name)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"{name} of shape {array.shape}: must be [frames, dimensions] with at least one of "
            "each; pass features such as nearkin.audio.features.mfcc(y)"
        )
    return bounded(array, name, dtype, _LARGEST_AUDIO)


def bounded(
    array: NDArray[Any], name: str, dtype: type[np.floating], largest: float
) -> NDArray[Any]:
    """Return the array C-contiguous in `dtype`, or say which of its numbers cannot be used."""
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} of dtype {array.dtype}: must hold real numbers; convert it")
    # minimum and maximum carry NaN and inf, and make no temporary as large as the data
    low, high = float(array.min()), float(array.max())
    if not (-largest <= low and high <= largest):
        raise InputError(
            f"{name} with values from {low} to {high}: must be finite and at most {largest:g} in "
            "size; leave out failed clips or rescale"
        )
    return np.ascontiguousarray(array, dtype=dtype)


def require_same_dimensions(a: int, b: int) -> None:
    """Refuse two sides of different dimensions."""
    if a != b:
        raise InputError(
            f"{a} and {b} dimensions: both sides must have the same number; "
            "use the same features for both"
        )


def checked_window(m: int, **lengths: int) -> int:
    """Return the window length, or say which sequence is shorter than it."""
    if isinstance(m, bool) or not isinstance(m, int | np.integer) or m < 1:
        raise InputError(f"m={m!r}: must be an integer of at least 1 frame; the paper uses 50")
    for name, length in lengths.items():
        if length < m:
            raise InputError(
                f"{name} of {length} frames: SiMPle needs at least m={m} frames on both sides; "
                "use longer clips, a smaller m or leave SiMPle out"
            )
    return int(m)


def call_kernel(kernel: Callable[..., T], *arguments: Any) -> T:
    """Call a kernel; without numba's cache if that fails after the import (disk full, removed)."""
    try:
        return kernel(*arguments)
    except OSError:  # kernels do no I/O of their own
        from nearkin.distances.kernels import without_cache

        result: T = without_cache(kernel)(*arguments)
        return result
