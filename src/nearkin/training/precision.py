"""Whether half precision is worth it: not every processor computes in it, some imitate it.

What torch knows of processors differs by its version; so a small convolution is timed instead.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

from nearkin.optional import need
from nearkin.progress import Tell
from nearkin.training.settings import Settings
from nearkin.training.trainer import device_of

torch: Any = need("torch", extra="torch")

HALF = {"bf16-mixed": "bfloat16", "16-mixed": "float16"}
"""What a step computes in, where not in single precision."""
TIMED = 5
IMAGES, CHANNELS, FRAMES, BINS = 4, 32, 43, 64
"""Of the convolution, as the third of a network has them; it takes 10 ms."""
SLOW = 1.5
"""Half precision that takes so many times as long as single precision does not pay."""


def arithmetic(precision: str, device: Any) -> AbstractContextManager[Any]:
    """Return the context in which a step computes.

    Parameters
    ----------
    precision : {"32-true", "bf16-mixed", "16-mixed"}
    device : torch.device
    """
    kind = getattr(torch, HALF.get(precision, "bfloat16"))
    context: AbstractContextManager[Any] = torch.autocast(
        device.type, kind, enabled=precision in HALF
    )
    return context


def imitated(settings: Settings) -> str:
    """Return what to say where half precision is slower than single precision, else an empty text.

    Raises
    ------
    InputError
        If the device cannot be used.
    """
    if settings.precision not in HALF or device_of(settings).type != "cpu":
        return ""
    times = half_over_single(settings.precision)
    if times < SLOW:
        return ""
    return (
        f"--precision {settings.precision}: takes {times:.0f} times as long as single precision on "
        "this processor, which only imitates it; leave it out, or compute elsewhere"
    )


def tell_imitated(settings: Settings, tell: Tell) -> None:
    """Say it where training would be faster in single precision."""
    sentence = imitated(settings)
    if sentence:
        tell(sentence)


def half_over_single(precision: str) -> float:
    """Return how many times as long a convolution takes in half precision on this processor."""
    convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    images = torch.zeros(IMAGES, CHANNELS, FRAMES, BINS)
    convolution.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)

    def seconds(kind: str) -> float:
        begun = time.perf_counter()
        with arithmetic(kind, images.device):
            convolution(images).float().sum().backward()
        return time.perf_counter() - begun

    seconds("32-true"), seconds(precision)  # the first of each kind is slow
    both = [(seconds("32-true"), seconds(precision)) for _ in range(TIMED)]
    return min(half for _, half in both) / min(single for single, _ in both)
