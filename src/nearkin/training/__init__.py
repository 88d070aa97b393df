"""Training of the task networks, from a manifest to a model file.

The parts: recordings decoded once (`cache`) and lined up (`recordings`), batches as a function of
the step (`batches`), perhaps changed (`changes`), what is made small (`objectives`), the state that
is kept (`checkpoint`), and Lightning (`module`, `trainer`); `run` and `finetune` join them.
"""

from __future__ import annotations

from nearkin.training.cache import AudioCache
from nearkin.training.finetune import FineTuning, finetune
from nearkin.training.run import is_first, train
from nearkin.training.settings import Settings

__all__ = ["AudioCache", "FineTuning", "Settings", "finetune", "is_first", "train"]
