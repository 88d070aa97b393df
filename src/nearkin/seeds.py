"""Random streams keyed by purpose, so that results never depend on order or on workers.

A stream is named by what it is for (``stream(seed, clip_sha256, start, "PN")``); equal names give
equal draws on every platform, different names give statistically independent ones.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to a seed and a purpose.

    Parameters
    ----------
    seed : int
        The run's seed.
    *names : str or int
        The purpose, from the general to the particular; ``1`` and ``"1"`` are different names.

    Returns
    -------
    numpy.random.Generator
        A PCG64 generator seeded with the SHA-256 of the names.

    Examples
    --------
    >>> float(stream(0, "clip", "PN").random()) == float(stream(0, "clip", "PN").random())
    True
    >>> float(stream(0, "clip", "PN").random()) == float(stream(0, "clip", "EN").random())
    False
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in (int(seed), *names))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
