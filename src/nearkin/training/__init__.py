"""Training of the task networks, from a manifest to a model file.

Three parts: recordings decoded once (`cache`), batches as a function of the step (`batches`), and
the Lightning module with what goes with it (`module`, `run`).
"""

from __future__ import annotations

from nearkin.training.cache import AudioCache
from nearkin.training.run import is_first, train
from nearkin.training.settings import Settings

__all__ = ["AudioCache", "Settings", "is_first", "train"]
