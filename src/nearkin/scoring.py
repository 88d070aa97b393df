"""One point of the grid at a time: every space's distances in, the tables' rows out.

A point is one transformation at one magnitude. All its matrices are [N, N], row = transformed
clip, column = original; clips are in the order of clips.parquet. Ranks of the audio space are
taken once and shared by all encoders, and so is the one set of resamples of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import (
    Neighbours,
    agreement,
    between_space_rho,
    monotonicity,
    neighbours,
    rho_by_clip,
    within_space_at_by_clip,
)
from nearkin.distances import LATENT_DISTANCES, Distance
from nearkin.experiment import OK
from nearkin.grids import Point
from nearkin.plan import Plan
from nearkin.registry import load
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
from nearkin.transforms import transformation

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
    distances : mapping of distance name to float32[N, N]
        NaN rows where a query failed.
    effective : float64[N]
        Effective magnitudes.
    status : sequence of N str
        What became of every query.
    """

    distances: Mapping[str, NDArray[np.float32]]
    effective: Floats
    status: Sequence[str]


@dataclass(frozen=True)
class _Space:
    """A space at a point: its matrix, what every query found in it, and its shared ranks."""

    distance: str
    d: NDArray[Any]
    found: Neighbours
    ranked: RankedSpace | None


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
        rng = stream(plan.seed, "bootstrap", self.n)
        self.counts: Counts = resamples(self.n, n_resamples=plan.resamples, rng=rng)

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

        audio_spaces = [self._space(name, d) for name, d in audio.distances.items()]
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
            spaces = self._latent_spaces(encoder)
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

    def monotonicity(self, queries: pd.DataFrame) -> pd.DataFrame:
        """Test assumption (ii) on a finished table of queries.

        Parameters
        ----------
        queries : pandas.DataFrame
            All rows of queries.parquet.

        Returns
        -------
        pandas.DataFrame
            A row of consistency.parquet for every space, distance, transformation and side that
            has at least two magnitudes: the mean over clips of the Spearman correlation of
            severity with the distance to the own original.
        """
        import pandas as pd

        sides = self._sides(queries)
        scores = []
        keys = ["encoder", "task", "trial", "space", "distance"]
        for key, part in queries.groupby(keys, sort=False):
            name, task, trial, space, distance = cast("tuple[str, str, int, str, str]", key)
            moved = part.pivot(
                index="clip_id", columns=["transformation", "magnitude"], values="d_own"
            ).reindex(self.clip_ids)
            for (code, side), ladder in sides.items():
                columns = [(code, magnitude) for magnitude, _ in ladder]
                severity = [value for _, value in ladder]
                by_clip = monotonicity(severity, moved[columns].to_numpy(np.float64))
                score = self._mean_score(name, task, trial, "monotonicity", by_clip)
                score.distance = (distance, "") if space == "audio" else ("", distance)
                score.side = side
                score.code = code
                if np.isnan(score.value):
                    score.status = "undefined: the distance does not change with severity"
                scores.append(score)
        scores += self._over_trials(scores)
        rows = [score.row(Point(score.code, float("nan"))) for score in scores]
        return pd.DataFrame(rows, columns=CONSISTENCY_COLUMNS)

    # -- spaces ----------------------------------------------------------------------------------

    def _space(self, distance: str, d: NDArray[Any]) -> _Space:
        ranked = RankedSpace(d) if self.plan.rho == "pooled" else None
        return _Space(distance, d, neighbours(d), ranked)

    def _latent_spaces(self, encoder: EncoderAtPoint) -> list[_Space]:
        spaces = []
        for name, path in LATENT_DISTANCES.items():
            d = np.full((self.n, self.n), np.nan)
            if encoder.queries is not None and encoder.originals is not None:
                good = np.array([status == OK for status in encoder.status])
                measure: Distance = load(path)
                if good.any():
                    d[good] = measure.function(encoder.queries[good], encoder.originals)
            spaces.append(self._space(name, d))
        return spaces

    # -- scores ----------------------------------------------------------------------------------

    def _within(
        self,
        name: str,
        task: str,
        trial: int,
        space: _Space,
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
        self, encoder: EncoderAtPoint, audio_spaces: list[_Space], latent_spaces: list[_Space]
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

    def _rho(self, who: tuple[str, str, int], audio: _Space, latent: _Space) -> _Score:
        if audio.ranked is not None and latent.ranked is not None:
            value = rho(audio.ranked, latent.ranked)
            replicates = rho_replicates(audio.ranked, latent.ranked, self.counts)
        elif self.plan.rho == "clips":
            value = between_space_rho(audio.d, latent.d, over="clips")
            replicates = mean_replicates(rho_by_clip(audio.d, latent.d), self.counts)
        else:
            value = between_space_rho(audio.d, latent.d, over="own")
            replicates = own_rho_replicates(audio.found.d_own, latent.found.d_own, self.counts)
        status = UNDEFINED_RHO if np.isnan(value) else OK
        return _Score(*who, "C_B_rho", value, replicates, self.n, status=status)

    def _agreement(
        self, who: tuple[str, str, int], audio: _Space, latent: _Space
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
        space: _Space,
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

    def _sides(self, queries: pd.DataFrame) -> dict[tuple[str, str], list[tuple[float, float]]]:
        """Return for every transformation and side its magnitudes and their severities.

        The severity is that of the effective magnitude: two MP3 rates that come out as one are
        equally severe.
        """
        columns = ["transformation", "magnitude"]
        effective = queries.groupby(columns)["effective_magnitude"].median()
        sides: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for point in self.plan.grid.points:
            asked = transformation(point.code, point.magnitude)
            done = transformation(point.code, float(effective[point.code, point.magnitude]))
            key = (point.code, asked.side)
            sides.setdefault(key, []).append((point.magnitude, done.severity))
        return {key: ladder for key, ladder in sides.items() if len(ladder) > 1}


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
