"""The Python face: `evaluate` does a run, `load` opens one, and a `Result` holds its tables.

The same engine as the command line; everything a result shows is read from the run's folder.
"""

from __future__ import annotations

from nearkin.api.evaluation import evaluate
from nearkin.api.result import Result, load

__all__ = ["Result", "evaluate", "load"]
