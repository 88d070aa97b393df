"""What an attack wants: another original nearer than the own, by cosine.

The margin is the distance to the nearest other less that to the own original, as in
queries.parquet; an attack makes it as small as it can, and has led the clip astray where it is not
above 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.optional import need

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Aim:
    """The originals around one clip, as unit vectors.

    Attributes
    ----------
    own : float64[D]
        The clip's own original.
    others : float64[M, D]
        Those it may be taken for.
    """

    own: Floats = field(repr=False)
    others: Floats = field(repr=False)

    @classmethod
    def of(cls, originals: NDArray[Any], own: int, groups: NDArray[np.intp] | None = None) -> Aim:
        """Take the aim from all originals [N, D]; those that are missing or all zero are none.

        Parameters
        ----------
        originals : array[N, D]
        own : int
            The clip's place.
        groups : int[N], optional
            Others are then those of other groups only.
        """
        rows = np.asarray(originals, np.float64)
        length = np.linalg.norm(rows, axis=1)
        there = np.isfinite(length) & (length > 0)
        there[own] = False
        if groups is not None:
            there &= groups != groups[own]
        unit = rows / np.where(length > 0, length, 1.0)[:, None]
        return cls(unit[own], unit[there])

    def margin(self, vectors: NDArray[Any]) -> Floats:
        """Return the margins of vectors [B, D], float64[B]."""
        rows = np.asarray(vectors, np.float64)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows / np.where(length > 0, length, 1.0)
        return np.asarray(unit @ self.own - (unit @ self.others.T).max(axis=1))

    def tensor_margin(self, vectors: Any) -> Any:
        """Return the same of a tensor [B, D], with its gradient."""
        torch = need("torch", extra="torch")
        kind = {"dtype": vectors.dtype, "device": vectors.device}
        unit = torch.nn.functional.normalize(vectors, dim=1)
        own, others = (torch.as_tensor(side, **kind) for side in (self.own, self.others))
        return unit @ own - (unit @ others.T).amax(dim=1)
