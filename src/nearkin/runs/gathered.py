"""What the queries of all clips found, joined from their shards, but for the distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Neighbours
from nearkin.errors import RunError
from nearkin.runs.shards import AGAIN, Shards
from nearkin.tables import OK


@dataclass(frozen=True)
class QueryArrays:
    """What the queries left behind, by clip and point.

    Attributes
    ----------
    effective : float64[N, P]
        Effective magnitudes.
    rank, nearest : int64[A, N, P]
        What every query found in the audio space, for each of A distances.
    d_own, d_nearest : float64[A, N, P]
        Likewise.
    not_ok : mapping of encoder label ("" for the audio space) to statuses by (clip, point)
        Every status that is not ok.
    processors : frozenset of str
        What the queries were computed on.
    """

    effective: NDArray[np.float64]
    rank: NDArray[np.int64]
    nearest: NDArray[np.int64]
    d_own: NDArray[np.float64]
    d_nearest: NDArray[np.float64]
    not_ok: Mapping[str, Mapping[tuple[int, int], str]]
    processors: frozenset[str] = frozenset()

    def audio(self, number: int, point: int) -> Neighbours:
        """Return what all clips found at one point under one audio distance."""
        rank = self.rank[number, :, point]
        return Neighbours.of(
            rank,
            self.nearest[number, :, point],
            self.d_own[number, :, point],
            self.d_nearest[number, :, point],
            n_clips=len(rank),
        )

    def audio_status(self, point: int) -> list[str]:
        """Return what became of every clip at one point, in the audio space."""
        return self.status("", point)

    def status(self, label: str, point: int) -> list[str]:
        """Return what became of every clip at one point, for one encoder."""
        marks = self.not_ok.get(label, {})
        return [marks.get((clip, point), OK) for clip in range(len(self.effective))]


def gather(shards: Shards, clip_ids: Sequence[str]) -> QueryArrays:
    """Join what the queries of all clips left behind.

    Raises
    ------
    RunError
        If a shard is missing.
    """
    effective = []
    audio: dict[str, list[Any]] = {"rank": [], "nearest": [], "d_own": [], "d_nearest": []}
    not_ok: dict[str, dict[tuple[int, int], str]] = {}
    processors: set[str] = set()
    for clip, clip_id in enumerate(clip_ids):
        queries = shards.read_queries(clip_id) if shards.has_queries(clip_id) else None
        if queries is None:
            raise RunError(f"clip '{clip_id}': its shard is missing or damaged; {AGAIN}")
        effective.append(queries.effective)
        processors.add(queries.processor)
        for name, parts in audio.items():
            parts.append([getattr(found, name) for found in queries.audio])
        rows = {"": queries.status, **{n: v.status for n, v in queries.vectors.items()}}
        for label, status in rows.items():
            for point, text in enumerate(status):
                if text != OK:
                    not_ok.setdefault(label, {})[clip, point] = text
    found = {name: np.stack(parts, axis=1) for name, parts in audio.items()}
    return QueryArrays(
        effective=np.stack(effective), not_ok=not_ok, processors=frozenset(processors), **found
    )
