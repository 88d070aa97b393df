"""One point of the grid at a time: every space's distances in, the tables' rows out.

A point is one transformation at one magnitude. Clips are in the order of clips.parquet. Ranks of
the audio space are taken once and shared by all encoders, and so is the one set of resamples of
the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
    OwnDistances,
    RankedAtPoint,
    Space,
    drawn_clips,
    latent_space,
    others_of_each,
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
Bools = NDArray[np.bool_]
Who = tuple[str, str, int]
"""Encoder, task and trial."""

COLLECTIONS = (10, 100, 1000)
"""Sizes n at which C_W@n is tabulated, as far as they are smaller than the run's N."""
FEWEST_FOR_RHO = 3
"""Clips below which a correlation is always 1 or -1."""
UNDEFINED_RHO = "undefined: all distances are equal in one of the spaces"
UNDEFINED_KAPPA = "undefined: agreement by chance is certain"
NO_GROWTH = "undefined: the distance does not change with severity"


class _Made(NamedTuple):
    """Which of a point's queries could be made, and the words to add where one reason was all."""

    queries: Bools
    reason: str


class Scorer:
    """Scores the points of one run with one set of resamples.

    Parameters
    ----------
    plan : Plan
        The run.
    clip_ids : sequence of N str
        The usable clips, in order.
    groups : int[N], optional
        Their groups: clips of one group are resampled together, and with ``others="group"`` not
        compared with each other. By default every clip is a group of its own.
    """

    def __init__(
        self, plan: Plan, clip_ids: Sequence[str], *, groups: NDArray[np.intp] | None = None
    ) -> None:
        self.plan = plan
        self.clip_ids = np.asarray(clip_ids, dtype=object)
        self.n = len(self.clip_ids)
        own = np.arange(self.n) if groups is None else groups
        self.clusters = None if len(np.unique(own)) == self.n else own
        self.apart = own if plan.others == "group" else None
        self.drawn = drawn_clips(plan, self.n)
        self.counts = self._resamples("bootstrap", np.arange(self.n))
        whole = len(self.drawn) == self.n
        self.pair_counts = (
            self.counts if whole else self._resamples("bootstrap of pairs", self.drawn)
        )

    def _resamples(self, purpose: str, clips: NDArray[np.intp]) -> Counts:
        rng = stream(self.plan.seed, purpose, len(clips))
        clusters = None if self.clusters is None else self.clusters[clips]
        return resamples(len(clips), n_resamples=self.plan.resamples, rng=rng, clusters=clusters)

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
        made = _made_of(audio.status)
        audio_spaces = [ranked(space, self.plan) for space in audio.spaces]
        who = (AUDIO, "", 1)
        queries = [_Answers(who, AUDIO, space, audio.status) for space in audio_spaces]
        scores = [
            replace(score, audio_distance=space.distance)
            for space in audio_spaces
            for score in self._within(who, space, made)
        ]
        for encoder in encoders:
            who = (encoder.name, encoder.task, encoder.trial)
            spaces = [
                ranked(
                    latent_space(name, encoder, self.drawn, made=made.queries, groups=self.apart),
                    self.plan,
                )
                for name in self.plan.latent_distances
            ]
            for space in spaces:
                status = with_zero_vectors(space.found, encoder.status)
                queries.append(_Answers(who, "latent", space, status))
            scores += self._encoder_scores(encoder, audio_spaces, spaces, made)
        here = [
            replace(score, transformation=point.code, magnitude=point.magnitude) for score in scores
        ]
        return self._query_rows(queries, point, audio.effective), self._table(here)

    def monotonicity(
        self, points: Sequence[tuple[Point, float, Sequence[OwnDistances]]]
    ) -> pd.DataFrame:
        """Test assumption (ii) over all points of the grid.

        Parameters
        ----------
        points : sequence of (Point, effective magnitude, sequence of OwnDistances)
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
                score = self._growth(severity, moved)
                scores.append(replace(score, transformation=code, side=side))
        return self._table(scores)

    # -- scores ----------------------------------------------------------------------------------

    def _growth(self, severity: Sequence[float], moved: Sequence[OwnDistances]) -> Score:
        one = moved[0]
        failed = np.stack([at.failed for at in moved], axis=1)
        d_own = np.stack([at.d_own for at in moved], axis=1)
        by_clip = monotonicity(severity, d_own, failed=failed)
        asked = np.stack([at.asked for at in moved], axis=1).sum(axis=1) > 1
        n, n_failed = int(asked.sum()), int(np.count_nonzero(failed[asked].any(axis=1)))
        value = _mean(by_clip)
        status = f"{n_failed} of {n} clips have failed queries" if n_failed else OK
        if not n:
            status = next((at.reason for at in moved if at.reason), "undefined: nothing was asked")
        elif np.isnan(value):
            status = NO_GROWTH
        return Score(
            *(one.name, one.task, one.trial, "monotonicity", value),
            replicates=mean_replicates(by_clip, self.counts),
            n=n,
            n_failed=n_failed,
            status=status,
            terms=by_clip,
            clusters=self.clusters,
            audio_distance=one.distance if one.space == AUDIO else "",
            latent_distance="" if one.space == AUDIO else one.distance,
        )

    def _within(
        self, who: Who, ranked: RankedAtPoint, made: _Made, *, failure: str = ""
    ) -> list[Score]:
        space, found = ranked.space, ranked.found
        right = np.where(found.valid, (~found.error).astype(np.float64), np.nan)
        around = others_of_each(space.there, self.apart) + 1
        chance = _mean(1 / around[found.valid])
        scores = [self._share(who, "C_W", right, chance=chance)]
        smallest = int(around[found.valid].min(initial=self.n))
        for size in COLLECTIONS:
            if size < smallest and found.valid.any():
                by_clip = np.full(self.n, np.nan)
                for number in np.unique(around[found.valid]):
                    here = found.valid & (around == number)
                    rank = np.minimum(found.rank[here], number)  # of lost ones it is the last
                    by_clip[here] = within_space_at_by_clip(rank, n=size, n_clips=int(number))
                scores.append(self._share(who, f"C_W@{size}", by_clip, chance=1 / size))
        n, n_failed, status = self._asked(space, made, failure)
        return [replace(one, n=n, n_failed=n_failed, status=status) for one in scores]

    def _asked(self, space: Space, made: _Made, failure: str = "") -> tuple[int, int, str]:
        """Return how many queries were asked, how many of them failed, and both in words."""
        if failure:
            n = int(made.queries.sum())
            return n, n, failure
        alone = made.queries & space.there & (others_of_each(space.there, self.apart) == 0)
        n, n_failed = int((made.queries & space.there & ~alone).sum()), int(space.failed.sum())
        told = []
        if n_failed:
            told.append(f"{n_failed} of {n} queries failed")
        if not made.queries.all():
            n_unmade = int((~made.queries).sum())
            told.append(f"{n_unmade} of {self.n} queries could not be made{made.reason}")
        if not space.embedded.all():
            told.append(f"{int((~space.embedded).sum())} of {self.n} originals failed")
        zero = int((space.embedded & ~space.there).sum())
        if zero:
            told.append(f"{zero} of {self.n} originals are all-zero vectors, which have no cosine")
        if alone.any():
            told.append(f"{int(alone.sum())} of {self.n} queries have no other to compare with")
        words = "; ".join(told) or OK
        return n, n_failed, words if n else f"undefined: {words}"

    def _encoder_scores(
        self,
        encoder: EncoderAtPoint,
        audio_spaces: list[RankedAtPoint],
        latent_spaces: list[RankedAtPoint],
        made: _Made,
    ) -> list[Score]:
        who = (encoder.name, encoder.task, encoder.trial)
        scores = [
            replace(score, latent_distance=latent.distance)
            for latent in latent_spaces
            for score in self._within(who, latent, made, failure=encoder.failure)
        ]
        for audio in audio_spaces:
            for latent in latent_spaces:
                n, n_failed, status = self._asked(latent.space, made, encoder.failure)
                pair = [self._rho(who, audio, latent, made, encoder.failure)]
                for score in self._agreement(who, audio, latent):
                    own = score.status if n and not encoder.failure else OK
                    told = _joined(own, status)
                    pair.append(replace(score, n=n, n_failed=n_failed, status=told))
                scores += [
                    replace(score, audio_distance=audio.distance, latent_distance=latent.distance)
                    for score in pair
                ]
        return scores

    def _rho(
        self,
        who: Who,
        audio: RankedAtPoint,
        latent: RankedAtPoint,
        made: _Made,
        failure: str,
    ) -> Score:
        clips = np.arange(self.n) if self.plan.rho == "own" else self.drawn
        _, _, status = self._asked(latent.space, made, failure)
        space = latent.space
        asked = (made.queries & space.there)[clips]
        n, n_failed = int(asked.sum()), int(space.failed[clips].sum())
        if audio.ranked is not None and latent.ranked is not None:
            value = rho(audio.ranked, latent.ranked)
            replicates = rho_replicates(audio.ranked, latent.ranked, self.pair_counts)
        elif self.plan.rho == "clips":
            by_clip = rho_by_clip(audio.space.pairs, space.pairs)
            value = _mean(by_clip)
            replicates = mean_replicates(by_clip, self.pair_counts)
        else:
            moved = audio.found.d_own, latent.found.d_own
            both = ~np.isnan(moved).any(axis=0)
            value = float(spearman(moved[0][both], moved[1][both])) if both.any() else float("nan")
            replicates = own_rho_replicates(*moved, self.counts)
        if failure:
            n = n_failed = int(made.queries[clips].sum())
        elif int(space.there[clips].sum()) < FEWEST_FOR_RHO:
            value = float("nan")
            status = _joined(f"undefined: a correlation needs {FEWEST_FOR_RHO} clips", status)
        elif np.isnan(value) and n_failed < n:
            status = _joined(UNDEFINED_RHO, status)
        elif np.isnan(value) and not status.startswith("undefined"):
            status = f"undefined: {status}"
        clusters = None if self.clusters is None else self.clusters[clips]
        return Score(
            *(*who, "C_B_rho", value, replicates, n),
            status=status,
            n_failed=n_failed,
            clusters=clusters,
        )

    def _agreement(
        self, who: Who, audio: RankedAtPoint, latent: RankedAtPoint
    ) -> tuple[Score, Score]:
        seen = agreement(audio.found, latent.found)
        spread = agreement_replicates(audio.found, latent.found, self.counts)
        both = audio.found.valid & latent.found.valid
        agree = np.where(both, audio.found.error == latent.found.error, np.nan)
        accuracy = self._share(who, "C_B_acc", agree, chance=seen.chance)
        status = UNDEFINED_KAPPA if np.isnan(seen.kappa) else OK
        beyond = Score(
            *(*who, "kappa", seen.kappa, spread.kappa, self.n),
            status=status,
            clusters=self.clusters,
        )
        return accuracy, beyond

    def _share(self, who: Who, measure: str, by_clip: Floats, *, chance: float) -> Score:
        nothing = np.zeros(0)  # the interval is made of the clips' values
        return Score(
            *(*who, measure, _mean(by_clip), nothing, self.n),
            chance=chance,
            shares=by_clip,
            clusters=self.clusters,
        )

    # -- rows ------------------------------------------------------------------------------------

    def _table(self, scores: list[Score]) -> pd.DataFrame:
        """Return rows of consistency.parquet, the means over trials at the end."""
        import pandas as pd

        scores = [*scores, *over_trials(scores)]
        return pd.DataFrame([score.row() for score in scores], columns=tables.CONSISTENCY)

    def _query_rows(
        self, answers: Sequence[_Answers], point: Point, effective: Floats
    ) -> pd.DataFrame:
        """Return rows of queries.parquet, in one frame: its columns cost more than its rows."""
        import pandas as pd

        n, found = self.n, [one.ranked.found for one in answers]

        def of_each(values: Sequence[object]) -> NDArray[np.object_]:
            return np.repeat(np.array(values, object), n)

        def together(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(one, name) for one in found])

        nearest = together("nearest")
        nearest_id = self.clip_ids[nearest]
        nearest_id[nearest < 0] = None
        whole = pd.arrays.IntegerArray
        return pd.DataFrame(
            {
                "encoder": of_each([one.who[0] for one in answers]),
                "task": of_each([one.who[1] for one in answers]),
                "trial": np.repeat([one.who[2] for one in answers], n),
                "space": of_each([one.kind for one in answers]),
                "distance": of_each([one.ranked.space.distance for one in answers]),
                "transformation": point.code,
                "magnitude": point.magnitude,
                "effective_magnitude": np.tile(effective, len(answers)),
                "clip_id": np.tile(self.clip_ids, len(answers)),
                "error": whole(together("error").astype(np.int64), ~together("valid")),
                "rank": whole(together("rank").astype(np.int64), nearest < 0),
                "margin": together("margin"),
                "d_own": together("d_own"),
                "d_nearest": together("d_nearest"),
                "nearest_id": nearest_id,
                "status": [text for one in answers for text in one.status],
            },
            columns=tables.QUERIES,
        )


class _Answers(NamedTuple):
    """What is told of every clip in one space."""

    who: Who
    kind: str
    ranked: RankedAtPoint
    status: Sequence[str]


def _mean(values: Floats) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def _joined(first: str, second: str) -> str:
    """Join two statuses; one that is ok says nothing."""
    return "; ".join(text for text in (first, second) if text != OK) or OK


def _made_of(status: Sequence[str]) -> _Made:
    """Read a point's statuses; where no query could be made for one reason, that is given."""
    queries = np.array([text == OK for text in status])
    alike = not queries.any() and len(set(status)) == 1
    return _Made(queries, f" ({status[0]})" if alike else "")
