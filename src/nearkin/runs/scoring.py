"""One point of the grid at a time: every space's distances in, the tables' rows out.

A point is one transformation at one magnitude. All its matrices are [N, N], row = transformed
clip, column = original; clips are in the order of clips.parquet. Ranks of the audio space are
taken once and shared by all encoders, and so is the one set of resamples of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import (
    Neighbours,
    agreement,
    monotonicity,
    rho_by_clip,
    spearman,
    within_space_at_by_clip,
)
from nearkin.runs.plan import Plan
from nearkin.runs.spaces import Space, latent_space
from nearkin.runs.units import OK, drawn_clips
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import (
    Counts,
    RankedSpace,
    agreement_replicates,
    crossed_replicates,
    mean_replicates,
    own_rho_replicates,
    percentile_interval,
    resamples,
    rho,
    rho_replicates,
)
from nearkin.transforms import magnitudes
from nearkin.transforms.grids import Point

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

COLLECTIONS = (10, 100, 1000)
"""Sizes n at which C_W@n is tabulated, as far as they are smaller than the run's N."""

CONSISTENCY_COLUMNS = (
    "encoder",
    "task",
    "trial",
    "measure",
    "audio_distance",
    "latent_distance",
    "transformation",
    "magnitude",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "chance",
    "status",
    "side",
)
QUERY_COLUMNS = (
    "encoder",
    "task",
    "trial",
    "space",
    "distance",
    "transformation",
    "magnitude",
    "effective_magnitude",
    "clip_id",
    "error",
    "rank",
    "margin",
    "d_own",
    "d_nearest",
    "nearest_id",
    "status",
)
UNDEFINED_RHO = "undefined: all distances are equal in one of the spaces"
UNDEFINED_KAPPA = "undefined: agreement by chance is certain"
NO_COSINE = "an all-zero vector has no cosine"


@dataclass(frozen=True)
class EncoderAtPoint:
    """One encoder's vectors at one point.

    Attributes
    ----------
    name, task, trial
        The encoder's columns.
    originals : float32[N, D] or None
        Embeddings of the originals; None if the encoder failed as a whole.
    queries : float32[N, D] or None
        Embeddings of the transformed clips, NaN rows where one failed.
    status : sequence of N str
        What became of every query.
    failure : str
        Why the encoder failed as a whole; empty if it did not.
    """

    name: str
    task: str
    trial: int
    originals: NDArray[np.float32] | None
    queries: NDArray[np.float32] | None
    status: Sequence[str]
    failure: str = ""


@dataclass(frozen=True)
class AudioAtPoint:
    """The audio space at one point.

    Attributes
    ----------
    spaces : sequence of Space
        One an audio distance.
    effective : float64[N]
        Effective magnitudes.
    status : sequence of N str
        What became of every query.
    """

    spaces: Sequence[Space]
    effective: Floats
    status: Sequence[str]


@dataclass(frozen=True)
class Moved:
    """How far every clip was moved at one point, in one space: what monotonicity needs.

    Attributes
    ----------
    name, task, trial, space, distance
        As in queries.parquet.
    d_own : float64[N]
        Distance of each transformed clip to its own original.
    """

    name: str
    task: str
    trial: int
    space: str
    distance: str
    d_own: Floats


class Scorer:
    """Scores the points of one run with one set of resamples.

    Parameters
    ----------
    plan : Plan
        The run.
    clip_ids : sequence of N str
        The usable clips, in order.
    """

    def __init__(self, plan: Plan, clip_ids: Sequence[str]) -> None:
        self.plan = plan
        self.clip_ids = np.asarray(clip_ids, dtype=object)
        self.n = len(self.clip_ids)
        self.drawn = drawn_clips(plan, self.n)
        self.counts = self._resamples("bootstrap", self.n)
        whole = len(self.drawn) == self.n
        self.pair_counts = (
            self.counts if whole else self._resamples("bootstrap of pairs", len(self.drawn))
        )

    def _resamples(self, purpose: str, n: int) -> Counts:
        rng = stream(self.plan.seed, purpose, n)
        return resamples(n, n_resamples=self.plan.resamples, rng=rng)

    def point(
        self, point: Point, audio: AudioAtPoint, encoders: Sequence[EncoderAtPoint]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Score one point.

        Parameters
        ----------
        point : Point
            Transformation and magnitude.
        audio : AudioAtPoint
            The audio space.
        encoders : sequence of EncoderAtPoint
            All encoders, in the run's order; trials of one encoder follow one another.

        Returns
        -------
        queries, consistency : pandas.DataFrame
            The point's rows of the two tables.
        """
        import pandas as pd

        audio_spaces = [self._ranked(space) for space in audio.spaces]
        queries = [
            self._query_rows("audio", "", 1, "audio", space, point, audio.effective, audio.status)
            for space in audio_spaces
        ]
        scores = [
            score
            for space in audio_spaces
            for score in self._within("audio", "", 1, space, audio_distance=space.distance)
        ]
        for encoder in encoders:
            spaces = [
                self._ranked(
                    latent_space(
                        name, encoder.queries, encoder.originals, encoder.status, self.drawn
                    )
                )
                for name in self.plan.latent_distances
            ]
            for space in spaces:
                status = _with_zero_vectors(space.found, encoder.status)
                queries.append(
                    self._query_rows(
                        encoder.name,
                        encoder.task,
                        encoder.trial,
                        "latent",
                        space,
                        point,
                        audio.effective,
                        status,
                    )
                )
            scores += self._encoder_scores(encoder, audio_spaces, spaces)
        scores += self._over_trials(scores)
        rows = pd.DataFrame([score.row(point) for score in scores], columns=CONSISTENCY_COLUMNS)
        return pd.concat(queries, ignore_index=True), rows

    def monotonicity(self, points: Sequence[tuple[Point, float, Sequence[Moved]]]) -> pd.DataFrame:
        """Test assumption (ii) over all points of the grid.

        Parameters
        ----------
        points : sequence of (Point, effective magnitude, sequence of Moved)
            All points but the identity; every one with the same spaces in the same order.

        Returns
        -------
        pandas.DataFrame
            A row of consistency.parquet for every space, distance, transformation and side that
            has at least two magnitudes: the mean over clips of the Spearman correlation of
            severity with the distance to the own original.

        Notes
        -----
        The severity is that of the effective magnitude: two MP3 rates that come out as one are
        equally severe.
        """
        import pandas as pd

        sides: dict[tuple[str, str], list[int]] = {}
        for index, (point, _, _) in enumerate(points):
            side = magnitudes.side(point.code, point.magnitude)
            sides.setdefault((point.code, side), []).append(index)
        scores = []
        for number in range(len(points[0][2]) if points else 0):
            for (code, side), indices in sides.items():
                if len(indices) < 2:
                    continue
                severity = [magnitudes.severity(code, points[i][1]) for i in indices]
                moved = [points[i][2][number] for i in indices]
                by_clip = monotonicity(severity, np.stack([one.d_own for one in moved], axis=1))
                one = moved[0]
                score = self._mean_score(one.name, one.task, one.trial, "monotonicity", by_clip)
                audio = one.space == "audio"
                score.distance = (one.distance, "") if audio else ("", one.distance)
                score.side = side
                score.code = code
                if np.isnan(score.value):
                    score.status = "undefined: the distance does not change with severity"
                scores.append(score)
        scores += self._over_trials(scores)
        rows = [score.row(Point(score.code, float("nan"))) for score in scores]
        return pd.DataFrame(rows, columns=CONSISTENCY_COLUMNS)

    def _ranked(self, space: Space) -> _Ranked:
        ranked = RankedSpace(space.pairs) if self.plan.rho == "pooled" else None
        return _Ranked(space.distance, space.found, space.pairs, ranked)

    # -- scores ----------------------------------------------------------------------------------

    def _within(
        self,
        name: str,
        task: str,
        trial: int,
        space: _Ranked,
        *,
        audio_distance: str = "",
        latent_distance: str = "",
        failure: str = "",
    ) -> list[_Score]:
        found = space.found
        right = np.where(found.valid, (~found.error).astype(np.float64), np.nan)
        scores = [self._mean_score(name, task, trial, "C_W", right, chance=1 / self.n)]
        for size in COLLECTIONS:
            if size < found.n_clips:
                by_clip = within_space_at_by_clip(found.rank, n=size, n_clips=found.n_clips)
                scores.append(
                    self._mean_score(name, task, trial, f"C_W@{size}", by_clip, chance=1 / size)
                )
        n_failed = self.n - int(found.valid.sum())
        for score in scores:
            score.distance = (audio_distance, latent_distance)
            if failure:
                score.status = failure
            elif n_failed:
                score.status = f"{n_failed} of {self.n} queries failed"
        return scores

    def _encoder_scores(
        self, encoder: EncoderAtPoint, audio_spaces: list[_Ranked], latent_spaces: list[_Ranked]
    ) -> list[_Score]:
        who = (encoder.name, encoder.task, encoder.trial)
        scores: list[_Score] = []
        for latent in latent_spaces:
            scores += self._within(
                *who, latent, latent_distance=latent.distance, failure=encoder.failure
            )
        for audio in audio_spaces:
            for latent in latent_spaces:
                pair = [self._rho(who, audio, latent), *self._agreement(who, audio, latent)]
                n_failed = self.n - int((audio.found.valid & latent.found.valid).sum())
                for score in pair:
                    score.distance = (audio.distance, latent.distance)
                    if encoder.failure:
                        score.status = encoder.failure
                    elif n_failed and score.status == OK:
                        score.status = f"{n_failed} of {self.n} queries failed"
                scores += pair
        return scores

    def _rho(self, who: tuple[str, str, int], audio: _Ranked, latent: _Ranked) -> _Score:
        n = len(self.drawn)
        if audio.ranked is not None and latent.ranked is not None:
            value = rho(audio.ranked, latent.ranked)
            replicates = rho_replicates(audio.ranked, latent.ranked, self.pair_counts)
        elif self.plan.rho == "clips":
            by_clip = rho_by_clip(audio.pairs, latent.pairs)
            there = by_clip[~np.isnan(by_clip)]
            value = float(there.mean()) if there.size else float("nan")
            replicates = mean_replicates(by_clip, self.pair_counts)
        else:
            n = self.n
            moved = audio.found.d_own, latent.found.d_own
            both = ~np.isnan(moved).any(axis=0)
            value = float(spearman(moved[0][both], moved[1][both])) if both.any() else float("nan")
            replicates = own_rho_replicates(*moved, self.counts)
        status = UNDEFINED_RHO if np.isnan(value) else OK
        return _Score(*who, "C_B_rho", value, replicates, n, status=status)

    def _agreement(
        self, who: tuple[str, str, int], audio: _Ranked, latent: _Ranked
    ) -> tuple[_Score, _Score]:
        seen = agreement(audio.found, latent.found)
        replicates = agreement_replicates(audio.found, latent.found, self.counts)
        accuracy = _Score(
            *who, "C_B_acc", seen.accuracy, replicates.accuracy, self.n, chance=seen.chance
        )
        status = UNDEFINED_KAPPA if np.isnan(seen.kappa) else OK
        kappa = _Score(*who, "kappa", seen.kappa, replicates.kappa, self.n, status=status)
        return accuracy, kappa

    def _mean_score(
        self,
        name: str,
        task: str,
        trial: int,
        measure: str,
        by_clip: Floats,
        *,
        chance: float = float("nan"),
    ) -> _Score:
        there = by_clip[~np.isnan(by_clip)]
        value = float(there.mean()) if there.size else float("nan")
        replicates = mean_replicates(by_clip, self.counts)
        return _Score(name, task, trial, measure, value, replicates, self.n, chance=chance)

    def _over_trials(self, scores: list[_Score]) -> Iterator[_Score]:
        """Yield the mean over trials (trial 0) of every score that has several."""
        groups: dict[tuple[Any, ...], list[_Score]] = {}
        for score in scores:
            key = (score.name, score.task, score.measure, score.distance, score.side, score.code)
            groups.setdefault(key, []).append(score)
        for trials in groups.values():
            if len(trials) < 2:
                continue
            first = trials[0]
            rng = stream(self.plan.seed, "trials", first.name, first.task, len(trials))
            drawn = resamples(len(trials), n_resamples=self.plan.resamples, rng=rng).T
            replicates = crossed_replicates(np.stack([t.replicates for t in trials]), drawn)
            mean = _Score(
                first.name,
                first.task,
                0,
                first.measure,
                float(np.mean([t.value for t in trials])),
                replicates,
                self.n,
                chance=float(np.mean([t.chance for t in trials])),
                status=next((t.status for t in trials if t.status != OK), OK),
            )
            mean.distance, mean.side, mean.code = first.distance, first.side, first.code
            yield mean

    # -- rows ------------------------------------------------------------------------------------

    def _query_rows(
        self,
        name: str,
        task: str,
        trial: int,
        kind: str,
        space: _Ranked,
        point: Point,
        effective: Floats,
        status: Sequence[str],
    ) -> pd.DataFrame:
        import pandas as pd

        found = space.found
        nearest = self.clip_ids[found.nearest]
        nearest[~found.valid] = None
        return pd.DataFrame(
            {
                "encoder": name,
                "task": task,
                "trial": trial,
                "space": kind,
                "distance": space.distance,
                "transformation": point.code,
                "magnitude": point.magnitude,
                "effective_magnitude": effective,
                "clip_id": self.clip_ids,
                "error": pd.Series(found.error).astype("Int64").mask(~found.valid),
                "rank": pd.Series(found.rank).astype("Int64").mask(~found.valid),
                "margin": found.margin,
                "d_own": found.d_own,
                "d_nearest": found.d_nearest,
                "nearest_id": nearest,
                "status": list(status),
            },
            columns=QUERY_COLUMNS,
        )


@dataclass(frozen=True)
class _Ranked:
    """A space at a point with the ranks that all comparisons share."""

    distance: str
    found: Neighbours
    pairs: NDArray[Any]
    ranked: RankedSpace | None


@dataclass
class _Score:
    """A number with its replicates, on the way to a row of consistency.parquet."""

    name: str
    task: str
    trial: int
    measure: str
    value: float
    replicates: Floats
    n: int
    chance: float = float("nan")
    status: str = OK
    distance: tuple[str, str] = ("", "")
    side: str = ""
    code: str = ""

    def row(self, point: Point) -> tuple[Any, ...]:
        low, high, _ = percentile_interval(self.replicates)
        return (
            self.name,
            self.task,
            self.trial,
            self.measure,
            *self.distance,
            point.code,
            point.magnitude,
            self.value,
            float(low),
            float(high),
            self.n,
            self.chance,
            self.status,
            self.side,
        )


def _with_zero_vectors(found: Neighbours, status: Sequence[str]) -> list[str]:
    return [
        NO_COSINE if text == OK and not valid else text
        for text, valid in zip(status, found.valid, strict=True)
    ]
