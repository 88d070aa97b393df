"""What a report is made of: a run's record and tables, in the formats of a run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nearkin.transforms.magnitudes import Point


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
    sounds : mapping of (clip id, Point or None) to bytes
        MP3 of changed clips, and of originals (None), for the explorer.
    silence : str
        Why the explorer has no sounds, or not all; empty where it has what was asked for.
    map : pandas.DataFrame or None
        Columns encoder, task, clip_id, transformation, magnitude, x, y: where embeddings lie in a
        plane; None where it was not computed.
    map_about : str
        How that was done, in a sentence.
    perception, audibility : pandas.DataFrame or None
        Tables of ``nearkin perceive``; None where it was not given.
    attack_scores, attack_sounds : pandas.DataFrame or None
        Of a run with ``--attack``; None where there was none.
    gallery : pandas.DataFrame or None
        C_W in collections of every size; None where the run has no gallery.
    trajectories, trajectory_agreement, trajectory_paths : pandas.DataFrame or None
        Tables of ``nearkin trajectories``; None where it was not given.
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
    sounds: Mapping[tuple[str, Point | None], bytes] = field(default_factory=dict)
    silence: str = ""
    map: pd.DataFrame | None = None
    map_about: str = ""
    perception: pd.DataFrame | None = None
    audibility: pd.DataFrame | None = None
    attack_scores: pd.DataFrame | None = None
    attack_sounds: pd.DataFrame | None = None
    gallery: pd.DataFrame | None = None
    trajectories: pd.DataFrame | None = None
    trajectory_agreement: pd.DataFrame | None = None
    trajectory_paths: pd.DataFrame | None = None
