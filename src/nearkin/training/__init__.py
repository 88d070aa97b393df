"""Training of the task networks, from a manifest to a model file.

The parts: recordings decoded once (`cache`) and lined up (`recordings`), batches as a function of
the step (`batches`), the state that is kept (`checkpoint`), and Lightning (`module`, `trainer`);
`run` joins them.
"""

from __future__ import annotations

from nearkin.training.cache import AudioCache
from nearkin.training.run import is_first, train
from nearkin.training.settings import Settings

__all__ = ["AudioCache", "Settings", "is_first", "train"]
