"""One point of the grid at a time: every space's distances in, the tables' rows out.

A point is one transformation at one magnitude. Clips are in the order of clips.parquet. Ranks of
the audio space are taken once and shared by all encoders, and so is the one set of resamples of
the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nearkin import tables
from nearkin.consistency import (
    agreement,
    agreement_replicates,
    monotonicity,
    own_rho_replicates,
    rho,
    rho_by_clip,
    rho_replicates,
    spearman,
    within_space_at_by_clip,
)
from nearkin.runs.plan import Plan
from nearkin.runs.spaces import (
    AudioAtPoint,
    EncoderAtPoint,
    Moved,
    RankedAtPoint,
    drawn_clips,
    latent_space,
    ranked,
    with_zero_vectors,
)
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import Counts, mean_replicates, resamples
from nearkin.statistics.scores import Score, over_trials
from nearkin.tables import AUDIO, OK
from nearkin.transforms import magnitudes
from nearkin.transforms.grids import Point

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Who = tuple[str, str, int]
"""Encoder, task and trial."""

COLLECTIONS = (10, 100, 1000)
"""Sizes n at which C_W@n is tabulated, as far as they are smaller than the run's N."""
UNDEFINED_RHO = "undefined: all distances are equal in one of the spaces"
UNDEFINED_KAPPA = "undefined: agreement by chance is certain"


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

        audio_spaces = [ranked(space, self.plan) for space in audio.spaces]
        who = (AUDIO, "", 1)
        queries = [
            self._query_rows(who, AUDIO, space, point, audio.effective, audio.status)
            for space in audio_spaces
        ]
        scores = [
            replace(score, audio_distance=space.distance)
            for space in audio_spaces
            for score in self._within(who, space)
        ]
        for encoder in encoders:
            who = (encoder.name, encoder.task, encoder.trial)
            spaces = [
                ranked(latent_space(name, encoder, self.drawn), self.plan)
                for name in self.plan.latent_distances
            ]
            for space in spaces:
                status = with_zero_vectors(space.found, encoder.status)
                queries.append(
                    self._query_rows(who, "latent", space, point, audio.effective, status)
                )
            scores += self._encoder_scores(encoder, audio_spaces, spaces)
        here = [
            replace(score, transformation=point.code, magnitude=point.magnitude) for score in scores
        ]
        return pd.concat(queries, ignore_index=True), self._table(here)

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
                score = self._mean((one.name, one.task, one.trial), "monotonicity", by_clip)
                score = replace(
                    score,
                    audio_distance=one.distance if one.space == AUDIO else "",
                    latent_distance="" if one.space == AUDIO else one.distance,
                    transformation=code,
                    side=side,
                )
                if np.isnan(score.value):
                    reason = "undefined: the distance does not change with severity"
                    score = replace(score, status=reason)
                scores.append(score)
        return self._table(scores)

    # -- scores ----------------------------------------------------------------------------------

    def _within(self, who: Who, space: RankedAtPoint, *, failure: str = "") -> list[Score]:
        found = space.found
        right = np.where(found.valid, (~found.error).astype(np.float64), np.nan)
        scores = [self._mean(who, "C_W", right, chance=1 / self.n)]
        for size in COLLECTIONS:
            if size < found.n_clips:
                by_clip = within_space_at_by_clip(found.rank, n=size, n_clips=found.n_clips)
                scores.append(self._mean(who, f"C_W@{size}", by_clip, chance=1 / size))
        n_failed = self.n - int(found.valid.sum())
        if failure or n_failed:
            status = failure or f"{n_failed} of {self.n} queries failed"
            scores = [replace(score, status=status) for score in scores]
        return scores

    def _encoder_scores(
        self,
        encoder: EncoderAtPoint,
        audio_spaces: list[RankedAtPoint],
        latent_spaces: list[RankedAtPoint],
    ) -> list[Score]:
        who = (encoder.name, encoder.task, encoder.trial)
        scores = [
            replace(score, latent_distance=latent.distance)
            for latent in latent_spaces
            for score in self._within(who, latent, failure=encoder.failure)
        ]
        for audio in audio_spaces:
            for latent in latent_spaces:
                n_failed = self.n - int((audio.found.valid & latent.found.valid).sum())
                for score in (self._rho(who, audio, latent), *self._agreement(who, audio, latent)):
                    status = score.status
                    if encoder.failure:
                        status = encoder.failure
                    elif n_failed and status == OK:
                        status = f"{n_failed} of {self.n} queries failed"
                    scores.append(
                        replace(
                            score,
                            audio_distance=audio.distance,
                            latent_distance=latent.distance,
                            status=status,
                        )
                    )
        return scores

    def _rho(self, who: Who, audio: RankedAtPoint, latent: RankedAtPoint) -> Score:
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
        return Score(*who, "C_B_rho", value, replicates, n, status=status)

    def _agreement(
        self, who: Who, audio: RankedAtPoint, latent: RankedAtPoint
    ) -> tuple[Score, Score]:
        seen = agreement(audio.found, latent.found)
        spread = agreement_replicates(audio.found, latent.found, self.counts)
        accuracy = Score(
            *who, "C_B_acc", seen.accuracy, spread.accuracy, self.n, chance=seen.chance
        )
        status = UNDEFINED_KAPPA if np.isnan(seen.kappa) else OK
        return accuracy, Score(*who, "kappa", seen.kappa, spread.kappa, self.n, status=status)

    def _mean(
        self, who: Who, measure: str, by_clip: Floats, *, chance: float = float("nan")
    ) -> Score:
        there = by_clip[~np.isnan(by_clip)]
        value = float(there.mean()) if there.size else float("nan")
        replicates = mean_replicates(by_clip, self.counts)
        return Score(*who, measure, value, replicates, self.n, chance=chance)

    # -- rows ------------------------------------------------------------------------------------

    def _table(self, scores: list[Score]) -> pd.DataFrame:
        """Return rows of consistency.parquet, the means over trials at the end."""
        import pandas as pd

        scores = [*scores, *over_trials(scores, seed=self.plan.seed)]
        return pd.DataFrame([score.row() for score in scores], columns=tables.CONSISTENCY)

    def _query_rows(
        self,
        who: Who,
        kind: str,
        space: RankedAtPoint,
        point: Point,
        effective: Floats,
        status: Sequence[str],
    ) -> pd.DataFrame:
        import pandas as pd

        encoder, task, trial = who
        found = space.found
        nearest = self.clip_ids[found.nearest]
        nearest[~found.valid] = None
        return pd.DataFrame(
            {
                "encoder": encoder,
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
            columns=tables.QUERIES,
        )
