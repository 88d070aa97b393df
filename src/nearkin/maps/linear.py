"""Within-class covariance normalisation: a linear map that shrinks where changes move embeddings.

A clip and its changed versions are a class (Hatch, Kajarekar and Stolcke 2006, "Within-class
covariance normalization for SVM-based speaker recognition"). With S the mean outer product of
``changed - original`` and s the mean of its eigenvalues, a vector z becomes

    (z - centre) @ W,    W = ((S / s + shrinkage * I) / (1 + shrinkage)) ** (-1/2).

W is symmetric: along each eigenvector of S it stretches, and turns nothing. At a large shrinkage it
is the identity. Embeddings are [n, D], a row a clip; all is float64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]

SHRINKAGES = (0.00001, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Those that cross-validation chooses from."""


@dataclass(frozen=True)
class Origin:
    """Which encoder a map is for, and what it was learned from.

    Attributes
    ----------
    encoder : str
        The encoder's label in the run.
    spec : str
        Its SPEC.
    sha256 : str
        Of the encoder's files; empty where it has none.
    sample_rate : int
        Hz.
    digest : mapping or None
        What it answered for the test clips of the quick check, where that was kept.
    transformations : tuple of str
        Codes of the changes the map was learned from.
    shrinkage : float
    n_clips, n_groups : int
        Clips it was learned from, and their files or groups.
    seed : int
        Of the run.
    created : str
        When the run was begun.
    """

    encoder: str
    spec: str
    sha256: str
    sample_rate: int
    transformations: tuple[str, ...]
    shrinkage: float
    n_clips: int
    n_groups: int
    seed: int = 0
    created: str = ""
    digest: dict[str, Any] | None = None
    seconds: float = 2.0
    """Length of the run's clips."""


@dataclass(frozen=True)
class LinearMap:
    """A map of embeddings.

    Attributes
    ----------
    centre : float64[D]
        Subtracted first.
    matrix : float64[D, D]
        Multiplied with then.
    origin : Origin
    """

    centre: Floats = field(repr=False)
    matrix: Floats = field(repr=False)
    origin: Origin

    @property
    def size(self) -> int:
        """Values of an embedding, D."""
        return len(self.centre)

    def apply(self, vectors: ArrayLike) -> Floats:
        """Map embeddings [n, D].

        Returns
        -------
        float64[n, D]
            Each row computed alone, so that it does not depend on the rows beside it.

        Raises
        ------
        InputError
            If they have another dimension.
        """
        rows = np.asarray(vectors, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.size:
            raise InputError(
                f"embeddings of shape {list(rows.shape)}: must be [n, {self.size}], the map of "
                f"'{self.origin.encoder}' is for {self.size} values; learn one for this encoder"
            )
        centred = rows - self.centre
        return np.stack([row @ self.matrix for row in centred]) if len(rows) else centred


@dataclass(frozen=True)
class Spectrum:
    """The eigenvectors of a within-class scatter, from which a map of any shrinkage is made.

    Attributes
    ----------
    values : float64[D]
        Eigenvalues over their mean.
    vectors : float64[D, D]
        Eigenvectors in columns.
    """

    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, scatter: ArrayLike) -> Spectrum:
        """Decompose a scatter matrix [D, D].

        Raises
        ------
        InputError
            If it is all zero: nothing moves, so nothing can be learned.

        Examples
        --------
        >>> Spectrum.of([[3.0, 0.0], [0.0, 1.0]]).values.tolist()
        [0.5, 1.5]
        """
        square = np.asarray(scatter, np.float64)
        mean = float(np.trace(square)) / len(square)
        if not mean > 0:
            raise InputError(
                "the changes do not move a single embedding: there is nothing to repair; take an "
                "encoder that hears them"
            )
        values, vectors = np.linalg.eigh(square / mean)
        return cls(np.maximum(values, 0.0), vectors)

    def matrix(self, shrinkage: float) -> Floats:
        """Return W, [D, D].

        Examples
        --------
        >>> W = Spectrum.of([[3.0, 0.0], [0.0, 1.0]]).matrix(0.0)
        >>> (W @ [[3.0, 0.0], [0.0, 1.0]] @ W).round(9).tolist()
        [[2.0, 0.0], [0.0, 2.0]]
        """
        weights = ((self.values + shrinkage) / (1 + shrinkage)) ** -0.5
        return np.asarray((self.vectors * weights) @ self.vectors.T)
