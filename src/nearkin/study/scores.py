"""One model's scores over the grid, with replicates, and what is asked of several models' scores.

A marginal mean is the mean over transformations of the mean over each one's own magnitudes, of
changed clips only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import NearkinError
from nearkin.results.answers import Place
from nearkin.study.draws import Draws, combined, mean
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

Floats = NDArray[np.float64]


class UntestableError(NearkinError):
    """What a claim needs and the study does not have."""


@dataclass(frozen=True, eq=False)
class Scores:
    """One model's score at every point of the grid.

    Attributes
    ----------
    places : tuple of Place
        P points, the unchanged clip not among them.
    value : float64[P]
    replicates : float64[P, B]
    """

    places: tuple[Place, ...]
    value: Floats
    replicates: Floats

    def at(self, place: int) -> Draws:
        """Return one point's score."""
        return Draws(float(self.value[place]), self.replicates[place])

    def codes(self) -> list[str]:
        """Return the transformations, in page order."""
        return magnitudes.code_order(place.code for place in self.places)

    def of(self, code: str) -> Draws:
        """Return the mean over a transformation's own magnitudes."""
        return mean([self.at(k) for k in self._where(code)])

    def emm(self) -> Draws:
        """Return the marginal mean."""
        return mean([self.of(code) for code in self.codes()])

    def mild(self, code: str | None = None) -> list[Draws]:
        """Return the scores at the mildest magnitude of every transformation and side."""
        return self._extreme(magnitudes.mildest, code)

    def severe(self, code: str | None = None) -> list[Draws]:
        """Return the scores at the most severe magnitude of every transformation and side."""
        return self._extreme(magnitudes.most_severe, code)

    def middle(self, code: str) -> Draws:
        """Return the score at the middle magnitude of a one-sided transformation."""
        where = self._where(code)
        order = sorted(where, key=lambda k: magnitudes.severity(code, self.places[k].magnitude))
        return self.at(order[len(order) // 2])

    def slope(self, code: str) -> Draws:
        """Return by how much the score changes from the mildest to the most severe magnitude.

        By least squares over the magnitudes' places from 0 to 1, both sides folded into one.
        """
        where = self._where(code)
        severity = np.array(
            [magnitudes.severity(code, self.places[k].magnitude) for k in where], float
        )
        known, rank = np.unique(severity, return_inverse=True)
        if len(known) < 2:
            raise UntestableError(f"the grid has one magnitude of {code}")
        x = rank / (len(known) - 1)
        weight = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
        return Draws(float(weight @ self.value[where]), weight @ self.replicates[where])

    def _where(self, code: str) -> list[int]:
        found = [k for k, place in enumerate(self.places) if place.code == code]
        if not found:
            raise UntestableError(f"the grid has no {code}")
        return found

    def _extreme(self, pick: Callable[[Any], list[Point]], code: str | None) -> list[Draws]:
        if code is not None:
            self._where(code)
        points = pick((place.code, place.magnitude) for place in self.places)
        wanted = [(p.code, p.magnitude) for p in points if code in (None, p.code)]
        places = {(place.code, place.magnitude): k for k, place in enumerate(self.places)}
        return [self.at(places[one]) for one in wanted]


def mean_squares(scores: Mapping[str, Scores]) -> dict[str, Draws]:
    """Return the mean squares of a two-way table of means: what the F tests of effects compare.

    Parameters
    ----------
    scores : mapping of str to Scores
        A model each, of the same transformations.

    Returns
    -------
    dict of str to Draws
        ``"model"``, ``"transformation"`` and ``"interaction"``, in units of one cell.
    """
    codes = next(iter(scores.values())).codes()
    cells = [[one.of(code) for code in codes] for one in scores.values()]
    value = np.array([[cell.value for cell in row] for row in cells])[:, :, None]
    drawn = np.array([[cell.replicates for cell in row] for row in cells])

    def of(table: Floats) -> dict[str, Floats]:
        n_models, n_codes = table.shape[:2]
        whole = table.mean(axis=(0, 1))
        rows, columns = table.mean(axis=1) - whole, table.mean(axis=0) - whole
        rest = table - whole - rows[:, None] - columns[None]
        df = (n_models - 1) * (n_codes - 1)
        return {
            "model": n_codes * np.sum(rows**2, axis=0) / (n_models - 1),
            "transformation": n_models * np.sum(columns**2, axis=0) / (n_codes - 1),
            "interaction": np.sum(rest**2, axis=(0, 1)) / df,
        }

    found, spread = of(value), of(drawn)
    return {name: Draws(float(found[name][0]), spread[name]) for name in found}


def rank_correlation(a: Sequence[Draws], b: Sequence[Draws]) -> Draws:
    """Return the Spearman correlation of two rows of numbers, replicate by replicate."""
    from scipy.stats import rankdata

    def of(x: Floats, y: Floats) -> Floats:
        one, two = (rankdata(values, axis=0) for values in (x, y))
        one, two = one - one.mean(axis=0), two - two.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
            return np.asarray((one * two).sum(axis=0) / scale)

    value = of(np.array([[n.value] for n in a]), np.array([[n.value] for n in b]))
    drawn = of(np.stack([n.replicates for n in a]), np.stack([n.replicates for n in b]))
    return Draws(float(value[0]), drawn)


def median(numbers: Sequence[Draws]) -> Draws:
    """Return the median of several numbers, replicate by replicate."""
    return combined("median", numbers)
