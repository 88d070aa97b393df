"""A finished study's tables, asked for numbers with joint replicates over clips and trials.

Tables in, `Draws` out. `Who` names what is asked about: ``"audio"``, ``"mfcc"`` or a task, whose
network is meant. A marginal mean is the mean over transformations of the mean over each one's own
magnitudes, of changed clips only.

What is resampled: C_W and C_B_acc clip by clip (clips of one group together), task scores clip by
clip, networks trial by trial, jointly in all measures. C_B_rho is not known by clip: its part over
clips is made of the table's own intervals, as if all points of a model moved together and two
models apart, which makes differences less sure than they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.results.answers import (
    Place,
    Question,
    RunTables,
    SystemOfRun,
    answers_of,
    places_of,
    units_of,
    used_clips,
)
from nearkin.results.systems import AUDIO, System, systems_of
from nearkin.results.task_scores import signs
from nearkin.seeds import stream
from nearkin.study.draws import Draws, averages, clip_weights, trial_weights
from nearkin.study.scores import Scores, UntestableError
from nearkin.tables import ORIGINAL
from nearkin.tasks import task as task_named

Floats = NDArray[np.float64]
Question3 = tuple[str, str, str]

NETWORKS = ("at", "ir", "vs", "ae")
"""The paper's tasks, from the highest level to the lowest."""
MFCC = "mfcc"
VGG = "vgg"
N_DRAWS = 1000
NORMAL = 1.959964


class Effect(NamedTuple):
    """An F test of the analysis."""

    f: float
    df: float
    residual_df: float
    p: float


class Evidence:
    """What a finished study says.

    Parameters
    ----------
    run : mapping
        run.json.
    clips, queries, consistency : pandas.DataFrame
        The run's tables.
    performance, performance_clips : pandas.DataFrame, optional
        Of ``nearkin perform``.
    analysis : mapping of str to pandas.DataFrame
        Of ``nearkin analyze``.
    seed : int
        Of the resamples.
    n_draws : int
        How many.
    """

    def __init__(
        self,
        run: Mapping[str, Any],
        clips: pd.DataFrame,
        queries: pd.DataFrame,
        consistency: pd.DataFrame,
        *,
        performance: pd.DataFrame | None = None,
        performance_clips: pd.DataFrame | None = None,
        analysis: Mapping[str, pd.DataFrame] | None = None,
        seed: int = 0,
        n_draws: int = N_DRAWS,
    ) -> None:
        self.run = run
        self.consistency = consistency
        self.performance = performance
        self.performance_clips = performance_clips
        self.analysis = dict(analysis or {})
        self.seed, self.n_draws = seed, n_draws
        self._tables = RunTables("", run, clips, queries)
        self._systems = systems_of(run, consistency)
        self._clips = sorted(used_clips(self._tables).index)
        self._answers: dict[tuple[str, str], Any] = {}
        self._kept: dict[tuple[Any, ...], Scores] = {}

    # -- who there is ------------------------------------------------------------------------------

    def system(self, who: str) -> System:
        """Return the encoder that is meant: audio, MFCC, or a task's own network.

        Raises
        ------
        UntestableError
            If the study has none.
        """
        if who == AUDIO:
            return System(AUDIO, "", AUDIO)
        if who == MFCC:
            found = [one for one in self._systems if (one.encoder, one.task) == (MFCC, "")]
        else:
            found = [one for one in self._systems if one.task == who]
            found.sort(key=lambda one: (one.role != "tested", not one.encoder.startswith(VGG)))
        if not found:
            name = "MFCC encoder" if who == MFCC else f"network trained for {who}"
            raise UntestableError(f"the study has no {name}")
        return found[0]

    def trials(self, who: str) -> int:
        """Return how many trials of an encoder there are."""
        one = self.system(who)
        rows = self.consistency
        mine = rows[(rows["encoder"] == one.encoder) & (rows["task"].fillna("") == one.task)]
        return int(mine.loc[mine["trial"] >= 1, "trial"].nunique())

    def resampled(self) -> str:
        """Say what the replicates are drawn from."""
        counts = []
        for who in NETWORKS:
            try:
                counts.append(self.trials(who))
            except UntestableError:
                continue
        n = len(self._clips)
        if not counts:
            return f"{n} clips"
        most = max(counts)
        told = f"{most}" if min(counts) == most else f"{min(counts)} to {most}"
        return f"{n} clips and {told} trials" if most > 1 else f"{n} clips; one trial each"

    # -- consistency -------------------------------------------------------------------------------

    def scores(self, question: Question3, who: str) -> Scores:
        """Return a measure at every point of the grid.

        Raises
        ------
        UntestableError
            If the study has no such rows.
        """
        key = (question, who)
        if key not in self._kept:
            one = self.system(who)
            asked = Question(*question)
            made = self._by_clip(asked, one)
            self._kept[key] = made if made is not None else self._by_interval(asked, one)
        return self._kept[key]

    def originals(self, question: Question3, who: str) -> Draws:
        """Return a measure on the unchanged clips, with its interval's spread."""
        one = self.system(who)
        rows = self._rows(Question(*question), one)
        rows = rows[rows["transformation"] == ORIGINAL]
        return self._spread(rows, one).at(0)

    @cached_property
    def _weights(self) -> Floats:
        units = units_of(self._tables, self._clips)
        return clip_weights(units, self.n_draws, stream(self.seed, "claims", "clips"))

    def _trials(self, encoder: str, task: str, n: int) -> Floats:
        return trial_weights(n, self.n_draws, stream(self.seed, "claims", encoder, task, n))

    def _by_clip(self, question: Question, one: System) -> Scores | None:
        if (one.encoder, one.task) not in self._answers:
            system = SystemOfRun(self._tables, one)
            self._answers[(one.encoder, one.task)] = answers_of(
                system, self._clips, n=None, same_clips=True, ladders=False
            )
        found = self._answers[(one.encoder, one.task)].get(question)
        if found is None:
            return None
        cube = found.value
        there = ~np.isnan(cube)
        filled = np.where(there, cube, 0.0)
        with np.errstate(invalid="ignore"):
            value = filled.sum(axis=2) / there.sum(axis=2)
            drawn = (filled @ self._weights.T) / (there.astype(float) @ self._weights.T)
        mixing = self._trials(one.encoder, one.task, len(cube))
        replicates = np.einsum("tpb,bt->pb", drawn, mixing)
        places = tuple(places_of(self._tables))
        return Scores(places, value.mean(axis=0), replicates)

    def _by_interval(self, question: Question, one: System) -> Scores:
        rows = self._rows(question, one)
        return self._spread(rows[rows["transformation"] != ORIGINAL], one)

    def _rows(self, question: Question, one: System) -> pd.DataFrame:
        rows = self.consistency
        here = (rows["encoder"] == one.encoder) & (rows["task"].fillna("") == one.task)
        here &= rows["trial"] >= 1
        for name, wanted in question._asdict().items():
            here &= rows[name].fillna("") == wanted
        if not here.any():
            names = ",".join(filter(None, question[1:]))
            raise UntestableError(f"the study has no {question.measure}[{names}] of {one.label}")
        return rows[here]

    def _spread(self, rows: pd.DataFrame, one: System) -> Scores:
        """Make replicates of scores' own intervals, and of their trials."""
        points = rows[["transformation", "magnitude"]].drop_duplicates()
        places = tuple(Place(str(code), float(m)) for code, m in points.itertuples(index=False))
        index = pd.MultiIndex.from_tuples([(place.code, place.magnitude) for place in places])
        wide = {
            name: rows.pivot(index=["transformation", "magnitude"], columns="trial", values=name)
            .reindex(index)
            .to_numpy(float)
            for name in ("value", "ci_low", "ci_high")
        }
        value = wide["value"]
        error = np.nan_to_num((wide["ci_high"] - wide["ci_low"]) / (2 * NORMAL))
        rng = stream(self.seed, "claims", "spread", one.encoder, one.task)
        moved = rng.standard_normal(self.n_draws)
        mixing = self._trials(one.encoder, one.task, value.shape[1])
        replicates = value @ mixing.T + error.mean(axis=1)[:, None] * moved
        return Scores(places, value.mean(axis=1), replicates)

    # -- task scores -------------------------------------------------------------------------------

    def performed(self) -> list[str]:
        """Return the tasks that were scored, from the highest level to the lowest."""
        present = set(self._performance()["task"])
        return [one for one in NETWORKS if one in present]

    def task_scores(self, encoder: str, task: str) -> Scores:
        """Return standardised scores in a task, more being better, at every point of the grid."""
        return self._task_points(encoder, task)[0]

    def task_originals(self, encoder: str, task: str) -> Draws:
        """Return the standardised score on unchanged clips."""
        return self._task_points(encoder, task)[1]

    def _task_points(self, encoder: str, task: str) -> tuple[Scores, Draws]:
        key = ("performance", encoder, task)
        if key not in self._kept:
            self._kept[key] = self._made_task_points(encoder, task)
        every = self._kept[key]
        first = next(k for k, place in enumerate(every.places) if place.code == ORIGINAL)
        rest = [k for k in range(len(every.places)) if k != first]
        changed = Scores(
            tuple(every.places[k] for k in rest), every.value[rest], every.replicates[rest]
        )
        return changed, every.at(first)

    def _made_task_points(self, encoder: str, task: str) -> Scores:
        rows = self._performance()
        mine = rows[(rows["encoder"] == encoder) & (rows["task"] == task) & (rows["trial"] >= 1)]
        if mine.empty:
            raise UntestableError(f"the study has no task scores of {encoder} in {task}")
        if ORIGINAL not in set(mine["transformation"]):
            raise UntestableError("the task scores have no unchanged clips")
        centre, scale = self._scale(task)
        if self.performance_clips is None:
            found = self._spread(mine, System(encoder, task, "tested"))
        else:
            found = self._task_by_clip(self.performance_clips, encoder, task)
        return Scores(
            found.places, (found.value - centre) * scale, (found.replicates - centre) * scale
        )

    def _performance(self) -> pd.DataFrame:
        if self.performance is None:
            raise UntestableError("the study has no task scores")
        return self.performance

    def _scale(self, task: str) -> tuple[float, float]:
        """Return the mean of a task's scores, and the factor that standardises (signed)."""
        rows = self._performance()
        here = (rows["task"] == task) & (rows["trial"] >= 1)
        here &= rows["transformation"] != ORIGINAL
        known = rows.loc[here, "value"].astype(float)
        known = known[np.isfinite(known)]
        spread = float(known.std(ddof=1))
        if not spread > 0:
            raise UntestableError(f"all scores of {task} are equal")
        return float(known.mean()), signs()[str(rows.loc[here, "measure"].iloc[0])] / spread

    def _task_by_clip(self, rows: pd.DataFrame, encoder: str, task: str) -> Scores:
        rows = rows[(rows["encoder"] == encoder) & (rows["task"] == task)]
        names = sorted(rows["clip_id"].unique())
        points = rows[["transformation", "magnitude"]].drop_duplicates()
        places = tuple(Place(str(code), float(m)) for code, m in points.itertuples(index=False))
        index = pd.MultiIndex.from_tuples([(place.code, place.magnitude) for place in places])
        cube = np.stack(
            [
                part.pivot(index=["transformation", "magnitude"], columns="clip_id", values="value")
                .reindex(index=index, columns=names)
                .to_numpy(float)
                for _, part in rows.groupby("trial")
            ]
        )
        kept = ~np.isnan(cube).all(axis=(0, 1))
        cube = cube[:, :, kept]
        rng = stream(self.seed, "claims", "task clips", task, int(kept.sum()))
        weights = clip_weights(np.arange(int(kept.sum())), self.n_draws, rng)
        value, drawn = averages(cube, weights, by_median=task_named(task).average == "median")
        mixing = self._trials(encoder, task, len(cube))
        return Scores(places, value.mean(axis=0), np.einsum("tpb,bt->pb", drawn, mixing))

    # -- the analysis ------------------------------------------------------------------------------

    def effect(self, score: Question3, term: str) -> Effect:
        """Return an F test of the analysis."""
        row = self._analysed("anova", score, term=term).iloc[0]
        if not np.isfinite(row["F"]):
            raise UntestableError(f"the analysis could not test {term}")
        return Effect(*(float(row[name]) for name in ("F", "df", "residual_df", "p")))

    def r2(self, score: Question3) -> float:
        """Return the adjusted R² of the model of a score."""
        return float(self._analysed("gam", score)["r2_adj"].iloc[0])

    def contrasts(self, score: Question3, factor: str) -> pd.DataFrame:
        """Return the contrasts of a factor's levels."""
        return self._analysed("contrasts", score, factor=factor)

    def _analysed(self, name: str, score: Question3, **where: str) -> pd.DataFrame:
        table = self.analysis.get(name)
        if table is None:
            raise UntestableError("the study was not analysed (nearkin analyze)")
        keys = dict(zip(("measure", "audio_distance", "latent_distance"), score, strict=True))
        for column, wanted in {**keys, **where}.items():
            table = table[table[column].fillna("") == wanted]
        if table.empty:
            asked = " of ".join([*where.values(), score[0]])
            raise UntestableError(f"the analysis has no {asked}: too few magnitudes or encoders")
        return table
