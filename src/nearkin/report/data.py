"""What a report is made of: a run's record and tables, in the formats of a run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ReportData:
    """What a report is made of: a run's record and tables, in the formats of a run's folder.

    Attributes
    ----------
    run : mapping
        run.json.
    clips, queries, consistency, failures : pandas.DataFrame
        The tables; ``failures`` may be empty.
    audio : mapping of str to bytes
        MP3 files by the names that ``failures`` uses.
    analysis : mapping of str to pandas.DataFrame
        Tables of ``nearkin analyze``; empty where it was not run.
    words : sequence of str
        What the analysis says, a paragraph each.
    performance : pandas.DataFrame or None
        Task scores; None where none were taken.
    performed : mapping
        performance.json; empty where there is none.
    """

    run: Mapping[str, Any]
    clips: pd.DataFrame
    queries: pd.DataFrame
    consistency: pd.DataFrame
    failures: pd.DataFrame
    audio: Mapping[str, bytes] = field(default_factory=dict)
    analysis: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    words: Sequence[str] = ()
    performance: pd.DataFrame | None = None
    performed: Mapping[str, Any] = field(default_factory=dict)
